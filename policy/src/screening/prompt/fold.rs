//! Letters as they are read rather than as they are encoded: for detection only, never for what is passed on.

use std::collections::HashMap;

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

/// Folds characters.
#[derive(Debug)]
pub(super) struct Folding {
    /// Latin in disguise, read so always.
    always: HashMap<char, char>,
    /// Letters of other scripts, read as Latin only in its company.
    mixed: HashMap<char, char>,
}

impl Folding {
    pub(super) fn new() -> Self {
        let (mut always, mut mixed) = (HashMap::new(), HashMap::new());
        for line in LOOKALIKES.lines().filter(|line| !line.starts_with('#')) {
            let Some((into, letters)) = line.split_once(':') else { continue };
            let Some(latin) = into.chars().next() else { continue };
            let map = if into.ends_with('?') { &mut mixed } else { &mut always };
            map.extend(letters.split_whitespace().flat_map(str::chars).map(|c| (c, latin)));
        }
        Self { always, mixed }
    }

    /// Gives what a character is read as: nothing, one character or some.
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
            let mut lower = part.to_lowercase();
            let first = lower.clone().next().unwrap_or(part);
            match self.always.get(&part).or_else(|| self.always.get(&first)) {
                Some(latin) => give(*latin),
                None => lower.by_ref().for_each(&mut give),
            }
        });
    }

    /// The Latin letter that a letter of another script looks like.
    pub(super) fn latin(&self, letter: char) -> Option<char> {
        self.mixed.get(&letter).copied()
    }
}

/// The ASCII that a tag or a letter in a negative circle stands for.
fn shown(code: u32) -> Option<char> {
    if (TAGS.0..=TAGS.1).contains(&code) {
        return char::from_u32(code.saturating_sub(TAG_OFFSET));
    }
    let first = NEGATIVE_LETTERS.iter().find(|first| (**first..**first + 26).contains(&code))?;
    char::from_u32(code.saturating_sub(*first).saturating_add(u32::from('a')))
}

pub(super) fn within(ranges: &[(u32, u32)], code: u32) -> bool {
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
