//! What a text holds: attacks on programs, attacks on models, personal data.

mod argument;
mod characters;
mod data;
mod detection;
mod noted;
mod personal;
mod prompt;
mod prose;
mod redaction;
mod response;
mod rules;

pub use argument::ArgumentScreen;
pub(crate) use argument::{HostPlace, host_place};
pub use characters::Unfit;
pub use detection::{Detection, Kind};
pub(crate) use noted::{Noted, Notes};
pub use personal::PersonalData;
pub use prompt::{PROMPT_FLAG, PROMPT_REFUSE, PromptScreen};
pub(crate) use prose::Prose;
pub use redaction::{
    Action, Canary, Charset, Owner, Redaction, StreamKind, StreamRedactor, StreamSettings,
};
pub(crate) use response::{AnnouncedBody, ResponseScreening, RewriteBody, withheld};
pub use rules::{Decision, Found, Profile, Screened, Screening};
