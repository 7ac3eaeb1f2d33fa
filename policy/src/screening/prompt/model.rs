//! The weights, and what they make of the windows of a text.

use std::ops::Range;

use super::features::{Features, Row, together};
use super::hash::BITS;

/// Made by model/prompt_injection: three numbers of 32 bits (what an empty window scores, from where on to flag and to
/// refuse), then one byte for each weight; little-endian.
const WEIGHTS: &[u8] = include_bytes!("weights.bin");
const HEADER: usize = 12;
/// In words.
const WINDOW: usize = 64;
const STRIDE: usize = 32;

/// Scores windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    bias: i32,
    pub(super) flag: i32,
    pub(super) refuse: i32,
    weights: &'static [u8],
}

/// The window that scores highest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strongest {
    pub(super) score: i32,
    /// The classes of its words, a bit for each.
    pub(super) classes: u64,
    /// The part that makes it, in bytes of the text.
    pub(super) range: Range<usize>,
}

impl Model {
    pub(super) fn new() -> Self {
        let (header, weights) = WEIGHTS.split_at_checked(HEADER).unwrap_or((&[], &[]));
        let mut numbers = header.chunks_exact(4).map(|bytes| {
            bytes.iter().rev().fold(0_i32, |number, byte| number << 8 | i32::from(*byte))
        });
        let mut next = || numbers.next().unwrap_or(i32::MAX);
        Self { bias: next(), flag: next(), refuse: next(), weights }
    }

    /// The strongest window of a text.
    pub(super) fn strongest(&self, features: &Features) -> Strongest {
        let mut seen = Seen::new();
        let (mut best, mut best_at) = (self.window(features, 0, &mut seen), 0);
        let mut start = 0_usize;
        while start.saturating_add(WINDOW) < features.rows.len() {
            start = start.saturating_add(STRIDE);
            let window = self.window(features, start, &mut seen);
            if window.0 > best.0 {
                (best, best_at) = (window, start);
            }
        }
        let (score, classes) = best;
        let range = self.passage(features, window_rows(features, best_at), &mut seen);
        Strongest { score, classes, range }
    }

    /// What a window scores, and the classes of its words.
    fn window(&self, features: &Features, start: usize, seen: &mut Seen) -> (i32, u64) {
        let (mut score, mut classes) = (self.bias, 0_u64);
        seen.clear();
        for row in window_rows(features, start) {
            score = score.saturating_add(self.row(features, row, seen));
            classes |= 1_u64.checked_shl(u32::from(row.class)).unwrap_or(0);
        }
        classes &= !1;
        let mut rest = classes;
        while rest != 0 {
            let first = rest.trailing_zeros();
            rest &= rest.wrapping_sub(1);
            let mut others = rest;
            while others != 0 {
                let second = others.trailing_zeros();
                others &= others.wrapping_sub(1);
                let bucket = together(u64::from(first), u64::from(second));
                score = score.saturating_add(self.new_weight(bucket, seen));
            }
        }
        (score, classes)
    }

    /// What a word adds to a window.
    fn row(&self, features: &Features, row: &Row, seen: &mut Seen) -> i32 {
        let buckets = features.buckets.get(row.features.clone()).unwrap_or_default();
        buckets.iter().fold(0_i32, |sum, bucket| sum.saturating_add(self.new_weight(*bucket, seen)))
    }

    fn new_weight(&self, bucket: u16, seen: &mut Seen) -> i32 {
        if !seen.is_new(bucket) {
            return 0;
        }
        self.weights.get(usize::from(bucket)).map_or(0, |weight| i32::from(weight.cast_signed()))
    }

    /// The words in a row that add most to a window.
    fn passage(&self, features: &Features, rows: &[Row], seen: &mut Seen) -> Range<usize> {
        seen.clear();
        let (mut best, mut best_sum) = (0..0, 0);
        let (mut from, mut sum) = (None, 0_i32);
        for row in rows {
            sum = sum.saturating_add(self.row(features, row, seen));
            if sum <= 0 {
                (from, sum) = (None, 0);
                continue;
            }
            let start = *from.get_or_insert(row.range.start);
            if sum > best_sum {
                (best, best_sum) = (start..row.range.end, sum);
            }
        }
        best
    }
}

fn window_rows(features: &Features, start: usize) -> &[Row] {
    let end = start.saturating_add(WINDOW).min(features.rows.len());
    features.rows.get(start..end).unwrap_or_default()
}

/// The features of a window so far: each counts once.
struct Seen(Box<[u64; SEEN_WORDS]>);

const SEEN_WORDS: usize = 1 << (BITS - 6);

impl Seen {
    fn new() -> Self {
        Self(Box::new([0; SEEN_WORDS]))
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn is_new(&mut self, bucket: u16) -> bool {
        let bit = 1_u64 << (bucket & 63);
        let Some(word) = self.0.get_mut(usize::from(bucket >> 6)) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
