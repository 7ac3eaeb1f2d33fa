//! Addresses that run scripts.

use super::super::findings::Found;
use super::super::lexicon::{SCRIPT_SCHEME, WEB_SCHEME};
use super::super::tokens::{Tokens, WORD};

/// `javascript:`, also with blanks and signs between its letters, as browsers skip them.
pub(super) fn scheme(tokens: &Tokens<'_>, index: usize) -> Option<Found> {
    let (left, next) = (tokens.before(index, 1), tokens.at(index + 1));
    let opener = tokens.before(index, 2);
    let is_opened =
        matches!(opener.shape, b'=' | b'\'' | b'"' | b'`' | b'(' | b'[' | b'<' | b',' | b';')
            || opener.is_quote();
    let is_first = opener.is_end() && tokens.is_first;
    if left.has(SCRIPT_SCHEME) {
        let is_glued = !next.spaced && !next.is_end();
        return match () {
            () if is_glued || is_opened => Some(("scheme", 0.8)),
            () => Some(("scheme", 0.2)),
        };
    }
    if tokens.word(left) == b"data" && (is_opened || is_first || next.is_glued(WORD)) {
        return data(tokens, index);
    }
    if left.is(WORD) && left.marks & WEB_SCHEME == 0 && is_split_scheme(tokens.bytes, left.end) {
        return Some(("scheme", 0.8));
    }
    let is_entity =
        tokens.word(left) == b"view" || tokens.word(left) == b"source" && opener.is(b'-');
    (is_entity && next.is_glued(WORD) && is_opened).then_some(("scheme", 0.6))
}

/// `data:text/html,`.
fn data(tokens: &Tokens<'_>, colon: usize) -> Option<Found> {
    let next = tokens.at(colon + 1);
    let subtype = tokens.word(tokens.at(colon + 3));
    let runs = match tokens.word(next) {
        b"text" => {
            matches!(subtype, b"html" | b"xml" | b"javascript" | b"vbscript" | b"ecmascript")
        }
        b"image" => subtype == b"svg",
        b"application" => !matches!(subtype, b"pdf" | b"octet" | b"json" | b"zip"),
        _ => next.is(b',') || next.is(b';'),
    };
    runs.then_some(("data_scheme", 0.7))
}

/// Whether a `<` was written so as not to be seen: `&#0060`, `&#x3c` without an end, `\x3c`. `&lt;` and `&#60;` are
/// what careful programs write.
pub(in super::super) fn is_hidden(encoded: &[u8]) -> bool {
    let lowered: Vec<u8> = encoded.iter().take(16).map(u8::to_ascii_lowercase).collect();
    if lowered.starts_with(b"\\x3c")
        || lowered.starts_with(b"\\u003c")
        || lowered.starts_with(b"\\u{3c}")
    {
        return true;
    }
    let Some(digits) = lowered.strip_prefix(b"&#") else { return false };
    let digits = digits.strip_prefix(b"x").unwrap_or(digits);
    let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    digits.starts_with(b"0") || digits.get(length) != Some(&b';')
}

/// Whether the bytes before `end` are `javascript` or `vbscript`, but for blanks and control characters.
fn is_split_scheme(bytes: &[u8], end: u32) -> bool {
    let end = usize::try_from(end).unwrap_or(0);
    let before = bytes.get(..end).unwrap_or_default();
    let mut letters = before
        .iter()
        .rev()
        .take(48)
        .filter(|byte| **byte > b' ' && **byte != 0x7f && **byte != b'\\');
    // A cheap look first: all colons come here.
    if !b"tpircs".iter().rev().rev().all(|letter| letters.next() == Some(letter)) {
        return false;
    }
    let rest: [u8; 4] = std::array::from_fn(|_| letters.next().copied().unwrap_or(0));
    rest == *b"avaj" || rest.starts_with(b"bv")
}
