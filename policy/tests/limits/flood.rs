//! Floods of fresh keys. `PORTCULLIS_KEYS` says how many there are; the normal run makes do with few.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;

use crate::world::{Ask, SECOND, workers};

fn keys() -> u32 {
    let keys = std::env::var("PORTCULLIS_KEYS").ok();
    keys.map_or(40_000, |keys| keys.parse().expect("PORTCULLIS_KEYS: expected a number"))
}

#[test]
fn a_flood_takes_a_fixed_amount_of_memory_and_nothing_from_who_behaves() {
    let limits = json!([
        {"name": "by-address", "key": "address", "requests": 60, "per_seconds": 60, "burst": 4},
        {"name": "by-caller", "key": "principal", "requests": 60, "per_seconds": 60, "burst": 4},
    ]);
    let table = json!({"limits_table": {"keys": 16_384}});
    let machine = workers(1, limits, table);
    let gate = &machine[0];
    let good = Ask { source: "198.51.100.1".parse().ok(), ..Ask::of("good") };
    for _ in 0..3 {
        assert!(gate.admits(&good));
        gate.advance(5 * SECOND);
    }
    let (mut admitted, mut most) = (0u64, 0);
    let start = gate.shared.borrow().now;
    for number in 0..keys() {
        let source = match number % 2 {
            0 => IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(u128::from(number) << 64 | 1 << 120)),
        };
        // As many as there are to be had.
        let ask = Ask::from(source);
        for _ in 0..3 {
            admitted += u64::from(gate.admits(&ask));
        }
        gate.advance(SECOND / 5000);
        if number % 5_000 == 4_999 {
            most = most.max(gate.shared.borrow().stored_bytes());
            assert!(gate.admits(&good), "slowed after {number} keys");
        }
    }
    // 16,384 keys of 32 bytes, the names of the slots, and the shared entries.
    assert!(most < 16_384 * 34 + 20_000, "{most} bytes");
    let seconds = (gate.shared.borrow().now - start) / SECOND;
    assert!(admitted < u64::from(keys()) * 3, "in {seconds} s nobody was refused");
}

#[test]
fn keys_that_are_made_up_take_no_room_from_keys_that_are_proved() {
    let limits =
        json!([{"name": "test", "key": "principal", "requests": 2, "per_seconds": 60, "burst": 2}]);
    let machine = workers(1, limits, json!({"limits_table": {"keys": 1024}}));
    let gate = &machine[0];
    for number in 0..20_000u32 {
        gate.admits(&Ask::from(IpAddr::V4(Ipv4Addr::from_bits(number))));
    }
    // Nobody has ever seen these before.
    let fresh = (0..200).filter(|number| gate.admits(&Ask::of(&format!("customer-{number}"))));
    assert_eq!(fresh.count(), 200);
}
