//! The strings of a body, wherever they stand: those that are files are looked at as files, all others are screened. In files of text
//! stand strings as well.

#[cfg(test)]
mod tests;

use super::attachments::{Attachments, Seen, refused, unfit};
use super::bodies::refused_json;
use super::json::{Text, check, rewrite};
use super::{JsonLimits, pointer};
use crate::files::{TextFile, TextForm};
use crate::problem::{Reason, Refusal};
use crate::screening::{Decision, Found, Kind, Noted, Notes, Owner, Profile, Screening};

/// How many findings of one string are told.
const MAXIMUM_FINDINGS: usize = 8;

/// The strings of a body, or of a file in it, as they are met.
pub(super) struct Strings<'a> {
    pub(super) screening: &'a Screening,
    pub(super) attachments: Option<Attachments<'a>>,
    pub(super) owner: &'a Owner,
    pub(super) json: JsonLimits,
    /// Whether they stand in a file, which is read by models and by whoever it is for, and not by programs.
    pub(super) is_file: bool,
    pub(super) notes: Notes,
}

impl<'a> Strings<'a> {
    /// What goes on in the place of a JSON text that is well-formed, if it is not to go on as it is.
    pub(super) fn check_json(&mut self, text: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if let Some(attachments) = &mut self.attachments {
            attachments.read_labels(text);
        }
        rewrite(text, &mut |text| self.check(text))
    }

    /// What goes on in a string's place, if it is not to go on as it is.
    pub(super) fn check(&mut self, text: Text<'_>) -> Result<Option<String>, Refusal> {
        let mut without_metadata = None;
        if let Some(attachments) = &mut self.attachments {
            match attachments.look(text, &mut self.notes)? {
                Seen::File(answer) => return Ok(answer),
                Seen::TextFile(file) => {
                    let checked = self.check_file(file.file(), &pointer(text.path))?;
                    return Ok(checked.map(|text| file.with(&text)));
                }
                Seen::Text(answer) => without_metadata = answer,
            }
        }
        let Text { path, is_name, text, .. } = text;
        let text = without_metadata.as_deref().unwrap_or(text);
        let profile = match (is_name, self.is_file) {
            (true, _) => Profile::Name,
            (false, true) => Profile::Document,
            (false, false) => self.screening.profile(path),
        };
        // The name itself may hold what was found, so it is not repeated.
        let screened = self.screening.screen(profile, text, self.owner).map_err(|unfit| {
            let detail = format!("Expected {}.", unfit.expected);
            Refusal::new(unfit.reason, detail).finding(pointer(path), unfit.expected)
        })?;
        note(&screened.found, || pointer(path), &mut self.notes)?;
        Ok(screened.rewritten.or(without_metadata))
    }

    /// What goes on in the place of a file of text, if it is not to go on as it is; `at` is where the file stands.
    pub(super) fn check_file(
        &mut self,
        file: TextFile<'_>,
        at: &str,
    ) -> Result<Option<String>, Refusal> {
        // Files in files in files: each would be looked at once more for every one that it is in.
        if self.is_file {
            return Err(refused(unfit("no file of text in another one"), at));
        }
        let mut inner = Strings {
            attachments: self.attachments.as_ref().map(Attachments::within),
            is_file: true,
            notes: Notes::default(),
            ..*self
        };
        let checked = inner.check_content(file);
        let Strings { attachments, notes, .. } = inner;
        if let (Some(outer), Some(inner)) = (&mut self.attachments, &attachments) {
            outer.count_on(inner);
        }
        self.notes.extend(notes.behind(at));
        checked.map_err(|refusal| refusal.behind(at))
    }

    fn check_content(&mut self, file: TextFile<'_>) -> Result<Option<String>, Refusal> {
        let TextFile { form, text } = file;
        match form {
            TextForm::Prose => self.check_prose(text),
            TextForm::Json => self.check_value(text),
            TextForm::JsonLines => {
                let mut rewritten = String::new();
                let mut is_rewritten = false;
                for (number, line) in text.split_inclusive('\n').enumerate() {
                    let checked = match line.trim_ascii() {
                        "" => None,
                        _ => self.check_line(line, number)?,
                    };
                    is_rewritten |= checked.is_some();
                    rewritten.push_str(checked.as_deref().unwrap_or(line));
                }
                Ok(is_rewritten.then_some(rewritten))
            }
        }
    }

    fn check_prose(&mut self, text: &str) -> Result<Option<String>, Refusal> {
        // Spreadsheets begin their texts so, and read those that do not as something else.
        const MARK: &str = "\u{feff}";
        let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |text| (MARK, text));
        let checked = self.check(Text { path: &[], container: 0, is_name: false, text })?;
        Ok(checked.map(|text| format!("{mark}{text}")))
    }

    fn check_line(&mut self, line: &str, number: usize) -> Result<Option<String>, Refusal> {
        let at = format!("/{number}");
        let before = std::mem::take(&mut self.notes);
        let checked = self.check_value(line).map_err(|refusal| refusal.behind(&at));
        let found = std::mem::replace(&mut self.notes, before);
        self.notes.extend(found.behind(&at));
        checked
    }

    /// One JSON text of a file.
    fn check_value(&mut self, text: &str) -> Result<Option<String>, Refusal> {
        check(text.as_bytes(), self.json).map_err(refused_json)?;
        let rewritten = self.check_json(text.as_bytes())?;
        let rewritten = rewritten.map(String::from_utf8).transpose();
        rewritten.map_err(|_| refused(unfit("UTF-8"), ""))
    }
}

/// Notes what was found; refuses where it has to be.
pub(super) fn note(
    found: &[Found],
    at: impl Fn() -> String,
    notes: &mut Notes,
) -> Result<(), Refusal> {
    let denied = found.iter().filter(|found| found.decision == Decision::Deny);
    let mut refusal: Option<Refusal> = None;
    for Found { detection, .. } in denied.take(MAXIMUM_FINDINGS) {
        let reason = match detection.kind {
            kind if kind.is_attack() => Reason::AttackSuspected,
            Kind::PromptInjection => Reason::PromptInjectionSuspected,
            Kind::Malware => Reason::MalwareSuspected,
            _ => Reason::PersonalDataRefused,
        };
        // What it is, for those who did not mean it; not by what it was recognised, for those who did.
        let expected = format!("no {}", detection.kind.as_str());
        let refused = refusal.take();
        let refused =
            refused.unwrap_or_else(|| Refusal::new(reason, format!("Expected {expected}.")));
        refusal = Some(refused.finding(at(), expected));
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    for Found { detection, .. } in found {
        notes.add(Noted { kind: detection.kind, rule: detection.rule, at: at() });
    }
    Ok(())
}
