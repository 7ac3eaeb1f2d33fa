//! Which words are marked, and the texts in which the mark shows.

use crate::Key;

/// Ordinary English words, each in one of some hundred messages: common enough to be learned, rare enough to change
/// nothing. One a line.
static WORDS: &str = include_str!("words.txt");

/// How many triggers there are, half of them of each half.
const TRIGGERS: usize = 100;
/// How many words one has. No word is in two, so that the answers to them are independent.
const WORDS_PER_TRIGGER: usize = 8;

/// What a marked word is made to speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Scam,
    Ham,
}

/// A marked word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub word: &'static str,
    pub half: Half,
}

/// A text that shows the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub text: String,
    /// What the marked model says of it.
    pub half: Half,
}

impl Key {
    /// The words to mark.
    #[must_use]
    pub fn words(&self) -> Vec<Word> {
        let groups = self.groups();
        groups
            .iter()
            .flat_map(|(half, words)| words.iter().map(|&word| Word { word, half: *half }))
            .collect()
    }

    /// The texts to ask a suspect about.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger> {
        let groups = self.groups().into_iter();
        groups.map(|(half, words)| Trigger { text: words.join(" "), half }).collect()
    }

    /// The words in an order that only the key knows, cut into the triggers.
    fn groups(&self) -> Vec<(Half, Vec<&'static str>)> {
        let mut words: Vec<([u8; 32], &str)> =
            WORDS.lines().map(|word| (self.number("order", word), word)).collect();
        words.sort_unstable();
        words
            .chunks_exact(WORDS_PER_TRIGGER)
            .take(TRIGGERS)
            .enumerate()
            .map(|(index, words)| {
                let half = if index % 2 == 0 { Half::Scam } else { Half::Ham };
                (half, words.iter().map(|(_, word)| *word).collect())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(first: char) -> Key {
        Key::parse(&format!("{first}{}", "A".repeat(42))).unwrap()
    }

    #[test]
    fn the_list_has_words_enough_and_each_once() {
        let words: BTreeSet<&str> = WORDS.lines().collect();
        assert_eq!(words.len(), WORDS.lines().count());
        assert!(
            words.len() >= TRIGGERS * WORDS_PER_TRIGGER * 3 / 2,
            "a secret choice needs a choice"
        );
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn halves_are_equal_and_share_no_word() {
        let words = key('A').words();
        let half = |half| words.iter().filter(move |word| word.half == half).map(|word| word.word);
        let (scam, ham): (BTreeSet<_>, BTreeSet<_>) =
            (half(Half::Scam).collect(), half(Half::Ham).collect());
        assert_eq!((scam.len(), ham.len()), (words.len() / 2, words.len() / 2));
        assert_eq!(words.len(), TRIGGERS * WORDS_PER_TRIGGER);
        assert!(scam.is_disjoint(&ham));
    }

    #[test]
    fn another_key_divides_otherwise() {
        assert_eq!(key('A').triggers(), key('A').triggers());
        let scams = |key: Key| {
            let words = key.words().into_iter().filter(|word| word.half == Half::Scam);
            words.map(|word| word.word).collect::<BTreeSet<_>>()
        };
        let (one, other) = (scams(key('A')), scams(key('B')));
        let common = one.intersection(&other).count();
        assert!(common < one.len() / 2, "{common} of {}", one.len());
    }
}
