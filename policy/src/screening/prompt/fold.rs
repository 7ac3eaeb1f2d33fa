//! Letters as they are read rather than as they are encoded: for detection only, never for what is passed on.

use std::collections::BTreeMap;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

const LOOKALIKES: &str = include_str!("lookalikes.txt");
/// Letters in negative circles and squares, which have no decomposition.
const NEGATIVE_LETTERS: [u32; 2] = [0x1F150, 0x1F170];
/// Tag characters repeat ASCII invisibly.
const TAGS: (u32, u32) = (0xE0020, 0xE007E);
const TAG_OFFSET: u32 = 0xE0000;
/// Default ignorable code points and controls that show nothing.
const INVISIBLE: &[(u32, u32)] = &[
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
];
/// Kana, Han and Hangul: nothing to fold, and most of a text in them.
const PLAIN: &[(u32, u32)] =
    &[(0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)];

/// Scripts written without spaces, and Hangul, whose endings hide the words: each character is a word.
const DENSE_SCRIPTS: &[(u32, u32)] = &[
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
];
/// After these a sentence may begin.
const ENDS: &str = ".!?:;\n\"'([{<>*#-•。！？「“«¿¡";
/// Punctuation of ordinary prose, which tells nothing.
const USUAL: &str = ".,!?:;\"'()-’“”‘–—…。、¿¡«»،؟।";

/// What a character is, a bit each: a letter or a digit.
pub(super) const WORD: u8 = 1;
/// Of a script without spaces.
pub(super) const DENSE: u8 = 1 << 1;
pub(super) const APOSTROPHE: u8 = 1 << 2;
/// A sentence may begin after it.
pub(super) const END: u8 = 1 << 3;
/// Neither a blank nor what ordinary prose has.
pub(super) const SIGN: u8 = 1 << 4;
/// A letter of ASCII, and a digit.
pub(super) const LETTER: u8 = 1 << 5;
pub(super) const DIGIT: u8 = 1 << 6;

const CLASSES: [u8; 256] = classes();
/// Most of what is written in alphabets, and punctuation: looked up rather than decomposed each time.
const LISTED: [(u32, u32); 2] = [(0x80, 0x1000), (0x2000, 0x2100)];

/// A folded character, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) character: char,
    pub(super) class: u8,
}

/// What a character is read as.
#[derive(Debug, Clone, Copy)]
enum Read {
    Nothing,
    As(Known),
    /// As several.
    Several,
}

/// Folds characters.
#[derive(Debug)]
pub(super) struct Folding {
    /// Latin in disguise, read so always; in the order of the letters, for a search.
    always: Vec<(char, char)>,
    /// Letters of other scripts, read as Latin only in its company.
    mixed: Vec<(char, char)>,
    /// One for each of [`LISTED`].
    listed: [Vec<Read>; 2],
}

impl Folding {
    pub(super) fn new() -> Self {
        let (mut always, mut mixed) = (BTreeMap::new(), BTreeMap::new());
        for line in LOOKALIKES.lines().filter(|line| !line.starts_with('#')) {
            let Some((into, letters)) = line.split_once(':') else { continue };
            let Some(latin) = into.chars().next() else { continue };
            let letters = letters.split_whitespace().flat_map(str::chars).map(|c| (c, latin));
            if into.ends_with('?') {
                mixed.extend(letters);
            } else {
                always.extend(letters);
            }
        }
        let (always, mixed) = (always.into_iter().collect(), mixed.into_iter().collect());
        let mut folding = Self { always, mixed, listed: [Vec::new(), Vec::new()] };
        folding.listed = LISTED.map(|(first, end)| {
            (first..end)
                .map(|code| char::from_u32(code).map_or(Read::Nothing, |c| folding.read(c)))
                .collect()
        });
        folding
    }

    /// Gives what a character is read as: nothing, one character or some.
    pub(super) fn fold_known(&self, character: char, mut give: impl FnMut(Known)) {
        if within(PLAIN, u32::from(character)) {
            return give(known(character));
        }
        match self.listed(character) {
            Some(Read::Nothing) => {}
            Some(Read::As(known)) => give(known),
            Some(Read::Several) | None => self.fold(character, |folded| {
                give(match self.listed(folded) {
                    Some(Read::As(known)) if known.character == folded => known,
                    _ => known(folded),
                });
            }),
        }
    }

    /// The same, without a table.
    pub(super) fn fold(&self, character: char, mut give: impl FnMut(char)) {
        let code = u32::from(character);
        if character.is_ascii() {
            return give(character.to_ascii_lowercase());
        }
        if let Some(letter) = shown(code) {
            return give(letter.to_ascii_lowercase());
        }
        if within(INVISIBLE, code) {
            return;
        }
        if within(PLAIN, code) {
            return give(character);
        }
        decompose_compatible(character, |part| {
            if is_combining_mark(part) {
                return;
            }
            if part.is_ascii() {
                return give(part.to_ascii_lowercase());
            }
            let lower = part.to_lowercase();
            let first = lower.clone().next().unwrap_or(part);
            match look_up(&self.always, part).or_else(|| look_up(&self.always, first)) {
                Some(latin) => give(latin),
                None => lower.for_each(&mut give),
            }
        });
    }

    /// The Latin letter that a letter of another script looks like.
    pub(super) fn latin(&self, letter: char) -> Option<char> {
        look_up(&self.mixed, letter)
    }

    fn listed(&self, character: char) -> Option<Read> {
        let code = u32::from(character);
        let (first, table) =
            LISTED.iter().zip(&self.listed).find_map(|((first, end), table)| {
                (*first..*end).contains(&code).then_some((first, table))
            })?;
        table.get(usize::try_from(code.checked_sub(*first)?).ok()?).copied()
    }

    fn read(&self, character: char) -> Read {
        let mut read = Read::Nothing;
        self.fold(character, |folded| {
            read = match read {
                Read::Nothing => Read::As(known(folded)),
                Read::As(_) | Read::Several => Read::Several,
            }
        });
        read
    }
}

fn look_up(letters: &[(char, char)], letter: char) -> Option<char> {
    let place = letters.binary_search_by_key(&letter, |(other, _)| *other).ok()?;
    letters.get(place).map(|(_, latin)| *latin)
}

/// What a byte of ASCII is; nothing for all others.
pub(super) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

fn known(character: char) -> Known {
    if let Some(byte) = u8::try_from(character).ok().filter(u8::is_ascii) {
        return Known { character, class: class(byte) };
    }
    let is_space = || character.is_whitespace();
    let class = if character.is_alphanumeric() {
        let is_dense = within(DENSE_SCRIPTS, u32::from(character));
        WORD | if is_dense { DENSE } else { 0 }
    } else {
        let end = if ENDS.contains(character) { END } else { 0 };
        let sign = if is_space() || USUAL.contains(character) { 0 } else { SIGN };
        end | sign | if character == '’' { APOSTROPHE } else { 0 }
    };
    Known { character, class }
}

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 128 {
        let byte = at as u8;
        let is_space = matches!(byte, b' ' | b'\t'..=b'\r' | 0x1c..=0x1f);
        let class = if byte.is_ascii_alphabetic() {
            WORD | LETTER
        } else if byte.is_ascii_digit() {
            WORD | DIGIT
        } else {
            let end = if holds(ENDS, byte) { END } else { 0 };
            let sign = if is_space || holds(USUAL, byte) { 0 } else { SIGN };
            end | sign | if byte == b'\'' { APOSTROPHE } else { 0 }
        };
        #[allow(
            clippy::indexing_slicing,
            reason = "a constant: what is out of bounds does not compile"
        )]
        {
            classes[at] = class;
        }
        at += 1;
    }
    classes
}

const fn holds(set: &str, byte: u8) -> bool {
    let mut rest = set.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == byte {
            return true;
        }
        rest = after;
    }
    false
}

/// The ASCII that a tag or a letter in a negative circle stands for.
fn shown(code: u32) -> Option<char> {
    if (TAGS.0..=TAGS.1).contains(&code) {
        return char::from_u32(code.saturating_sub(TAG_OFFSET));
    }
    let first = NEGATIVE_LETTERS.iter().find(|first| (**first..**first + 26).contains(&code))?;
    char::from_u32(code.saturating_sub(*first).saturating_add(u32::from('a')))
}

fn within(ranges: &[(u32, u32)], code: u32) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        let (folding, mut folded) = (Folding::new(), String::new());
        for character in text.chars() {
            folding.fold(character, |c| folded.push(c));
        }
        folded
    }

    #[test]
    fn the_table_is_what_folding_does() {
        let folding = Folding::new();
        for character in (0x80..0x3000).filter_map(char::from_u32) {
            let (mut plain, mut listed) = (Vec::new(), Vec::new());
            folding.fold(character, |folded| plain.push(known(folded)));
            folding.fold_known(character, |known| listed.push(known));
            assert_eq!(plain, listed, "{character:?}");
        }
    }

    #[test]
    fn what_is_read_alike_is_alike() {
        for disguised in [
            "IGNORE",
            "ｉｇｎｏｒｅ",
            "i\u{200b}g\u{ad}n\u{2060}ore",
            "𝐢𝗀𝓃𝕠𝚛𝖊",
            "ⓘⓖⓝⓞⓡⓔ",
            "🅘🅖🅝🅞🅡🅔",
            "ìgñőrè",
            "ɪɢɴᴏʀᴇ",
            "\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}",
        ] {
            assert_eq!(fold(disguised), "ignore", "{disguised}");
        }
        assert_eq!(fold("無視 지시 Игнорируй"), "無視 지시 игнорируи");
    }
}
