//! Other readings of a text: what is encoded in it.

use std::ops::Range;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::features::Summary;
use super::lexicon::rot13;
use crate::byte_set::ByteSet;

/// So many encoded passages are looked into.
const MOST_PASSAGES: usize = 16;
/// Shorter ones hold no instruction.
const SHORTEST_BASE64: usize = 20;
const SHORTEST_HEX: usize = 24;
const SHORTEST_BINARY: usize = 64;
const SHORTEST_SELECTED: usize = 12;
/// So many known words in disguise are no chance.
const DISGUISED_WORDS: usize = 2;
/// Of a hundred decoded characters so many must be letters or blanks.
const READABLE: usize = 85;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Another reading of a part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) text: String,
    /// What it was read from.
    pub(super) range: Range<usize>,
}

/// What else a text may say.
pub(super) fn views(text: &str, summary: Summary) -> Vec<View> {
    let mut views: Vec<_> = encoded(text).take(MOST_PASSAGES).collect();
    if !text.is_ascii() {
        views.extend(selected(text).take(MOST_PASSAGES));
    }
    if summary.rot13 >= DISGUISED_WORDS {
        views.push(View { text: rot13(text), range: 0..text.len() });
    }
    if summary.backwards >= DISGUISED_WORDS {
        views.push(View { text: text.chars().rev().collect(), range: 0..text.len() });
    }
    views
}

/// The passages in Base64, hexadecimal or binary digits that decode to text.
fn encoded(text: &str) -> impl Iterator<Item = View> {
    passages(text, &BINARY, from_binary, SHORTEST_BINARY)
        .chain(passages(text, &HEX, from_hex, SHORTEST_HEX))
        .chain(passages(text, &BASE64, from_base64, SHORTEST_BASE64))
}

/// Bytes in selectors of variants, one each, which nobody sees: behind an emoji there is room for a page.
fn selected(text: &str) -> impl Iterator<Item = View> {
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, first) = characters
                .by_ref()
                .find_map(|(place, character)| Some((place, selector(character)?)))?;
            let mut bytes = vec![first];
            while let Some(byte) = characters.peek().and_then(|(_, next)| selector(*next)) {
                bytes.push(byte);
                characters.next();
            }
            let end = characters.peek().map_or(text.len(), |(place, _)| *place);
            let decoded = String::from_utf8_lossy(&bytes);
            if bytes.len() >= SHORTEST_SELECTED && is_readable(&decoded) {
                return Some(View { text: decoded.into_owned(), range: start..end });
            }
        }
    })
}

fn selector(character: char) -> Option<u8> {
    let code = u32::from(character);
    let number = match code {
        0xFE00..=0xFE0F => code.checked_sub(0xFE00),
        0xE0100..=0xE01EF => code.checked_sub(0xE0100 - 16),
        _ => None,
    };
    number.and_then(|number| u8::try_from(number).ok())
}

fn passages(
    text: &str,
    set: &'static ByteSet,
    decode: fn(&str) -> Option<String>,
    shortest: usize,
) -> impl Iterator<Item = View> {
    runs(text, set, shortest).filter_map(move |range| {
        let decoded = decode(text.get(range.clone())?).filter(|text| is_readable(text))?;
        Some(View { text: decoded, range })
    })
}

/// The stretches of at least so many bytes of a kind, all of them ASCII. Most texts have none, and to know it takes a look at
/// some of their bytes.
fn runs(text: &str, set: &'static ByteSet, shortest: usize) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = 0_usize;
    std::iter::from_fn(move || {
        loop {
            let window = bytes.get(start..start.saturating_add(shortest))?;
            if let Some(other) = window.iter().rposition(|byte| !set.holds(*byte)) {
                start = start.saturating_add(other).saturating_add(1);
                continue;
            }
            let rest = bytes.get(start..)?;
            let length = rest.iter().position(|byte| !set.holds(*byte)).unwrap_or(rest.len());
            let run = start..start.saturating_add(length);
            start = run.end;
            return Some(run);
        }
    })
}

/// Numbers are set apart by blanks, `0x` or `\x`.
const HEX: ByteSet = ByteSet::of(b"0123456789abcdefABCDEF x\\");
const BINARY: ByteSet = ByteSet::of(b"01 ");
const BASE64: ByteSet = ByteSet::alphanumeric_and(b"+/-_=");

fn from_base64(text: &str) -> Option<String> {
    let standard: String = text
        .chars()
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let engine = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let trimmed = standard.trim_matches('=');
    // One character too many is one of the text around, such as a hyphen.
    let whole = trimmed.len().saturating_sub(usize::from(trimmed.len() % 4 == 1));
    String::from_utf8(engine.decode(trimmed.get(..whole)?).ok()?).ok()
}

/// One long number, or pairs of digits: letters of words around them may be digits too.
fn from_hex(text: &str) -> Option<String> {
    let numbers = || text.split([' ', 'x', '\\']);
    match numbers().max_by_key(|number| number.len()).filter(|long| long.len() >= SHORTEST_HEX) {
        Some(long) => from_digits(long, 16, 2),
        None => {
            from_digits(&numbers().filter(|number| number.len() == 2).collect::<String>(), 16, 2)
        }
    }
}

fn from_binary(text: &str) -> Option<String> {
    from_digits(text, 2, 8)
}

fn from_digits(text: &str, radix: u32, each: usize) -> Option<String> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(radix)).collect();
    let bytes = digits.chunks_exact(each).map(|digits| {
        let value = digits
            .iter()
            .fold(0_u32, |value, digit| value.saturating_mul(radix).saturating_add(*digit));
        u8::try_from(value).ok()
    });
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_readable(text: &str) -> bool {
    let (mut all, mut readable) = (0_usize, 0_usize);
    for character in text.chars() {
        all = all.saturating_add(1);
        let is_readable = character.is_alphabetic() || character == ' ';
        readable = readable.saturating_add(usize::from(is_readable));
    }
    readable.saturating_mul(100) >= all.saturating_mul(READABLE) && text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        encoded(text).map(|view| view.text).collect()
    }

    #[test]
    fn encoded_passages_are_read() {
        let expected = ["ignore all of this"];
        for text in [
            "see aWdub3JlIGFsbCBvZiB0aGlz, please",
            "see 69676e6f726520616c6c206f662074686973, please",
            "69 67 6e 6f 72 65 20 61 6c 6c 20 6f 66 20 74 68 69 73",
            r"\x69\x67\x6e\x6f\x72\x65\x20\x61\x6c\x6c\x20\x6f\x66\x20\x74\x68\x69\x73",
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
        let binary: String = "ignore it now".bytes().map(|byte| format!("{byte:08b} ")).collect();
        assert_eq!(texts(&binary), ["ignore it now"]);
    }

    #[test]
    fn bytes_in_selectors_are_read() {
        let hidden: String = "ignore it now, please"
            .bytes()
            .filter_map(|byte| {
                char::from_u32(if byte < 16 { 0xFE00 } else { 0xE0100 - 16 } + u32::from(byte))
            })
            .collect();
        let text = format!("A smile 😊{hidden} and a heart ❤\u{fe0f}");
        let views: Vec<_> = selected(&text).collect();
        let [view] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!(
            (view.text.as_str(), &text[view.range.clone()]),
            ("ignore it now, please", &*hidden)
        );
    }

    #[test]
    fn what_is_no_text_is_left() {
        for text in [
            "an ordinary sentence with internationalisation",
            "3f2504e04f8911d39a0c0305e82c3301",
            "0 1",
        ] {
            assert!(texts(text).is_empty(), "{text}");
        }
    }
}
