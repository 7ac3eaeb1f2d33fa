//! The lines of a trace.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::net::IpAddr;
use std::path::Path;

use portcullis_policy::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{Failure, open_input};
use crate::json_lines::JsonLines;

/// The longest line, in bytes.
const MAXIMUM_LINE_BYTES: usize = 1024 * 1024;

/// One request of a trace.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(skip)]
    pub(super) number: u64,
    pub(super) time: Time,
    #[serde(default)]
    pub(super) route: Option<String>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) principal: Option<String>,
    #[serde(default)]
    pub(super) issuer: Option<String>,
    #[serde(default)]
    pub(super) api_key: Option<String>,
    #[serde(default)]
    pub(super) tenant: Option<String>,
    #[serde(default)]
    pub(super) plan: Option<String>,
    #[serde(default)]
    pub(super) claims: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) address: Option<IpAddr>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default = "one")]
    pub(super) cost: u64,
    #[serde(default)]
    pub(super) seconds: f64,
    #[serde(default = "ok")]
    pub(super) status: u16,
}

/// When, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Time(pub(super) Timestamp);

impl TryFrom<Value> for Time {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const EXPECTED: &str =
            "expected a date and time such as 2030-01-31T12:00:00Z (RFC 3339), or seconds";
        /// The year 2200.
        const LATEST: f64 = 7_258_118_400.0;
        let nanoseconds = match &value {
            Value::String(text) => {
                let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| EXPECTED)?;
                u64::try_from(time.unix_timestamp_nanos()).map_err(|_| EXPECTED)?
            }
            Value::Number(number) => {
                let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked"
                )]
                let nanoseconds = (seconds.ok_or(EXPECTED)? * 1e9).round() as u64;
                nanoseconds
            }
            _ => return Err(EXPECTED),
        };
        Ok(Self(Timestamp(nanoseconds)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(self.0.0.into()).ok();
        let text = time.and_then(|time| time.format(&Rfc3339).ok());
        f.write_str(&text.unwrap_or_default())
    }
}

fn one() -> u64 {
    1
}

fn ok() -> u16 {
    200
}

/// A trace as it is read. Blank lines are skipped.
pub(super) struct Lines {
    name: String,
    lines: JsonLines<Box<dyn BufRead>>,
    latest: Option<Time>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self::new(path.display().to_string(), open_input(path)?))
    }

    fn new(name: String, input: Box<dyn BufRead>) -> Self {
        Self { name, lines: JsonLines::new(input, MAXIMUM_LINE_BYTES), latest: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with the line that was read last.
    pub(super) fn error(&self, message: impl fmt::Display) -> Failure {
        Failure::input(format_args!("{}:{}: {message}", self.name, self.lines.number()))
    }

    pub(super) fn next(&mut self) -> Result<Option<Line>, Failure> {
        let line = self.lines.next().map_err(|error| self.error(error))?;
        line.map(|line| self.checked(line)).transpose()
    }

    fn checked(&mut self, line: Line) -> Result<Line, Failure> {
        if self.latest.is_some_and(|latest| line.time < latest) {
            return Err(self.error("time: expected one that is not before that of the line above"));
        }
        if !(0.0..=86_400.0).contains(&line.seconds) {
            return Err(self.error("seconds: expected 0 to 86400"));
        }
        if !(100..600).contains(&line.status) {
            return Err(self.error("status: expected 100 to 599"));
        }
        if line.route.is_some() == line.path.is_some() {
            return Err(self.error("expected either `route` or `path`"));
        }
        self.latest = Some(line.time);
        Ok(Line { number: self.lines.number(), ..line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Line>, String> {
        let mut lines = Lines::new(
            "trace".to_owned(),
            Box::new(std::io::Cursor::new(text.as_bytes().to_vec())),
        );
        let mut all = Vec::new();
        while let Some(line) = lines.next().map_err(|failure| failure.to_string())? {
            all.push(line);
        }
        Ok(all)
    }

    #[test]
    fn times_are_read_in_both_ways() {
        let lines = read("{\"time\": 1.5, \"route\": \"a\"}\n\n{\"time\": \"2026-01-01T00:00:00Z\", \"path\": \"/\"}").unwrap();
        assert_eq!(lines[0].time, Time(Timestamp(1_500_000_000)));
        assert_eq!(lines[1].time.0.seconds(), 1_767_225_600);
        assert_eq!(lines[1].number, 3);
    }

    #[test]
    fn errors_name_line_and_field() {
        for (text, expected) in [
            ("{\"time\": 1}", "trace:1: expected either"),
            ("{\"time\": 1, \"route\": 5}", "trace:1: route: invalid type"),
            ("\n{\"time\": \"yesterday\", \"route\": \"a\"}", "trace:2: time: expected a date"),
            (
                "{\"time\": 2, \"route\": \"a\"}\n{\"time\": 1, \"route\": \"a\"}",
                "trace:2: time: expected one",
            ),
            (
                "{\"time\": 1, \"route\": \"a\", \"adress\": \"::1\"}",
                "trace:1: adress: unknown field",
            ),
            ("{\"time\": 1, \"route\": \"a\", \"seconds\": -1}", "trace:1: seconds"),
            ("{\"time\": 1, \"route\": \"a\"} {}", "trace:1: expected one JSON object"),
            ("no", "trace:1: expected"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
