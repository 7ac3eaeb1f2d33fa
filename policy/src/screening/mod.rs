//! What a text holds: attacks on programs, attacks on models, personal data.

mod detection;
mod prompt;

pub use detection::{Detection, Kind};
pub use prompt::{PROMPT_FLAG, PROMPT_REFUSE, PromptScreen};
