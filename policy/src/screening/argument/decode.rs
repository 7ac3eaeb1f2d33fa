//! What a text reads once the programs behind the gate have decoded it: percent-encodings, entities, escapes,
//! look-alikes of ASCII, all of them several times over.

use super::fold::{Fold, fold};
use crate::byte_set;

/// Decoding stops after so many rounds: nothing behind a gate decodes oftener.
const MAX_ROUNDS: usize = 4;

/// A text as one reader has it: in lower case, and with the places it came from.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// For each byte the byte of the source it came from; empty if they are the same.
    origins: Vec<u32>,
}

impl View {
    /// The text with nothing decoded but letters that look like ASCII.
    pub(super) fn plain(text: &str) -> Self {
        let lowered = text.as_bytes().to_ascii_lowercase();
        let view = Self { bytes: lowered, origins: Vec::new() };
        if text.is_ascii() {
            return view;
        }
        view.round(|rest, _| unfold(rest)).unwrap_or(view)
    }

    /// The text with everything decoded that can be, if anything can.
    pub(super) fn decoded(&self) -> Option<Self> {
        // Encoded as a form: there are no blanks but plus signs.
        let plus_is_blank = self.bytes.contains(&b'+') && !self.bytes.contains(&b' ');
        let mut view = self.round(|rest, before| decode_at(rest, before, plus_is_blank))?;
        for _ in 1..MAX_ROUNDS {
            let decode = |rest: &[u8], before| decode_at(rest, before, false);
            let Some(next) = view.round(decode) else { break };
            view = next;
        }
        Some(view)
    }

    /// The byte of the source that the byte at `at` came from.
    pub(super) fn source(&self, at: usize) -> usize {
        if self.origins.is_empty() {
            return at;
        }
        self.origins.get(at).map_or(usize::MAX, |origin| usize::try_from(*origin).unwrap_or(at))
    }

    /// One pass: `decode` is shown the rest and the byte before it, and says how many bytes stand for what. Nothing is
    /// copied of a text in which nothing stands for anything else, as most are.
    fn round(&self, decode: impl Fn(&[u8], u8) -> Step) -> Option<Self> {
        let mut at = 0_usize;
        loop {
            let plain = byte_set::first_other(self.bytes.get(at..)?, is_plain)?;
            at = at.saturating_add(plain);
            let rest = self.bytes.get(at..)?;
            let before = at.checked_sub(1).and_then(|before| self.bytes.get(before)).copied();
            if decode(rest, before.unwrap_or(0)).is_some() {
                break;
            }
            // What continues a character begins nothing.
            let is_continued = |byte: &&u8| matches!(byte, 0x80..=0xbf);
            let continued = rest.iter().skip(1).take_while(is_continued).count();
            at = at.saturating_add(continued).saturating_add(1);
        }
        let (plain, mut rest) = self.bytes.split_at_checked(at)?;
        let mut view = Self { bytes: plain.to_vec(), origins: Vec::new() };
        let origin = |at: usize| u32::try_from(self.source(at)).unwrap_or(u32::MAX);
        view.bytes.reserve(rest.len());
        view.origins.reserve(self.bytes.len());
        view.origins.extend((0..at).map(origin));
        while let Some((first, after)) = rest.split_first() {
            let origin = self.source(self.bytes.len().saturating_sub(rest.len()));
            let before = view.bytes.last().copied().unwrap_or(0);
            let step = if is_plain(*first) { None } else { decode(rest, before) };
            let Some((consumed, output)) = step else {
                view.push(*first, origin);
                rest = after;
                continue;
            };
            for byte in output.as_slice() {
                view.push(byte.to_ascii_lowercase(), origin);
            }
            rest = rest.get(consumed.max(1)..).unwrap_or_default();
        }
        Some(view)
    }

    fn push(&mut self, byte: u8, origin: usize) {
        self.bytes.push(byte);
        self.origins.push(u32::try_from(origin).unwrap_or(u32::MAX));
    }
}

/// What a few bytes stand for: at most one character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output([u8; 4], u8);

impl Output {
    const NOTHING: Self = Self([0; 4], 0);

    const fn byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0], 1)
    }

    fn character(character: char) -> Self {
        match fold(character) {
            Fold::Drop => Self::NOTHING,
            Fold::Ascii(byte) => Self::byte(byte),
            Fold::Keep => {
                let mut bytes = [0; 4];
                let length = character.encode_utf8(&mut bytes).len();
                Self(bytes, u8::try_from(length).unwrap_or(4))
            }
        }
    }

    fn code(code: u32) -> Self {
        char::from_u32(code).map_or(Self::NOTHING, Self::character)
    }

    fn as_slice(&self) -> &[u8] {
        self.0.get(..usize::from(self.1)).unwrap_or_default()
    }
}

type Step = Option<(usize, Output)>;

/// Whether a byte can begin nothing that is encoded. Without branches, so that it can be asked of many bytes at once.
fn is_plain(byte: u8) -> bool {
    let is_not = |other: u8| byte != other;
    byte.is_ascii() & is_not(b'%') & is_not(b'&') & is_not(b'\\') & is_not(b'+') & is_not(b'0')
}

fn decode_at(rest: &[u8], before: u8, plus_is_blank: bool) -> Step {
    match rest.first()? {
        b'%' => percent(rest),
        b'&' => entity(rest),
        b'\\' => escape(rest),
        b'0' => hexadecimal_separator(rest, before),
        b'+' => plus(rest, before, plus_is_blank),
        _ => unfold(rest),
    }
}

/// A character beyond ASCII that stands for one within.
fn unfold(rest: &[u8]) -> Step {
    let length = match rest.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let character = std::str::from_utf8(rest.get(..length)?).ok()?.chars().next()?;
    match fold(character) {
        Fold::Keep => None,
        Fold::Drop | Fold::Ascii(_) => Some((length, Output::character(character))),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit)
    })
}

/// `%41`, `%u0041`, and UTF-8 that is longer than it may be, which some decoders take all the same.
fn percent(rest: &[u8]) -> Step {
    if rest.get(1) == Some(&b'u') {
        return Some((6, Output::code(hex(rest.get(2..6)?)?)));
    }
    if rest.get(1) == Some(&b'%') {
        return nested(rest);
    }
    let pair = rest.get(1..3)?;
    let Some(byte) = hex(pair) else {
        // `%bg%qf`: digits that a lenient decoder takes for hexadecimal.
        let next = rest.get(3..6)?;
        let is_odd =
            |pair: &[u8]| pair.iter().all(u8::is_ascii_alphanumeric) && hex(pair).is_none();
        let both = is_odd(pair) && next.first() == Some(&b'%') && is_odd(next.get(1..)?);
        return both.then_some((6, Output::byte(b'/')));
    };
    match byte {
        0xc0 | 0xc1 => Some(overlong(rest, byte)),
        0xe0.. if rest.get(3..6) == Some(b"%80") => longer(rest),
        0x80.. => Some((3, Output::byte(u8::try_from(byte).ok()?))),
        _ => Some((3, Output::code(byte))),
    }
}

/// `%%32%65` and `%%32%%65`: each digit of `%2e` encoded by itself.
fn nested(rest: &[u8]) -> Step {
    let digit = |at: usize| {
        let code = hex(rest.get(at + 1..at + 3)?).filter(|_| rest.get(at) == Some(&b'%'))?;
        char::from_u32(code)?.to_digit(16)
    };
    let first = digit(1)?;
    let at = if rest.get(4..6) == Some(b"%%") { 5 } else { 4 };
    Some((at + 3, Output::code(first * 16 + digit(at)?)))
}

/// `%c0%ae` is a dot in two bytes; what is not even that (`%c0%qf`, `%c0%2f`) has served as well.
fn overlong(rest: &[u8], lead: u32) -> (usize, Output) {
    let Some([b'%', second @ ..]) = rest.get(3..6) else { return (3, Output::NOTHING) };
    let Some(value) = hex(second) else { return (6, Output::byte(b'/')) };
    let code = ((lead & 1) << 6) | (value & 0x3f);
    let byte = match (u8::try_from(code).unwrap_or(0), value & 0x0f) {
        (byte @ (b'.' | b'/' | b'\\' | b'\'' | b'"' | b'<' | b'>'), _) => byte,
        (_, 0x0e) => b'.',
        (_, 0x0f) => b'/',
        (_, 0x0c) => b'\\',
        (byte, _) => byte,
    };
    (6, Output::byte(byte))
}

/// `%e0%80%ae` and longer.
fn longer(rest: &[u8]) -> Step {
    let mut at = 3;
    while at < 18 && rest.get(at..at + 3) == Some(b"%80") {
        at += 3;
    }
    let Some([b'%', last @ ..]) = rest.get(at..at + 3) else { return Some((at, Output::NOTHING)) };
    Some((at + 3, Output::code(hex(last)? & 0x3f)))
}

/// `\u0041`, `\u{41}`, `\x41`.
fn escape(rest: &[u8]) -> Step {
    match rest.get(1)? {
        b'u' if rest.get(2) == Some(&b'{') => {
            let digits = rest.get(3..)?.iter().take(7).position(|byte| *byte == b'}')?;
            let code = hex(rest.get(3..3 + digits).filter(|digits| !digits.is_empty())?)?;
            Some((digits + 4, Output::code(code)))
        }
        b'u' => Some((6, Output::code(hex(rest.get(2..6)?)?))),
        b'x' => Some((4, Output::code(hex(rest.get(2..4)?)?))),
        _ => None,
    }
}

/// `..0x2f`: SQL writes numbers so too, but not after letters and dots.
fn hexadecimal_separator(rest: &[u8], before: u8) -> Step {
    let [b'0', b'x', digits @ ..] = rest.get(..4)? else { return None };
    let is_path = before.is_ascii_alphabetic() || matches!(before, b'.' | b'/' | b'\\' | b'?');
    match digits {
        b"2e" | b"2f" | b"5c" if is_path || matches!(rest.get(4), Some(b'.' | b'0')) => {}
        b"0d" | b"0a" if before < b' ' => {}
        _ => return None,
    }
    Some((4, Output::code(hex(digits)?)))
}

/// A blank in a form, or the markup of UTF-7.
fn plus(rest: &[u8], before: u8, is_blank: bool) -> Step {
    let utf7 = [(&b"+adw-"[..], b'<'), (b"+ad4-", b'>'), (b"+aci-", b'"'), (b"+acc-", b'\'')];
    if let Some((_, byte)) = utf7.iter().find(|(encoded, _)| rest.starts_with(encoded)) {
        return Some((5, Output::byte(*byte)));
    }
    let after = rest.get(1).copied().unwrap_or(0);
    let is_sum = before.is_ascii_digit() && after.is_ascii_digit();
    let is_joint = matches!(before, b'\'' | b'"') && matches!(after, b'\'' | b'"');
    (is_blank && !is_sum && !is_joint).then_some((1, Output::byte(b' ')))
}

/// `&lt;`, `&#60;`, `&#x3c`.
fn entity(rest: &[u8]) -> Step {
    if rest.get(1) != Some(&b'#') {
        return named_entity(rest);
    }
    let is_hex = rest.get(2) == Some(&b'x');
    let start = if is_hex { 3 } else { 2 };
    let radix = if is_hex { 16 } else { 10 };
    let mut code = 0_u32;
    let mut at = start;
    // Leading zeros are allowed, and used.
    while let Some(digit) = rest.get(at).and_then(|byte| char::from(*byte).to_digit(radix)) {
        code = code.saturating_mul(radix).saturating_add(digit);
        at += 1;
        if at > start + 12 {
            return None;
        }
    }
    if at == start {
        return None;
    }
    at += usize::from(rest.get(at) == Some(&b';'));
    Some((at, Output::code(code)))
}

fn named_entity(rest: &[u8]) -> Step {
    const NAMES: [(&[u8], u8); 26] = [
        (b"lt;", b'<'),
        (b"gt;", b'>'),
        (b"amp;", b'&'),
        (b"quot;", b'"'),
        (b"apos;", b'\''),
        (b"colon;", b':'),
        (b"semi;", b';'),
        (b"tab;", b'\t'),
        (b"newline;", b'\n'),
        (b"lpar;", b'('),
        (b"rpar;", b')'),
        (b"sol;", b'/'),
        (b"bsol;", b'\\'),
        (b"period;", b'.'),
        (b"equals;", b'='),
        (b"grave;", b'`'),
        (b"lbrace;", b'{'),
        (b"lcub;", b'{'),
        (b"rbrace;", b'}'),
        (b"rcub;", b'}'),
        (b"dollar;", b'$'),
        (b"num;", b'#'),
        (b"nbsp;", b' '),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"quot", b'"'),
    ];
    let after = rest.get(1..).filter(|after| after.first().is_some_and(u8::is_ascii_alphabetic))?;
    let (name, byte) = NAMES.iter().find(|(name, _)| after.starts_with(name))?;
    Some((name.len() + 1, Output::byte(*byte)))
}
