//! What a policy has texts screened for, and what comes of what is found.

use std::sync::OnceLock;

use super::characters::{CharacterRules, Unfit};
use super::prose::Prose;
use super::{ArgumentScreen, Detection};
use crate::document::{InputSection, Reaction};
use crate::input::Step;
use crate::policy::CompileError;

/// The compiled `text` and `screening` of an `input` section.
#[derive(Debug)]
pub struct Screening {
    characters: CharacterRules,
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
    /// The same, and the name of something: nothing in it can be taken out or replaced, or two names could become one.
    Name,
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
    /// Compiles an `input` section; `field` is where it stands in the document.
    pub fn compile(section: &InputSection, field: &str) -> Result<Self, CompileError> {
        let characters = CharacterRules::compile(section.text.unwrap_or_default());
        let field = format!("{field}.screening");
        let Some(section) = &section.screening else {
            // What the document does not ask for is not looked for.
            return Ok(Self {
                characters,
                prose: Prose::compile(None, &field)?,
                attacks: Reaction::Allow,
                prompt_injection: Reaction::Allow,
            });
        };
        Ok(Self {
            characters,
            prose: Prose::compile(section.prompts.as_deref(), &format!("{field}.prompts"))?,
            attacks: section.attacks.unwrap_or(Reaction::Refuse),
            prompt_injection: section.prompt_injection.unwrap_or(Reaction::Refuse),
        })
    }

    /// What the string at the end of a path into a body is.
    pub(crate) fn profile(&self, path: &[Step<'_>]) -> Profile {
        if self.prose.has(path) { Profile::Prompt } else { Profile::Argument }
    }

    /// What comes of a text, if its characters are such as it may have.
    pub fn screen(&self, profile: Profile, text: &str) -> Result<Screened, Unfit> {
        let characters = match profile {
            Profile::Name => &self.characters.for_names(),
            Profile::Prompt | Profile::Argument => &self.characters,
        };
        let mut screened = Screened { rewritten: characters.check(text)?, ..Screened::default() };
        let text = screened.rewritten.as_deref().unwrap_or(text);
        match profile {
            Profile::Argument | Profile::Name => screened.found = self.attacks(text),
            Profile::Prompt => {}
        }
        Ok(screened)
    }

    /// The attacks on programs in a text, whatever characters it has.
    pub(crate) fn attacks(&self, text: &str) -> Vec<Found> {
        if self.attacks == Reaction::Allow {
            return Vec::new();
        }
        let detections = argument_screen().screen(text).into_iter();
        let found = |detection: Detection| Found {
            decision: react(self.attacks, detection.score >= ArgumentScreen::DENY),
            detection,
        };
        detections.map(found).collect()
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
