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

/// One word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// What it does, 0 for nothing known.
    pub(super) class: Class,
    /// Where it is in the text.
    pub(super) range: Place,
}

/// What there was beside the features.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Summary {
    /// How many words there were.
    pub(super) words: usize,
    /// How many of them are known ones in disguise.
    pub(super) rot13: usize,
    pub(super) backwards: usize,
}

/// Shows each word of a text to `take`, in order, with its features. Nothing is kept: a page has thousands of them.
pub(super) fn features(
    folding: &Folding,
    lexicon: &Lexicon,
    text: &str,
    mut take: impl FnMut(Row, &[u16]),
) -> Summary {
    let words = unmask(folding, lexicon, Words::read(folding, text));
    let mut summary = Summary { words: words.len(), ..Summary::default() };
    let mut context = Context::default();
    let mut buckets = Buckets::default();
    for (position, word) in words.iter().enumerate() {
        let Word { letters, range, .. } = word;
        buckets.count = 0;
        context.add_word(word, &mut buckets);
        let class = if letters.count() == 0 { 0 } else { lexicon.find(&words, position) };
        if class != 0 {
            context.add_class(class, word.starts, position, &mut buckets);
        } else if letters.count() >= STEM_LETTERS {
            let count = match lexicon.disguise(letters.whole) {
                Some(Disguise::Rot13) => Some(&mut summary.rot13),
                Some(Disguise::Backwards) => Some(&mut summary.backwards),
                None => None,
            };
            count.into_iter().for_each(|count| *count = count.saturating_add(1));
        }
        take(Row { class, range: *range }, buckets.as_slice());
    }
    summary
}

/// The weight of two classes being in one window, the lower first.
pub(super) fn together(first: u64, second: u64) -> u16 {
    bucket(Made::Together, first.wrapping_mul(CLASSES).wrapping_add(second))
}

/// The features of one word: at most ten.
#[derive(Default)]
struct Buckets {
    list: [u16; 16],
    count: usize,
}

impl Buckets {
    fn push(&mut self, bucket: u16) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = bucket;
            self.count = self.count.wrapping_add(1);
        }
    }

    fn as_slice(&self) -> &[u16] {
        self.list.get(..self.count).unwrap_or_default()
    }
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
    fn add_word(&mut self, word: &Word, buckets: &mut Buckets) {
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

    fn add_class(&mut self, class: Class, starts: bool, position: usize, buckets: &mut Buckets) {
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
