//! One token bucket, as the generic cell rate algorithm (ITU-T I.371 §A, virtual scheduling).
//!
//! Its state is the time at which it will be full again. Workers take several tokens at a time from it, as a lease, and hand
//! them out without asking. What is leased and not yet handed out keeps its place in the bucket: while `n` tokens are leased, it
//! fills up to its capacity less `n`. So all workers together never admit more, in any stretch of time, than one
//! bucket would that is asked for each request.

use super::table::State;
use super::{Decision, MAXIMUM_SECONDS, NANOSECONDS};
use crate::environment::Timestamp;

/// A bucket's shape: a token flows back every `interval`, and all are back after `capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    interval: u64,
    capacity: u64,
    /// How far below empty it may go, for what was taken before it was known how much it would be.
    debt: u64,
}

/// How long a lease is good, in nanoseconds. A worker does not use it any longer.
pub(super) const LEASE: u64 = 2 * NANOSECONDS;

/// After how many seconds the bucket itself forgets leases: later than any worker uses them.
const FORGOTTEN: u64 = 4;

/// At most this part of the burst is leased at a time, by all workers together: what lies idle with one worker is missing
/// at the others, and they must still admit 98 % of what they may.
const LEASED_PART: u64 = 64;

/// A lease is at most this part of what is left, so that near the limit each token is asked for.
const REMAINING_PART: u64 = 16;

/// How many debts a bucket bears, in its capacities.
const DEBTS: u64 = 8;

/// A state that was written by a clock this much ahead, in nanoseconds, is corrected in the store.
const CLOCK_SKEW: u64 = NANOSECONDS;

/// A bucket's state as it holds now.
struct Level {
    full_at: Timestamp,
    leased: u64,
}

impl Bucket {
    /// `None` where a number is zero, the bucket would take more than a day to fill, or tokens flow faster than can be counted
    /// well: ten million a second.
    pub(super) fn new(requests: u64, per_seconds: u32, burst: u64) -> Option<Self> {
        const FASTEST: u64 = 100;
        let time = u64::from(per_seconds).checked_mul(NANOSECONDS)?;
        if requests == 0 {
            return None;
        }
        // Rounded up: rather a little less than what was said than a little more.
        let interval = time.div_ceil(requests);
        let capacity = interval.checked_mul(burst)?;
        let fills_in_time = capacity <= u64::from(MAXIMUM_SECONDS).checked_mul(NANOSECONDS)?;
        let is_countable = interval >= FASTEST && capacity > 0 && u32::try_from(burst).is_ok();
        (is_countable && fills_in_time).then_some(Self { interval, capacity, debt: 0 })
    }

    /// The same, which may owe what was taken beyond what was reserved.
    pub(super) fn with_debt(self) -> Self {
        let longest = u64::from(MAXIMUM_SECONDS).saturating_mul(NANOSECONDS);
        Self { debt: self.capacity.saturating_mul(DEBTS).min(longest), ..self }
    }

    /// Takes `cost` tokens, and up to `wanted` more as a lease. Answers how many were leased, and whether the state has changed.
    pub(super) fn take(
        self,
        state: &mut State,
        cost: u64,
        wanted: u64,
        now: Timestamp,
    ) -> (Decision, u64, bool) {
        let is_ahead = state.time.since(now.plus(self.longest())) > CLOCK_SKEW;
        let Level { full_at, leased } = self.read(state, now);
        let price = self.interval.saturating_mul(cost);
        let after = full_at.plus(price);
        let latest = now.plus(self.capacity);
        if after > latest {
            if is_ahead {
                // Else callers would be locked out for as long as the clock has jumped.
                self.write(state, Level { full_at, leased }, now);
            }
            let wait = (price <= self.capacity).then(|| after.since(latest));
            let remaining = self.tokens(latest.since(full_at));
            return (Decision { admitted: false, remaining, wait }, 0, is_ahead);
        }
        let remaining = self.tokens(latest.since(after));
        let may_lease = (self.burst() / LEASED_PART).saturating_sub(leased);
        let extra = wanted.min(may_lease).min(remaining / REMAINING_PART);
        let full_at = after.plus(self.interval.saturating_mul(extra));
        let free = latest.since(after);
        self.write(state, Level { full_at, leased: leased.saturating_add(extra) }, now);
        let wait = match free < self.interval {
            true => self.interval.saturating_sub(free),
            false => 0,
        };
        (Decision { admitted: true, remaining, wait: Some(wait) }, extra, true)
    }

    /// Gives back `unused` tokens of a lease of `size`, if the bucket still knows of it. Answers whether the state has changed.
    pub(super) fn end_lease(
        self,
        state: &mut State,
        size: u64,
        unused: u64,
        now: Timestamp,
    ) -> bool {
        let Level { full_at, leased } = self.read(state, now);
        if leased < size {
            return false;
        }
        let full_at =
            Timestamp(full_at.0.saturating_sub(self.interval.saturating_mul(unused.min(size))));
        self.write(state, Level { full_at, leased: leased.saturating_sub(size) }, now);
        true
    }

    /// Undoes a take of `cost`.
    pub(super) fn give_back(self, state: &mut State, cost: u64) {
        state.time = Timestamp(state.time.0.saturating_sub(self.interval.saturating_mul(cost)));
    }

    /// Takes `cost` tokens that have been used already.
    pub(super) fn charge(self, state: &mut State, cost: u64, now: Timestamp) {
        let Level { full_at, leased } = self.read(state, now);
        let owed = full_at.plus(self.interval.saturating_mul(cost)).min(now.plus(self.longest()));
        self.write(state, Level { full_at: owed, leased }, now);
    }

    /// The interval, the capacity, and that with what it may owe.
    pub(super) fn shape(self) -> (u64, u64, u64) {
        (self.interval, self.capacity, self.longest())
    }

    /// From when on a bucket says the same as none.
    pub(super) fn idle_from(state: &State) -> Timestamp {
        let (_, until) = unpack(state.value);
        state.time.max(Timestamp(until.saturating_mul(NANOSECONDS)))
    }

    fn burst(self) -> u64 {
        self.tokens(self.capacity)
    }

    fn tokens(self, time: u64) -> u64 {
        time.checked_div(self.interval).unwrap_or(0)
    }

    fn longest(self) -> u64 {
        self.capacity.saturating_add(self.debt)
    }

    /// A bucket is full at the latest after its capacity. A time beyond that was written by a clock that
    /// has since gone backwards: believed, it would lock callers out for as long as the clock jumped.
    fn read(self, state: &State, now: Timestamp) -> Level {
        let (leased, until) = unpack(state.value);
        let seconds = now.seconds();
        let is_known = until > seconds && until <= seconds.saturating_add(FORGOTTEN);
        let leased = if is_known { leased } else { 0 };
        let earliest = now.plus(self.interval.saturating_mul(leased));
        let latest = now.plus(self.longest());
        Level { full_at: state.time.min(latest).max(earliest), leased }
    }

    fn write(self, state: &mut State, level: Level, now: Timestamp) {
        state.time = level.full_at;
        state.value = match level.leased {
            0 => 0,
            leased => pack(leased, now.seconds().saturating_add(FORGOTTEN)),
        };
    }
}

/// Tokens in the upper half, seconds since the epoch in the lower.
fn pack(leased: u64, until: u64) -> u64 {
    (leased << 32) | (until & u64::from(u32::MAX))
}

fn unpack(value: u64) -> (u64, u64) {
    (value >> 32, value & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000 * NANOSECONDS);

    fn admits(bucket: Bucket, state: &mut State, now: Timestamp) -> bool {
        bucket.take(state, 1, 0, now).0.admitted
    }

    #[test]
    fn shapes_that_cannot_be_are_none() {
        assert_eq!(Bucket::new(0, 1, 1), None);
        assert_eq!(Bucket::new(1, 0, 1), None);
        assert_eq!(Bucket::new(1, 1, 0), None);
        assert_eq!(Bucket::new(1, 86_400, 2), None);
        assert_eq!(Bucket::new(u64::MAX, 1, u64::MAX), None);
        assert_eq!(Bucket::new(11_000_000, 1, 1), None);
        assert!(Bucket::new(10_000_000, 1, 1).is_some());
        assert!(Bucket::new(1, 86_400, 1).is_some());
    }

    #[test]
    fn a_clock_that_jumps_neither_frees_nor_locks_out() {
        let bucket = Bucket::new(1, 1, 2).unwrap();
        let late = START.plus(86_400 * NANOSECONDS);
        let mut state = State::default();
        assert!(admits(bucket, &mut state, late));
        // An hour back: the bucket counts as empty, and fills from there.
        let early = Timestamp(late.0 - 3600 * NANOSECONDS);
        assert!(!admits(bucket, &mut state, early));
        assert!(admits(bucket, &mut state, early.plus(NANOSECONDS)));
        assert!(!admits(bucket, &mut state, early.plus(NANOSECONDS)));
    }

    #[test]
    fn what_can_never_be_afforded_is_told_so() {
        let bucket = Bucket::new(10, 1, 10).unwrap();
        let mut state = State::default();
        assert_eq!(bucket.take(&mut state, 11, 0, START).0.wait, None);
        assert_eq!(bucket.take(&mut state, u64::MAX, 0, START).0.wait, None);
        assert!(bucket.take(&mut state, 10, 0, START).0.admitted);
        assert_eq!(bucket.take(&mut state, 10, 0, START).0.wait, Some(NANOSECONDS));
    }

    #[test]
    fn debts_are_borne_and_bounded() {
        let bucket = Bucket::new(10, 1, 10).unwrap().with_debt();
        let mut state = State::default();
        bucket.charge(&mut state, 20, START);
        assert!(!admits(bucket, &mut state, START.plus(NANOSECONDS)));
        assert!(admits(bucket, &mut state, START.plus(NANOSECONDS + NANOSECONDS / 10)));
        for _ in 0..1000 {
            bucket.charge(&mut state, u64::MAX, START);
        }
        assert!(!admits(bucket, &mut state, START.plus(8 * NANOSECONDS)));
        assert!(admits(bucket, &mut state, START.plus(8 * NANOSECONDS + NANOSECONDS / 10)));
    }

    #[test]
    fn a_lease_keeps_its_place_in_the_bucket() {
        let bucket = Bucket::new(640, 1, 640).unwrap();
        let mut state = State::default();
        let (_, leased, _) = bucket.take(&mut state, 1, 100, START);
        assert_eq!(leased, 10, "a 64th of the burst");
        assert_eq!(bucket.take(&mut state, 1, 100, START).1, 0, "and not another one");
        // Full again, but for what is leased.
        let later = START.plus(NANOSECONDS);
        assert!(!bucket.take(&mut state.clone(), 631, 0, later).0.admitted);
        assert!(bucket.take(&mut state.clone(), 630, 0, later).0.admitted);
        // Given back.
        assert!(bucket.end_lease(&mut state, 10, 10, later));
        assert!(!bucket.end_lease(&mut state, 10, 10, later), "twice");
        assert!(bucket.take(&mut state, 640, 0, later).0.admitted);
    }

    #[test]
    fn a_lease_of_a_worker_that_crashed_is_forgotten() {
        let bucket = Bucket::new(640, 1, 640).unwrap();
        let mut state = State::default();
        bucket.take(&mut state, 1, 100, START);
        let later = START.plus((FORGOTTEN + 1) * NANOSECONDS);
        assert!(bucket.take(&mut state.clone(), 640, 0, later).0.admitted);
        assert!(
            !bucket.end_lease(&mut state, 10, 10, later),
            "what is forgotten is not given back"
        );
    }

    proptest! {
        /// Over any sequence of arrivals: never more than burst + rate × time.
        #[test]
        fn admits_what_it_says(
            requests in 1u64..100, per in 1u32..100, burst in 1u64..50,
            gaps in prop::collection::vec(0u64..3_000_000_000, 1..300),
        ) {
            let Some(bucket) = Bucket::new(requests, per, burst) else { return Ok(()) };
            let (mut now, mut state, mut admitted) = (START, State::default(), 0u64);
            for gap in gaps {
                now = now.plus(gap);
                admitted += u64::from(admits(bucket, &mut state, now));
                let elapsed = now.since(START);
                let bound = burst + elapsed / bucket.interval;
                prop_assert!(admitted <= bound, "{admitted} > {bound}");
            }
        }
    }
}
