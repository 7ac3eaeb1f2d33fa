//! From text to the numbers that the model reads.
//!
//! A text becomes a sparse vector over [`BUCKETS`] hashed buckets: words and pairs of words,
//! characters two to five in a row, and the shapes of links, addresses, amounts and numbers.
//! The training tools call this same code, so that what is learned is what is served.
//!
//! A text has several such vectors, its views: normalised (see [`crate::normalise`]), and where
//! that makes a difference as written, with its obfuscated spellings read (see
//! [`crate::respell`]), and in stretches.

use std::ops::Range;

use crate::canonical::Canonical;
use crate::extractor::{Extractor, Finding};
#[cfg(doc)]
use crate::hash::BUCKETS;
use crate::normalise::{Normalised, normalise};
use crate::respell::respell;
use crate::tokens::{Token, tokens};

/// Longest canonical text that is read, in characters. Longer ones are refused, never cut: what is
/// cut off is where the scam would stand.
pub const MAX_CHARACTERS: usize = 64 * 1024;

/// Length of a window, in bytes of canonical text, and the distance from one window to the next.
const WINDOW: usize = 240;
const STRIDE: usize = 120;

/// A sparse vector: `values[i]` stands in bucket `ids[i]`. Ids are distinct and below [`BUCKETS`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    pub ids: Vec<u32>,
    pub values: Vec<f32>,
}

/// How a text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// In its canonical spelling. Always the first view of a text.
    Normalised,
    /// As written, where that differs from the canonical spelling by more than case, white space
    /// and the accents of real languages.
    Written,
    /// With its obfuscated spellings brought back to words, where there are any.
    Respelled,
    /// A stretch of a text longer than one window, so that a scam does not drown in harmless
    /// words around it. Windows overlap.
    Window,
}

/// All views of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    pub all: Vec<(View, Features)>,
    /// How many characters no reader sees.
    pub invisible: usize,
    /// How many characters stand for the one they look like.
    pub look_alikes: usize,
}

/// The text has more than [`MAX_CHARACTERS`] characters in its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text has more than {MAX_CHARACTERS} characters")]
pub struct TextTooLong;

/// Computes the features of a text.
///
/// The same text gives the same features on every platform; time and memory are linear in its
/// length; no text makes it panic.
///
/// # Errors
///
/// [`TextTooLong`], see [`MAX_CHARACTERS`].
pub fn extract(text: &str) -> Result<Views, TextTooLong> {
    let spellings = Spellings::of(text)?;
    let mut extractor = Extractor::new();
    let mut all = Vec::with_capacity(3);
    let normalised = Reading::of(&spellings.normalised.canonical);
    all.push((View::Normalised, normalised.whole(&mut extractor)));
    if let Some(written) = &spellings.normalised.written {
        all.push((View::Written, Reading::of(written).whole(&mut extractor)));
    }
    let respelled = spellings.respelled.as_ref().map(Reading::of);
    if let Some(respelled) = &respelled {
        all.push((View::Respelled, respelled.whole(&mut extractor)));
    }
    let plainest = respelled.as_ref().unwrap_or(&normalised);
    for place in windows(plainest.text.text()) {
        all.push((View::Window, plainest.part(place, &mut extractor)));
    }
    let Normalised { invisible, look_alikes, .. } = spellings.normalised;
    Ok(Views { all, invisible, look_alikes })
}

/// The spellings of a text that its views are made from.
pub(crate) struct Spellings {
    normalised: Normalised,
    respelled: Option<Canonical>,
}

impl Spellings {
    pub(crate) fn of(text: &str) -> Result<Self, TextTooLong> {
        let normalised = normalise(text, MAX_CHARACTERS).ok_or(TextTooLong)?;
        let respelled = respell(&normalised.canonical);
        Ok(Self { normalised, respelled })
    }

    /// The spelling that a view was made from, and where in it each feature of the view was
    /// found; `index` is the view's place in [`Views::all`].
    pub(crate) fn findings(&self, index: usize, view: View) -> (&Canonical, Vec<Finding>) {
        let plainest = self.respelled.as_ref().unwrap_or(&self.normalised.canonical);
        let spelling = match view {
            View::Normalised => &self.normalised.canonical,
            View::Written => self.normalised.written.as_ref().unwrap_or(plainest),
            View::Respelled | View::Window => plainest,
        };
        let reading = Reading::of(spelling);
        let mut extractor = Extractor::tracing();
        if view == View::Window {
            let whole = 1
                + usize::from(self.normalised.written.is_some())
                + usize::from(self.respelled.is_some());
            let place = windows(spelling.text()).nth(index.saturating_sub(whole));
            reading.part(place.unwrap_or_default(), &mut extractor);
        } else {
            reading.whole(&mut extractor);
        }
        (spelling, extractor.into_findings())
    }
}

/// A spelling with its tokens.
struct Reading<'a> {
    text: &'a Canonical,
    tokens: Vec<Token>,
}

impl<'a> Reading<'a> {
    fn of(text: &'a Canonical) -> Self {
        Self { text, tokens: tokens(text.text()) }
    }

    fn whole(&self, extractor: &mut Extractor) -> Features {
        extractor.segment(self.text.text(), 0..self.text.text().len(), &self.tokens)
    }

    fn part(&self, place: Range<usize>, extractor: &mut Extractor) -> Features {
        let first = self.tokens.partition_point(|token| token.place.start < place.start);
        let rest = self.tokens.get(first..).unwrap_or_default();
        let inside = rest.partition_point(|token| token.place.start < place.end);
        extractor.segment(self.text.text(), place, rest.get(..inside).unwrap_or_default())
    }
}

/// The stretches of a text that are looked at by themselves, none if it is short.
fn windows(text: &str) -> impl Iterator<Item = Range<usize>> {
    let count = if text.len() <= WINDOW { 0 } else { (text.len() - WINDOW).div_ceil(STRIDE) + 1 };
    (0..count).map(|index| {
        let from = text.ceil_char_boundary(index * STRIDE);
        from..text.ceil_char_boundary(index * STRIDE + WINDOW)
    })
}

#[cfg(test)]
#[path = "features_tests.rs"]
mod tests;
