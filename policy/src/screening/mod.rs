//! What a text holds: attacks on programs, attacks on models, personal data.

mod detection;
mod personal;

pub use detection::{Detection, Kind};
pub use personal::PersonalData;
