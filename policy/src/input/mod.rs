//! The input stage: what a caller brings.
//!
//! Every body is parsed strictly before it is let through: what the gate read is what the upstream reads. Where something in it
//! is taken out or replaced, all other bytes stay as they came.

mod attachments;
mod bodies;
mod coding;
mod compile;
mod head;
mod jose;
mod json;
mod media_type;
mod multipart;
mod openapi;
mod parts;
#[cfg(test)]
mod prose_tests;
mod response;
mod schema;
mod strings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use coding::Coding;
pub(crate) use openapi::slim as slim_openapi;
pub(crate) use schema::Violation;

#[cfg(feature = "yaml")]
pub(crate) use json::parse_placed as parse_json_placed;
pub(crate) use json::{JsonError, JsonLimits, Step, parse as parse_json};

use crate::Principal;
use crate::access::{Header, Target, single};
use crate::files::FileRules;
use crate::problem::{Reason, Refusal};
use crate::screening::{AnnouncedBody, Notes, Owner, ResponseScreening, RewriteBody, Screening};
use crate::stages::{Announced, CheckResponse, Inspect, Inspected};

use attachments::Attachments;
use coding::{Caps, DecodeError};
use media_type::{Kind as MediaKind, MediaType};
use openapi::{Content, OpenApi, Operation};
use response::ResponseRules;
use schema::Schema;
use strings::Strings;

/// Where nothing is said, in bytes.
pub(crate) const DEFAULT_BODY_BYTES: u32 = 64 * 1024;

/// A compiled `input` section.
#[derive(Debug)]
pub(crate) struct InputRules {
    /// Empty where only the OpenAPI document says which.
    content_types: Vec<MediaType>,
    max_body_bytes: usize,
    json: JsonLimits,
    schema: Option<Schema>,
    openapi: Option<Arc<OpenApi>>,
    /// How many times its length a compressed body may become; None where none is taken.
    max_expansion: Option<usize>,
    shadow: Option<ResponseRules>,
    screening: Screening,
    files: Option<FileRules>,
    responses: Option<ResponseScreening>,
}

impl InputRules {
    fn too_large(&self) -> Refusal {
        too_large(self.max_body_bytes)
    }

    fn media_type(&self, content_type: Option<&[u8]>) -> Result<MediaType, Refusal> {
        let found = content_type.and_then(MediaType::parse);
        let is_known = |found: &MediaType| {
            let by_document = self.content_types.is_empty() && self.openapi.is_some();
            by_document || self.content_types.contains(found)
        };
        found.filter(is_known).ok_or_else(|| {
            let names: Vec<_> = self.content_types.iter().map(MediaType::as_str).collect();
            let names = if names.is_empty() { MediaType::INSPECTED.to_vec() } else { names };
            let detail =
                format!("Send one of these content types, in UTF-8: {}.", names.join(", "));
            Refusal::new(Reason::ContentTypeUnsupported, detail).header("accept", names.join(", "))
        })
    }

    /// How a body is compressed, where it is in a way that this route takes.
    fn coding(&self, headers: &[Header<'_>]) -> Result<Option<Coding>, Refusal> {
        let mut values = headers.iter().filter(|(name, _)| *name == "content-encoding");
        let Some((_, value)) = values.next() else { return Ok(None) };
        let is_one = values.next().is_none();
        if is_one && value.eq_ignore_ascii_case(b"identity") {
            return Ok(None);
        }
        // What cannot be read cannot be judged.
        let (names, detail) = match self.max_expansion {
            None => ("identity", "Send the body uncompressed."),
            Some(_) => {
                (Coding::NAMES, "Send the body uncompressed, or in one of gzip, br and zstd.")
            }
        };
        let is_taken = is_one && self.max_expansion.is_some();
        let coding = is_taken.then(|| Coding::read(value)).flatten();
        coding.map(Some).ok_or_else(|| {
            Refusal::new(Reason::ContentEncodingUnsupported, detail)
                .header("accept-encoding", names)
        })
    }

    /// The operation that was asked for, and the document that describes it.
    fn operation(&self, announced: &Announced) -> Option<(&OpenApi, &Operation)> {
        let openapi = self.openapi.as_deref()?;
        Some((openapi, openapi.operation(announced.operation?)?))
    }

    /// What is described of a body, where an OpenAPI document describes any.
    fn described(
        &self,
        announced: &Announced,
        media_type: &MediaType,
    ) -> Result<Option<(&OpenApi, &Content)>, Refusal> {
        let Some((openapi, operation)) = self.operation(announced) else { return Ok(None) };
        Ok(Some((openapi, operation.content(media_type.as_str())?)))
    }
}

/// A text of at most so many characters, and an ellipsis in place of the rest.
pub(crate) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A path as a JSON pointer (RFC 6901).
pub(crate) fn pointer(path: &[Step<'_>]) -> String {
    let mut pointer = String::new();
    for step in path {
        pointer.push('/');
        match step {
            Step::Item(index) => pointer.push_str(&index.to_string()),
            Step::Member(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
        }
    }
    pointer
}

impl Inspect for InputRules {
    fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    fn check_head(
        &self,
        headers: &[Header<'_>],
        target: Option<&Target>,
        has_body: bool,
    ) -> Result<(Announced, Notes), Refusal> {
        let content_type = single(headers, "content-type").map(<[u8]>::to_vec);
        let mut announced = Announced { content_type, ..Announced::default() };
        if let Some(openapi) = &self.openapi {
            let operation = target.map(|target| openapi.check_head(target, headers)).transpose()?;
            announced.operation = operation;
        }
        let length = single(headers, "content-length")
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_body_bytes as u64) {
            return Err(self.too_large());
        }
        announced.coding = self.coding(headers)?;
        let takes_body =
            self.operation(&announced).is_none_or(|(_, operation)| operation.takes_body());
        // Where none is taken it may still turn out that there is none.
        if has_body && length != Some(0) && takes_body {
            let content_type = announced.content_type.as_deref();
            let media_type = self.media_type(content_type)?;
            if media_type.kind == MediaKind::Multipart {
                parts::check_head(content_type)?;
            }
            self.described(&announced, &media_type)?;
        }
        let mut notes = Notes::default();
        if self.screening.looks_at_heads() {
            target.map_or(Ok(()), |target| head::target(&self.screening, target, &mut notes))?;
            head::fields(&self.screening, headers, &mut notes)?;
        }
        head::check_characters(&self.screening, target, headers)?;
        Ok((announced, notes))
    }

    fn decode(&self, announced: &Announced, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        // Without a body there is nothing to take off.
        let Some(coding) = announced.coding.filter(|_| !body.is_empty()) else { return Ok(None) };
        if body.len() > self.max_body_bytes {
            return Err(self.too_large());
        }
        let expansion = self.max_expansion.unwrap_or(1);
        let caps = Caps { bytes: self.max_body_bytes, expansion };
        coding.decode(body, caps).map(Some).map_err(|error| match error {
            DecodeError::TooLarge => {
                let most = self.max_body_bytes;
                let detail = format!(
                    "Send at most {most} bytes, and at most {expansion} for each that is compressed."
                );
                Refusal::new(Reason::BodyTooLarge, detail)
            }
            DecodeError::Malformed => {
                let detail = "Send one whole body in the coding that content-encoding names, and nothing else.";
                Refusal::new(Reason::ContentEncodingInvalid, detail)
            }
        })
    }

    fn check_body(
        &self,
        announced: &Announced,
        body: &[u8],
        principal: &Principal,
    ) -> Result<Inspected, Refusal> {
        if body.len() > self.max_body_bytes {
            return Err(self.too_large());
        }
        let operation = self.operation(announced).map(|(_, operation)| operation);
        if body.is_empty() {
            return match self.schema.is_some() || operation.is_some_and(Operation::needs_body) {
                false => Ok(Inspected::default()),
                true => Err(Refusal::new(
                    Reason::BodyMissing,
                    "Send a JSON body of the form this route takes.",
                )),
            };
        }
        operation.map_or(Ok(()), Operation::check_takes_body)?;
        // Whose it is matters only where something is replaced.
        let owner = self.screening.data().map_or_else(Owner::nobody, |_| Owner::from(principal));
        let mut strings = Strings {
            screening: &self.screening,
            attachments: self.files.as_ref().map(Attachments::new),
            owner: &owner,
            json: self.json,
            is_file: false,
            notes: Notes::default(),
        };
        let content_type = announced.content_type.as_deref();
        let media_type = self.media_type(content_type)?;
        let described = self.described(announced, &media_type)?;
        let rewritten = match media_type.kind {
            MediaKind::Json => self.check_json(body, described, &mut strings)?,
            MediaKind::Form => self.check_form(body, described, &mut strings)?,
            MediaKind::Multipart => parts::check(body, content_type, described, &mut strings)?,
            MediaKind::Text => self.check_text(body, described, &mut strings)?,
            MediaKind::Jose => jose::check(body).map(|()| None)?,
        };
        Ok(Inspected { rewritten, notes: strings.notes })
    }

    fn checks_responses(&self) -> bool {
        self.shadow.is_some()
    }

    fn response_check(
        &self,
        announced: &Announced,
        headers: &[Header<'_>],
    ) -> Option<Box<dyn CheckResponse>> {
        let check = self.shadow.as_ref()?.of(announced, headers)?;
        Some(Box::new(check))
    }

    fn looks_at_responses(&self) -> bool {
        self.responses.is_some()
    }

    fn response(
        &self,
        headers: &[Header<'_>],
        principal: &Principal,
    ) -> Option<Box<dyn RewriteBody>> {
        let responses = self.responses.as_ref()?;
        responses.of(&AnnouncedBody::read(headers), Owner::from(principal))
    }
}

/// The refusal of a body that is longer than `max_body_bytes`.
pub(crate) fn too_large(max_body_bytes: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLarge, format!("Send at most {max_body_bytes} bytes."))
}
