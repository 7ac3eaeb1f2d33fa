//! Points in time and spans of it, as they are given and shown.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// The longest span: some hundred years.
const MAXIMUM_DAYS: u64 = 36_500;

/// A point in time: RFC 3339, or a span from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    At(OffsetDateTime),
    In(Duration),
}

impl When {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(span) = span(text) {
            return Ok(Self::In(span));
        }
        OffsetDateTime::parse(text, &Rfc3339).map(Self::At).map_err(|_| {
            "expected a date and time such as 2030-01-31T12:00:00Z (RFC 3339), or a span from now \
             such as 90d"
                .to_owned()
        })
    }

    pub(super) fn from(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::At(time) => time,
            Self::In(span) => now + span,
        }
    }
}

/// Reads a span: a number and `s`, `m`, `h`, `d` or `w`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let expected = || "expected a span of time such as 30m, 24h or 90d".to_owned();
    let digits = text.trim_end_matches(|character: char| character.is_ascii_lowercase());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(expected()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if seconds <= MAXIMUM_DAYS * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("expected at most {MAXIMUM_DAYS}d")),
    }
}

/// The time now, in whole seconds.
pub(super) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// As it stands in files: RFC 3339 in UTC.
pub(super) fn written(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

/// As it was written; none where there is none.
pub(super) fn read(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_read_strictly() {
        for (text, seconds) in
            [("0s", 0), ("30m", 1800), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600)]
        {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "d",
            "1",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "1D",
            "1y",
            "1dd",
            "36501d",
            "99999999999999999999d",
        ] {
            assert!(span(text).is_err(), "{text}");
            assert!(When::parse(text).is_err(), "{text}");
        }
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let from_now = |text: &str| written(When::parse(text).unwrap().from(now));
        assert_eq!(from_now("1h"), "2023-11-14T23:13:20Z");
        assert_eq!(from_now("2030-01-31T12:00:00+01:00"), "2030-01-31T11:00:00Z");
    }
}
