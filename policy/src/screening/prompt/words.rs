//! Text as words, with what stands between them. One pass, and nothing is allocated for a word: what the model wants to know of
//! its letters is hashed on the way, and where they are ASCII they stay in the text.

use std::borrow::Cow;
use std::ops::Range;

use super::fold::{self, APOSTROPHE, DENSE, Folding, Known, SIGN, WORD};
use super::hash::{FNV_OFFSET, step};
use super::letters::{Letters, ascii_letters, small};
use super::unmask::Suspicion;

/// The longest word that is looked at, in characters: what is longer is cut here.
pub(super) const LONGEST: usize = 48;
/// So many unusual symbols between two words are looked at, and so many of a kind in a row.
const GAP: usize = 8;
const RUN: usize = 3;

/// A text cut into words.
#[derive(Debug)]
pub(super) struct Words<'a> {
    pub(super) list: Vec<Word>,
    /// Whether any may be in disguise.
    pub(super) suspicion: Suspicion,
    text: &'a str,
    /// The folded letters of the words that are not ASCII in the text: UTF-8, since whole characters are added.
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
    /// Where its letters are in the buffer; of none they are in the text.
    letters_at: Place,
    /// Where it is in the text as it was given.
    pub(super) range: Place,
}

/// A range of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

impl<'a> Words<'a> {
    /// Cuts a text.
    pub(super) fn read(folding: &Folding, text: &'a str) -> Self {
        let words = Self {
            // Letters and a blank: of hardly any text are words shorter, and to grow is to copy all of them.
            list: Vec::with_capacity(text.len() / 4),
            suspicion: Suspicion::default(),
            text,
            letters: Vec::new(),
        };
        let mut cutter = Cutter {
            words,
            word: Letters::NONE,
            keeps: false,
            begins: 0,
            range: 0..0,
            gap: Gap::default(),
            starts: true,
            apostrophe: None,
        };
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let class = fold::class(byte);
            if class & WORD != 0 {
                at = cutter.take_ascii(bytes, at);
            } else if byte == b' ' && cutter.apostrophe.is_none() {
                // What is most often between two words.
                if cutter.word.count() > 0 {
                    cutter.end_word();
                }
                at = at.saturating_add(1);
            } else if byte.is_ascii() {
                cutter.take_sign(char::from(byte), class);
                at = at.saturating_add(1);
            } else {
                let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                    break;
                };
                let end = at.saturating_add(character.len_utf8());
                folding.fold_known(character, |known| cutter.take(known, at..end));
                at = end;
            }
        }
        cutter.finish(text.len())
    }

    /// The letters of a word.
    pub(super) fn text(&self, word: &Word) -> Cow<'_, str> {
        if word.letters_at != Place::default() {
            let letters = self.letters.get(word.letters_at.range()).unwrap_or_default();
            return Cow::Borrowed(std::str::from_utf8(letters).unwrap_or_default());
        }
        let letters = ascii_letters(self.text.as_bytes(), word.range.range());
        Cow::Owned(letters.take(LONGEST).map(char::from).collect())
    }

    /// Gives a word other letters.
    pub(super) fn replace(&mut self, index: usize, characters: impl Iterator<Item = char>) {
        let start = self.letters.len();
        let mut letters = Letters::NONE;
        for character in characters {
            letters.add(character);
            push(&mut self.letters, character);
        }
        let letters_at = Place::of(&(start..self.letters.len()));
        if let Some(word) = self.list.get_mut(index) {
            (word.letters, word.letters_at) = (letters, letters_at);
        }
    }
}

impl Word {
    /// A word of letters that are nowhere else.
    pub(super) fn of(text: &str, gap: u64, starts: bool, range: Place) -> Self {
        let mut letters = Letters::NONE;
        text.chars().for_each(|character| letters.add(character));
        Self { letters, gap, starts, letters_at: Place::default(), range }
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

struct Cutter<'a> {
    words: Words<'a>,
    word: Letters,
    /// Whether the letters of the word are in the buffer, and where they begin there.
    keeps: bool,
    begins: usize,
    range: Range<usize>,
    gap: Gap,
    starts: bool,
    /// One in a word, unless no letter follows.
    apostrophe: Option<Known>,
}

impl<'a> Cutter<'a> {
    /// Takes letters and digits of ASCII as long as there are any, and tells where they end.
    fn take_ascii(&mut self, text: &[u8], start: usize) -> usize {
        self.apostrophe = None;
        let rest = text.get(start..).unwrap_or_default();
        let mut length = 0;
        if self.word.count() == 0 {
            let letters = Letters::of_ascii(rest);
            length = letters.count();
            let end = start.saturating_add(length);
            let ends = |next: u8| next.is_ascii() && fold::class(next) & (WORD | APOSTROPHE) == 0;
            if rest.get(length).is_none_or(|next| ends(*next)) {
                // As most words are: whole, and of nothing else.
                self.push(letters, Place::default(), Place::of(&(start..end)));
                return end;
            }
            self.range.start = start;
            self.word = letters;
        }
        // The rest of a word, of which some may be beyond what is looked at.
        if length == 0 || length == LONGEST {
            let rest = rest.get(length..).unwrap_or_default();
            let more = rest.iter().take_while(|byte| fold::class(**byte) & WORD != 0);
            for byte in more {
                length = length.saturating_add(1);
                self.add(char::from(small(*byte)));
            }
        }
        self.range.end = start.saturating_add(length);
        self.range.end
    }

    /// A letter more, unless there are too many.
    fn add(&mut self, letter: char) {
        if self.word.count() < LONGEST {
            self.word.add(letter);
            if self.keeps {
                push(&mut self.words.letters, letter);
            }
        }
    }

    /// Has the letters of the word in the buffer, also those that came before.
    fn keep(&mut self) {
        if self.keeps {
            return;
        }
        self.keeps = true;
        self.begins = self.words.letters.len();
        if self.word.count() > 0 {
            let letters = ascii_letters(self.words.text.as_bytes(), self.range.clone());
            self.words.letters.extend(letters.take(LONGEST));
        }
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
        self.keep();
        if self.word.count() == 0 {
            self.range.start = range.start;
        }
        self.range.end = range.end;
        self.add(known.character);
        if is_dense {
            self.word.set_dense();
            self.end_word();
        }
    }

    fn take_sign(&mut self, character: char, class: u8) {
        if let Some(apostrophe) = self.apostrophe.take() {
            self.separate(apostrophe);
        }
        let known = Known { character, class };
        if class & APOSTROPHE != 0 && self.word.count() > 0 {
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
        if self.word.count() == 0 {
            return;
        }
        let kept = self.begins..self.words.letters.len();
        let letters_at = if self.keeps { Place::of(&kept) } else { Place::default() };
        self.push(self.word, letters_at, Place::of(&self.range));
        self.word = Letters::NONE;
        self.keeps = false;
    }

    fn push(&mut self, letters: Letters, letters_at: Place, range: Place) {
        self.words.suspicion.note(&letters);
        let (gap, starts) = (self.gap.hash, self.starts);
        self.words.list.push(Word { letters, gap, starts, letters_at, range });
        if self.gap.length > 0 {
            self.gap = Gap::default();
        }
        self.starts = false;
    }

    fn finish(mut self, end: usize) -> Words<'a> {
        // An apostrophe that nothing follows is none of a word, and tells nothing either.
        self.end_word();
        if self.gap.length > 0 {
            let range = Place::of(&(end..end));
            let (letters, gap) = (Letters::NONE, self.gap.hash);
            let letters_at = Place::default();
            self.words.list.push(Word { letters, gap, starts: true, letters_at, range });
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
