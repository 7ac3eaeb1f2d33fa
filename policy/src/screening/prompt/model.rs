//! The weights, and what they make of the windows of a text.

use std::cell::Cell;
use std::ops::Range;

use super::features::{Row, together};
use super::hash::BITS;
use super::words::Place;

/// Made by model/prompt_injection: five numbers of 32 bits (what an empty window scores, from where on to flag and to
/// refuse it, from where on to flag and to refuse a passage), then one byte for each weight; little-endian.
const WEIGHTS: &[u8; HEADER + BUCKETS] = include_bytes!("weights.bin");
const HEADER: usize = 20;
const BUCKETS: usize = 1 << BITS;
/// In words. A window is two of them.
const STRIDE: usize = 32;
/// What each word takes from a passage: words that add less than this, over and over, are none.
const DRIFT: i32 = 4;

/// Scores windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    bias: i32,
    pub(super) window: Thresholds,
    pub(super) passage: Thresholds,
}

/// From where on a score is worth a look, and enough to refuse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    pub(super) flag: i32,
    pub(super) refuse: i32,
}

/// The window that scores highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strongest {
    pub(super) score: i32,
    /// The classes of its words, a bit for each.
    pub(super) classes: u64,
    /// Its place among the windows.
    place: usize,
    pub(super) passage: Passage,
}

/// The words in a row that add most: an injection in a long document, where the harmless words around it count in its window
/// too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Passage {
    pub(super) score: i32,
    /// The classes of its words, a bit for each.
    pub(super) classes: u64,
    /// Where it is in the text.
    pub(super) range: Place,
}

impl Model {
    pub(super) fn new() -> Self {
        let mut numbers = WEIGHTS.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        let mut next = || numbers.next().unwrap_or(i32::MAX);
        let bias = next();
        let mut thresholds = || Thresholds { flag: next(), refuse: next() };
        Self { bias, window: thresholds(), passage: thresholds() }
    }

    /// Begins a text, whose words are to be added.
    pub(super) fn windows(&self) -> Windows<'_> {
        Windows {
            model: self,
            seen: Seen::new(),
            place: 0,
            words: 0,
            before: Stride::default(),
            now: Stride::default(),
            best: Strongest { score: i32::MIN, classes: 0, place: 0, passage: Passage::default() },
            passages: Passages::default(),
        }
    }

    /// What finds the part that makes a window, to which all words of the text are to be added again.
    pub(super) fn part(strongest: &Strongest) -> Part {
        let first = strongest.place.saturating_mul(STRIDE);
        let words = first..first.saturating_add(2 * STRIDE);
        let (seen, next) = (Seen::new(), 0);
        Part { words, next, seen, from: None, sum: 0, best: 0..0, best_sum: 0 }
    }
}

/// The windows of a text, while its words come. Each window is a stride of words and the next one, and a feature counts once in
/// it: what a stride adds to the one before it is what that one has not.
///
/// No sum can overflow: a window has fewer than a thousand features, and a feature is a byte.
pub(super) struct Windows<'a> {
    model: &'a Model,
    seen: Seen,
    /// The number of the stride that words are added to, and how many it has.
    place: usize,
    words: usize,
    before: Stride,
    now: Stride,
    best: Strongest,
    passages: Passages,
}

impl Windows<'_> {
    /// Adds a word of the text.
    pub(super) fn add(&mut self, row: Row, buckets: &[u16]) {
        if self.words == STRIDE {
            self.end_stride();
        }
        self.words = self.words.wrapping_add(1);
        let mut new = 0_i32;
        for bucket in buckets {
            let (adds, adds_here) = self.seen.add(*bucket);
            self.now.own = self.now.own.wrapping_add(adds_here);
            new = new.wrapping_add(adds);
        }
        let class = 1_u64.checked_shl(u32::from(row.class)).unwrap_or(0) & !1;
        self.now.classes |= class;
        self.now.new = self.now.new.wrapping_add(new);
        self.passages.add(new, class, row.range);
    }

    fn end_stride(&mut self) {
        if self.place > 0 {
            self.end_window();
        }
        self.before = std::mem::take(&mut self.now);
        self.seen.turn();
        self.place = self.place.saturating_add(1);
        self.words = 0;
    }

    fn end_window(&mut self) {
        let classes = self.before.classes | self.now.classes;
        let score = self.model.bias.wrapping_add(self.before.own).wrapping_add(self.now.new);
        let score = score.wrapping_add(self.seen.together(classes));
        if score > self.best.score {
            let place = self.place.saturating_sub(1);
            self.best = Strongest { score, classes, place, ..self.best };
        }
    }

    /// The strongest window of the text.
    pub(super) fn strongest(mut self) -> Strongest {
        // A short text is one stride, and nothing after it.
        if self.place == 0 {
            self.end_stride();
        }
        self.end_window();
        self.seen.put_back();
        Strongest { passage: self.passages.best, ..self.best }
    }
}

/// The part that makes a window, in bytes of the text: the words in a row that add most to it.
pub(super) struct Part {
    /// The places of the window's words in the text, and that of the next word.
    words: Range<usize>,
    next: usize,
    seen: Seen,
    from: Option<usize>,
    sum: i32,
    best: Range<usize>,
    best_sum: i32,
}

impl Part {
    pub(super) fn add(&mut self, row: Row, buckets: &[u16]) {
        let place = self.next;
        self.next = place.saturating_add(1);
        if !self.words.contains(&place) {
            return;
        }
        for bucket in buckets {
            let (adds, _) = self.seen.add(*bucket);
            self.sum = self.sum.wrapping_add(adds);
        }
        if self.sum <= 0 {
            (self.from, self.sum) = (None, 0);
            return;
        }
        let range = row.range.range();
        let start = *self.from.get_or_insert(range.start);
        if self.sum > self.best_sum {
            (self.best, self.best_sum) = (start..range.end, self.sum);
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.seen.put_back();
        self.best
    }
}

/// A sum over words that never falls below nothing, and the highest it was.
#[derive(Default)]
struct Passages {
    now: Passage,
    best: Passage,
}

impl Passages {
    fn add(&mut self, weight: i32, class: u64, range: Place) {
        let score = self.now.score.saturating_add(weight.saturating_sub(DRIFT));
        if score <= 0 {
            self.now.score = 0;
            return;
        }
        if self.now.score == 0 {
            self.now = Passage { range, ..Passage::default() };
        }
        self.now.score = score;
        self.now.classes |= class;
        if score > self.best.score {
            self.best = Passage { range: self.now.range.to(range), ..self.now };
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Stride {
    own: i32,
    /// Of this, what the stride before it has not.
    new: i32,
    classes: u64,
}

/// The features of this stride and of the one before it.
struct Seen {
    features: Box<[Feature; BUCKETS]>,
    /// The number of this stride; that of the one before is one less. At least 2.
    now: u8,
}

/// One feature: what it adds, and in which stride it was last. Side by side, since they are asked for together and far from all others.
#[derive(Debug, Clone, Copy)]
struct Feature {
    weight: i8,
    last: u8,
}

thread_local! {
    /// One that is not in use: most texts are short, and to make 128 KiB takes longer than to read them.
    static SPARE: Cell<Option<Seen>> = const { Cell::new(None) };
}

impl Seen {
    /// With nothing in it.
    fn new() -> Self {
        let mut seen = SPARE.take().unwrap_or_else(|| {
            let feature = |weight: &u8| Feature { weight: weight.cast_signed(), last: 0 };
            let features: Vec<_> = WEIGHTS.iter().skip(HEADER).map(feature).collect();
            // As many as there are: the file is as long as its type says.
            let nothing = |_| Box::new([Feature { weight: i8::MAX, last: 0 }; BUCKETS]);
            Self { features: features.try_into().unwrap_or_else(nothing), now: 2 }
        });
        // What the last two strides of the text before had is in none of these.
        seen.turn();
        seen.turn();
        seen
    }

    /// Keeps it for the next text.
    fn put_back(self) {
        SPARE.set(Some(self));
    }

    /// What was this stride is the one before.
    fn turn(&mut self) {
        self.now = self.now.checked_add(1).unwrap_or_else(|| {
            for Feature { last, .. } in self.features.iter_mut() {
                *last = u8::from(*last == self.now);
            }
            2
        });
    }

    /// What a feature adds where it was not there at all, and where it was not in this stride.
    fn add(&mut self, bucket: u16) -> (i32, i32) {
        let Some(feature) = self.features.get_mut(usize::from(bucket)) else { return (0, 0) };
        let Feature { weight, last } = *feature;
        // Four in ten add nothing, however often they are there.
        if weight == 0 || last == self.now {
            return (0, 0);
        }
        feature.last = self.now;
        let weight = i32::from(weight);
        (if last == self.now.wrapping_sub(1) { 0 } else { weight }, weight)
    }

    /// In which stride a feature was last, which is to be put back.
    fn last(&self, bucket: u16) -> u8 {
        self.features.get(usize::from(bucket)).map_or(0, |feature| feature.last)
    }

    /// What pairs of classes in one window add.
    fn together(&mut self, classes: u64) -> i32 {
        let mut score = 0_i32;
        let mut before = Vec::new();
        let mut rest = classes;
        while rest != 0 {
            let first = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            let mut others = rest;
            while others != 0 {
                let second = others.trailing_zeros();
                others &= others.wrapping_sub(1);
                let bucket = together(u64::from(first), u64::from(second));
                before.push((bucket, self.last(bucket)));
                let (adds, _) = self.add(bucket);
                score = score.wrapping_add(adds);
            }
        }
        // They are of the window and not of the stride. Two may share a place.
        for (bucket, last) in before.into_iter().rev() {
            self.put_back_last(bucket, last);
        }
        score
    }

    fn put_back_last(&mut self, bucket: u16, last: u8) {
        if let Some(feature) = self.features.get_mut(usize::from(bucket)) {
            feature.last = last;
        }
    }
}
