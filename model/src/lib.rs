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

mod card;
mod detector;
mod features;
mod normalise;
mod tokens;

pub use card::Card;
pub use detector::{AssessError, Assessment, Detector, Label, LoadError};
pub use features::{BUCKETS, Features, MAX_CHARACTERS, Segments, TextTooLong, extract};
