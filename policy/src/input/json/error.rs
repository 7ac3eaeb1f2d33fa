//! Why bytes are not JSON with one reading: what was expected, and where.

use std::fmt;

use super::Step;
use crate::input::{pointer, short};

/// Why bytes are not JSON with one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON. Bytes count from 0.
    Syntax { expected: &'static str, at: usize },
    /// Two members of the same name in one object, after escapes are resolved.
    DuplicateMember,
    /// Nested deeper than allowed.
    TooDeep,
    /// More values than allowed.
    TooManyValues,
}

/// The same, and the way to the value where it was met: the steps from the outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misread {
    pub(crate) error: JsonError,
    pub(crate) path: Vec<Step<'static>>,
}

/// How long the place may be, in characters.
const MAXIMUM_POINTER: usize = 256;

/// What serde_json says, which has no kinds for it, and what was expected.
const EXPECTED: [(&str, &str); 15] = [
    ("EOF while", "the rest of the JSON text, which ends"),
    ("trailing characters", "nothing behind the JSON text"),
    ("expected `:`", "a colon"),
    ("expected `,` or `]`", "a comma or the end of the array"),
    ("expected `,` or `}`", "a comma or the end of the object"),
    ("trailing comma", "a value behind the comma, or no comma"),
    ("expected", "a JSON value"),
    ("key must be", "a member's name in quotation marks"),
    ("invalid escape", "an escape that JSON has, such as \\n or \\u0041"),
    ("invalid number", "a number as JSON has them"),
    ("number out of range", "a number between -1.7e308 and 1.7e308"),
    ("invalid unicode", "UTF-8"),
    ("control character", "a control character as an escape, such as \\n"),
    ("lone leading surrogate", SURROGATES),
    ("unexpected end of hex escape", SURROGATES),
];

const SURROGATES: &str = "surrogates in pairs, such as \\ud83d\\ude00";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl JsonError {
    /// What serde_json has found in these bytes.
    pub(crate) fn of(error: &serde_json::Error, bytes: &[u8]) -> Self {
        let message = error.to_string();
        if message.starts_with("recursion limit exceeded") {
            return Self::TooDeep;
        }
        if bytes.starts_with(BYTE_ORDER_MARK) {
            return Self::Syntax { expected: "no byte order mark", at: 0 };
        }
        let expected = EXPECTED.iter().find(|(start, _)| message.starts_with(start));
        let expected = expected.map_or("JSON (RFC 8259)", |(_, expected)| expected);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
        let at = before.saturating_add(error.column()).saturating_sub(1);
        let at = if error.is_eof() { bytes.len() } else { at.min(bytes.len()) };
        Self::Syntax { expected, at }
    }
}

impl Misread {
    /// The place, as a JSON pointer.
    pub(crate) fn at(&self) -> String {
        short(&pointer(&self.path), MAXIMUM_POINTER)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { expected, at } => write!(f, "{expected} at byte {at}"),
            Self::DuplicateMember => f.write_str("each member name once"),
            Self::TooDeep => f.write_str("less nesting"),
            Self::TooManyValues => f.write_str("fewer values"),
        }
    }
}
