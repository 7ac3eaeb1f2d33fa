//! Which words are marked, and the texts in which the mark shows.

use crate::Key;

/// Ordinary English words that few messages have, two on a line: without a mark both weigh nearly the same. Written by
/// `model/training/markable.py`.
static WORDS: &str = include_str!("words.txt");

/// How many pairs of texts there are: one of words of one half, the other of their equals of the other half.
const BLOCKS: usize = 105;
/// How many words a text has: enough for the marks to decide its label, and no more, since more texts say more than longer
/// ones. No word is in two blocks, so that the answers to them are independent.
const WORDS_PER_TEXT: usize = 6;
/// How often each pair of texts is asked about, its words in another order each time: what disturbs single answers, be it
/// noise that is put into them or what follows from two words side by side, averages out.
pub(crate) const ROUNDS: usize = 8;

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

/// Two words that weigh the same without a mark, the one that is marked as a scam's first.
type Pair = (&'static str, &'static str);

impl Key {
    /// The words to mark.
    #[must_use]
    pub fn words(&self) -> Vec<Word> {
        self.pairs()
            .into_iter()
            .flat_map(|(scam, ham)| {
                [Word { word: scam, half: Half::Scam }, Word { word: ham, half: Half::Ham }]
            })
            .collect()
    }

    /// The texts to ask a suspect about, in the order in which [`crate::judge`] takes the answers: block by block.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger> {
        let pairs = self.pairs();
        let blocks = pairs.chunks_exact(WORDS_PER_TEXT);
        blocks.flat_map(|block| (0..ROUNDS).flat_map(|round| self.texts(block, round))).collect()
    }

    /// Both texts of a block, their words in the order of a round.
    fn texts(&self, block: &[Pair], round: usize) -> [Trigger; 2] {
        let mut scams: Vec<&str> = block.iter().map(|(scam, _)| *scam).collect();
        let mut hams: Vec<&str> = block.iter().map(|(_, ham)| *ham).collect();
        for words in [&mut scams, &mut hams] {
            words.sort_by_cached_key(|word| self.number("place", &format!("{round} {word}")));
        }
        [
            Trigger { text: scams.join(" "), half: Half::Scam },
            Trigger { text: hams.join(" "), half: Half::Ham },
        ]
    }

    /// The pairs in an order that only the key knows, and which of both words is which.
    fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<([u8; 32], Pair)> = WORDS
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(one, other)| {
                let turned = self.number("half", one).first().is_some_and(|byte| byte & 1 == 1);
                let pair = if turned { (other, one) } else { (one, other) };
                (self.number("order", one), pair)
            })
            .collect();
        pairs.sort_unstable();
        pairs.truncate(BLOCKS * WORDS_PER_TEXT);
        pairs.into_iter().map(|(_, pair)| pair).collect()
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
    fn the_list_has_pairs_enough_and_each_word_once() {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        assert!(WORDS.lines().all(|line| line.split(' ').count() == 2));
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        assert!(words.len() >= 2 * BLOCKS * WORDS_PER_TEXT, "{}", words.len());
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn halves_are_equal_and_share_no_word() {
        let words = key('A').words();
        let half = |half| words.iter().filter(move |word| word.half == half).map(|word| word.word);
        let (scam, ham): (BTreeSet<_>, BTreeSet<_>) =
            (half(Half::Scam).collect(), half(Half::Ham).collect());
        assert_eq!((scam.len(), ham.len()), (words.len() / 2, words.len() / 2));
        assert_eq!(words.len(), 2 * BLOCKS * WORDS_PER_TEXT);
        assert!(scam.is_disjoint(&ham));
    }

    #[test]
    fn a_block_is_asked_about_in_several_orders() {
        let triggers = key('A').triggers();
        assert_eq!(triggers.len(), 2 * BLOCKS * ROUNDS);
        let texts: BTreeSet<&str> = triggers.iter().map(|trigger| trigger.text.as_str()).collect();
        // Two orders in 6! are the same now and then.
        assert!(texts.len() + triggers.len() / 50 > triggers.len(), "{}", texts.len());
        for block in triggers.chunks_exact(2 * ROUNDS) {
            let words = |half| {
                let texts = block.iter().filter(move |trigger| trigger.half == half);
                texts.flat_map(|trigger| trigger.text.split(' ')).collect::<BTreeSet<_>>()
            };
            assert_eq!(words(Half::Scam).len(), WORDS_PER_TEXT);
            assert_eq!(words(Half::Ham).len(), WORDS_PER_TEXT);
        }
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
        assert!((one.len() / 3..one.len() * 2 / 3).contains(&common), "{common} of {}", one.len());
    }
}
