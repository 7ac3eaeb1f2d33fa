//! The words, numbers and signs of a text, in one pass. What is a string and what is not cannot be known: that is
//! what an injection changes. So quotation marks are signs like others.

use super::lexicon::{Lexicon, Marks};
use crate::byte_set::ByteSet;

/// What a token is: a sign is its own byte.
pub(super) type Shape = u8;

/// No token: what is before the first and after the last.
pub(super) const END: Shape = 0;
/// `--`.
pub(super) const DASHES: Shape = 1;
/// `/*` that is not closed soon, and what closes it.
pub(super) const COMMENT: Shape = 2;
/// `||`.
pub(super) const OR: Shape = 3;
/// `&&`.
pub(super) const AND: Shape = 4;
/// A word: letters, digits, underscores and anything beyond ASCII.
pub(super) const WORD: Shape = b'a';
/// A number, with its dots.
pub(super) const NUMBER: Shape = b'0';

/// Where a comment within a statement has to end to be skipped.
const MAX_COMMENT: usize = 200;

/// A word, a number or a sign.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) shape: Shape,
    /// Whether blanks, control characters or a comment stand before it.
    pub(super) spaced: bool,
    pub(super) start: u32,
    pub(super) end: u32,
    /// What the word is known for.
    pub(super) marks: Marks,
}

impl Token {
    pub(super) fn is(self, shape: Shape) -> bool {
        self.shape == shape
    }

    /// Whether the word is known for any of these.
    pub(super) fn has(self, marks: Marks) -> bool {
        self.marks & marks != 0
    }

    pub(super) fn is_quote(self) -> bool {
        matches!(self.shape, b'\'' | b'"' | b'`')
    }

    pub(super) fn is_end(self) -> bool {
        self.shape == END
    }

    /// Whether it is glued to what stands before it.
    pub(super) fn is_glued(self, shape: Shape) -> bool {
        self.shape == shape && !self.spaced
    }
}

/// The tokens of a part of a view.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    /// The part.
    pub(super) bytes: &'a [u8],
    list: Vec<Token>,
    /// Whether the text begins with the first token, and ends with the last.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn read(bytes: &'a [u8], lexicon: &Lexicon, is_first: bool, is_last: bool) -> Self {
        let list = Vec::with_capacity(bytes.len() / 4);
        let mut tokens = Self { bytes, list, is_first, is_last };
        let mut at = 0;
        let mut spaced = false;
        while let Some(byte) = bytes.get(at).copied() {
            if byte <= b' ' || byte == 0x7f {
                spaced = true;
                at += 1;
                continue;
            }
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            if is_letter(byte) {
                let (length, marks) = lexicon.read(bytes.get(at..).unwrap_or_default(), is_word);
                let end = at.saturating_add(length.max(1));
                let (start, end) = (place(at), place(end));
                tokens.list.push(Token { shape: WORD, spaced, start, end, marks });
                spaced = false;
                at = at.saturating_add(length.max(1));
                continue;
            }
            let (shape, end) = sign(bytes, at, byte);
            if end > at + 1 && shape == END {
                // A comment: as good as a blank.
                spaced = true;
                at = end;
                continue;
            }
            let token = Token { shape, spaced, start: place(at), end: place(end), marks: 0 };
            tokens.list.push(token);
            spaced = false;
            at = end;
        }
        tokens
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The token at `index`, or one of shape [`END`].
    pub(super) fn at(&self, index: usize) -> Token {
        self.list.get(index).copied().unwrap_or_default()
    }

    /// The token that stands `back` before `index`.
    pub(super) fn before(&self, index: usize, back: usize) -> Token {
        index.checked_sub(back).map_or_else(Token::default, |index| self.at(index))
    }

    pub(super) fn last(&self) -> Token {
        self.list.last().copied().unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Token)> + '_ {
        self.list.iter().copied().enumerate()
    }

    pub(super) fn word(&self, token: Token) -> &'a [u8] {
        let start = usize::try_from(token.start).unwrap_or(usize::MAX);
        let end = usize::try_from(token.end).unwrap_or(usize::MAX);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Whether the token at `index` is this word.
    pub(super) fn is_word(&self, index: usize, word: &str) -> bool {
        let token = self.at(index);
        token.is(WORD) && self.word(token) == word.as_bytes()
    }

    /// Whether the token at `index` is the first of a line.
    pub(super) fn begins_line(&self, index: usize) -> bool {
        let token = self.at(index);
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let gap = self.bytes.get(place(self.before(index, 1).end)..place(token.start));
        token.spaced && gap.is_some_and(|gap| gap.contains(&b'\n'))
    }

    /// Where the line ends that `index` is in, if that is soon.
    pub(super) fn next_line(&self, index: usize) -> usize {
        (1..8)
            .find(|offset| self.begins_line(index + offset))
            .map_or(index + 1, |offset| index + offset)
    }

    /// Whether these signs stand at `index`, without blanks between.
    pub(super) fn are(&self, index: usize, shapes: &[Shape]) -> bool {
        shapes.iter().enumerate().all(|(offset, shape)| {
            let token = self.at(index.saturating_add(offset));
            token.shape == *shape && (offset == 0 || !token.spaced)
        })
    }
}

/// The shape of what begins at `at`, and where it ends. A comment that may be skipped has the shape [`END`].
fn sign(bytes: &[u8], at: usize, byte: u8) -> (Shape, usize) {
    let next = bytes.get(at + 1).copied().unwrap_or(0);
    match (byte, next) {
        (b'0'..=b'9', _) => (NUMBER, number_end(bytes, at)),
        (b'-', b'-') => (DASHES, at + 2),
        (b'/', b'*') => comment(bytes, at),
        (b'*', b'/') => (COMMENT, at + 2),
        (b'|', b'|') => (OR, at + 2),
        (b'&', b'&') => (AND, at + 2),
        (b'<', b'=') if bytes.get(at + 2) == Some(&b'>') => (b'=', at + 3),
        (b'<', b'=' | b'>') | (b'>', b'=') | (b'!' | b'=', b'=') => (b'=', at + 2),
        _ => (byte, at + 1),
    }
}

/// Whether a word begins with the byte. The text is in lower case.
fn is_letter(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'_' | 0x80..)
}

/// Whether a word goes on with the byte.
fn is_word(byte: u8) -> bool {
    const WORD: ByteSet = ByteSet::alphanumeric_and(b"_").and_beyond_ascii();
    WORD.holds(byte)
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    if let [b'0', b'x', digits @ ..] = rest {
        let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        return at.saturating_add(length).saturating_add(2);
    }
    let mut length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // A dot between digits belongs to the number; `1..` and `1./` are paths.
    while rest.get(length) == Some(&b'.') && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
        length += 1;
        let more = rest.get(length..).unwrap_or_default();
        length += more.iter().take_while(|byte| byte.is_ascii_digit()).count();
    }
    // `1e0union`.
    if let Some([b'e', digits @ ..]) = rest.get(length..) {
        let exponent = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        length += if exponent > 0 { exponent + 1 } else { 0 };
    }
    at.saturating_add(length.max(1))
}

/// `/* words */` may be skipped, `/*!50000` is none for MySQL. What has quotation marks in it may be no comment.
fn comment(bytes: &[u8], at: usize) -> (Shape, usize) {
    let inside = bytes.get(at + 2..).unwrap_or_default();
    if let [b'!', version @ ..] = inside {
        let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
        return (END, at + 3 + digits.min(6));
    }
    for (length, byte) in inside.iter().enumerate().take(MAX_COMMENT) {
        match byte {
            b'*' if inside.get(length + 1) == Some(&b'/') => return (END, at + length + 4),
            b'\'' | b'"' | b'`' | b'(' | b'/' | b'<' | b'=' => break,
            _ => {}
        }
    }
    (COMMENT, at + 2)
}
