//! The scam-text model: what a text looks like to it, and what it says of the text.
//!
//! ```
//! use portcullis_model::{Detector, Label};
//!
//! let detector = Detector::embedded()?;
//! let verdict = detector.assess("Your parcel is held. Pay the fee: http://dhl-fee.top/x")?;
//! assert_eq!(verdict.label, Label::Scam);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod assessment;
mod canonical;
mod card;
mod detector;
mod explain;
mod extractor;
mod features;
mod hash;
mod lexicon;
mod look_alikes;
#[cfg(feature = "training")]
pub mod metrics;
mod misspelt;
mod names;
mod normalise;
mod operators;
mod reading;
mod respell;
mod tokens;

pub use assessment::{Adversarial, AssessError, Assessment, Label};
pub use card::{Card, Margins};
pub use detector::{Detector, LoadError};
pub use explain::{MAX_SPANS, Span};
pub use features::{Features, MAX_CHARACTERS, TextTooLong, View, Views, extract};
pub use hash::BUCKETS;
