//! What a count says, and what becomes of it, for stores that cannot reckon as Redis can: what `limits.lua` does.

use super::{Bucket, Count, MOST, Penalty, Settlement};

/// What is known of a key: all zero where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// A bucket: when it will be full again. A quota: when its period ends. Places: in which span. A penalty: since when strikes are
    /// counted, or until when a source is shut out. Nanoseconds for a bucket, else seconds.
    pub(super) a: u64,
    /// A quota: what was used. Places: how many were taken in the span before. A penalty: how many strikes, or [`SHUT`].
    pub(super) b: u64,
    /// Places: how many were taken in this span. A penalty: how often the source was shut out.
    pub(super) c: u64,
    /// From when on it says the same as none, in nanoseconds.
    pub(super) idle: u64,
}

/// What a count says to one request.
pub(super) struct Judged {
    pub(super) is_admitted: bool,
    pub(super) remaining: u64,
    pub(super) wait: Option<u64>,
    pub(super) ticket: u64,
    /// What is stored if the request takes it; of one that is refused, what a clock that was ahead has written, put right.
    pub(super) row: Option<Row>,
}

const SECOND: u64 = 1_000_000_000;

/// A bucket that was written by a clock this much ahead is corrected.
const CLOCK_SKEW: u64 = SECOND;

/// In the place of a number of strikes: shut out.
const SHUT: u64 = 65_535;

/// What a request is told that wants so many units. None where it cannot be counted, for the time is in no period that is known.
pub(super) fn take(count: Count, units: u64, row: Row, now: u64) -> Option<Judged> {
    Some(match count {
        Count::Bucket(bucket) => bucket.take(units, row, now),
        Count::Quota { amount, ends } => {
            let end = period(ends, now)?;
            let used = used(row, now);
            let left = amount.saturating_sub(used);
            let wait = (units <= amount).then(|| end.saturating_mul(SECOND).saturating_sub(now));
            let after = left.checked_sub(units);
            let row = after.map(|_| quota(end, used.saturating_add(units)));
            let (is_admitted, remaining) = (after.is_some(), after.unwrap_or(left));
            Judged { is_admitted, remaining, wait, ticket: end, row }
        }
        Count::Concurrency { most, span_seconds } => {
            let Row { a, b, c, .. } = places(span_seconds, row, now);
            let left = u64::from(most).saturating_sub(b.saturating_add(c));
            let after = left.checked_sub(1);
            let row = after.map(|_| taken_places(span_seconds, a, b, c.saturating_add(1)));
            let remaining = after.unwrap_or(0);
            Judged { is_admitted: after.is_some(), remaining, wait: Some(0), ticket: a, row }
        }
        Count::Penalty(penalty) => {
            let left = penalty.shut_for(row, now);
            let wait = Some(left.unwrap_or(0).saturating_mul(SECOND));
            Judged { is_admitted: left.is_none(), remaining: 0, wait, ticket: 0, row: None }
        }
    })
}

/// What is stored after a settlement; none where all stays as it is. `row` is none where nothing is stored, `has_room` whether
/// something may be.
pub(super) fn settle(
    settlement: &Settlement,
    row: Option<Row>,
    has_room: bool,
    now: u64,
) -> Option<Row> {
    let known = row.unwrap_or_default();
    match settlement {
        Settlement::GiveBack(taken, units) => {
            let (row, units) = (row?, (*units).min(taken.units));
            match taken.count {
                Count::Bucket(bucket) => Some(bucket.give_back(units, row)),
                Count::Quota { .. } if row.a == taken.ticket => {
                    Some(Row { b: row.b.saturating_sub(units), ..row })
                }
                _ => None,
            }
        }
        Settlement::Charge(taken, units) => match taken.count {
            Count::Bucket(bucket) => Some(bucket.charge(*units, known, now)),
            Count::Quota { ends, .. } => {
                Some(quota(period(ends, now)?, used(known, now).saturating_add(*units)))
            }
            _ => None,
        },
        Settlement::Release(taken) => {
            let Count::Concurrency { span_seconds, .. } = taken.count else { return None };
            let Row { a, b, c, .. } = places(span_seconds, row?, now);
            if taken.ticket >= a {
                Some(taken_places(span_seconds, a, b, c.saturating_sub(1)))
            } else if taken.ticket.saturating_add(1) == a {
                Some(taken_places(span_seconds, a, b.saturating_sub(1), c))
            } else {
                None
            }
        }
        Settlement::Strike(_, penalty) => {
            if row.is_some() || has_room {
                penalty.strike(known, now)
            } else {
                None
            }
        }
    }
}

impl Bucket {
    fn take(self, units: u64, row: Row, now: u64) -> Judged {
        let is_ahead = row.a.saturating_sub(now.saturating_add(self.longest)) > CLOCK_SKEW;
        let full_in = self.full_in(row, now);
        let price = self.interval.saturating_mul(units);
        let after = full_in.saturating_add(price);
        let Some(free) = self.capacity.checked_sub(after) else {
            let left = self.capacity.saturating_sub(full_in);
            let wait = (price <= self.capacity).then(|| after.saturating_sub(self.capacity));
            let row = is_ahead.then(|| full_at(now.saturating_add(full_in)));
            let remaining = self.tokens(left);
            return Judged { is_admitted: false, remaining, wait, ticket: 0, row };
        };
        let wait = if free < self.interval { self.interval.saturating_sub(free) } else { 0 };
        let row = Some(full_at(now.saturating_add(after)));
        let remaining = self.tokens(free);
        Judged { is_admitted: true, remaining, wait: Some(wait), ticket: 0, row }
    }

    fn give_back(self, units: u64, row: Row) -> Row {
        full_at(row.a.saturating_sub(self.interval.saturating_mul(units)))
    }

    fn charge(self, units: u64, row: Row, now: u64) -> Row {
        let owed = self.full_in(row, now).saturating_add(self.interval.saturating_mul(units));
        full_at(now.saturating_add(owed.min(self.longest)))
    }

    /// What is further away than it can be was written by a clock that has gone backwards since.
    fn full_in(self, row: Row, now: u64) -> u64 {
        row.a.saturating_sub(now).min(self.longest)
    }

    fn tokens(self, time: u64) -> u64 {
        time.checked_div(self.interval).unwrap_or(0)
    }
}

fn full_at(time: u64) -> Row {
    Row { a: time, b: 0, c: 0, idle: time }
}

fn period(ends: [u64; 3], now: u64) -> Option<u64> {
    ends.into_iter().find(|end| *end > now / SECOND)
}

/// What has been used in this period. What was counted in a later one, because the clock has gone backwards, counts in this one.
fn used(row: Row, now: u64) -> u64 {
    if row.a > now / SECOND { row.b } else { 0 }
}

fn quota(end: u64, used: u64) -> Row {
    Row { a: end, b: used.min(MOST), c: 0, idle: end.saturating_mul(SECOND) }
}

/// The places that count now.
fn places(span_seconds: u32, row: Row, now: u64) -> Row {
    let span = (now / SECOND).checked_div(span_seconds.into()).unwrap_or(0);
    match span.checked_sub(row.a) {
        Some(0) => row,
        Some(1) => Row { a: span, b: row.c, c: 0, ..row },
        Some(_) => Row { a: span, b: 0, c: 0, ..row },
        // Two clocks, on both sides of a boundary.
        None if row.a.saturating_sub(span) == 1 => row,
        None => Row { a: span, b: 0, c: row.b.saturating_add(row.c), ..row },
    }
}

fn taken_places(span_seconds: u32, span: u64, before: u64, now: u64) -> Row {
    let seconds = span.saturating_add(2).saturating_mul(span_seconds.into());
    let is_idle = before == 0 && now == 0;
    let idle = if is_idle { 0 } else { seconds.saturating_mul(SECOND) };
    Row { a: span, b: before, c: now, idle }
}

impl Penalty {
    /// For how many seconds more a source is shut out. Longer than it can have been is the work of a clock that has gone backwards.
    fn shut_for(self, row: Row, now: u64) -> Option<u64> {
        let left = row.a.saturating_sub(now / SECOND);
        (row.b == SHUT && left > 0 && left <= self.duration(row.c)).then_some(left)
    }

    /// Twice as long each time.
    fn duration(self, times: u64) -> u64 {
        const ENOUGH: u64 = 17;
        let factor = 1_u64 << times.saturating_sub(1).min(ENOUGH);
        u64::from(self.first_seconds).saturating_mul(factor).min(self.max_seconds.into())
    }

    fn strike(self, row: Row, now: u64) -> Option<Row> {
        let seconds = now / SECOND;
        let row = if row.idle <= now { Row::default() } else { row };
        if self.shut_for(row, now).is_some() {
            // Requests that were under way when it was shut out.
            return None;
        }
        let is_over = seconds.saturating_sub(row.a) >= self.per_seconds.into() || row.a > seconds;
        let (since, strikes) = if row.b == SHUT || is_over { (seconds, 0) } else { (row.a, row.b) };
        let (strikes, times) = (strikes.saturating_add(1), row.c);
        if strikes < self.strikes.into() {
            let more = if times == 0 { self.per_seconds } else { self.forgive_after_seconds };
            let idle = seconds.saturating_add(more.into()).saturating_mul(SECOND);
            return Some(Row { a: since, b: strikes, c: times, idle });
        }
        let times = times.saturating_add(1).min(SHUT);
        let until = seconds.saturating_add(self.duration(times));
        let idle = until.saturating_add(self.forgive_after_seconds.into()).saturating_mul(SECOND);
        Some(Row { a: until, b: SHUT, c: times, idle })
    }
}
