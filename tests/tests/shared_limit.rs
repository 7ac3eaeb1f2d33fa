//! Gates that share one limit: a real rate limit service counts, in a real Redis that is killed and started again.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::backend::{Backend, Kind, Place};
use portcullis_tests::rate_limits::{RateLimitService, Redis, Tally, load};
use portcullis_tests::scenario::Setup;
use tokio::runtime::Runtime;

/// As the service counts; the policy says the same of each gate alone.
const HITS: u32 = 400;
const WINDOW: Duration = Duration::from_secs(2);

#[test]
fn gates_share_one_limit_also_when_redis_is_killed() {
    for kind in [Kind::Envoy, Kind::Serve] {
        share(kind);
    }
}

fn share(kind: Kind) {
    let runtime = Runtime::new().unwrap();
    let mut place = Place::new(runtime.handle()).unwrap();
    let mut redis = Redis::start(&place).unwrap();
    let service = RateLimitService::start(&place, &redis, HITS, 2).unwrap();
    place.rate_limit_service = Some(service.origin());
    let setup = Setup { policy: "shared-limit".to_owned(), ..Setup::default() };
    let gates = [(); 2].map(|()| Backend::start(&place, kind, &setup).unwrap());
    let addresses = gates.each_ref().map(Backend::address);
    let run = |addresses: &[SocketAddr], duration| {
        runtime.block_on(load(addresses, &place, "/echo", 8, duration)).unwrap()
    };
    let log = || gates.each_ref().map(|gate| unusual(&gate.log())).join("\n");

    // Three windows, each of which begins with its first hit, and not a fourth.
    let tally = run(&addresses, WINDOW * 3 - Duration::from_millis(100));
    println!("{kind}, undisturbed: {}", shown(&tally));
    assert_eq!(tally.lost, [""; 0]);
    let bound = HITS as usize * 3;
    let admitted = tally.count(200);
    assert!((bound * 98 / 100..=bound).contains(&admitted), "{admitted} of {bound}\n{}", log());
    assert_eq!(admitted + tally.count(429), total(&tally), "{}\n{}", shown(&tally), log());

    // That the next window begins with what comes next.
    std::thread::sleep(WINDOW + Duration::from_millis(100));
    let duration = WINDOW * 4 - Duration::from_millis(100);
    let tally = std::thread::scope(|scope| {
        let requests = scope.spawn(|| run(&addresses, duration));
        // Before the first window ends: what is over the limit needs no service.
        std::thread::sleep(Duration::from_millis(1500));
        redis.kill();
        std::thread::sleep(Duration::from_secs(1));
        redis.resume().unwrap();
        requests.join().unwrap()
    });
    println!("{kind}, Redis killed: {}", shown(&tally));
    assert_eq!(tally.lost, [""; 0]);
    assert_eq!(
        tally.count(200) + tally.count(429) + tally.count(503),
        total(&tally),
        "{}",
        shown(&tally)
    );
    assert!(tally.count(200) <= HITS as usize * 4, "{}", shown(&tally));
    assert!(tally.count(503) > 0, "the Redis was not missed");
    // It is back, and a window lasts two seconds: one that is whole, or two that are not.
    let late = tally.count_after(200, WINDOW * 2);
    assert!(late >= HITS as usize * 98 / 100, "{late} late ones: {}\n{}", shown(&tally), log());
}

fn total(tally: &Tally) -> usize {
    tally.answers.values().map(Vec::len).sum()
}

/// What a gate has said but for a line for each request.
fn unusual(log: &str) -> String {
    let usual = |line: &str| line.starts_with('{') || line.contains("portcullis.audit");
    log.lines().filter(|line| !usual(line)).collect::<Vec<_>>().join("\n")
}

fn shown(tally: &Tally) -> String {
    let counts = tally.answers.iter().map(|(status, times)| format!("{status}: {}", times.len()));
    counts.collect::<Vec<_>>().join(", ")
}
