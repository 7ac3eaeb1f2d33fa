//! The letters of a word, hashed.

use std::ops::Range;

use super::fold::{self, DIGIT, LETTER, WORD};
use super::hash::{FNV_OFFSET, fnv_step, step};
use super::words::LONGEST;

/// Of longer words the beginning counts as well: endings differ.
pub(super) const STEM_LETTERS: usize = 6;
/// How long the stems of the lexicon are, in characters.
const STEMS: [usize; 2] = [7, 5];
/// As many letters as the longest of them has.
const BEGINNINGS: usize = STEMS[0];

/// What counts of the letters of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    pub(super) whole: u64,
    /// Of its first [`STEM_LETTERS`].
    pub(super) stem: u64,
    /// Of its beginnings as long as the lexicon's stems, 0 where it is shorter.
    pub(super) stems: [u64; 2],
    count: u32,
    has_letter: bool,
    has_digit: bool,
    has_other: bool,
    is_dense: bool,
}

impl Letters {
    pub(super) const NONE: Self = Self {
        whole: FNV_OFFSET,
        stem: FNV_OFFSET,
        stems: [0; 2],
        count: 0,
        has_letter: false,
        has_digit: false,
        has_other: false,
        is_dense: false,
    };

    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// A character of a script without spaces.
    pub(super) fn is_dense(&self) -> bool {
        self.is_dense
    }

    pub(super) fn has_latin(&self) -> bool {
        self.has_letter
    }

    pub(super) fn is_ascii(&self) -> bool {
        !self.has_other
    }

    pub(super) fn is_mixed(&self) -> bool {
        self.has_letter && self.has_digit && !self.has_other
    }

    /// Nothing but letters of ASCII.
    pub(super) fn are_latin(&self) -> bool {
        self.has_letter && !self.has_digit && !self.has_other
    }

    pub(super) fn add(&mut self, character: char) {
        self.has_letter |= character.is_ascii_alphabetic();
        self.has_digit |= character.is_ascii_digit();
        self.has_other |= !character.is_ascii();
        self.hash(|hash| step(hash, character));
    }

    /// The letters and digits of ASCII that a text begins with, which are a word of at most [`LONGEST`].
    /// The beginnings that may count are kept, without a question for each letter.
    pub(super) fn of_ascii(text: &[u8]) -> Self {
        let (mut whole, mut classes, mut count) = (FNV_OFFSET, 0, 0_usize);
        let mut beginnings = [0_u64; BEGINNINGS];
        let mut take = |byte: u8| {
            let class = fold::class(byte);
            let is_word = class & WORD != 0;
            if is_word {
                classes |= class;
                whole = fnv_step(whole, small(byte, class));
                count = count.saturating_add(1);
            }
            is_word.then_some(whole)
        };
        let (first, rest) = text.split_at_checked(BEGINNINGS).unwrap_or((text, &[]));
        let mut begins = beginnings.iter_mut().zip(first);
        let goes_on =
            begins.all(|(beginning, byte)| take(*byte).map(|hash| *beginning = hash).is_some());
        if goes_on {
            let _ = rest.iter().take(LONGEST - BEGINNINGS).all(|byte| take(*byte).is_some());
        }
        let [.., fifth, sixth, seventh] = beginnings;
        Self {
            whole,
            stem: if count < STEM_LETTERS { whole } else { sixth },
            stems: [seventh, fifth],
            // At most as long as the longest.
            count: count as u32,
            has_letter: classes & LETTER != 0,
            has_digit: classes & DIGIT != 0,
            has_other: false,
            is_dense: false,
        }
    }

    pub(super) fn set_dense(&mut self) {
        self.is_dense = true;
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

/// The letters and digits of ASCII in a part of a text, in small letters.
pub(super) fn ascii_letters(text: &[u8], range: Range<usize>) -> impl Iterator<Item = u8> {
    let part = text.get(range).unwrap_or_default();
    part.iter().filter_map(|byte| {
        let class = fold::class(*byte);
        (class & WORD != 0).then_some(small(*byte, class))
    })
}

/// A letter or a digit of ASCII, the letter small.
pub(super) fn small(byte: u8, class: u8) -> u8 {
    // What makes the class a letter is the bit that makes a letter small.
    const { assert!(LETTER == b'a' ^ b'A') };
    byte | (class & LETTER)
}
