//! One token bucket, as the generic cell rate algorithm (ITU-T I.371 §A, virtual scheduling).

use super::{MAXIMUM_SECONDS, seconds_up};
use crate::environment::Timestamp;

pub(super) const NANOSECONDS: u64 = 1_000_000_000;

/// A bucket's shape: a token flows back every `interval`, and all are back after `capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    interval: u64,
    capacity: u64,
}

/// What a bucket says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) admitted: bool,
    /// When the bucket will be full again: the state to keep.
    pub(super) full_at: Timestamp,
    /// Whole tokens left.
    pub(super) remaining: u64,
    /// Nanoseconds until there is another one.
    next_token: u64,
}

impl Decision {
    pub(super) fn next_token_seconds(&self) -> u64 {
        seconds_up(self.next_token)
    }
}

impl Bucket {
    /// `None` where a number is zero or the bucket would take more than a day to fill.
    pub(super) fn new(requests: u32, per_seconds: u32, burst: u32) -> Option<Self> {
        let interval =
            u64::from(per_seconds).checked_mul(NANOSECONDS)?.checked_div(u64::from(requests))?;
        let capacity = interval.checked_mul(u64::from(burst))?;
        let fills_in_time = capacity <= u64::from(MAXIMUM_SECONDS).checked_mul(NANOSECONDS)?;
        (interval > 0 && capacity > 0 && fills_in_time).then_some(Self { interval, capacity })
    }

    /// Takes a token at `now` from a bucket that was to be full again at `full_at`.
    pub(super) fn take(self, full_at: Timestamp, now: Timestamp) -> Decision {
        let full_at = self.plausible(full_at, now);
        let after = full_at.plus(self.interval);
        let latest = now.plus(self.capacity);
        if after > latest {
            let next_token = after.since(latest);
            return Decision { admitted: false, full_at, remaining: 0, next_token };
        }
        let free = latest.since(after);
        Decision {
            admitted: true,
            full_at: after,
            remaining: free.checked_div(self.interval).unwrap_or(0),
            next_token: match free < self.interval {
                true => self.interval.saturating_sub(free),
                false => 0,
            },
        }
    }

    /// Undoes one [`Self::take`].
    pub(super) fn give_back(self, full_at: Timestamp) -> Timestamp {
        Timestamp(full_at.0.saturating_sub(self.interval))
    }

    /// A bucket is full at the latest after its capacity. A time beyond that was written by a clock that
    /// has since gone backwards: believed, it would lock callers out for as long as the clock jumped.
    fn plausible(self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        full_at.clamp(now, now.plus(self.capacity))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shapes_that_cannot_be_are_none() {
        assert_eq!(Bucket::new(0, 1, 1), None);
        assert_eq!(Bucket::new(1, 0, 1), None);
        assert_eq!(Bucket::new(1, 1, 0), None);
        assert_eq!(Bucket::new(1, 86_400, 2), None);
        assert_eq!(Bucket::new(u32::MAX, 1, u32::MAX), None);
        assert!(Bucket::new(1, 86_400, 1).is_some());
    }

    #[test]
    fn a_clock_that_jumps_neither_frees_nor_locks_out() {
        let bucket = Bucket::new(1, 1, 2).unwrap();
        let late = Timestamp(1_000_000 * NANOSECONDS);
        let state = bucket.take(Timestamp(0), late).full_at;
        // An hour back: the bucket counts as empty, and fills from there.
        let early = Timestamp(late.0 - 3600 * NANOSECONDS);
        let refused = bucket.take(state, early);
        assert!(!refused.admitted);
        assert!(bucket.take(refused.full_at, early.plus(NANOSECONDS)).admitted);
    }

    proptest! {
        /// Over any sequence of arrivals: never more than burst + rate × time.
        #[test]
        fn admits_what_it_says(
            requests in 1u32..100, per in 1u32..100, burst in 1u32..50,
            gaps in prop::collection::vec(0u64..3_000_000_000, 1..300),
        ) {
            let Some(bucket) = Bucket::new(requests, per, burst) else { return Ok(()) };
            let start = Timestamp(1_700_000_000 * NANOSECONDS);
            let (mut now, mut full_at, mut admitted) = (start, Timestamp(0), 0u64);
            for gap in gaps {
                now = now.plus(gap);
                let decision = bucket.take(full_at, now);
                if decision.admitted {
                    admitted += 1;
                    full_at = decision.full_at;
                }
                let elapsed = now.since(start);
                let bound = u64::from(burst) + elapsed / bucket.interval;
                prop_assert!(admitted <= bound, "{admitted} > {bound}");
            }
        }
    }
}
