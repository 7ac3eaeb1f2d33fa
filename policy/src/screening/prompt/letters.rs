//! The letters of a word, hashed.

use std::ops::Range;

use super::fold::{self, DENSE, DIGIT, LETTER, WORD};
use super::hash::{FNV_OFFSET, fnv_step, step};
use super::words::LONGEST;

/// Of longer words the beginning counts as well: endings differ.
pub(super) const STEM_LETTERS: usize = 6;
/// How long the stems of the lexicon are, in characters.
const STEMS: [usize; 2] = [7, 5];
/// In a word: a character beyond ASCII. Beside the classes of [`fold`].
const OTHER: u8 = 1 << 7;

/// What counts of the letters of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    pub(super) whole: u64,
    /// Of its first [`STEM_LETTERS`].
    pub(super) stem: u64,
    /// Of its beginnings as long as the lexicon's stems, 0 where it is shorter.
    pub(super) stems: [u64; 2],
    count: u32,
    /// What there is among them, a bit each: [`LETTER`], [`DIGIT`], [`OTHER`], [`DENSE`].
    kinds: u8,
}

impl Letters {
    pub(super) const NONE: Self =
        Self { whole: FNV_OFFSET, stem: FNV_OFFSET, stems: [0; 2], count: 0, kinds: 0 };

    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// A character of a script without spaces.
    pub(super) fn is_dense(&self) -> bool {
        self.kinds & DENSE != 0
    }

    pub(super) fn has_latin(&self) -> bool {
        self.kinds & LETTER != 0
    }

    pub(super) fn is_ascii(&self) -> bool {
        self.kinds & OTHER == 0
    }

    pub(super) fn is_mixed(&self) -> bool {
        self.kinds == LETTER | DIGIT
    }

    /// Nothing but letters of ASCII.
    pub(super) fn are_latin(&self) -> bool {
        self.kinds == LETTER
    }

    pub(super) fn add(&mut self, character: char) {
        self.kinds |= match u8::try_from(character).ok().filter(u8::is_ascii) {
            Some(byte) => fold::class(byte) & (LETTER | DIGIT),
            None => OTHER,
        };
        self.hash(|hash| step(hash, character));
    }

    /// The letters and digits of ASCII that a text begins with, which are a word of at most [`LONGEST`].
    pub(super) fn of_ascii(text: &[u8]) -> Self {
        let mut beginning = Beginning { text, hash: FNV_OFFSET, classes: 0, count: 0 };
        let (mut stem, mut stems) = (None, [0; 2]);
        let [longer, shorter] = STEMS;
        if let Some(hash) = beginning.until(shorter) {
            stems[1] = hash;
            stem = beginning.until(STEM_LETTERS);
            if let Some(hash) = stem.and_then(|_| beginning.until(longer)) {
                stems[0] = hash;
                let _ = beginning.until(LONGEST);
            }
        }
        let Beginning { hash, classes, count, .. } = beginning;
        // At most as long as the longest.
        let (count, kinds) = (count as u32, classes & (LETTER | DIGIT));
        Self { whole: hash, stem: stem.unwrap_or(hash), stems, count, kinds }
    }

    pub(super) fn set_dense(&mut self) {
        self.kinds |= DENSE;
    }

    fn hash(&mut self, step: impl Fn(u64) -> u64) {
        self.whole = step(self.whole);
        self.count = self.count.saturating_add(1);
        let [longer, shorter] = STEMS;
        let count = self.count as usize;
        if count <= STEM_LETTERS {
            self.stem = self.whole;
            if count == shorter {
                self.stems[1] = self.whole;
            }
        } else if count == longer {
            self.stems[0] = self.whole;
        }
    }
}

/// Letters and digits of ASCII, as far as they have been read.
struct Beginning<'a> {
    text: &'a [u8],
    hash: u64,
    classes: u8,
    count: usize,
}

impl Beginning<'_> {
    /// Reads on until there are so many, and answers their hash; none where there are fewer.
    #[inline(always)]
    fn until(&mut self, count: usize) -> Option<u64> {
        while self.count < count {
            let byte = *self.text.get(self.count)?;
            let class = fold::class(byte);
            if class & WORD == 0 {
                return None;
            }
            self.classes |= class;
            self.hash = fnv_step(self.hash, small(byte));
            self.count = self.count.wrapping_add(1);
        }
        Some(self.hash)
    }
}

/// The letters and digits of ASCII in a part of a text, in small letters.
pub(super) fn ascii_letters(text: &[u8], range: Range<usize>) -> impl Iterator<Item = u8> {
    let part = text.get(range).unwrap_or_default();
    part.iter().filter(|byte| fold::class(**byte) & WORD != 0).map(|byte| small(*byte))
}

/// A letter or a digit of ASCII, the letter small.
pub(super) fn small(byte: u8) -> u8 {
    // What makes a letter small, every digit has.
    byte | (b'a' ^ b'A')
}
