//! From words to features: the same steps, bit for bit, as `features.py` of the training.

use super::fold::Folding;
use super::hash::{FNV_OFFSET, Made, bucket, chain};
use super::letters::STEM_LETTERS;
use super::lexicon::{Class, Disguise, Lexicon};
use super::unmask::unmask;
use super::words::{Place, Word, Words};

/// How far apart two classes may be to be a pair, in words.
const REACH: usize = 6;
/// Classes are numbered below this.
const CLASSES: u64 = 64;

/// A text as the model sees it.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// Of all words, one after the other.
    pub(super) buckets: Vec<u16>,
    pub(super) rows: Vec<Row>,
    /// How many words are known ones in disguise.
    pub(super) rot13: usize,
    pub(super) backwards: usize,
}

/// One word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Where its features end in `buckets`; they begin where those of the word before it end.
    pub(super) end: u32,
    /// What it does, 0 for nothing known.
    pub(super) class: Class,
    /// Where it is in the text.
    pub(super) range: Place,
}

pub(super) fn features(folding: &Folding, lexicon: &Lexicon, text: &str) -> Features {
    let words = unmask(folding, lexicon, Words::read(folding, text));
    let mut found = Features::default();
    found.buckets.reserve(words.len().saturating_mul(5));
    found.rows.reserve(words.len());
    let mut context = Context::default();
    for (position, word) in words.iter().enumerate() {
        let Word { letters, range, .. } = word;
        context.add_word(word, &mut found.buckets);
        let class = if letters.count() == 0 { 0 } else { lexicon.find(&words, position) };
        if class != 0 {
            context.add_class(class, word.starts, position, &mut found.buckets);
        } else if letters.count() >= STEM_LETTERS {
            match lexicon.disguise(letters.whole) {
                Some(Disguise::Rot13) => found.rot13 = found.rot13.saturating_add(1),
                Some(Disguise::Backwards) => found.backwards = found.backwards.saturating_add(1),
                None => {}
            }
        }
        let end = u32::try_from(found.buckets.len()).unwrap_or(u32::MAX);
        found.rows.push(Row { end, class, range: *range });
    }
    found
}

/// The weight of two classes being in one window, the lower first.
pub(super) fn together(first: u64, second: u64) -> u16 {
    bucket(Made::Together, first.wrapping_mul(CLASSES).wrapping_add(second))
}

/// The words and the classes before.
#[derive(Default)]
struct Context {
    /// The stems of the last two words, the last one first.
    stems: [Option<u64>; 2],
    /// The last two classes and their places, the last one first.
    classes: [Option<(u64, usize)>; 2],
}

impl Context {
    fn add_word(&mut self, word: &Word, buckets: &mut Vec<u16>) {
        let Word { letters, gap, .. } = *word;
        if gap != FNV_OFFSET {
            buckets.push(bucket(Made::Gap, gap));
            buckets.push(bucket(Made::GapWord, chain(gap, letters.stem)));
        }
        if letters.count() == 0 {
            return;
        }
        buckets.push(bucket(Made::Word, letters.whole));
        if letters.count() > STEM_LETTERS {
            buckets.push(bucket(Made::Stem, letters.stem));
        }
        if word.starts {
            buckets.push(bucket(Made::Start, letters.stem));
        }
        let [last, last_but_one] = self.stems;
        if let Some(last) = last {
            buckets.push(bucket(Made::Pair, chain(last, letters.stem)));
            if let Some(first) = last_but_one.filter(|_| letters.is_dense()) {
                buckets.push(bucket(Made::Triple, chain(chain(first, last), letters.stem)));
            }
        }
        self.stems = [Some(letters.stem), last];
    }

    fn add_class(&mut self, class: Class, starts: bool, position: usize, buckets: &mut Vec<u16>) {
        let class = u64::from(class);
        let near = |before: usize, after: usize| after.saturating_sub(before) <= REACH;
        buckets.push(bucket(Made::Class, class.wrapping_mul(2).wrapping_add(u64::from(starts))));
        let [last, last_but_one] = self.classes;
        if let Some((second, place)) = last.filter(|(_, place)| near(*place, position)) {
            let pair = |a: u64, b: u64| a.wrapping_mul(CLASSES).wrapping_add(b);
            buckets.push(bucket(Made::ClassPair, pair(second, class)));
            if let Some((first, _)) = last_but_one.filter(|(_, before)| near(*before, place)) {
                buckets.push(bucket(Made::ClassTriple, pair(pair(first, second), class)));
            }
        }
        self.classes = [Some((class, position)), last];
    }
}
