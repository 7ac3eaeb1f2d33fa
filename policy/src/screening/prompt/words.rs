//! Text as words, with what stands between them.

use std::ops::Range;

use super::fold::{Folding, within};

/// Scripts written without spaces, and Hangul, whose endings hide the words: each character is a word.
const DENSE: &[(u32, u32)] = &[
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
/// The longest word that is looked at, in characters: what is longer is cut here.
pub(super) const LONGEST: usize = 48;
/// So many unusual symbols between two words are looked at, and so many of a kind in a row.
const GAP: usize = 8;
const RUN: usize = 3;

/// A word: folded text, and where it was.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Empty for symbols at the end of a text.
    pub(super) text: String,
    /// The unusual symbols before it.
    pub(super) gap: String,
    /// Whether a sentence may begin here.
    pub(super) starts: bool,
    /// Where it is in the text as it was given.
    pub(super) range: Range<usize>,
}

impl Word {
    /// A character of a script without spaces.
    pub(super) fn is_dense(&self) -> bool {
        let mut characters = self.text.chars();
        matches!((characters.next(), characters.next()), (Some(only), None) if is_dense(only))
    }
}

pub(super) fn is_dense(character: char) -> bool {
    !character.is_ascii() && within(DENSE, u32::from(character))
}

/// Cuts a text into words.
pub(super) fn words(folding: &Folding, text: &str) -> Vec<Word> {
    let mut cutter = Cutter {
        words: Vec::with_capacity(text.len() / 5),
        word: String::new(),
        characters: 0,
        range: 0..0,
        gap: String::new(),
        run: 0,
        starts: true,
        apostrophe: None,
    };
    for (offset, character) in text.char_indices() {
        let range = offset..offset.saturating_add(character.len_utf8());
        folding.fold(character, |folded| cutter.take(folded, &range));
    }
    cutter.finish(text.len())
}

struct Cutter {
    words: Vec<Word>,
    word: String,
    characters: usize,
    range: Range<usize>,
    gap: String,
    /// How often the last symbol of the gap was there in a row.
    run: usize,
    starts: bool,
    /// One in a word, unless no letter follows.
    apostrophe: Option<char>,
}

impl Cutter {
    fn take(&mut self, character: char, range: &Range<usize>) {
        let is_dense = is_dense(character);
        if character.is_alphanumeric() {
            if let Some(apostrophe) = self.apostrophe.take().filter(|_| is_dense) {
                self.separate(apostrophe);
            }
            if is_dense {
                self.end_word();
                self.add(character, range);
                self.end_word();
            } else if self.characters < LONGEST {
                self.add(character, range);
            } else {
                self.range.end = range.end;
            }
            return;
        }
        if let Some(apostrophe) = self.apostrophe.take() {
            self.separate(apostrophe);
        }
        if matches!(character, '\'' | '’') && !self.word.is_empty() {
            self.apostrophe = Some(character);
        } else {
            self.separate(character);
        }
    }

    fn add(&mut self, character: char, range: &Range<usize>) {
        if self.word.is_empty() {
            self.range.start = range.start;
        }
        self.range.end = range.end;
        self.word.push(character);
        self.characters = self.characters.saturating_add(1);
    }

    fn separate(&mut self, character: char) {
        self.end_word();
        if character == ' ' {
            return;
        }
        if is_in(ENDS, character) {
            self.starts = true;
        }
        if is_space(character) || is_in(USUAL, character) {
            return;
        }
        self.run = if self.gap.ends_with(character) { self.run.saturating_add(1) } else { 1 };
        if self.run <= RUN && self.gap.chars().count() < GAP {
            self.gap.push(character);
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(Word {
                text: std::mem::take(&mut self.word),
                gap: std::mem::take(&mut self.gap),
                starts: std::mem::replace(&mut self.starts, false),
                range: self.range.clone(),
            });
            self.characters = 0;
            self.run = 0;
        }
    }

    fn finish(mut self, end: usize) -> Vec<Word> {
        self.end_word();
        if !self.gap.is_empty() {
            let range = end..end;
            self.words.push(Word { text: String::new(), gap: self.gap, starts: true, range });
        }
        self.words
    }
}

fn is_in(set: &str, character: char) -> bool {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => set.as_bytes().contains(&byte),
        _ => set.contains(character),
    }
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}
