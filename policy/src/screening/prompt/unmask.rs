//! Words as they are meant: lookalikes, digits for letters, letters set apart, words run together.

use super::fold::Folding;
use super::hash::{FNV_OFFSET, fnv, fnv_step};
use super::lexicon::Lexicon;
use super::words::{LONGEST, Word};

/// Digits for letters, in the order of the digits; `1` is read in two ways.
const LEET: [&str; 2] = ["oi2eas6tbg", "ol2eas6tbg"];
const LEET_LETTERS: usize = 4;
/// From so many single letters on they are one word, and from so many letters on a word is looked into.
const APART: usize = 5;
const RUN_TOGETHER: usize = 16;
/// How long the words are that are looked for in letters that run together.
const PART: std::ops::RangeInclusive<usize> = 3..=14;

/// Replaces what is in disguise.
pub(super) fn unmask(folding: &Folding, lexicon: &Lexicon, mut words: Vec<Word>) -> Vec<Word> {
    let latin = words.iter().filter(|word| has_latin(&word.text)).count();
    let is_mostly_latin = latin.saturating_mul(2) > words.len();
    for word in &mut words {
        if !word.text.is_ascii() {
            undo_lookalikes(folding, word, is_mostly_latin);
        }
        if word.text.is_ascii() && word.text.len() >= LEET_LETTERS {
            undo_leet(lexicon, word);
        }
    }
    // Nearly always there is nothing to cut or to join, and nothing to copy.
    let is_apart = |run: &[Word]| run.iter().all(|word| is_letter(&word.text));
    if !words.windows(APART).any(is_apart) && !words.iter().any(|word| runs_together(&word.text)) {
        return words;
    }
    let mut plain = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let [first, tail @ ..] = rest {
        let apart = rest.iter().take_while(|word| is_letter(&word.text)).count();
        if apart >= APART {
            let (letters, tail) = rest.split_at(apart);
            let text: String = letters.iter().map(|word| word.text.as_str()).collect();
            let end = letters.last().map_or(first.range.end, |word| word.range.end);
            split(lexicon, first, &text, end, &mut plain);
            rest = tail;
        } else if apart > 1 {
            let (letters, tail) = rest.split_at(apart);
            plain.extend_from_slice(letters);
            rest = tail;
        } else if runs_together(&first.text) {
            split(lexicon, first, &first.text, first.range.end, &mut plain);
            rest = tail;
        } else {
            plain.push(first.clone());
            rest = tail;
        }
    }
    plain
}

fn has_latin(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_all_letters(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn runs_together(word: &str) -> bool {
    word.len() >= RUN_TOGETHER && is_all_letters(word)
}

fn is_letter(word: &str) -> bool {
    word.len() == 1 && is_all_letters(word)
}

fn undo_lookalikes(folding: &Folding, word: &mut Word, is_mostly_latin: bool) {
    if word.is_dense() {
        return;
    }
    let could_be =
        || word.text.chars().all(|letter| letter.is_ascii() || folding.latin(letter).is_some());
    if has_latin(&word.text) || (is_mostly_latin && could_be()) {
        let letters = word.text.chars();
        word.text = letters.map(|letter| folding.latin(letter).unwrap_or(letter)).collect();
    }
}

fn undo_leet(lexicon: &Lexicon, word: &mut Word) {
    let bytes = word.text.bytes();
    if !bytes.clone().any(|byte| byte.is_ascii_digit())
        || !bytes.clone().any(|byte| byte.is_ascii_alphabetic())
    {
        return;
    }
    for letters in LEET {
        let letter = |digit: char| {
            let place = digit.to_digit(10).and_then(|place| usize::try_from(place).ok());
            place.and_then(|place| letters.chars().nth(place)).unwrap_or(digit)
        };
        let candidate: String = word.text.chars().map(letter).collect();
        if lexicon.holds(fnv(&candidate)) {
            word.text = candidate;
            return;
        }
    }
}

/// Cuts letters into known words, the longest first; what is between stays in one piece. All of them stand where
/// the letters stood: nobody needs to know it better.
fn split(lexicon: &Lexicon, first: &Word, letters: &str, end: usize, plain: &mut Vec<Word>) {
    let (mut gap, mut starts) = (first.gap.clone(), first.starts);
    let mut push = |text: &str| {
        plain.push(Word {
            text: text.to_owned(),
            gap: std::mem::take(&mut gap),
            starts: std::mem::take(&mut starts),
            range: first.range.start..end,
        });
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
        if PART.contains(&length) && lexicon.holds(hash) {
            longest = length;
        }
    }
    longest
}
