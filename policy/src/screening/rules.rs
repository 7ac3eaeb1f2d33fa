//! What a policy has texts screened for, and what comes of what is found.

use std::sync::OnceLock;

use super::prose::Prose;
use super::{ArgumentScreen, Detection};
use crate::document::{Reaction, ScreeningSection};
use crate::input::Step;
use crate::policy::CompileError;

/// A compiled `input.screening` section.
#[derive(Debug)]
pub struct Screening {
    prose: Prose,
    attacks: Reaction,
    prompt_injection: Reaction,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Prose for a model.
    Prompt,
    /// What a program will read.
    Argument,
}

/// What comes of a text, or of something in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It goes on.
    Allow,
    /// It goes on, and is talked about.
    Flag,
    /// It does not go on.
    Deny,
}

/// Something found, and what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What and where.
    pub detection: Detection,
    /// What comes of it.
    pub decision: Decision,
}

/// What comes of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Screened {
    /// What was found in it.
    pub found: Vec<Found>,
    /// The text that goes on in its place, where it is not to go on as it is.
    pub rewritten: Option<String>,
}

impl Screened {
    /// The strictest of what comes of what was found.
    pub fn decision(&self) -> Decision {
        self.found.iter().map(|found| found.decision).max().unwrap_or(Decision::Allow)
    }
}

impl Screening {
    /// Compiles a section; `field` is where it stands in the document.
    pub fn compile(section: &ScreeningSection, field: &str) -> Result<Self, CompileError> {
        Ok(Self {
            prose: Prose::compile(section.prompts.as_deref(), &format!("{field}.prompts"))?,
            attacks: section.attacks.unwrap_or(Reaction::Refuse),
            prompt_injection: section.prompt_injection.unwrap_or(Reaction::Refuse),
        })
    }

    /// What the string at the end of a path into a body is.
    pub(crate) fn profile(&self, path: &[Step<'_>]) -> Profile {
        if self.prose.has(path) { Profile::Prompt } else { Profile::Argument }
    }

    /// What comes of a text.
    pub fn screen(&self, profile: Profile, text: &str) -> Screened {
        let mut screened = Screened::default();
        match profile {
            Profile::Argument if self.attacks != Reaction::Allow => {
                let detections = argument_screen().screen(text).into_iter();
                screened.found.extend(detections.map(|detection| Found {
                    decision: react(self.attacks, detection.score >= ArgumentScreen::DENY),
                    detection,
                }));
            }
            Profile::Argument => {}
            Profile::Prompt => {}
        }
        screened
    }
}

fn react(reaction: Reaction, is_certain: bool) -> Decision {
    match reaction {
        Reaction::Refuse if is_certain => Decision::Deny,
        Reaction::Refuse | Reaction::Flag => Decision::Flag,
        Reaction::Allow => Decision::Allow,
    }
}

/// The tables are the same for all policies and routes.
fn argument_screen() -> &'static ArgumentScreen {
    static SCREEN: OnceLock<ArgumentScreen> = OnceLock::new();
    SCREEN.get_or_init(ArgumentScreen::new)
}
