//! By what the bytes of a text are characters.

use std::borrow::Cow;

/// The names of UTF-8, and of what it includes; and of the only other set that is as plain, as browsers have it (WHATWG Encoding).
const UTF_8: [&str; 5] = ["utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8"];
const WINDOWS_1252: [&str; 8] =
    ["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "l1", "windows-1252", "cp1252", "x-cp1252"];

/// What the bytes 0x80 to 0x9F are in windows-1252; all others are what they are in Unicode.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// A byte order mark in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// So many bytes tell of what they are the beginning.
pub(super) const BEGINNING_BYTES: usize = 4;

/// A set of characters that can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, which is what nothing else is said of.
    #[default]
    Utf8,
    /// Windows-1252, which is what browsers take ISO-8859-1 for.
    Windows1252,
}

impl Charset {
    /// What content types say, of which there should be one; None where it cannot be read, or where they say several things.
    pub fn of<'t>(content_types: impl Iterator<Item = &'t str>) -> Option<Self> {
        let mut found = None;
        for name in content_types.flat_map(names) {
            let is = |known: &&str| known.eq_ignore_ascii_case(name);
            let charset = match name {
                _ if UTF_8.iter().any(is) => Self::Utf8,
                _ if WINDOWS_1252.iter().any(is) => Self::Windows1252,
                _ => return None,
            };
            if found.is_some_and(|found| found != charset) {
                return None;
            }
            found = Some(charset);
        }
        Some(found.unwrap_or_default())
    }

    /// A content type that says UTF-8, in place of one that says something else.
    pub(crate) fn as_utf_8(content_type: &str) -> String {
        let parts = content_type.split(';').enumerate();
        let parts = parts.filter(|(index, part)| *index == 0 || charset(part).is_none());
        let mut changed: Vec<&str> = parts.map(|(_, part)| part.trim_end()).collect();
        changed.push(" charset=utf-8");
        changed.join(";")
    }

    /// Bytes that end with a character; what is none becomes U+FFFD.
    pub(super) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Windows1252 => {
                let high = |byte: u8| HIGH_CONTROLS.get(usize::from(byte).wrapping_sub(0x80));
                bytes.iter().map(|byte| high(*byte).copied().unwrap_or(char::from(*byte))).collect()
            }
        }
    }

    /// How many bytes at the end are the beginning of a character.
    pub(super) fn incomplete(self, bytes: &[u8]) -> usize {
        if self == Self::Windows1252 {
            return 0;
        }
        let tail = bytes.iter().rev().take(3).enumerate();
        for (place, byte) in tail {
            let length = match byte {
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                0x80..=0xBF => continue,
                _ => return 0,
            };
            return if length > place + 1 { place + 1 } else { 0 };
        }
        0
    }
}

/// Whether a body begins as UTF-16 and UTF-32 do: with a mark that counts more than what is said of it, or with a zero in its first
/// characters, which readers of JSON know them by.
pub(super) fn is_wide(body: &[u8]) -> bool {
    let mut beginning = body.iter().take(BEGINNING_BYTES);
    beginning.any(|byte| *byte == 0)
        || body.starts_with(b"\xFE\xFF")
        || body.starts_with(b"\xFF\xFE")
}

/// The names that the parameter `charset` has in a content type.
fn names(content_type: &str) -> impl Iterator<Item = &str> {
    content_type.split(';').skip(1).filter_map(charset)
}

fn charset(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    let value = value.trim().trim_matches(['"', '\'']);
    name.trim().eq_ignore_ascii_case("charset").then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_not() {
        for (content_type, charset) in [
            ("text/plain", Some(Charset::Utf8)),
            ("text/plain; charset=UTF-8", Some(Charset::Utf8)),
            ("text/plain;format=flowed; Charset = \"utf-8\"", Some(Charset::Utf8)),
            ("text/html; charset=iso-8859-1", Some(Charset::Windows1252)),
            ("text/html; charset=Windows-1252; charset=latin1", Some(Charset::Windows1252)),
            ("text/plain; charset=utf-16", None),
            ("text/plain; charset=utf-8; charset=utf-16", None),
            ("text/plain; charset=utf-8; charset=latin1", None),
            ("text/plain; x=\";charset=utf-8\"; charset=utf-7", None),
            ("text/plain; charset=", None),
            ("text/plain; charset=utf-8, text/plain; charset=utf-16le", None),
        ] {
            assert_eq!(Charset::of([content_type].into_iter()), charset, "{content_type}");
        }
        assert_eq!(Charset::of(["text/plain", "a/b;charset=utf-16"].into_iter()), None);
    }

    #[test]
    fn a_content_type_keeps_what_else_it_says() {
        let changed = Charset::as_utf_8("text/plain; charset=\"latin1\" ;format=flowed");
        assert_eq!(changed, "text/plain;format=flowed; charset=utf-8");
        assert_eq!(Charset::of([changed.as_str()].into_iter()), Some(Charset::Utf8));
    }

    #[test]
    fn windows_1252_is_what_browsers_read() {
        assert_eq!(Charset::Windows1252.decode(b"caf\xe9 \x80\x81\x9f\xff"), "café €\u{81}Ÿÿ");
        assert_eq!(Charset::Utf8.decode(b"caf\xe9"), "caf\u{fffd}");
    }
}
