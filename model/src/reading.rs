//! How a reader makes a word of disguised letters.

use std::ops::Range;

use crate::canonical::Canonical;
use crate::lexicon::{Entry, LEXICON, LONGEST, Spelling};
use crate::misspelt::misspelt;

/// Letters that a reader sees, each with the character of the caller's text it stems from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Letters {
    pub(crate) letters: Vec<u8>,
    pub(crate) origins: Vec<u32>,
}

/// Fewer letters than this are not several words joined.
const SHORTEST_JOINED: usize = 8;
/// How many characters with two readings are read in both ways.
const AMBIGUOUS: u32 = 3;

impl Letters {
    pub(crate) fn of(text: &Canonical, bytes: Range<usize>) -> Self {
        let mut letters = Self::default();
        letters.extend(text, bytes);
        letters
    }

    pub(crate) fn extend(&mut self, text: &Canonical, bytes: Range<usize>) {
        for at in bytes {
            if let (Some(&byte), Some(origin)) = (text.text().as_bytes().get(at), text.origin(at)) {
                self.push(byte, origin);
            }
        }
    }

    fn push(&mut self, letter: u8, origin: u32) {
        self.letters.push(letter);
        self.origins.push(origin);
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(crate) fn is_word(&self) -> bool {
        LEXICON.contains(&self.letters)
    }

    pub(crate) fn origin(&self) -> u32 {
        self.origins.first().copied().unwrap_or_default()
    }

    pub(crate) fn push_to(&self, out: &mut Canonical) {
        for (&letter, &origin) in self.letters.iter().zip(&self.origins) {
            out.push(char::from(letter), origin);
        }
    }

    /// The letters alone, without the marks between them.
    pub(crate) fn stripped(text: &Canonical, bytes: Range<usize>) -> Self {
        let all = Self::of(text, bytes);
        let kept =
            all.letters.iter().zip(&all.origins).filter(|(byte, _)| byte.is_ascii_lowercase());
        let (letters, origins) = kept.unzip();
        Self { letters, origins }
    }

    /// The word that a chunk with marks, digits or signs among its letters is read as.
    pub(crate) fn read(text: &Canonical, bytes: Range<usize>) -> Option<Self> {
        let whole = text.text().get(bytes.clone())?;
        let letters = whole.bytes().filter(u8::is_ascii_lowercase).count();
        let digits = whole.bytes().filter(u8::is_ascii_digit).count();
        let has_marks = whole.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'\'');
        if letters < 2 || digits > letters.max(3) || (digits == 0 && !has_marks) {
            return None;
        }
        let parts = || whole.split(|letter: char| !letter.is_ascii_lowercase());
        if digits == 0 && parts().all(|part| part.len() > 1 && LEXICON.contains(part.as_bytes())) {
            return None;
        }
        let single = parts().filter(|part| !part.is_empty()).all(|part| part.len() == 1);
        if has_marks && digits == 0 {
            let stripped = Self::stripped(text, bytes.clone());
            if let Some(word) = stripped.as_word(single) {
                return Some(word);
            }
        }
        // "1st" and "7th" are what they are.
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| !byte.is_ascii_digit());
        if whole.len() < 4 && !(ends(whole.bytes().next()) && ends(whole.bytes().last())) {
            return None;
        }
        (0..1 << AMBIGUOUS)
            .map_while(|choice| Self::substituted(text, bytes.clone(), choice))
            .find_map(|letters| letters.as_word(single))
    }

    fn as_word(&self, single: bool) -> Option<Self> {
        let entry = (self.len() <= LONGEST)
            .then(|| LEXICON.get(Spelling::of(&self.letters)))
            .flatten()
            .filter(|entry| self.len() >= 4 || (self.len() == 3 && entry.salient));
        if entry.is_some() {
            return Some(self.clone());
        }
        if single && let Some(words) = segments(&self.letters) {
            let mut spaced = Self::default();
            for (from, to) in words {
                let origins = self.origins.get(from..to)?;
                if spaced.len() > 0 {
                    spaced.push(b' ', origins.first().copied()?);
                }
                spaced.letters.extend_from_slice(self.letters.get(from..to)?);
                spaced.origins.extend_from_slice(origins);
            }
            return Some(spaced);
        }
        misspelt(self)
    }

    /// With letters for the digits and signs that stand for them; `choice` has a bit for each
    /// that stands for two. `None` where there are fewer choices than that.
    fn substituted(text: &Canonical, bytes: Range<usize>, choice: u32) -> Option<Self> {
        let mut letters = Self::default();
        let mut ambiguous = 0;
        let mut substituted = false;
        for at in bytes {
            let (&byte, origin) = (text.text().as_bytes().get(at)?, text.origin(at)?);
            if byte.is_ascii_lowercase() {
                letters.push(byte, origin);
                continue;
            }
            let Some((first, second)) = stands_for(byte) else { continue };
            substituted = true;
            let takes_second = first != second && ambiguous < AMBIGUOUS && {
                ambiguous += 1;
                choice & (1 << (ambiguous - 1)) != 0
            };
            letters.push(if takes_second { second } else { first }, origin);
        }
        (substituted && choice < 1 << ambiguous).then_some(letters)
    }

    /// "freeee" as "free" or "fre": letters three times in a row.
    pub(crate) fn squeezed(&self) -> Option<Self> {
        let (mut twice, mut once) = (Self::default(), Self::default());
        let mut run = 0;
        for (index, (&letter, &origin)) in self.letters.iter().zip(&self.origins).enumerate() {
            let before = index.checked_sub(1).and_then(|before| self.letters.get(before));
            run = if before == Some(&letter) { run + 1 } else { 1 };
            if run <= 2 {
                twice.push(letter, origin);
            }
            if run == 1 {
                once.push(letter, origin);
            }
        }
        if twice.len() == self.len() {
            return None;
        }
        [twice, once].into_iter().find(|word| word.len() >= 3 && word.is_word())
    }
}

/// What a digit or sign stands for among letters: the usual reading and another one.
fn stands_for(byte: u8) -> Option<(u8, u8)> {
    Some(match byte {
        b'0' => (b'o', b'o'),
        b'1' => (b'i', b'l'),
        b'2' => (b'z', b'z'),
        b'3' => (b'e', b'e'),
        b'4' | b'@' => (b'a', b'a'),
        b'5' | b'$' => (b's', b's'),
        b'6' => (b'g', b'b'),
        b'7' | b'+' => (b't', b't'),
        b'8' => (b'b', b'b'),
        b'9' => (b'g', b'g'),
        b'!' => (b'i', b'l'),
        b'|' => (b'l', b'i'),
        b'(' => (b'c', b'c'),
        _ => return None,
    })
}

/// Where the words of a run of letters begin and end, if it is several words joined: the most
/// likely way to cut it, found by dynamic programming over its places.
pub(crate) fn segments(run: &[u8]) -> Option<Vec<(usize, usize)>> {
    /// For a letter that belongs to no word, in tenths of a nat as the words' costs.
    const STRANGER: u32 = 110;
    if run.len() < SHORTEST_JOINED {
        return None;
    }
    // The best way to each place: its cost, and the length of its last word (0 for a stranger).
    let mut best: Vec<(u32, usize)> = vec![(u32::MAX, 0); run.len() + 1];
    *best.first_mut()? = (0, 0);
    for start in 0..run.len() {
        let (cost, _) = *best.get(start)?;
        if let Some(next) = best.get_mut(start + 1)
            && cost.saturating_add(STRANGER) < next.0
        {
            *next = (cost.saturating_add(STRANGER), 0);
        }
        let mut spelling = Spelling::EMPTY;
        for (length, &letter) in (1..=LONGEST).zip(run.iter().skip(start)) {
            spelling = spelling.with(letter);
            if length == 1 && letter != b'a' && letter != b'i' {
                continue;
            }
            let Some(entry) = LEXICON.get(spelling) else { continue };
            let total = cost.saturating_add(word_cost(entry, length));
            if let Some(next) = best.get_mut(start + length)
                && total < next.0
            {
                *next = (total, length);
            }
        }
    }

    let mut words = Vec::new();
    let (mut at, mut strangers) = (run.len(), 0);
    while at > 0 {
        let (_, length) = *best.get(at)?;
        let from = at.saturating_sub(length.max(1));
        match words.last_mut() {
            // Strangers in a row are one word.
            Some((start, _, false)) if length == 0 => *start = from,
            _ => words.push((from, at, length > 0)),
        }
        strangers += usize::from(length == 0);
        at = from;
    }
    words.reverse();
    let known = words.iter().filter(|(.., known)| *known).count();
    let enough = known >= 2 && strangers * 6 <= run.len() && words.len() * 3 <= run.len();
    enough.then(|| words.into_iter().map(|(from, to, _)| (from, to)).collect())
}

/// In tenths of a nat: rarer words cost more, and so do short ones, which are found everywhere.
fn word_cost(entry: Entry, length: usize) -> u32 {
    let frequency = (u32::from(entry.rank) + 10).ilog2() * 7;
    let short = match length {
        1 => 40,
        2 => 25,
        3 if entry.rank > 300 => 25,
        _ => 0,
    };
    20 + frequency + short
}
