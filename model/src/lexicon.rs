//! The words that obfuscated spellings are brought back to.
//!
//! Only membership and frequency are asked, so the words themselves are not kept: a table of
//! hashes answers in a few nanoseconds, whole words as well as words with one letter changed.

use std::sync::LazyLock;

/// One word a line, the most frequent first; a `!` marks those that weigh in a scam, to which also
/// misspelt words are brought back. Written by `training/lexicon.py`.
static WORDS: &str = include_str!("../lexicon.txt");

pub(crate) static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::new(WORDS));

/// Longest word in the lexicon, in letters.
pub(crate) const LONGEST: usize = 16;

const SLOT_BITS: u32 = 15;
const EMPTY: u32 = 0;

pub(crate) struct Lexicon {
    /// Open addressing: what is left of the hash, 0 in an empty slot.
    fingerprints: Vec<u32>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// 0 is the most frequent word.
    pub(crate) rank: u16,
    /// Whether the word weighs in a scam.
    pub(crate) salient: bool,
}

impl Lexicon {
    fn new(words: &str) -> Self {
        let slots = 1 << SLOT_BITS;
        let mut lexicon =
            Self { fingerprints: vec![EMPTY; slots], entries: vec![Entry::default(); slots] };
        // Half full at most: a search for what is not there ends soon.
        for (rank, line) in words.lines().take(slots / 2).enumerate() {
            let (word, salient) = line.strip_prefix('!').map_or((line, false), |word| (word, true));
            let rank = u16::try_from(rank).unwrap_or(u16::MAX);
            lexicon.insert(Spelling::of(word.as_bytes()), Entry { rank, salient });
        }
        lexicon
    }

    fn insert(&mut self, spelling: Spelling, entry: Entry) {
        let (mut slot, fingerprint) = spelling.place();
        loop {
            let Some(found) = self.fingerprints.get_mut(slot) else { return };
            if *found == fingerprint {
                return;
            }
            if *found == EMPTY {
                *found = fingerprint;
                if let Some(place) = self.entries.get_mut(slot) {
                    *place = entry;
                }
                return;
            }
            slot = (slot + 1) % (1 << SLOT_BITS);
        }
    }

    pub(crate) fn get(&self, spelling: Spelling) -> Option<Entry> {
        let (mut slot, fingerprint) = spelling.place();
        loop {
            let found = *self.fingerprints.get(slot)?;
            if found == fingerprint {
                return self.entries.get(slot).copied();
            }
            if found == EMPTY {
                return None;
            }
            slot = (slot + 1) % (1 << SLOT_BITS);
        }
    }

    pub(crate) fn contains(&self, word: &[u8]) -> bool {
        word.len() <= LONGEST && self.get(Spelling::of(word)).is_some()
    }
}

/// A word as a polynomial: the hash of a changed word is had from those of its two halves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spelling {
    value: u64,
    /// The base to the power of the length.
    power: u64,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Spelling {
    pub(crate) const EMPTY: Self = Self { value: 0, power: 1 };

    pub(crate) fn of(word: &[u8]) -> Self {
        word.iter().fold(Self::EMPTY, |spelling, &letter| spelling.with(letter))
    }

    pub(crate) fn with(self, letter: u8) -> Self {
        Self {
            value: self.value.wrapping_mul(BASE).wrapping_add(u64::from(letter)),
            power: self.power.wrapping_mul(BASE),
        }
    }

    pub(crate) fn then(self, rest: Self) -> Self {
        Self {
            value: self.value.wrapping_mul(rest.power).wrapping_add(rest.value),
            power: self.power.wrapping_mul(rest.power),
        }
    }

    /// A slot and a fingerprint that is not [`EMPTY`].
    fn place(self) -> (usize, u32) {
        let mut mixed = self.value ^ (self.value >> 29);
        mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 32;
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a hash")]
        let (slot, fingerprint) = ((mixed >> (64 - SLOT_BITS)) as usize, mixed as u32);
        (slot, fingerprint.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_others_are_not() {
        let lexicon = Lexicon::new("the\n!verify\n");
        assert_eq!(lexicon.get(Spelling::of(b"verify")), Some(Entry { rank: 1, salient: true }));
        assert!(lexicon.contains(b"the"));
        assert!(!lexicon.contains(b"verifi"));
        assert!(!lexicon.contains(b""));
    }

    #[test]
    fn halves_make_the_whole() {
        assert_eq!(Spelling::of(b"ver").then(Spelling::of(b"ify")), Spelling::of(b"verify"));
    }

    #[test]
    fn every_shipped_word_is_found() {
        for word in WORDS.lines() {
            let word = word.trim_start_matches('!');
            assert!(word.len() <= LONGEST && word.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(LEXICON.contains(word.as_bytes()), "{word}");
        }
        assert!(WORDS.lines().count() <= (1 << SLOT_BITS) / 2);
    }
}
