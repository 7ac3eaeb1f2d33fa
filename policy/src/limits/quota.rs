//! One quota: so many in a day or month.

use super::Decision;
use super::calendar::Span;
use super::table::State;
use crate::environment::Timestamp;

/// A quota's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) amount: u64,
}

/// A lease is at most this part of what is left.
const REMAINING_PART: u64 = 1024;

impl Quota {
    /// Takes `cost` in this period, and up to `wanted` more as a lease. Answers how much was leased, and whether the state has
    /// changed.
    pub(super) fn take(
        self,
        state: &mut State,
        cost: u64,
        wanted: u64,
        now: Timestamp,
        span: Span,
    ) -> (Decision, u64, bool) {
        let used = used(state, now);
        let wait = (cost <= self.amount).then(|| span.end.since(now));
        let left = self.amount.saturating_sub(used);
        let Some(remaining) = left.checked_sub(cost) else {
            return (Decision { admitted: false, remaining: left, wait }, 0, false);
        };
        let extra = wanted.min(remaining / REMAINING_PART);
        let used = used.saturating_add(cost).saturating_add(extra);
        *state = State { time: span.end, value: used };
        (Decision { admitted: true, remaining, wait }, extra, true)
    }

    /// Gives back what was taken, or leased and not used, in the period that ends at `end`. Answers whether the state has changed.
    pub(super) fn give_back(state: &mut State, cost: u64, end: Timestamp) -> bool {
        // Another period has begun: what was taken in the last one is forgotten.
        let is_same = state.time == end;
        if is_same {
            state.value = state.value.saturating_sub(cost);
        }
        is_same
    }

    /// Counts what has been used already.
    pub(super) fn charge(state: &mut State, cost: u64, now: Timestamp, span: Span) {
        let used = used(state, now).saturating_add(cost);
        *state = State { time: span.end, value: used };
    }

    /// From when on a quota says the same as none.
    pub(super) fn idle_from(state: &State) -> Timestamp {
        if state.value == 0 { Timestamp(0) } else { state.time }
    }
}

/// What has been used in this period. What was counted in a later one, because the clock has gone backwards since, counts in this
/// one: nothing is given away.
fn used(state: &State, now: Timestamp) -> u64 {
    if state.time <= now { 0 } else { state.value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000_000_000;

    fn day(number: u64) -> Span {
        Span { start: Timestamp(number * DAY), end: Timestamp((number + 1) * DAY) }
    }

    fn take(state: &mut State, cost: u64, now: u64) -> Decision {
        let quota = Quota { amount: 10 };
        quota.take(state, cost, 0, Timestamp(now), day(now / DAY)).0
    }

    #[test]
    fn a_day_has_so_much_and_the_next_day_again() {
        let mut state = State::default();
        assert_eq!(take(&mut state, 9, 5 * DAY).remaining, 1);
        let refused = take(&mut state, 2, 6 * DAY - 1);
        assert_eq!(refused, Decision { admitted: false, remaining: 1, wait: Some(1) });
        assert!(take(&mut state, 1, 6 * DAY - 1).admitted);
        assert!(!take(&mut state, 1, 6 * DAY - 1).admitted);
        assert!(take(&mut state, 10, 6 * DAY).admitted);
        assert_eq!(take(&mut state, 11, 7 * DAY).wait, None, "never");
        assert!(!take(&mut state, u64::MAX, 7 * DAY).admitted);
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_nothing_away() {
        let mut state = State::default();
        assert!(take(&mut state, 8, 9 * DAY).admitted);
        assert!(!take(&mut state, 3, 5 * DAY).admitted);
        assert!(take(&mut state, 2, 5 * DAY).admitted);
        assert!(!take(&mut state, 1, 5 * DAY).admitted);
        assert!(take(&mut state, 10, 6 * DAY).admitted, "and locks nobody out");
    }

    #[test]
    fn what_is_given_back_counts_in_its_own_day_alone() {
        let mut state = State::default();
        take(&mut state, 8, 5 * DAY);
        assert!(Quota::give_back(&mut state, 3, day(5).end));
        assert_eq!(take(&mut state, 1, 5 * DAY).remaining, 4);
        take(&mut state, 1, 6 * DAY);
        assert!(!Quota::give_back(&mut state, 1, day(5).end));
        Quota::charge(&mut state, u64::MAX, Timestamp(6 * DAY), day(6));
        assert!(!take(&mut state, 1, 6 * DAY).admitted);
    }
}
