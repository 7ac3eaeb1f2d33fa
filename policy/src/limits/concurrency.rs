//! How many requests of one key are under way.
//!
//! A place is taken when a request is let through and free again when it has ended, however it did. A worker that crashes tells
//! nobody: so time is cut into spans, and places are counted by the span in which they were taken, this one and the last.
//! What was taken earlier counts no more.

use super::table::State;
use super::{Decision, NANOSECONDS};
use crate::environment::Timestamp;

/// A bound, and the length of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Concurrency {
    pub(super) most: u16,
    span: u64,
}

/// The span in which a place was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u32);

/// The state of one key: the span, and how many places were taken in it and in the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    span: u32,
    before: u16,
    now: u16,
}

impl Concurrency {
    /// At most so many, whose places are free again after so many seconds to twice that.
    pub(super) fn new(most: u16, seconds: u32) -> Self {
        Self { most, span: u64::from(seconds.max(1)).saturating_mul(NANOSECONDS) }
    }

    pub(super) fn span_seconds(self) -> u32 {
        u32::try_from(self.span / NANOSECONDS).unwrap_or(u32::MAX)
    }

    pub(super) fn take(self, state: &mut State, now: Timestamp) -> (Decision, Ticket, bool) {
        let mut count = self.read(state, now);
        let ticket = Ticket(count.span);
        let left = self.most.saturating_sub(count.before.saturating_add(count.now));
        // Whoever waits cannot know for how long.
        let wait = Some(0);
        let Some(remaining) = left.checked_sub(1) else {
            return (Decision { admitted: false, remaining: 0, wait }, ticket, false);
        };
        count.now = count.now.saturating_add(1);
        self.write(state, count);
        (Decision { admitted: true, remaining: remaining.into(), wait }, ticket, true)
    }

    /// The request has ended. Answers whether the state has changed.
    pub(super) fn release(self, state: &mut State, ticket: Ticket, now: Timestamp) -> bool {
        let mut count = self.read(state, now);
        let Ticket(span) = ticket;
        // A ticket of a later span is of before the clock went backwards: it counts in this one.
        let place = if span >= count.span {
            &mut count.now
        } else if span.saturating_add(1) == count.span {
            &mut count.before
        } else {
            return false;
        };
        *place = place.saturating_sub(1);
        self.write(state, count);
        true
    }

    /// From when on a state says the same as none.
    pub(super) fn idle_from(state: &State) -> Timestamp {
        let Count { before, now, .. } = unpack(state.value);
        if before == 0 && now == 0 { Timestamp(0) } else { state.time }
    }

    fn read(self, state: &State, now: Timestamp) -> Count {
        let span = u32::try_from(now.0.checked_div(self.span).unwrap_or(0)).unwrap_or(u32::MAX);
        let count = unpack(state.value);
        let sum = count.before.saturating_add(count.now);
        match span.checked_sub(count.span) {
            Some(0) => count,
            Some(1) => Count { span, before: count.now, now: 0 },
            Some(_) => Count { span, before: 0, now: 0 },
            // The clocks of two workers, on both sides of a boundary.
            None if count.span.saturating_sub(span) == 1 => count,
            None => Count { span, before: 0, now: sum },
        }
    }

    fn write(self, state: &mut State, count: Count) {
        let forgotten = u64::from(count.span).saturating_add(2).saturating_mul(self.span);
        *state = State { time: Timestamp(forgotten), value: pack(count) };
    }
}

fn pack(Count { span, before, now }: Count) -> u64 {
    (u64::from(span) << 32) | (u64::from(before) << 16) | u64::from(now)
}

fn unpack(value: u64) -> Count {
    let [span @ .., a, b, c, d] = value.to_be_bytes();
    Count {
        span: u32::from_be_bytes(span),
        before: u16::from_be_bytes([a, b]),
        now: u16::from_be_bytes([c, d]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_700_000_000 * NANOSECONDS + seconds * NANOSECONDS)
    }

    #[test]
    fn places_are_taken_and_freed() {
        let two = Concurrency::new(2, 100);
        let mut state = State::default();
        let (first, ticket, _) = two.take(&mut state, at(0));
        assert_eq!((first.admitted, first.remaining), (true, 1));
        assert!(two.take(&mut state, at(1)).0.admitted);
        assert!(!two.take(&mut state, at(2)).0.admitted);
        assert!(two.release(&mut state, ticket, at(3)));
        assert!(two.take(&mut state, at(4)).0.admitted);
        assert!(!two.take(&mut state, at(4)).0.admitted);
    }

    #[test]
    fn a_place_that_was_lost_comes_back_in_time() {
        for start in 0..100 {
            let one = Concurrency::new(1, 100);
            let mut state = State::default();
            assert!(one.take(&mut state, at(start)).0.admitted);
            assert!(!one.take(&mut state, at(start + 100)).0.admitted, "too early");
            assert!(one.take(&mut state, at(start + 200)).0.admitted, "too late");
        }
    }

    #[test]
    fn who_ends_late_frees_nobody_elses_place() {
        let one = Concurrency::new(1, 100);
        let mut state = State::default();
        let (_, late, _) = one.take(&mut state, at(0));
        assert!(one.take(&mut state, at(300)).0.admitted);
        assert!(!one.release(&mut state, late, at(301)));
        assert!(!one.take(&mut state, at(301)).0.admitted);
    }

    #[test]
    fn a_clock_that_goes_backwards_neither_frees_nor_locks_out() {
        let one = Concurrency::new(1, 100);
        let mut state = State::default();
        let (_, ticket, _) = one.take(&mut state, at(100_000));
        assert!(!one.take(&mut state.clone(), at(0)).0.admitted);
        assert!(one.release(&mut state, ticket, at(0)));
        assert!(one.take(&mut state, at(1)).0.admitted);
        assert!(one.take(&mut state, at(201)).0.admitted);
    }
}
