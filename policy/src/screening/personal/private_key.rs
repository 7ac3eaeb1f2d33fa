//! Private keys: PEM and what looks like it (RFC 7468), JSON Web Keys (RFC 7517).

use super::bytes::{at, cut, run};
use super::{Kind, Scan};

/// What announces a key, and its parts.
pub(super) const MARKS: &[&str] = &[
    "BEGIN ",
    "END ",
    "\"d\"",
    "\"p\"",
    "\"q\"",
    "\"dp\"",
    "\"dq\"",
    "\"qi\"",
    "\"k\"",
    "\"kty\"",
    "AGE-SECRET-KEY-1",
    "\\\"d\\\"",
    "\\\"kty\\\"",
    "private-lines:",
];

/// How far from its type a member of a key may stand.
const MAXIMUM_KEY_BYTES: usize = 8 * 1024;

pub(super) fn find(scan: &mut Scan<'_>) {
    let marks = std::mem::take(&mut scan.sightings.marks);
    let mut types: Vec<usize> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for (mark, range) in &marks {
        match MARKS.get(*mark) {
            Some(&"\"kty\"" | &"\\\"kty\\\"") => types.push(range.start),
            Some(&"END ") if is_label(scan.text, range.end) => ends.push(range.end),
            _ => {}
        }
    }
    let mut covered = 0;
    for (mark, range) in marks {
        if range.start < covered {
            continue;
        }
        match MARKS.get(mark).copied().unwrap_or_default() {
            "BEGIN " if is_label(scan.text, range.end) => {
                let start = super::bytes::run_back(scan.text, range.start, 5, |byte| {
                    byte == b'-' || byte == b' '
                });
                let next = ends.partition_point(|end| *end < range.end);
                let end = match ends.get(next) {
                    Some(end) => end_of_label(scan.text, *end),
                    None => end_of_body(scan.text, range.end),
                };
                if let Some(end) = end {
                    scan.report(Kind::PrivateKey, "pem", start..end, 1.0);
                    covered = end;
                }
            }
            "AGE-SECRET-KEY-1" => {
                let end = run(scan.text, range.end, 64, |byte| byte.is_ascii_alphanumeric());
                if end - range.end >= 50 {
                    scan.report(Kind::PrivateKey, "age", range.start..end, 1.0);
                }
            }
            "private-lines:" => {
                let end = run(scan.text, range.end, 16 * 1024, |byte| {
                    byte.is_ascii_alphanumeric() || b" \r\n+/=".contains(&byte)
                });
                if end - range.end >= 64 {
                    scan.report(Kind::PrivateKey, "putty", range.start..end, 1.0);
                    covered = end;
                }
            }
            name if name.contains('"') && !name.contains("kty") => {
                let from = range.start.saturating_sub(MAXIMUM_KEY_BYTES);
                let near = types.get(types.partition_point(|place| *place < from));
                let is_key = near.is_some_and(|place| *place < range.end + MAXIMUM_KEY_BYTES);
                if let Some(value) = member(scan.text, range.end).filter(|_| is_key) {
                    scan.report(Kind::PrivateKey, "jwk", value, 1.0);
                }
            }
            _ => {}
        }
    }
}

/// Whether this is what stands behind BEGIN: `RSA PRIVATE KEY-----`.
fn is_label(text: &[u8], start: usize) -> bool {
    let label = cut(text, start, start + 40);
    let length = label.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b' '));
    let label = label.get(..length.unwrap_or(label.len())).unwrap_or_default();
    label.windows(11).any(|window| window.eq_ignore_ascii_case(b"PRIVATE KEY"))
}

fn end_of_label(text: &[u8], start: usize) -> Option<usize> {
    let end = run(text, start, 40, |byte| byte.is_ascii_alphanumeric() || byte == b' ');
    Some(run(text, end, 5, |byte| byte == b'-'))
}

/// A key whose end is missing: as far as it can be one. `None` for a label that only is spoken of.
fn end_of_body(text: &[u8], start: usize) -> Option<usize> {
    let label = end_of_label(text, start)?;
    let longest = cut(text, label, label + 512)
        .split(|byte| !(byte.is_ascii_alphanumeric() || b"+/=".contains(byte)))
        .map(<[u8]>::len)
        .max();
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n\\ \t:,-".contains(&byte);
    (longest.unwrap_or_default() >= 32).then(|| run(text, label, usize::MAX, is_in))
}

/// The value of a member, where it is as long as a key's.
fn member(text: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let is_blank = |byte: u8| byte.is_ascii_whitespace();
    let colon = run(text, start, 8, is_blank);
    if at(text, colon) != b':' {
        return None;
    }
    let quote = run(text, colon + 1, 8, |byte| is_blank(byte) || byte == b'\\');
    let from = quote + 1;
    let end = run(text, from, 4096, |byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte));
    (at(text, quote) == b'"' && end - from >= 20).then_some(from..end)
}
