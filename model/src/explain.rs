//! Which parts of a text weighed most.

use std::collections::BTreeMap;

use serde::Serialize;
use tract_onnx::prelude::Tensor;

use crate::canonical::Canonical;
use crate::extractor::Finding;

/// At most this many parts of a text are named.
pub const MAX_SPANS: usize = 10;

/// What adds less than this, in log-odds, is not worth naming; neither is what adds less than a
/// twentieth of the heaviest word.
const LEAST: f64 = 0.02;
const LEAST_SHARE: f64 = 0.05;

/// A part of a text that weighed in its assessment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// Its first character: an index of Unicode scalar values into the text as it was given.
    pub start: usize,
    /// The index behind its last character.
    pub end: usize,
    /// What it adds to the log-odds of a scam; below 0 it spoke for the text.
    pub weight: f32,
}

/// The words of `spelling` whose features weighed most, as places in the caller's text. Words
/// that touch and pull the same way are one span.
///
/// A feature's weight is shared by the places where it was found, and by the characters there.
pub(crate) fn spans(
    spelling: &Canonical,
    findings: &[Finding],
    ids: &[u32],
    terms: &Tensor,
) -> Vec<Span> {
    let Ok(terms) = terms.to_plain_array_view::<f32>() else { return Vec::new() };
    let mut weights: BTreeMap<u32, (f64, usize)> =
        ids.iter().zip(&terms).map(|(&id, &term)| (id, (f64::from(term), 0))).collect();
    for (id, _) in findings {
        if let Some((_, count)) = weights.get_mut(id) {
            *count += 1;
        }
    }

    // Weights by byte, as differences to the byte before, so that a long place costs no more.
    let mut steps = vec![0.0; spelling.text().len() + 1];
    for (id, place) in findings {
        let Some(&(weight, count)) = weights.get(id) else { continue };
        if place.is_empty() || count == 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most the length of a text")]
        let share = weight / count as f64 / place.len() as f64;
        if let Some(step) = steps.get_mut(place.start) {
            *step += share;
        }
        if let Some(step) = steps.get_mut(place.end) {
            *step -= share;
        }
    }
    let by_byte = steps.iter().scan(0.0, |sum, step| {
        *sum += step;
        Some(*sum)
    });
    let words = words(spelling, by_byte);
    merged(&words)
}

/// A word of the text: where it stands in the caller's, and what it weighs.
struct Word {
    start: usize,
    end: usize,
    weight: f64,
}

fn words(spelling: &Canonical, by_byte: impl Iterator<Item = f64>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    for (at, (byte, weight)) in spelling.text().bytes().zip(by_byte).enumerate() {
        if byte == b' ' {
            inside = false;
            continue;
        }
        let origin = spelling.origin(at).unwrap_or_default() as usize;
        match words.last_mut().filter(|_| inside) {
            Some(word) => {
                word.start = word.start.min(origin);
                word.end = word.end.max(origin + 1);
                word.weight += weight;
            }
            None => words.push(Word { start: origin, end: origin + 1, weight }),
        }
        inside = true;
    }
    words
}

fn merged(words: &[Word]) -> Vec<Span> {
    let heaviest = words.iter().map(|word| word.weight.abs()).fold(0.0, f64::max);
    let least = (heaviest * LEAST_SHARE).max(LEAST);
    let mut merged: Vec<Word> = Vec::new();
    let mut touches = false;
    for word in words {
        if word.weight.abs() < least {
            touches = false;
            continue;
        }
        match merged
            .last_mut()
            .filter(|last| touches && last.weight.signum() == word.weight.signum())
        {
            Some(last) => {
                last.start = last.start.min(word.start);
                last.end = last.end.max(word.end);
                last.weight += word.weight;
            }
            None => {
                merged.push(Word { start: word.start, end: word.end, weight: word.weight });
            }
        }
        touches = true;
    }
    merged.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    merged.truncate(MAX_SPANS);
    #[expect(clippy::cast_possible_truncation, reason = "log-odds")]
    let span = |word: &Word| Span { start: word.start, end: word.end, weight: word.weight as f32 };
    merged.iter().map(span).collect()
}
