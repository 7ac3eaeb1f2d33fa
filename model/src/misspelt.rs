//! Words with a typing mistake in them.

use std::ops::Range;

use crate::lexicon::{LEXICON, Spelling};
use crate::reading::Letters;

/// A word that is searched among misspellings has this many letters.
const LENGTHS: Range<usize> = 5..15;

/// The word that weighs in a scam from which a word differs by one letter, or by two changed
/// places; the most frequent of several.
pub(crate) fn misspelt(word: &Letters) -> Option<Letters> {
    let letters = word.letters.as_slice();
    if !LENGTHS.contains(&letters.len()) || !letters.iter().all(u8::is_ascii_lowercase) {
        return None;
    }
    let heads: Vec<Spelling> = (0..=letters.len())
        .scan(Spelling::EMPTY, |spelling, at| {
            let head = *spelling;
            if let Some(&letter) = letters.get(at) {
                *spelling = spelling.with(letter);
            }
            Some(head)
        })
        .collect();
    let mut tail = Spelling::EMPTY;
    let mut best: Option<(u16, Change)> = None;
    let mut offer = |spelling: Spelling, change: Change| {
        if let Some(entry) = LEXICON.get(spelling).filter(|entry| entry.salient)
            && best.is_none_or(|(rank, _)| entry.rank < rank)
        {
            best = Some((entry.rank, change));
        }
    };
    // From the end: `tail` is what follows `at`.
    for at in (0..=letters.len()).rev() {
        let head = *heads.get(at)?;
        for letter in b'a'..=b'z' {
            offer(head.with(letter).then(tail), Change::Insert(at, letter));
        }
        let Some(before) = at.checked_sub(1) else { break };
        let (head, &last) = (*heads.get(before)?, letters.get(before)?);
        offer(head.then(tail), Change::Remove(before));
        for letter in b'a'..=b'z' {
            offer(head.with(letter).then(tail), Change::Replace(before, letter));
        }
        if let Some(&next) = letters.get(at) {
            // `tail` begins with `next`: the changed places end behind it.
            let behind = Spelling::of(letters.get(at + 1..)?);
            offer(head.with(next).with(last).then(behind), Change::Swap(before));
        }
        tail = Spelling::of(&[last]).then(tail);
    }
    Some(best?.1.applied(word))
}

#[derive(Clone, Copy)]
enum Change {
    Insert(usize, u8),
    Remove(usize),
    Replace(usize, u8),
    Swap(usize),
}

impl Change {
    fn applied(self, word: &Letters) -> Letters {
        let mut changed = word.clone();
        match self {
            Self::Insert(at, letter) => {
                let origin = word.origins.get(at).or(word.origins.last()).copied();
                changed.letters.insert(at, letter);
                changed.origins.insert(at, origin.unwrap_or_default());
            }
            Self::Remove(at) => {
                changed.letters.remove(at);
                changed.origins.remove(at);
            }
            Self::Replace(at, letter) => {
                if let Some(place) = changed.letters.get_mut(at) {
                    *place = letter;
                }
            }
            Self::Swap(at) => changed.letters.swap(at, at + 1),
        }
        changed
    }
}
