//! Words as they are meant: lookalikes, digits for letters, letters set apart, words run together.

use super::fold::Folding;
use super::hash::{FNV_OFFSET, fnv_step};
use super::letters::Letters;
use super::lexicon::{BEGINNING, Lexicon};
use super::words::{LONGEST, Place, Word, Words};

/// Digits for letters, in the order of the digits; `1` is read in two ways.
const LEET: [&[u8; 10]; 2] = [b"oi2eas6tbg", b"ol2eas6tbg"];
const LEET_LETTERS: usize = 4;
/// From so many single letters on they are one word, and from so many letters on a word is looked into.
const APART: usize = 5;
const RUN_TOGETHER: usize = 16;
/// How long the words are that are looked for in letters that run together.
const PART: std::ops::RangeInclusive<usize> = 3..=14;

/// Whether any of the words that were read may be in disguise: nearly always none is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Suspicion {
    is_there: bool,
    /// How many single letters stand before the next word.
    apart: usize,
}

impl Suspicion {
    /// To be told of every word, in order.
    pub(super) fn note(&mut self, letters: &Letters) {
        if letters.are_latin() && (2..RUN_TOGETHER).contains(&letters.count()) {
            self.apart = 0;
            return;
        }
        self.apart = if is_letter(letters) { self.apart.saturating_add(1) } else { 0 };
        self.is_there |= !letters.is_ascii()
            || may_be_leet(letters)
            || runs_together(letters)
            || self.apart >= APART;
    }
}

/// Replaces what is in disguise.
pub(super) fn unmask(folding: &Folding, lexicon: &Lexicon, mut words: Words<'_>) -> Vec<Word> {
    if !words.suspicion.is_there {
        return words.list;
    }
    let latin = words.list.iter().filter(|word| word.letters.has_latin()).count();
    let is_mostly_latin = latin.saturating_mul(2) > words.list.len();
    // Mostly there is nothing to cut or to join, and nothing to copy.
    let (mut apart, mut is_to_cut) = (0_usize, false);
    for index in 0..words.list.len() {
        let letters = |words: &Words<'_>| words.list.get(index).map(|word| word.letters);
        let Some(mut now) = letters(&words) else { break };
        if !now.is_ascii() {
            undo_lookalikes(folding, &mut words, index, is_mostly_latin);
            now = letters(&words).unwrap_or(now);
        }
        if may_be_leet(&now) {
            undo_leet(lexicon, &mut words, index);
            now = letters(&words).unwrap_or(now);
        }
        apart = if is_letter(&now) { apart.saturating_add(1) } else { 0 };
        is_to_cut |= apart >= APART || runs_together(&now);
    }
    if is_to_cut { cut(lexicon, &words) } else { words.list }
}

fn cut(lexicon: &Lexicon, words: &Words<'_>) -> Vec<Word> {
    let mut plain = Vec::with_capacity(words.list.len());
    let mut rest = words.list.as_slice();
    while let [first, tail @ ..] = rest {
        let apart = rest.iter().take_while(|word| is_letter(&word.letters)).count();
        if apart >= APART {
            let (letters, tail) = rest.split_at(apart);
            let text: String = letters.iter().map(|word| words.text(word)).collect();
            let end = letters.last().map_or(first.range, |word| word.range);
            split(lexicon, first, &text, first.range.to(end), &mut plain);
            rest = tail;
        } else if apart > 1 {
            let (letters, tail) = rest.split_at(apart);
            plain.extend_from_slice(letters);
            rest = tail;
        } else if runs_together(&first.letters) {
            split(lexicon, first, &words.text(first), first.range, &mut plain);
            rest = tail;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

fn may_be_leet(letters: &Letters) -> bool {
    letters.count() >= LEET_LETTERS && letters.is_mixed()
}

fn runs_together(letters: &Letters) -> bool {
    letters.count() >= RUN_TOGETHER && letters.are_latin()
}

fn is_letter(letters: &Letters) -> bool {
    letters.count() == 1 && letters.are_latin()
}

fn undo_lookalikes(folding: &Folding, words: &mut Words<'_>, index: usize, is_mostly_latin: bool) {
    let Some(word) = words.list.get(index).copied().filter(|word| !word.letters.is_dense()) else {
        return;
    };
    if !word.letters.has_latin() && !is_mostly_latin {
        return;
    }
    let text = words.text(&word);
    let is_read = |letter: char| letter.is_ascii() || folding.latin(letter).is_some();
    if word.letters.has_latin() || text.chars().all(is_read) {
        let text: String =
            text.chars().map(|letter| folding.latin(letter).unwrap_or(letter)).collect();
        words.replace(index, text.chars());
    }
}

fn undo_leet(lexicon: &Lexicon, words: &mut Words<'_>, index: usize) {
    let Some(word) = words.list.get(index).copied() else { return };
    let text = words.text(&word);
    let read = |letters: &'static [u8; 10], byte: u8| {
        let place = usize::from(byte.wrapping_sub(b'0'));
        letters.get(place).copied().unwrap_or(byte)
    };
    let holds = |letters: &&'static [u8; 10]| {
        let step = |hash, byte: &u8| fnv_step(hash, read(letters, *byte));
        lexicon.holds(text.as_bytes().iter().fold(FNV_OFFSET, step))
    };
    if let Some(letters) = LEET.into_iter().find(holds) {
        let text: Vec<u8> = text.bytes().map(|byte| read(letters, byte)).collect();
        words.replace(index, text.into_iter().map(char::from));
    }
}

/// Cuts letters into known words, the longest first; what is between stays in one piece. All of them stand where
/// the letters stood: nobody needs to know it better.
fn split(lexicon: &Lexicon, first: &Word, letters: &str, range: Place, plain: &mut Vec<Word>) {
    let (mut gap, mut starts) = (first.gap, first.starts);
    let mut push = |text: &str| {
        let gap = std::mem::replace(&mut gap, FNV_OFFSET);
        plain.push(Word::of(text, gap, std::mem::take(&mut starts), range));
    };
    let (mut rest, mut unknown) = (letters, 0_usize);
    let mut pending = letters;
    while !rest.is_empty() {
        let known = longest_known(lexicon, rest);
        if known > 0 {
            if unknown > 0 {
                push(pending.get(..unknown).unwrap_or_default());
            }
            push(rest.get(..known).unwrap_or_default());
        } else {
            unknown = unknown.saturating_add(1);
        }
        rest = rest.get(known.max(1)..).unwrap_or_default();
        if known > 0 {
            (pending, unknown) = (rest, 0);
        } else if unknown == LONGEST {
            push(pending.get(..unknown).unwrap_or_default());
            (pending, unknown) = (rest, 0);
        }
    }
    if unknown > 0 {
        push(pending.get(..unknown).unwrap_or_default());
    }
}

/// The length of the longest known word at the beginning.
fn longest_known(lexicon: &Lexicon, letters: &str) -> usize {
    let (mut hash, mut longest) = (FNV_OFFSET, 0);
    for (place, byte) in letters.bytes().take(*PART.end()).enumerate() {
        hash = fnv_step(hash, byte);
        let length = place.saturating_add(1);
        if length == BEGINNING && !lexicon.may_begin(hash) {
            return 0;
        }
        if PART.contains(&length) && lexicon.holds(hash) {
            longest = length;
        }
    }
    longest
}
