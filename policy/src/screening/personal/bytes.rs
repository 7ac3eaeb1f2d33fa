//! Bytes of a folded text. Beyond its ends there is nothing, which is what 0 and the empty slice stand for.

use std::ops::Range;

/// The byte at a place.
pub(super) fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or_default()
}

/// The byte before a place.
pub(super) fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// The bytes from one place to another.
pub(super) fn cut(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end.min(text.len())).unwrap_or_default()
}

/// Where the run of bytes that begins at `start` ends; at most `limit` bytes are looked at.
pub(super) fn run(text: &[u8], start: usize, limit: usize, is_in: impl Fn(u8) -> bool) -> usize {
    let bytes = cut(text, start, start.saturating_add(limit));
    start + bytes.iter().position(|byte| !is_in(*byte)).unwrap_or(bytes.len())
}

/// Where the run of bytes that ends at `end` begins; at most `limit` bytes are looked at.
pub(super) fn run_back(text: &[u8], end: usize, limit: usize, is_in: impl Fn(u8) -> bool) -> usize {
    let bytes = cut(text, end.saturating_sub(limit), end);
    end - bytes.iter().rev().position(|byte| !is_in(*byte)).unwrap_or(bytes.len())
}

/// The runs of at least so many letters and digits of ASCII, one after the other. Most words are shorter, and to know it
/// takes a look at a few of their bytes.
pub(super) fn long_words(text: &[u8], fewest: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0_usize;
    std::iter::from_fn(move || {
        loop {
            let window = text.get(start..start.checked_add(fewest)?)?;
            match window.iter().rposition(|byte| !byte.is_ascii_alphanumeric()) {
                Some(other) => start += other + 1,
                None => {
                    let end = run(text, start, usize::MAX, |byte| byte.is_ascii_alphanumeric());
                    let word = start..end;
                    start = end + 1;
                    return Some(word);
                }
            }
        }
    })
}

/// A letter, a digit, or part of a letter of another script.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Shannon's entropy, in bits for each byte.
pub(super) fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = bytes.len().max(1) as f32;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f32 / total);
    shares.map(|share| -share * share.log2()).sum()
}
