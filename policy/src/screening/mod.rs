//! What a text holds: attacks on programs, attacks on models, personal data.

mod detection;
mod personal;
mod redaction;

pub use detection::{Detection, Kind};
pub use personal::PersonalData;
pub use redaction::{Action, Canary, Owner, Redaction, StreamKind, StreamRedactor, StreamSettings};
