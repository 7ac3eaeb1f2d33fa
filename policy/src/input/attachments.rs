//! Files in a body: which strings are files, or have some within, and what goes on in their place.

mod embedded;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::{Step, Text, rewrite};
use super::{multipart, pointer};
use crate::document::Reaction;
use crate::files::{Checked, File, FileRules, TextFile, TextForm, Unfit, check_address};
use crate::problem::{Reason, Refusal};
use crate::screening::{Kind, Noted, Notes};

/// Longer than any type or file name that is right, in characters.
const MAXIMUM_LABEL: usize = 256;

/// How far into a string the comma of a data URL is looked for.
const MAXIMUM_PREFIX: usize = 128;

/// The kinds of media types (RFC 6838 §4.2).
const TOP_LEVEL: [&str; 9] =
    ["application", "audio", "font", "image", "message", "model", "multipart", "text", "video"];

/// Members that say something of a file.
const LABELS: [&str; 7] =
    ["type", "format", "filename", "file_name", "media_type", "mime_type", "mimeType"];

/// Members whose strings are addresses or data URLs, or objects with such a `url`.
const ADDRESSES: [&str; 6] =
    ["image_url", "audio_url", "video_url", "file_url", "fileUri", "file_uri"];

/// Members whose strings, or the items of which, are base64.
const CONTENTS: [&str; 5] = ["file_data", "b64_json", "images", "imageBytes", "bytesBase64Encoded"];

/// Members with such a `data`.
const CONTAINERS: [&str; 4] = ["input_audio", "inlineData", "inline_data", "audio"];

/// The files of one body.
#[derive(Debug)]
pub(super) struct Attachments<'a> {
    rules: &'a FileRules,
    /// What is said of files, by the object that says it.
    labels: BTreeMap<usize, Labels>,
    count: u32,
}

/// What the members of an object say of a file beside them.
#[derive(Debug, Default)]
struct Labels {
    /// Of the object itself.
    kind: Option<String>,
    media_types: Vec<String>,
    format: Option<String>,
    file_name: Option<String>,
}

/// What a string is.
pub(super) enum Seen {
    /// No file; and what goes on in its place, if there are files within that are not to go on as they are.
    Text(Option<String>),
    /// A file; and what goes on in its place, if it is not to go on as it is.
    File(Option<String>),
    /// A file of text, whose own strings have not been looked at yet.
    TextFile(EncodedText),
}

/// A file of text in base64.
pub(super) struct EncodedText {
    prefix: String,
    form: TextForm,
    text: String,
}

impl EncodedText {
    pub(super) fn file(&self) -> TextFile<'_> {
        TextFile { form: self.form, text: &self.text }
    }

    /// The string for another text in its place.
    pub(super) fn with(&self, text: &str) -> String {
        format!("{}{}", self.prefix, STANDARD.encode(text))
    }
}

/// What a string has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    DataUrl,
    Base64,
    Address,
}

impl<'a> Attachments<'a> {
    pub(super) fn new(rules: &'a FileRules) -> Self {
        Self { rules, labels: BTreeMap::new(), count: 0 }
    }

    /// For the files within a file, which count together with all others.
    pub(super) fn within(&self) -> Self {
        Self { count: self.count, ..Self::new(self.rules) }
    }

    /// Counts what there was within a file.
    pub(super) fn count_on(&mut self, within: &Self) {
        self.count = within.count;
    }

    /// Reads what a body says of its files: members have no order, so a type may stand behind what it is the type of.
    pub(super) fn read_labels(&mut self, body: &[u8]) {
        let labels = &mut self.labels;
        labels.clear();
        let mut read =
            |Text { path, container, is_name, text }: Text<'_>| -> Result<_, Infallible> {
                if let (Some(Step::Member(name)), false) = (path.last(), is_name)
                    && LABELS.contains(&name.as_ref())
                {
                    let label: String = text.chars().take(MAXIMUM_LABEL).collect();
                    let labels = labels.entry(container).or_default();
                    match name.as_ref() {
                        "type" => labels.kind = Some(label),
                        "format" => labels.format = Some(label),
                        "filename" | "file_name" => labels.file_name = Some(label),
                        _ => labels.media_types.push(label),
                    }
                }
                Ok(None)
            };
        let Ok(_unchanged) = rewrite(body, &mut read);
    }

    /// Looks at a string of a body.
    pub(super) fn look(&mut self, string: Text<'_>, notes: &mut Notes) -> Result<Seen, Refusal> {
        let Text { path, container, is_name, text } = string;
        let form = if is_name { Form::Text } else { self.form(path, container, text) };
        if form == Form::Text {
            return match is_name {
                true => Ok(Seen::Text(None)),
                false => self.look_within(text, path, notes).map(Seen::Text),
            };
        }
        let at = pointer(path);
        if form == Form::Address {
            self.count(&at)?;
            self.address(text, &at, notes)?;
            // It is an argument as well.
            return Ok(Seen::Text(None));
        }
        let labels = self.labels.get(&container);
        let (prefix, media_type, encoded) = match form {
            Form::DataUrl => data_url(text)
                .ok_or_else(|| refused(unfit("data:TYPE;base64, and base64 behind it"), &at))?,
            _ => ("", None, text),
        };
        let declared: Vec<String> = match labels {
            Some(labels) if form == Form::Base64 => {
                labels.media_types.iter().chain(&labels.format).cloned().collect()
            }
            _ => media_type.map(str::to_owned).into_iter().collect(),
        };
        let name = labels.and_then(|labels| labels.file_name.clone());
        if name.as_deref().is_some_and(|name| multipart::check_file_name(name).is_err()) {
            return Err(refused(unfit("a file name that leads nowhere"), &at));
        }
        let extension = name.as_deref().and_then(multipart::extension);
        let bytes = self.decode(encoded, &at)?;
        let file = File { bytes: &bytes, declared: &declared, extension };
        let Checked { file_type, stripped } = self.check(file, &at, notes)?;
        match file_type.text_form() {
            None => {
                Ok(Seen::File(stripped.map(|bytes| format!("{prefix}{}", STANDARD.encode(bytes)))))
            }
            Some(form) => {
                let text = String::from_utf8(bytes).map_err(|_| refused(unfit("UTF-8"), &at))?;
                Ok(Seen::TextFile(EncodedText { prefix: prefix.to_owned(), form, text }))
            }
        }
    }

    /// A file that is in base64.
    fn decode(&self, encoded: &str, at: &str) -> Result<Vec<u8>, Refusal> {
        // Before it takes memory.
        if encoded.len() / 4 > (self.rules.max_bytes() / 3).saturating_add(1) {
            return Err(refused(self.rules.too_large(), at));
        }
        STANDARD.decode(encoded).map_err(|_| {
            refused(unfit("base64 (RFC 4648 §4) with padding and without line ends"), at)
        })
    }

    /// What goes on in a file's place, if it is not to go on as it is.
    pub(super) fn check(
        &mut self,
        file: File<'_>,
        at: &str,
        notes: &mut Notes,
    ) -> Result<Checked, Refusal> {
        self.count(at)?;
        let checked = self.rules.check(file).map_err(|unfit| refused(unfit, at))?;
        if checked.stripped.is_some() {
            let (kind, rule) = (Kind::FileMetadata, checked.file_type.as_str());
            notes.add(Noted { kind, rule, at: at.to_owned() });
        }
        Ok(checked)
    }

    fn count(&mut self, at: &str) -> Result<(), Refusal> {
        self.count = self.count.saturating_add(1);
        let most = self.rules.max_count();
        match self.count > most {
            true => Err(refused(unfit(format!("at most {most} files")), at)),
            false => Ok(()),
        }
    }

    fn address(&self, address: &str, at: &str, notes: &mut Notes) -> Result<(), Refusal> {
        let reaction = self.rules.addresses();
        let checked = match reaction {
            Reaction::Refuse => Err("the file itself in place of its address"),
            Reaction::Allow | Reaction::Flag => check_address(address),
        };
        checked.map_err(|expected| {
            let reason = Reason::FileAddressRefused;
            refused(Unfit { reason, expected: expected.to_owned() }, at)
        })?;
        if reaction == Reaction::Flag {
            notes.add(Noted { kind: Kind::FileAddress, rule: "address", at: at.to_owned() });
        }
        Ok(())
    }

    fn form(&self, path: &[Step<'_>], container: usize, text: &str) -> Form {
        let form = match is_data_url(text) {
            true => Form::DataUrl,
            false if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http")) => {
                Form::Address
            }
            false => Form::Base64,
        };
        if form == Form::DataUrl || self.rules.places().has(path) {
            return form;
        }
        // An item of a list is what the list is called.
        let mut names = path.iter().rev().filter_map(|step| match step {
            Step::Member(name) => Some(name.as_ref()),
            Step::Item(_) => None,
        });
        let (name, outer) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let labels = self.labels.get(&container);
        let kind = labels.and_then(|labels| labels.kind.as_deref());
        // `"type": "text"` beside `text/plain` is prose that is sent along as a document.
        let is_binary = |media_type: &String| !media_type.starts_with("text/");
        let has_type = labels.is_some_and(|labels| match kind {
            Some("text") => labels.media_types.iter().any(is_binary),
            _ => !labels.media_types.is_empty(),
        });
        if ADDRESSES.contains(&name)
            || name == "url" && (ADDRESSES.contains(&outer) || kind == Some("url"))
        {
            return Form::Address;
        }
        let is_content = CONTENTS.contains(&name)
            || name == "data"
                && (CONTAINERS.contains(&outer) || kind == Some("base64") || has_type);
        if is_content { form } else { Form::Text }
    }
}

/// Whether a string is a data URL to anybody: browsers drop white space before it and line ends within.
fn is_data_url(text: &str) -> bool {
    if !text.starts_with(|first: char| matches!(first, 'd' | 'D') || first <= ' ') {
        return false;
    }
    let significant = text.chars().filter(|character| !matches!(character, '\t' | '\r' | '\n'));
    let significant = significant.skip_while(|character| *character <= ' ');
    let head: String = significant.take(MAXIMUM_PREFIX).collect();
    let head = head.to_ascii_lowercase();
    let Some(head) = head.strip_prefix("data:") else { return false };
    let (head, has_content) = head.split_once(',').map_or((head, false), |(head, _)| (head, true));
    let head = head.trim_matches(' ');
    let (media_type, parameters) = head.split_once(';').unwrap_or((head, ""));
    let is_known = media_type
        .split_once('/')
        .is_some_and(|(kind, subtype)| TOP_LEVEL.contains(&kind) && !subtype.contains(' '));
    is_known || has_content && parameters.trim_matches(' ').ends_with("base64")
}

/// A data URL (RFC 2397) in its one form: up to its content, its media type, and its content in base64.
fn data_url(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (head, encoded) = text.split_once(',')?;
    let media_type = head.strip_prefix("data:")?.strip_suffix(";base64")?;
    let is_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/.+-".contains(&byte);
    let is_type = media_type.contains('/') && media_type.bytes().all(is_byte);
    let prefix = text.get(..head.len().saturating_add(1))?;
    is_type.then_some((prefix, Some(media_type), encoded))
}

pub(super) fn unfit(expected: impl Into<String>) -> Unfit {
    Unfit { reason: Reason::FileRefused, expected: expected.into() }
}

pub(super) fn refused(unfit: Unfit, at: &str) -> Refusal {
    let detail = format!("Expected {}.", unfit.expected);
    Refusal::new(unfit.reason, detail).finding(at, unfit.expected)
}
