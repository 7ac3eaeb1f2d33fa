//! Days and months, as a time zone has them.

use std::sync::{Mutex, PoisonError};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp as Instant, ToSpan as _};

use crate::document::Period;
use crate::environment::Timestamp;
use crate::policy::CompileError;

/// A part of the calendar: when the one began that is now, and when it will end.
#[derive(Debug)]
pub(super) struct Calendar {
    period: Period,
    zone: TimeZone,
    /// The one that was asked for last: nearly always the one that is asked for next.
    known: Mutex<Span>,
}

/// From `start` up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Calendar {
    pub(super) fn compile(
        period: Period,
        zone: Option<&str>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let name = zone.unwrap_or("UTC");
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| {
            let message =
                format!("unknown time zone `{name}`, expected one of the IANA time zone database, such as Europe/Zurich");
            CompileError::new(format!("{field}.time_zone"), message)
        })?;
        let nothing = Span { start: Timestamp(0), end: Timestamp(0) };
        Ok(Self { period, zone, known: Mutex::new(nothing) })
    }

    pub(super) fn period(&self) -> Period {
        self.period
    }

    /// The day or month that `now` is in; `None` for times that no calendar has.
    pub(super) fn at(&self, now: Timestamp) -> Option<Span> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !(known.start..known.end).contains(&now) {
            *known = self.find(now)?;
        }
        Some(*known)
    }

    fn find(&self, now: Timestamp) -> Option<Span> {
        let instant = Instant::from_nanosecond(i128::from(now.0)).ok()?;
        let today = instant.to_zoned(self.zone.clone()).date();
        let (first, next) = match self.period {
            Period::Day => (today, today.tomorrow().ok()?),
            Period::Month => {
                let first = today.first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        // Where the clocks are put forward at midnight, the day begins when they have been.
        let begins = |date: jiff::civil::Date| {
            let instant = date.to_zoned(self.zone.clone()).ok()?.timestamp().as_nanosecond();
            // The first one may have begun before 1970, where the zone is not UTC.
            u64::try_from(instant.max(0)).ok().map(Timestamp)
        };
        let span = Span { start: begins(first)?, end: begins(next)? };
        (span.start..span.end).contains(&now).then_some(span)
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.period == other.period && self.zone == other.zone
    }
}

impl Eq for Calendar {}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(period: Period, zone: &str, now: &str) -> (String, String) {
        let calendar = Calendar::compile(period, Some(zone), "limits[0]").unwrap();
        let now: Instant = now.parse().unwrap();
        let now = Timestamp(u64::try_from(now.as_nanosecond()).unwrap());
        let Span { start, end } = calendar.at(now).unwrap();
        assert_eq!(calendar.at(now), Some(Span { start, end }), "the second time");
        let text =
            |time: Timestamp| Instant::from_nanosecond(i128::from(time.0)).unwrap().to_string();
        (text(start), text(end))
    }

    fn is(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn days_begin_at_midnight_where_the_zone_is() {
        use Period::Day;
        assert_eq!(
            span(Day, "UTC", "2026-02-28T23:59:59.999Z"),
            is("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z")
        );
        assert_eq!(
            span(Day, "Asia/Kolkata", "2026-07-01T18:29:59Z"),
            is("2026-06-30T18:30:00Z", "2026-07-01T18:30:00Z")
        );
        // The clocks are put forward: 23 hours. And back: 25.
        assert_eq!(
            span(Day, "Europe/Zurich", "2026-03-29T12:00:00Z"),
            is("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        );
        assert_eq!(
            span(Day, "Europe/Zurich", "2026-10-25T12:00:00Z"),
            is("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")
        );
        // The first one.
        assert_eq!(
            span(Day, "Europe/Zurich", "1970-01-01T00:00:00Z"),
            is("1970-01-01T00:00:00Z", "1970-01-01T23:00:00Z")
        );
        // At midnight itself.
        assert_eq!(
            span(Day, "Africa/Cairo", "2026-04-24T12:00:00Z"),
            is("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z")
        );
    }

    #[test]
    fn months_have_the_days_that_they_have() {
        assert_eq!(
            span(Period::Month, "America/New_York", "2028-02-29T12:00:00Z"),
            is("2028-02-01T05:00:00Z", "2028-03-01T05:00:00Z")
        );
        assert_eq!(
            span(Period::Month, "UTC", "2026-12-31T23:59:59Z"),
            is("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
        );
    }

    #[test]
    fn unknown_zones_are_errors() {
        let error = Calendar::compile(Period::Day, Some("Mars/Base"), "limits[0]").unwrap_err();
        assert_eq!(error.field, "limits[0].time_zone");
    }
}
