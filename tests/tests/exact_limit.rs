//! Workers that keep one limit: four of a real Envoy, and 64 connections that hammer one key.

use std::time::{Duration, Instant};

use portcullis_tests::backend::{Backend, Kind, Place};
use portcullis_tests::rate_limits::load;
use portcullis_tests::scenario::Setup;
use tokio::runtime::Runtime;

/// As the policy has it.
const PER_SECOND: f64 = 500.0;
const BURST: f64 = 1000.0;

const CONNECTIONS: usize = 64;
const DURATION: Duration = Duration::from_secs(10);

#[test]
fn workers_together_admit_what_the_limit_says() {
    let runtime = Runtime::new().unwrap();
    let mut place = Place::new(runtime.handle()).unwrap();
    place.envoy_workers = 4;
    let setup = Setup { policy: "exact-limit".to_owned(), ..Setup::default() };
    let gate = Backend::start(&place, Kind::Envoy, &setup).unwrap();
    let connections = [gate.address(); CONNECTIONS];

    let begun = Instant::now();
    let tally = runtime.block_on(load(&connections, &place, "/echo", 1, DURATION)).unwrap();
    let elapsed = begun.elapsed();

    let admitted = tally.count(200);
    let at_most = BURST + PER_SECOND * elapsed.as_secs_f64();
    let at_least = 0.98 * (BURST + PER_SECOND * DURATION.as_secs_f64());
    println!(
        "admitted {admitted} of {}, from {at_least} to {at_most}",
        admitted + tally.count(429)
    );
    assert_eq!(tally.lost, [""; 0]);
    assert!(tally.count(429) > admitted, "too few requests to say anything");
    assert!((at_least..=at_most).contains(&(admitted as f64)), "{admitted} admitted");
}
