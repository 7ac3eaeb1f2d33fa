//! What a policy has texts screened for, and what comes of what is found.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::OnceLock;

use super::characters::{CharacterRules, Rewritten, Unfit};
use super::data::DataRules;
use super::prose::Prose;
use super::{Action, ArgumentScreen, Detection, Kind, Owner, PROMPT_REFUSE, PromptScreen};
use crate::Secret;
use crate::document::{InputSection, Reaction, ScreeningSection};
use crate::files::find_test_virus;
use crate::input::Step;
use crate::policy::CompileError;

/// The compiled `text` and `screening` of an `input` section.
#[derive(Debug)]
pub struct Screening {
    characters: CharacterRules,
    prose: Prose,
    attacks: Reaction,
    prompt_injection: Reaction,
    data: Option<DataRules>,
    data_in_head: Reaction,
    /// Where files are looked at, what is harmful is looked for in texts too.
    refuses_malware: bool,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Prose for a model.
    Prompt,
    /// The same in a file, whose length others bound.
    Document,
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
    ///
    /// `key` is what personal data is hashed and tokenised with.
    pub fn compile(
        section: &InputSection,
        key: Option<&Secret>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let characters = CharacterRules::compile(section.text.unwrap_or_default());
        let refuses_malware = section.files.is_some();
        let field = format!("{field}.screening");
        let Some(section) = &section.screening else {
            // What the document does not ask for is not looked for.
            return Ok(Self {
                characters,
                prose: Prose::compile(None, &field)?,
                attacks: Reaction::Allow,
                prompt_injection: Reaction::Allow,
                data: None,
                data_in_head: Reaction::Allow,
                refuses_malware,
            });
        };
        Ok(Self {
            characters,
            prose: Prose::compile(section.prompts.as_deref(), &format!("{field}.prompts"))?,
            attacks: section.attacks.unwrap_or(Reaction::Refuse),
            prompt_injection: section.prompt_injection.unwrap_or(Reaction::Refuse),
            data: DataRules::compile(
                &section.personal_data,
                key,
                &format!("{field}.personal_data"),
            )?,
            data_in_head: data_in_head(section, &field)?,
            refuses_malware,
        })
    }

    /// What the string at the end of a path into a body is.
    pub(crate) fn profile(&self, path: &[Step<'_>]) -> Profile {
        if self.prose.has(path) { Profile::Prompt } else { Profile::Argument }
    }

    /// What comes of a text, if its characters are such as it may have.
    pub fn screen(&self, profile: Profile, text: &str, owner: &Owner) -> Result<Screened, Unfit> {
        let characters = match profile {
            Profile::Name => &self.characters.for_names(),
            Profile::Document => &self.characters.of_any_length(),
            Profile::Prompt | Profile::Argument => &self.characters,
        };
        let rewritten = characters.check(text)?;
        let left = rewritten.as_ref().map_or(text, Rewritten::text);
        let mut found = match profile {
            Profile::Argument | Profile::Name => self.attacks(left),
            Profile::Prompt | Profile::Document => self.prompt_injections(left),
        };
        found.extend(self.malware(left));
        let mut redacted = None;
        if let Some(data) = &self.data {
            let detections = data.find(left);
            redacted = data.redact(left, &detections, owner);
            // In a name nothing can be replaced.
            let is_denied =
                |kind| data.is_refused(kind) || (redacted.is_some() && profile == Profile::Name);
            let decide = |detection: Detection| Found {
                decision: if is_denied(detection.kind) { Decision::Deny } else { Decision::Flag },
                detection,
            };
            found.extend(detections.into_iter().map(decide));
        }
        for Found { detection, .. } in &mut found {
            match &rewritten {
                None => break,
                Some(Rewritten::Stripped(left)) => {
                    detection.range = place_in(text, left, &detection.range);
                }
                // Which characters became which is not kept: it is somewhere in the text.
                Some(Rewritten::Normalised(_)) => detection.range = 0..text.len(),
            }
        }
        if rewritten.is_some() && profile == Profile::Argument {
            // What was taken out may have stood between words, which are one now.
            add(self.attacks(text), &mut found);
        }
        Ok(Screened { found, rewritten: redacted.or(rewritten.map(Rewritten::into_text)) })
    }

    /// Whether a text in the head has characters that it may not have. Nothing can be taken out there.
    pub(crate) fn check_in_head(&self, text: &str) -> Result<(), Unfit> {
        self.characters.for_heads().check(text).map(drop)
    }

    /// Whether bytes that are no characters are refused in the head.
    pub(crate) fn refuses_control(&self) -> bool {
        self.characters.refuses_control()
    }

    /// Whether the head of a request is screened at all.
    pub(crate) fn looks_at_heads(&self) -> bool {
        self.attacks != Reaction::Allow || self.data_in_head != Reaction::Allow
    }

    /// Personal data and secrets in a part of the head, where nothing can be replaced.
    pub(crate) fn data_in_head(&self, text: &str) -> Vec<Found> {
        let Some(data) = self.data.as_ref().filter(|_| self.data_in_head != Reaction::Allow) else {
            return Vec::new();
        };
        let decision = react(self.data_in_head, true);
        let found = |detection| Found { detection, decision };
        data.find(text).into_iter().map(found).collect()
    }

    /// What is done about personal data in requests.
    pub(crate) fn data(&self) -> Option<&DataRules> {
        self.data.as_ref()
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

    /// What no text may hold where files are looked at: whoever is sent it may well write it into one.
    fn malware(&self, text: &str) -> Option<Found> {
        let range = self.refuses_malware.then(|| find_test_virus(text.as_bytes()))??;
        let detection = Detection { kind: Kind::Malware, rule: "eicar", range, score: 1.0 };
        Some(Found { detection, decision: Decision::Deny })
    }

    fn prompt_injections(&self, text: &str) -> Vec<Found> {
        if self.prompt_injection == Reaction::Allow {
            return Vec::new();
        }
        let detections = prompt_screen().screen(text).into_iter();
        let found = |detection: Detection| Found {
            decision: react(self.prompt_injection, detection.score >= PROMPT_REFUSE),
            detection,
        };
        detections.map(found).collect()
    }
}

/// Adds what is not known yet, or is known to be worse; of each kind there is one.
fn add(more: Vec<Found>, found: &mut Vec<Found>) {
    for more in more {
        match found.iter_mut().find(|known| known.detection.kind == more.detection.kind) {
            Some(known) if known.detection.score >= more.detection.score => {}
            Some(known) => *known = more,
            None => found.push(more),
        }
    }
}

fn data_in_head(section: &ScreeningSection, field: &str) -> Result<Reaction, CompileError> {
    let reaction = section.personal_data_in_head.unwrap_or(Reaction::Allow);
    let is_looked_for = section.personal_data.values().any(|action| *action != Action::Allow);
    if reaction != Reaction::Allow && !is_looked_for {
        let message = "looks for the kinds of personal_data: expected some there";
        return Err(CompileError::new(format!("{field}.personal_data_in_head"), message));
    }
    Ok(reaction)
}

/// Where a part of `stripped` is in the text that characters were taken out of.
fn place_in(text: &str, stripped: &str, range: &Range<usize>) -> Range<usize> {
    let mut left = stripped.char_indices().peekable();
    let (mut start, mut end) = (text.len(), text.len());
    for (place, character) in text.char_indices() {
        // Whether a character is taken out depends on nothing but the character.
        let Some((at, _)) = left.next_if(|(_, stays)| *stays == character) else { continue };
        if at == range.start {
            start = place;
        }
        if at < range.end {
            end = place.saturating_add(character.len_utf8());
        }
    }
    start..end.max(start)
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

fn prompt_screen() -> &'static PromptScreen {
    static SCREEN: OnceLock<PromptScreen> = OnceLock::new();
    SCREEN.get_or_init(PromptScreen::new)
}
