//! Days and months, in UTC.

use std::ops::RangeInclusive;

use time::{Date, Month};

/// A day, counted from 1970 on.
pub(super) type Day = u32;

const SECONDS: u64 = 86_400;

/// The last day of the year 9999: what comes after has no date.
const LAST_DAY: Day = 2_932_896;

/// Days in the Julian period before 1970.
const EPOCH: i32 = 2_440_588;

/// The day of a time in seconds since 1970.
pub(super) fn day(now: u64) -> Day {
    let day = now.checked_div(SECONDS).and_then(|day| Day::try_from(day).ok());
    day.unwrap_or(LAST_DAY).min(LAST_DAY)
}

/// As in `2026-11-26` (RFC 3339 §5.6).
pub(super) fn written(day: Day) -> String {
    let date = date(day);
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The month of a day, as in `2026-11`.
pub(super) fn month(day: Day) -> String {
    let date = date(day);
    format!("{:04}-{:02}", date.year(), u8::from(date.month()))
}

/// All days of a month that is written as in `2026-11`.
pub(super) fn days(month: &str) -> Option<RangeInclusive<Day>> {
    let (year, month) = month.split_once('-')?;
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let year = year.parse().ok()?;
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let first = Date::from_calendar_date(year, month, 1).ok()?;
    let last = first.replace_day(month.length(year)).ok()?;
    let day = |date: Date| Day::try_from(date.to_julian_day().checked_sub(EPOCH)?).ok();
    Some(day(first)?..=day(last)?)
}

fn date(day: Day) -> Date {
    let julian = i32::try_from(day.min(LAST_DAY)).ok().and_then(|day| day.checked_add(EPOCH));
    julian.and_then(|day| Date::from_julian_day(day).ok()).unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months() {
        for (now, written_day) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_700_000_000, "2023-11-14"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(written(day(now)), written_day);
            assert_eq!(month(day(now)), &written_day[..7]);
            assert!(days(&written_day[..7]).unwrap().contains(&day(now)));
        }
        assert_eq!(days("2000-02").unwrap().count(), 29);
        assert_eq!(days("2100-02").unwrap().count(), 28);
    }

    #[test]
    fn what_is_no_month() {
        for text in ["", "2023", "2023-1", "2023-13", "2023-00", "+023-01", "1969-12", "2023-11-01"]
        {
            assert!(days(text).is_none(), "{text}");
        }
    }
}
