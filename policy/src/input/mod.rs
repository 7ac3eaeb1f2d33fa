//! The input stage: what a caller brings.
//!
//! Every body is parsed strictly before it is let through: what the gate read is what the upstream reads. Where something in it
//! is taken out or replaced, all other bytes stay as they came.

mod attachments;
mod coding;
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

use serde_json::Value;

pub(crate) use coding::Coding;
pub(crate) use openapi::slim as slim_openapi;
pub(crate) use schema::Violation;

#[cfg(feature = "yaml")]
pub(crate) use json::parse_placed as parse_json_placed;
pub(crate) use json::{JsonError, JsonLimits, Step, parse as parse_json};

use crate::Principal;
use crate::access::{Header, Target, single};
use crate::document::{ContentEncoding, OpenApiSource};
use crate::files::FileRules;
use crate::form::Form;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::screening::{AnnouncedBody, Notes, Owner, ResponseScreening, RewriteBody, Screening};
use crate::stages::{Announced, CheckResponse, InputSections, Inspect, Inspected};

use attachments::Attachments;
use coding::{Caps, DecodeError};
use json::Text;
use media_type::{Kind as MediaKind, MediaType};
use openapi::{Content, OpenApi, Operation, SentField};
use response::ResponseRules;
use schema::Schema;
use strings::Strings;

/// The longest body that can be allowed, in bytes.
const MAXIMUM_BODY_BYTES: u32 = 1024 * 1024;

/// The furthest a compressed body can be allowed to expand: gzip itself stops at about this.
const MAXIMUM_EXPANSION: u32 = 1000;

const DEFAULT_EXPANSION: u32 = 100;

/// Where nothing is said.
pub(crate) const DEFAULT_BODY_BYTES: u32 = 64 * 1024;

/// The deepest nesting that can be allowed: below serde_json's own limit.
const MAXIMUM_DEPTH: u32 = 100;

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
    pub(crate) fn compile(sections: &InputSections<'_>) -> Result<Self, CompileError> {
        let InputSections { input: section, field, redaction_key, .. } = *sections;
        let openapi = compile_openapi(sections)?;
        let default = || match openapi.is_some() && section.schema.is_none() {
            true => Vec::new(),
            false => vec!["application/json".to_owned()],
        };
        let names = section.content_types.clone().unwrap_or_else(default);
        let content_types = names.iter().enumerate().map(|(index, name)| {
            MediaType::parse(name.as_bytes()).ok_or_else(|| {
                let message = "expected application/json, a +json type, multipart/form-data, \
                               application/x-www-form-urlencoded, text/plain or, for an \
                               upstream that decrypts and screens it itself, application/jose: \
                               other types cannot be inspected";
                CompileError::new(format!("{field}.content_types[{index}]"), message)
            })
        });
        let content_types: Vec<_> = content_types.collect::<Result<_, _>>()?;
        let max_body_bytes = section.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES);
        if max_body_bytes > MAXIMUM_BODY_BYTES {
            let message = format!("expected at most {MAXIMUM_BODY_BYTES}");
            return Err(CompileError::new(format!("{field}.max_body_bytes"), message));
        }
        let json = section.json.unwrap_or_default();
        if !(1..=MAXIMUM_DEPTH).contains(&json.max_depth) {
            let message = format!("expected 1 to {MAXIMUM_DEPTH}");
            return Err(CompileError::new(format!("{field}.json.max_depth"), message));
        }
        let max_expansion = section.max_expansion.unwrap_or(DEFAULT_EXPANSION);
        if !(1..=MAXIMUM_EXPANSION).contains(&max_expansion) {
            let message = format!("expected 1 to {MAXIMUM_EXPANSION}");
            return Err(CompileError::new(format!("{field}.max_expansion"), message));
        }
        let decodes = section.content_encoding == Some(ContentEncoding::Decode);
        let schema = section.schema.as_ref();
        let schema =
            schema.map(|schema| Schema::compile(schema, &format!("{field}.schema"))).transpose()?;
        // What is encrypted is held against the schema by whoever decrypts it.
        let has_schema =
            |media: &MediaType| matches!(media.kind, MediaKind::Json | MediaKind::Jose);
        if schema.is_some() && !content_types.iter().all(has_schema) {
            let message = "a schema is for JSON: expected no other content_types beside it";
            return Err(CompileError::new(format!("{field}.schema"), message));
        }
        let screening = Screening::compile(section, redaction_key, field)?;
        let files = section.files.as_ref();
        let files =
            files.map(|files| FileRules::compile(files, &format!("{field}.files"))).transpose()?;
        Ok(Self {
            content_types,
            max_body_bytes: max_body_bytes as usize,
            json: JsonLimits { max_depth: json.max_depth, max_values: json.max_values },
            schema,
            shadow: ResponseRules::compile(sections, openapi.as_ref())?,
            openapi,
            max_expansion: decodes.then_some(max_expansion as usize),
            responses: ResponseScreening::compile(sections, screening.data())?,
            screening,
            files,
        })
    }

    /// The same behind a pointer, for [`crate::Stages`].
    pub(crate) fn boxed(sections: &InputSections<'_>) -> Result<Box<dyn Inspect>, CompileError> {
        Ok(Box::new(Self::compile(sections)?))
    }

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

    fn check_json(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        // A schema needs the value; everything else does without, which is much of the time.
        let described = described.filter(|(_, content)| content.has_schema());
        let value = match self.schema.is_some() || described.is_some() {
            true => Some(self.parse(body)?),
            false => json::check(body, self.json).map(|()| None).map_err(refused_json)?,
        };
        let rewritten = strings.check_json(body)?;
        if let Some(value) = value {
            // What goes on is what must be of the form that the route takes.
            let value = rewritten.as_deref().map_or(Ok(value), |body| self.parse(body))?;
            self.schema.as_ref().map_or(Ok(()), |schema| schema.check(&value))?;
            described.map_or(Ok(()), |(openapi, content)| openapi.check_value(content, value))?;
        }
        Ok(rewritten)
    }

    fn parse(&self, body: &[u8]) -> Result<Value, Refusal> {
        json::parse_placed(body, self.json).map_err(refused_json)
    }

    /// Names and values must be what text may be, as if they stood in a JSON object.
    fn check_form(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let form = self.parse_form(body, described)?;
        let mut rewritten = form_urlencoded::Serializer::new(String::new());
        let mut is_rewritten = false;
        for (name, value) in form.iter() {
            strings.check(Text { path: &[], container: 0, is_name: true, text: name })?;
            let path = [Step::Member(name.into())];
            let value_text = Text { path: &path, container: 0, is_name: false, text: value };
            let answer = strings.check(value_text)?;
            is_rewritten |= answer.is_some();
            rewritten.append_pair(name, answer.as_deref().unwrap_or(value));
        }
        let rewritten = is_rewritten.then(|| rewritten.finish().into_bytes());
        if let Some((openapi, content)) = described {
            let again = |body| self.parse_form(body, described);
            let goes_on = rewritten.as_deref().map(again).transpose()?;
            let form = goes_on.as_ref().unwrap_or(&form);
            let fields: Vec<_> =
                form.iter().map(|(name, text)| (name, SentField::Text(text))).collect();
            openapi.check_fields(content, &fields)?;
        }
        Ok(rewritten)
    }

    fn parse_form(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
    ) -> Result<Form, Refusal> {
        let is_list = |name: &str| described.is_some_and(|(_, content)| content.is_list(name));
        Form::parse_lists(body, self.json.max_values as usize, is_list).map_err(|error| {
            Refusal::new(Reason::FormInvalid, format!("Expected {error}."))
                .finding("", error.to_string())
        })
    }

    fn check_text(
        &self,
        body: &[u8],
        described: Option<(&OpenApi, &Content)>,
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let detail = format!("Expected UTF-8 at byte {}.", error.valid_up_to());
            Refusal::new(Reason::TextInvalid, detail)
        })?;
        let rewritten = strings.check(Text { path: &[], container: 0, is_name: false, text })?;
        if let Some((openapi, content)) = described {
            openapi.check_value(content, rewritten.as_deref().unwrap_or(text).into())?;
        }
        Ok(rewritten.map(String::into_bytes))
    }
}

fn refused_json(misread: json::Misread) -> Refusal {
    let error = &misread.error;
    let reason = match error {
        JsonError::TooDeep | JsonError::TooManyValues => Reason::JsonTooComplex,
        JsonError::Syntax { .. } | JsonError::DuplicateMember => Reason::JsonInvalid,
    };
    Refusal::new(reason, format!("Expected {error}.")).finding(misread.at(), error.to_string())
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

/// The document of a route, which others may have compiled.
fn compile_openapi(sections: &InputSections<'_>) -> Result<Option<Arc<OpenApi>>, CompileError> {
    let field = format!("{}.openapi", sections.field);
    match &sections.input.openapi {
        None | Some(OpenApiSource::None) => Ok(None),
        Some(OpenApiSource::File(_)) => {
            let message = "expected the document itself: `portcullis` puts files in place";
            Err(CompileError::new(format!("{field}.file"), message))
        }
        Some(OpenApiSource::Inline(document)) => {
            let field = format!("{field}.inline");
            sections.shared.get(&document.0, || OpenApi::compile(&document.0, &field)).map(Some)
        }
    }
}

/// The refusal of a body that is longer than `max_body_bytes`.
pub(crate) fn too_large(max_body_bytes: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLarge, format!("Send at most {max_body_bytes} bytes."))
}
