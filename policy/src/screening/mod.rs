//! What a text holds: attacks on programs, attacks on models, personal data.

mod argument;
mod detection;

pub use argument::ArgumentScreen;
pub use detection::{Detection, Kind};
