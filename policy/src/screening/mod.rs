//! What a text holds: attacks on programs, attacks on models, personal data.

mod detection;

pub use detection::{Detection, Kind};
