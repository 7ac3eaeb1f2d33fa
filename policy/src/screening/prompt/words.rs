//! Text as words, with what stands between them. One pass, and nothing is allocated for a word: its letters go into one
//! buffer, and what the model wants to know of them is hashed on the way.

use std::ops::Range;

use super::fold::{self, DENSE, DIGIT, Folding, Known, LETTER, SIGN, WORD};
use super::hash::FNV_OFFSET;
use super::hash::{fnv_step, step};

/// The longest word that is looked at, in characters: what is longer is cut here.
pub(super) const LONGEST: usize = 48;
/// So many unusual symbols between two words are looked at, and so many of a kind in a row.
const GAP: usize = 8;
const RUN: usize = 3;
/// Of longer words the beginning counts as well: endings differ.
pub(super) const STEM_LETTERS: usize = 6;
/// How long the stems of the lexicon are, in characters.
pub(super) const STEMS: [usize; 2] = [7, 5];
/// As many letters as the longest of them has.
const BEGINNINGS: usize = STEMS[0];

/// A text cut into words.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) list: Vec<Word>,
    /// The folded letters of all words: UTF-8, since whole characters are added.
    letters: Vec<u8>,
}

/// A word, and where it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    /// Without any for symbols at the end of a text.
    pub(super) letters: Letters,
    /// The hash of the unusual symbols before it, that of nothing for none.
    pub(super) gap: u64,
    /// Whether a sentence may begin here.
    pub(super) starts: bool,
    /// Where its letters are in the buffer.
    text: Place,
    /// Where it is in the text as it was given.
    pub(super) range: Place,
}

/// What counts of the letters of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    pub(super) whole: u64,
    /// Of its first [`STEM_LETTERS`].
    pub(super) stem: u64,
    /// Of its beginnings as long as the lexicon's stems, 0 where it is shorter.
    pub(super) stems: [u64; 2],
    pub(super) count: usize,
    has_letter: bool,
    has_digit: bool,
    has_other: bool,
    is_dense: bool,
}

/// A range of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

impl Words {
    /// Cuts a text.
    pub(super) fn read(folding: &Folding, text: &str) -> Self {
        let words = Self {
            list: Vec::with_capacity(text.len() / 5),
            letters: Vec::with_capacity(text.len()),
        };
        let mut cutter = Cutter {
            words,
            word: Letters::NONE,
            begins: 0,
            range: 0..0,
            gap: Gap::default(),
            starts: true,
            apostrophe: None,
        };
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at).copied() {
            if byte.is_ascii() {
                let class = fold::class(byte);
                if class & WORD != 0 {
                    at = cutter.take_ascii(text, at);
                    continue;
                }
                cutter.take_sign(char::from(byte), class);
                at = at.saturating_add(1);
                continue;
            }
            let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            let end = at.saturating_add(character.len_utf8());
            folding.fold_known(character, |known| cutter.take(known, at..end));
            at = end;
        }
        cutter.finish(text.len())
    }

    /// The letters of a word.
    pub(super) fn text(&self, word: &Word) -> &str {
        let letters = self.letters.get(word.text.range()).unwrap_or_default();
        std::str::from_utf8(letters).unwrap_or_default()
    }

    /// Gives a word other letters, which stand behind all others.
    pub(super) fn replace(&mut self, index: usize, characters: impl Iterator<Item = char>) {
        let start = self.letters.len();
        let mut letters = Letters::NONE;
        for character in characters {
            letters.add(character);
            push(&mut self.letters, character);
        }
        let text = Place::of(&(start..self.letters.len()));
        if let Some(word) = self.list.get_mut(index) {
            (word.letters, word.text) = (letters, text);
        }
    }
}

impl Word {
    /// A word of letters that are nowhere else.
    pub(super) fn of(text: &str, gap: u64, starts: bool, range: Place) -> Self {
        let mut letters = Letters::NONE;
        text.chars().for_each(|character| letters.add(character));
        Self { letters, gap, starts, text: Place::default(), range }
    }
}

impl Letters {
    const NONE: Self = Self {
        whole: FNV_OFFSET,
        stem: FNV_OFFSET,
        stems: [0; 2],
        count: 0,
        has_letter: false,
        has_digit: false,
        has_other: false,
        is_dense: false,
    };

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

    fn add(&mut self, character: char) {
        self.has_letter |= character.is_ascii_alphabetic();
        self.has_digit |= character.is_ascii_digit();
        self.has_other |= !character.is_ascii();
        self.hash(|hash| step(hash, character));
    }

    /// Letters and digits of ASCII, in small letters.
    fn add_ascii(&mut self, letters: &[u8]) {
        if self.count > 0 {
            return letters.iter().for_each(|byte| self.hash(|hash| fnv_step(hash, *byte)));
        }
        // The beginnings that may count, without a question for each letter.
        let mut beginnings = [0_u64; BEGINNINGS];
        let (first, rest) = letters.split_at_checked(BEGINNINGS).unwrap_or((letters, &[]));
        for (beginning, byte) in beginnings.iter_mut().zip(first) {
            self.whole = fnv_step(self.whole, *byte);
            *beginning = self.whole;
        }
        let [.., fifth, sixth, seventh] = beginnings;
        self.stem = if first.len() < STEM_LETTERS { self.whole } else { sixth };
        self.stems = [seventh, fifth];
        self.whole = rest.iter().fold(self.whole, |hash, byte| fnv_step(hash, *byte));
        self.count = letters.len();
    }

    fn hash(&mut self, step: impl Fn(u64) -> u64) {
        self.whole = step(self.whole);
        self.count = self.count.saturating_add(1);
        let [longer, shorter] = STEMS;
        if self.count <= STEM_LETTERS {
            self.stem = self.whole;
            if self.count == shorter {
                self.stems[1] = self.whole;
            }
        } else if self.count == longer {
            self.stems[0] = self.whole;
        }
    }
}

impl Place {
    pub(super) fn of(range: &Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(range.start), end: place(range.end) }
    }

    pub(super) fn range(self) -> Range<usize> {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        place(self.start)..place(self.end)
    }

    /// From the beginning of this to the end of another one.
    pub(super) fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

struct Cutter {
    words: Words,
    word: Letters,
    /// Where the letters of the word begin in the buffer.
    begins: usize,
    range: Range<usize>,
    gap: Gap,
    starts: bool,
    /// One in a word, unless no letter follows.
    apostrophe: Option<Known>,
}

impl Cutter {
    /// Takes letters and digits of ASCII as long as there are any, and tells where they end.
    fn take_ascii(&mut self, text: &str, start: usize) -> usize {
        self.apostrophe = None;
        self.begin(start);
        let bytes = text.as_bytes().get(start..).unwrap_or_default();
        let mut classes = 0;
        let is_word = |byte: &&u8| {
            let class = fold::class(**byte);
            let is_word = class & WORD != 0;
            classes |= if is_word { class } else { 0 };
            is_word
        };
        let length = bytes.iter().take_while(is_word).count();
        let end = start.saturating_add(length);
        self.range.end = end;
        let room = LONGEST.saturating_sub(self.word.count).min(length);
        let from = self.words.letters.len();
        self.words.letters.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let letters = self.words.letters.get_mut(from..).unwrap_or_default();
        letters.make_ascii_lowercase();
        // Beyond its room nothing of a word counts.
        if room < length {
            classes = letters.iter().fold(0, |classes, byte| classes | fold::class(*byte));
        }
        self.word.has_letter |= classes & LETTER != 0;
        self.word.has_digit |= classes & DIGIT != 0;
        self.word.add_ascii(letters);
        end
    }

    fn take(&mut self, known: Known, range: Range<usize>) {
        if known.class & WORD == 0 {
            return self.take_sign(known.character, known.class);
        }
        let is_dense = known.class & DENSE != 0;
        if let Some(apostrophe) = self.apostrophe.take().filter(|_| is_dense) {
            self.separate(apostrophe);
        }
        if is_dense {
            self.end_word();
        }
        self.begin(range.start);
        self.range.end = range.end;
        if self.word.count < LONGEST {
            self.word.add(known.character);
            push(&mut self.words.letters, known.character);
        }
        if is_dense {
            self.word.is_dense = true;
            self.end_word();
        }
    }

    fn begin(&mut self, at: usize) {
        if self.word.count == 0 {
            self.range.start = at;
            self.begins = self.words.letters.len();
        }
    }

    fn take_sign(&mut self, character: char, class: u8) {
        if let Some(apostrophe) = self.apostrophe.take() {
            self.separate(apostrophe);
        }
        let known = Known { character, class };
        if class & fold::APOSTROPHE != 0 && self.word.count > 0 {
            self.apostrophe = Some(known);
        } else {
            self.separate(known);
        }
    }

    fn separate(&mut self, known: Known) {
        self.end_word();
        self.starts |= known.class & fold::END != 0;
        if known.class & SIGN != 0 {
            self.gap.add(known.character);
        }
    }

    fn end_word(&mut self) {
        if self.word.count == 0 {
            return;
        }
        self.words.list.push(Word {
            letters: self.word,
            gap: self.gap.hash,
            starts: self.starts,
            text: Place::of(&(self.begins..self.words.letters.len())),
            range: Place::of(&self.range),
        });
        self.word = Letters::NONE;
        self.gap = Gap::default();
        self.starts = false;
    }

    fn finish(mut self, end: usize) -> Words {
        // An apostrophe that nothing follows is none of a word, and tells nothing either.
        self.end_word();
        if self.gap.length > 0 {
            let range = Place::of(&(end..end));
            let (letters, gap) = (Letters::NONE, self.gap.hash);
            self.words.list.push(Word { letters, gap, starts: true, text: range, range });
        }
        self.words
    }
}

fn push(letters: &mut Vec<u8>, character: char) {
    letters.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Unusual symbols in a row.
#[derive(Debug, Clone, Copy)]
struct Gap {
    hash: u64,
    length: usize,
    last: Option<char>,
    /// How often the last one was there in a row.
    run: usize,
}

impl Default for Gap {
    fn default() -> Self {
        Self { hash: FNV_OFFSET, length: 0, last: None, run: 0 }
    }
}

impl Gap {
    fn add(&mut self, character: char) {
        self.run = if self.last == Some(character) { self.run.saturating_add(1) } else { 1 };
        if self.run <= RUN && self.length < GAP {
            self.hash = step(self.hash, character);
            self.length = self.length.saturating_add(1);
            self.last = Some(character);
        }
    }
}
