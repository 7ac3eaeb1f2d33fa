//! The weights, and what they make of the windows of a text.

use std::cell::Cell;
use std::ops::Range;

use super::features::{Features, Row, together};
use super::hash::BITS;
use super::words::Place;

/// Made by model/prompt_injection: five numbers of 32 bits (what an empty window scores, from where on to flag and to
/// refuse it, from where on to flag and to refuse a passage), then one byte for each weight; little-endian.
const WEIGHTS: &[u8] = include_bytes!("weights.bin");
const HEADER: usize = 20;
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
    weights: &'static [u8],
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
        let (header, weights) = WEIGHTS.split_at_checked(HEADER).unwrap_or((&[], &[]));
        let mut numbers = header.chunks_exact(4).map(|bytes| {
            bytes.iter().rev().fold(0_i32, |number, byte| number << 8 | i32::from(*byte))
        });
        let mut next = || numbers.next().unwrap_or(i32::MAX);
        let bias = next();
        let mut thresholds = || Thresholds { flag: next(), refuse: next() };
        Self { bias, window: thresholds(), passage: thresholds(), weights }
    }

    /// The strongest window of a text. Each window is a stride of words and the next one, and a feature counts once in
    /// it: what a stride adds to the one before it is what that one has not.
    pub(super) fn strongest(&self, features: &Features) -> Strongest {
        let mut seen = Seen::new();
        let mut passages = Passages::default();
        let mut before = self.stride(features, 0, &mut seen, &mut passages);
        let passage = Passage::default();
        let mut best = Strongest { score: i32::MIN, classes: 0, place: 0, passage };
        let mut place = 0_usize;
        while place == 0 || stride_rows(features, place.saturating_add(1)).next().is_some() {
            place = place.saturating_add(1);
            seen.turn();
            let next = self.stride(features, place, &mut seen, &mut passages);
            let classes = before.classes | next.classes;
            let score = self.bias.saturating_add(before.own).saturating_add(next.new);
            let score = score.saturating_add(self.together(classes, &mut seen));
            if score > best.score {
                best = Strongest { score, classes, place: place.saturating_sub(1), passage };
            }
            for (_, buckets) in stride_rows(features, place.saturating_sub(1)) {
                seen.forget(buckets);
            }
            before = next;
        }
        for (_, buckets) in stride_rows(features, place) {
            seen.take_back(buckets);
        }
        seen.put_back();
        best.passage = passages.best;
        best
    }

    /// What a stride scores alone, and after the stride before it.
    fn stride(
        &self,
        features: &Features,
        place: usize,
        seen: &mut Seen,
        passages: &mut Passages,
    ) -> Stride {
        let mut stride = Stride::default();
        for (row, buckets) in stride_rows(features, place) {
            let class = 1_u64.checked_shl(u32::from(row.class)).unwrap_or(0) & !1;
            stride.classes |= class;
            let mut new = 0_i32;
            for bucket in buckets {
                let weight = self.weight(*bucket);
                // Four in ten add nothing, however often they are there.
                if weight == 0 {
                    continue;
                }
                let (is_new, is_new_here) = seen.add(*bucket);
                stride.own = stride.own.saturating_add(if is_new_here { weight } else { 0 });
                new = new.saturating_add(if is_new { weight } else { 0 });
            }
            stride.new = stride.new.saturating_add(new);
            passages.add(new, class, row.range);
        }
        stride
    }

    /// What pairs of classes in one window add.
    fn together(&self, classes: u64, seen: &mut Seen) -> i32 {
        let mut score = 0_i32;
        let mut added = Vec::new();
        let mut rest = classes;
        while rest != 0 {
            let first = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            let mut others = rest;
            while others != 0 {
                let second = others.trailing_zeros();
                others &= others.wrapping_sub(1);
                let bucket = together(u64::from(first), u64::from(second));
                if seen.has(bucket) {
                    continue;
                }
                seen.add(bucket);
                added.push(bucket);
                score = score.saturating_add(self.weight(bucket));
            }
        }
        seen.take_back(&added);
        score
    }

    fn weight(&self, bucket: u16) -> i32 {
        self.weights.get(usize::from(bucket)).map_or(0, |weight| i32::from(weight.cast_signed()))
    }

    /// The part that makes a window, in bytes of the text: the words in a row that add most to it.
    pub(super) fn part(&self, features: &Features, strongest: &Strongest) -> Range<usize> {
        let mut seen = Seen::new();
        let (mut best, mut best_sum) = (0..0, 0);
        let (mut from, mut sum) = (None, 0_i32);
        let next = strongest.place.saturating_add(1);
        for (row, buckets) in
            stride_rows(features, strongest.place).chain(stride_rows(features, next))
        {
            for bucket in buckets {
                let (is_new, _) = seen.add(*bucket);
                sum = sum.saturating_add(if is_new { self.weight(*bucket) } else { 0 });
            }
            if sum <= 0 {
                (from, sum) = (None, 0);
                continue;
            }
            let range = row.range.range();
            let start = *from.get_or_insert(range.start);
            if sum > best_sum {
                (best, best_sum) = (start..range.end, sum);
            }
        }
        best
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
        let score = self.now.score.saturating_add(weight).saturating_sub(DRIFT);
        if score <= 0 {
            self.now.score = 0;
            return;
        }
        let before =
            if self.now.score > 0 { self.now } else { Passage { range, ..Passage::default() } };
        let classes = before.classes | class;
        self.now = Passage { score, classes, range: before.range.to(range) };
        if score > self.best.score {
            self.best = self.now;
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

/// The words of a stride, with their features.
fn stride_rows(features: &Features, place: usize) -> impl Iterator<Item = (&Row, &[u16])> {
    let start = place.saturating_mul(STRIDE);
    let end = start.saturating_add(STRIDE).min(features.rows.len());
    let first = start.checked_sub(1).and_then(|before| features.rows.get(before));
    let mut from = first.map_or(0, |row| row.end);
    features.rows.get(start..end).unwrap_or_default().iter().map(move |row| {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let buckets = features.buckets.get(place(from)..place(row.end)).unwrap_or_default();
        from = row.end;
        (row, buckets)
    })
}

/// The features of this stride and of the one before it, a bit each.
struct Seen {
    words: Box<Bits>,
    is_odd: bool,
}

const SEEN_WORDS: usize = 1 << (BITS - 6);

type Bits = [[u64; 2]; SEEN_WORDS];

thread_local! {
    /// One that is not in use, with nothing in it: most texts are short, and to make 16 KiB of nothing takes longer than to read them.
    static SPARE: Cell<Option<Box<Bits>>> = const { Cell::new(None) };
}

impl Seen {
    fn new() -> Self {
        let words = SPARE.take().unwrap_or_else(|| Box::new([[0; 2]; SEEN_WORDS]));
        Self { words, is_odd: false }
    }

    /// Keeps it for the next text. There must be nothing left in it.
    fn put_back(self) {
        debug_assert!(self.words.iter().all(|word| *word == [0; 2]));
        SPARE.set(Some(self.words));
    }

    /// What was this stride is the one before.
    fn turn(&mut self) {
        self.is_odd = !self.is_odd;
    }

    /// Whether a feature was not there at all, and not in this stride.
    fn add(&mut self, bucket: u16) -> (bool, bool) {
        let bit = 1_u64 << (bucket & 63);
        let Some([even, odd]) = self.words.get_mut(usize::from(bucket >> 6)) else {
            return (false, false);
        };
        let (here, before) = if self.is_odd { (odd, even) } else { (even, odd) };
        let is_new_here = *here & bit == 0;
        let is_new = is_new_here && *before & bit == 0;
        *here |= bit;
        (is_new, is_new_here)
    }

    fn has(&self, bucket: u16) -> bool {
        let bit = 1_u64 << (bucket & 63);
        self.words.get(usize::from(bucket >> 6)).is_some_and(|[even, odd]| (even | odd) & bit != 0)
    }

    /// Of this stride.
    fn take_back(&mut self, buckets: &[u16]) {
        self.clear(buckets, self.is_odd);
    }

    /// Of the stride before.
    fn forget(&mut self, buckets: &[u16]) {
        self.clear(buckets, !self.is_odd);
    }

    fn clear(&mut self, buckets: &[u16], is_odd: bool) {
        for bucket in buckets {
            if let Some([even, odd]) = self.words.get_mut(usize::from(bucket >> 6)) {
                let word = if is_odd { odd } else { even };
                *word &= !(1_u64 << (bucket & 63));
            }
        }
    }
}
