//! What a text holds: attacks on programs, attacks on models, personal data.

mod argument;
mod characters;
mod detection;
mod noted;
mod personal;
mod prose;
mod redaction;
mod rules;

pub use argument::ArgumentScreen;
pub use characters::Unfit;
pub use detection::{Detection, Kind};
pub(crate) use noted::{Noted, Notes};
pub use personal::PersonalData;
pub use redaction::{Action, Owner, Redaction, StreamKind, StreamRedactor, StreamSettings};
pub use rules::{Decision, Found, Profile, Screened, Screening};
