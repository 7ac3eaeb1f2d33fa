//! However workers take turns: never more than one bucket would let through, and hardly less.
//!
//! `PORTCULLIS_STEPS` says how many requests the model is compared for; the normal run makes do with few.

use serde_json::json;

use crate::world::{Ask, Dice, SECOND, Worker, workers};

/// One bucket that is asked for each request, in whole nanoseconds: what all workers together are compared with.
struct Model {
    interval: u64,
    capacity: u64,
    level: u64,
    clock: u64,
}

impl Model {
    fn new(requests: u64, per_seconds: u64, burst: u64, now: u64) -> Self {
        let interval = (per_seconds * SECOND).div_ceil(requests);
        Self { interval, capacity: interval * burst, level: interval * burst, clock: now }
    }

    /// Time goes on; when the clock goes backwards it does not.
    fn set_clock(&mut self, now: u64) {
        self.level = (self.level + now.saturating_sub(self.clock)).min(self.capacity);
        self.clock = now;
    }

    /// A request was let through.
    fn take(&mut self, slack: u64) {
        assert!(
            self.level + slack * self.interval >= self.interval,
            "one too many: {} of {} left",
            self.level,
            self.interval
        );
        self.level = self.level.saturating_sub(self.interval);
    }
}

fn steps() -> u64 {
    let steps = std::env::var("PORTCULLIS_STEPS").ok();
    steps.map_or(20_000, |steps| steps.parse().expect("PORTCULLIS_STEPS: expected a number"))
}

/// Requests to random workers at random times. Now and then another worker is in between, a tick comes, a worker crashes, or (where
/// `jumps`) the clock jumps.
fn compare(seed: u64, shape: (u64, u64, u64), jumps: bool) {
    let (requests, per_seconds, burst) = shape;
    let limits = json!([{"name": "test", "key": "principal", "requests": requests, "per_seconds": per_seconds, "burst": burst}]);
    let mut machine = workers(4, limits.clone(), json!({}));
    let mut dice = Dice(seed);
    let shared = std::rc::Rc::clone(&machine[0].shared);
    let start = shared.borrow().now;
    let mut model = Model::new(requests, per_seconds, burst, start);
    let ask = Ask::of("alice");
    // A lease that is good again because the clock has come back is not known to the bucket any more.
    let slack = if jumps { burst / 64 + 1 } else { 0 };
    for _ in 0..steps() / 20 {
        // Quiet for long, for a while, or not at all.
        let gap = match dice.roll(100) {
            0 => dice.roll(4 * per_seconds * SECOND),
            1..10 => dice.roll(3 * SECOND),
            _ => dice.roll(2 * per_seconds * SECOND / requests + 2),
        };
        shared.borrow_mut().now += gap;
        if jumps && dice.roll(50) == 0 {
            let jump = dice.roll(3600 * SECOND);
            let mut shared = shared.borrow_mut();
            shared.now = if dice.roll(2) == 0 { shared.now - jump } else { shared.now + jump };
        }
        model.set_clock(shared.borrow().now);
        let favourite = dice.roll(4) as usize;
        // Now and then as many as there can be, so that what is leased and what has flowed back meanwhile are asked for at once.
        let count = if dice.roll(30) == 0 { burst.min(2000) + 50 } else { dice.roll(40) };
        for _ in 0..count {
            let worker = if dice.roll(4) == 0 { dice.roll(4) as usize } else { favourite };
            let other = dice.roll(4) as usize;
            let is_disturbed = dice.roll(8) == 0;
            let mut admitted = 0;
            let mut between = || {
                if is_disturbed && other != worker && admitted == 0 {
                    admitted += u64::from(machine[other].admits(&ask));
                }
            };
            let asked = machine[worker].begin(&ask, &mut between);
            let is_admitted = asked.is_admitted();
            machine[worker].finish(asked);
            for _ in 0..admitted + u64::from(is_admitted) {
                model.take(slack);
            }
        }
        if dice.roll(10) == 0 {
            machine[dice.roll(4) as usize].tick();
        }
        if dice.roll(500) == 0 {
            let crashed = dice.roll(4) as usize;
            let fresh = workers(1, limits.clone(), json!({})).remove(0);
            machine[crashed] = Worker { shared: std::rc::Rc::clone(&shared), ..fresh };
        }
    }
}

#[test]
fn workers_together_are_one_bucket() {
    for (index, shape) in
        [(1000, 1, 1000), (100, 10, 640), (7, 3, 5), (100_000, 1, 200_000), (1, 1, 1)]
            .into_iter()
            .enumerate()
    {
        compare(index as u64, shape, false);
    }
}

#[test]
fn a_clock_that_jumps_makes_no_tokens() {
    for (index, shape) in [(1000, 1, 1000), (100, 10, 640), (7, 3, 5)].into_iter().enumerate() {
        compare(100 + index as u64, shape, true);
    }
}

/// Hammers one key from all workers for so many seconds; answers how many were admitted of how many that could be, and how many
/// requests asked the store.
fn hammer(
    shape: (u64, u64, u64),
    workers_count: usize,
    seconds: u64,
    rate: u64,
    seed: u64,
) -> (u64, u64, f64) {
    let (requests, per_seconds, burst) = shape;
    let limits = json!([{"name": "test", "key": "principal", "requests": requests, "per_seconds": per_seconds, "burst": burst}]);
    let machine = workers(workers_count, limits, json!({}));
    let mut dice = Dice(seed);
    let ask = Ask::of("alice");
    let (mut admitted, mut sent) = (0, 0);
    for step in 0..seconds * rate {
        if step % rate == 0 {
            machine.iter().for_each(Worker::tick);
        }
        // Connections are uneven: the first worker has most of them.
        let worker = if dice.roll(2) == 0 { 0 } else { dice.roll(workers_count as u64) as usize };
        admitted += u64::from(machine[worker].admits(&ask));
        sent += 1;
        machine[0].advance(SECOND / rate);
    }
    let possible = (burst + requests * seconds / per_seconds).min(sent);
    let asked = machine[0].shared.borrow().loads;
    (admitted, possible, asked as f64 / sent as f64)
}

#[test]
fn who_hammers_gets_what_is_allowed_and_nothing_more() {
    for shape in
        [(1000, 1, 1000), (2000, 1, 200), (50, 1, 20), (60_000, 60, 10_000), (300, 60, 300)]
    {
        for count in [1, 4, 16] {
            let (admitted, possible, _) = hammer(shape, count, 3, 6000, 7);
            assert!(admitted <= possible, "{shape:?}, {count} workers: {admitted} of {possible}");
            let least = possible * 98 / 100;
            assert!(admitted >= least, "{shape:?}, {count} workers: {admitted} of {possible}");
        }
    }
}

#[test]
fn who_stays_within_a_large_limit_hardly_touches_the_store() {
    let (admitted, sent, asked) = hammer((20_000, 1, 20_000), 4, 10, 10_000, 8);
    assert_eq!(admitted, sent, "nobody was refused");
    assert!(asked < 0.1, "{asked} of all requests ask the store");
}

#[test]
fn who_is_far_above_the_limit_hardly_touches_the_store() {
    let (_, _, asked) = hammer((50, 1, 20), 4, 3, 6000, 9);
    assert!(asked < 0.1, "{asked} of all requests ask the store");
}

#[test]
fn what_is_not_used_comes_back() {
    let limits = json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 80, "burst": 1000}]);
    let machine = workers(2, limits, json!({}));
    let ask = Ask::of("alice");
    let first = (0..300).filter(|_| machine[0].admits(&ask)).count();
    assert_eq!(first, 300);
    machine[0].advance(SECOND);
    machine[0].tick();
    let second = (0..1000).filter(|_| machine[1].admits(&ask)).count();
    assert_eq!(second, 700, "the first worker still has some");
}
