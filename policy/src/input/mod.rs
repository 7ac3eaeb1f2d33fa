//! The input stage: what a caller brings.
//!
//! Every body is parsed strictly before it is let through: what the gate read is what the upstream reads. Where something in it
//! is taken out or replaced, all other bytes stay as they came.

mod attachments;
mod head;
mod json;
mod media_type;
mod multipart;
mod parts;
mod schema;

use serde_json::Value;

pub(crate) use json::{JsonError, JsonLimits, Step, parse as parse_json};

use crate::Principal;
use crate::access::{Header, Target, single};
use crate::files::FileRules;
use crate::form::Form;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::screening::{
    Decision, Found, Kind, Noted, Notes, Owner, Profile, ResponseScreening, RewriteBody, Screening,
};
use crate::stages::{InputSections, Inspect, Inspected};

use attachments::{Attachments, Seen};
use json::Text;
use media_type::{Kind as MediaKind, MediaType};
use schema::Schema;

/// The longest body that can be allowed, in bytes.
const MAXIMUM_BODY_BYTES: u32 = 1024 * 1024;

/// Where nothing is said.
pub(crate) const DEFAULT_BODY_BYTES: u32 = 64 * 1024;

/// The deepest nesting that can be allowed: below serde_json's own limit.
const MAXIMUM_DEPTH: u32 = 100;

/// A compiled `input` section.
#[derive(Debug)]
pub(crate) struct InputRules {
    content_types: Vec<MediaType>,
    max_body_bytes: usize,
    json: JsonLimits,
    schema: Option<Schema>,
    screening: Screening,
    files: Option<FileRules>,
    responses: Option<ResponseScreening>,
}

impl InputRules {
    pub(crate) fn compile(sections: &InputSections<'_>) -> Result<Self, CompileError> {
        let InputSections { input: section, field, redaction_key, .. } = *sections;
        let default = || vec!["application/json".to_owned()];
        let names = section.content_types.clone().unwrap_or_else(default);
        let content_types = names.iter().enumerate().map(|(index, name)| {
            MediaType::parse(name.as_bytes()).ok_or_else(|| {
                let message = "expected application/json, a +json type, multipart/form-data, \
                               application/x-www-form-urlencoded or text/plain: \
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
        let schema = section.schema.as_ref();
        let schema =
            schema.map(|schema| Schema::compile(schema, &format!("{field}.schema"))).transpose()?;
        if schema.is_some() && !content_types.iter().all(|media| media.kind == MediaKind::Json) {
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

    fn media_type(&self, content_type: Option<&[u8]>) -> Result<&MediaType, Refusal> {
        let found = content_type.and_then(MediaType::parse);
        found.and_then(|found| self.content_types.iter().find(|known| **known == found)).ok_or_else(
            || {
                let names: Vec<_> = self.content_types.iter().map(MediaType::as_str).collect();
                let detail =
                    format!("Send one of these content types, in UTF-8: {}.", names.join(", "));
                Refusal::new(Reason::ContentTypeUnsupported, detail)
                    .header("accept", names.join(", "))
            },
        )
    }

    fn check_json(
        &self,
        body: &[u8],
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        // A schema needs the value; everything else does without, which is much of the time.
        let value = match &self.schema {
            Some(schema) => Some((schema, self.parse(body)?)),
            None => json::check(body, self.json).map(|()| None).map_err(refused_json)?,
        };
        if let Some(attachments) = &mut strings.attachments {
            attachments.read_labels(body);
        }
        let rewritten = json::rewrite(body, &mut |text| strings.check(text))?;
        if let Some((schema, value)) = value {
            // What goes on is what must be of the form that the route takes.
            let value = rewritten.as_deref().map_or(Ok(value), |body| self.parse(body))?;
            schema.check(&value)?;
        }
        Ok(rewritten)
    }

    fn parse(&self, body: &[u8]) -> Result<Value, Refusal> {
        parse_json(body, self.json).map_err(refused_json)
    }

    /// Names and values must be what text may be, as if they stood in a JSON object.
    fn check_form(
        &self,
        body: &[u8],
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let form = Form::parse(body, self.json.max_values as usize).map_err(|error| {
            Refusal::new(Reason::FormInvalid, format!("Expected {error}."))
                .finding("", error.to_string())
        })?;
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
        Ok(is_rewritten.then(|| rewritten.finish().into_bytes()))
    }

    fn check_text(
        &self,
        body: &[u8],
        strings: &mut Strings<'_>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let detail = format!("Expected UTF-8 at byte {}.", error.valid_up_to());
            Refusal::new(Reason::TextInvalid, detail)
        })?;
        let rewritten = strings.check(Text { path: &[], container: 0, is_name: false, text })?;
        Ok(rewritten.map(String::into_bytes))
    }
}

/// The strings of a body, as they are met.
struct Strings<'a> {
    screening: &'a Screening,
    attachments: Option<Attachments<'a>>,
    owner: &'a Owner,
    notes: Notes,
}

impl Strings<'_> {
    /// What goes on in a string's place, if it is not to go on as it is.
    fn check(&mut self, text: Text<'_>) -> Result<Option<String>, Refusal> {
        if let Some(attachments) = &mut self.attachments
            && let Seen::File(answer) = attachments.look(text, &mut self.notes)?
        {
            return Ok(answer);
        }
        let Text { path, is_name, text, .. } = text;
        let profile = if is_name { Profile::Name } else { self.screening.profile(path) };
        // The name itself may hold what was found, so it is not repeated.
        let screened = self.screening.screen(profile, text, self.owner).map_err(|unfit| {
            let detail = format!("Expected {}.", unfit.expected);
            Refusal::new(unfit.reason, detail).finding(pointer(path), unfit.expected)
        })?;
        note(&screened.found, || pointer(path), &mut self.notes)?;
        Ok(screened.rewritten)
    }
}

/// Notes what was found; refuses where it has to be.
fn note(found: &[Found], at: impl Fn() -> String, notes: &mut Notes) -> Result<(), Refusal> {
    let denied = found.iter().filter(|found| found.decision == Decision::Deny);
    let mut refusal: Option<Refusal> = None;
    for Found { detection, .. } in denied.take(MAXIMUM_FINDINGS) {
        let reason = match detection.kind {
            kind if kind.is_attack() => Reason::AttackSuspected,
            Kind::PromptInjection => Reason::PromptInjectionSuspected,
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

/// How many findings of one string are told.
const MAXIMUM_FINDINGS: usize = 8;

fn refused_json(error: JsonError) -> Refusal {
    let reason = match error {
        JsonError::TooDeep | JsonError::TooManyValues => Reason::JsonTooComplex,
        JsonError::Syntax { .. } | JsonError::DuplicateMember => Reason::JsonInvalid,
    };
    Refusal::new(reason, format!("Expected {error}.")).finding("", error.to_string())
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &[Step<'_>]) -> String {
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
    ) -> Result<Notes, Refusal> {
        let length = single(headers, "content-length")
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_body_bytes as u64) {
            return Err(self.too_large());
        }
        let encoding = single(headers, "content-encoding");
        if encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            // What cannot be read cannot be judged.
            return Err(Refusal::new(
                Reason::ContentEncodingUnsupported,
                "Send the body uncompressed.",
            )
            .header("accept-encoding", "identity"));
        }
        if has_body && length != Some(0) {
            let content_type = single(headers, "content-type");
            if self.media_type(content_type)?.kind == MediaKind::Multipart {
                parts::check_head(content_type)?;
            }
        }
        let mut notes = Notes::default();
        if self.screening.looks_at_arguments() {
            target.map_or(Ok(()), |target| head::target(&self.screening, target, &mut notes))?;
            head::fields(&self.screening, headers, &mut notes)?;
        }
        Ok(notes)
    }

    fn check_body(
        &self,
        content_type: Option<&[u8]>,
        body: &[u8],
        principal: &Principal,
    ) -> Result<Inspected, Refusal> {
        if body.len() > self.max_body_bytes {
            return Err(self.too_large());
        }
        if body.is_empty() {
            return match &self.schema {
                None => Ok(Inspected::default()),
                Some(_) => Err(Refusal::new(
                    Reason::BodyMissing,
                    "Send a JSON body of the form this route takes.",
                )),
            };
        }
        // Whose it is matters only where something is replaced.
        let owner = self.screening.data().map_or_else(Owner::nobody, |_| Owner::from(principal));
        let mut strings = Strings {
            screening: &self.screening,
            attachments: self.files.as_ref().map(Attachments::new),
            owner: &owner,
            notes: Notes::default(),
        };
        let rewritten = match self.media_type(content_type)?.kind {
            MediaKind::Json => self.check_json(body, &mut strings)?,
            MediaKind::Form => self.check_form(body, &mut strings)?,
            MediaKind::Multipart => parts::check(body, content_type, &mut strings)?,
            MediaKind::Text => self.check_text(body, &mut strings)?,
        };
        Ok(Inspected { rewritten, notes: strings.notes })
    }

    fn looks_at_responses(&self) -> bool {
        self.responses.is_some()
    }

    fn response(
        &self,
        headers: &[Header<'_>],
        principal: &Principal,
    ) -> Option<Box<dyn RewriteBody>> {
        let text = |name| single(headers, name).and_then(|value| std::str::from_utf8(value).ok());
        let responses = self.responses.as_ref()?;
        // A type that cannot be read, or is there twice, is taken for text.
        let (content_type, encoding) = (text("content-type"), text("content-encoding"));
        responses.of(content_type, encoding, Owner::from(principal))
    }
}

/// The refusal of a body that is longer than `max_body_bytes`.
pub(crate) fn too_large(max_body_bytes: usize) -> Refusal {
    Refusal::new(Reason::BodyTooLarge, format!("Send at most {max_body_bytes} bytes."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{InputSection, OutputSection, SchemaSource};

    fn compile(section: &InputSection) -> Result<InputRules, CompileError> {
        let output = OutputSection::default();
        let field = "input";
        InputRules::compile(&InputSections {
            input: section,
            field,
            output: &output,
            redaction_key: None,
            canaries: &[],
        })
    }

    fn rules() -> InputRules {
        let section = InputSection {
            max_body_bytes: Some(100),
            schema: Some(SchemaSource::Inline(json!({
                "type": "object", "required": ["text"], "additionalProperties": false,
                "properties": {"text": {"type": "string", "minLength": 1}},
            }))),
            ..Default::default()
        };
        compile(&section).unwrap()
    }

    fn headers<'a>(fields: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
        fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn head(fields: &[(&str, &str)]) -> Result<(), Reason> {
        rules().check_head(&headers(fields), None, true).map(drop).map_err(|refusal| refusal.reason)
    }

    fn body(body: &[u8]) -> Result<(), Reason> {
        rewritten(body).map(drop)
    }

    fn rewritten(body: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let inspected =
            rules().check_body(Some(b"application/json"), body, &Principal::anonymous());
        inspected.map(|inspected| inspected.rewritten).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_head_is_judged_before_the_body() {
        let json = ("content-type", "application/json; charset=UTF-8");
        assert_eq!(head(&[json]), Ok(()));
        assert_eq!(head(&[json, ("content-length", "101")]), Err(Reason::BodyTooLarge));
        assert_eq!(
            head(&[json, ("content-encoding", "gzip")]),
            Err(Reason::ContentEncodingUnsupported)
        );
        let unsupported = Err(Reason::ContentTypeUnsupported);
        for fields in [
            [].as_slice(),
            &[("content-type", "text/html")],
            &[("content-type", "application/json; charset=utf-16")],
            &[("content-type", "application/json, text/plain")],
            &[("content-type", "application/jsonx")],
        ] {
            assert_eq!(head(fields), unsupported, "{fields:?}");
        }
    }

    #[test]
    fn bodies_are_judged_whole() {
        assert_eq!(body(br#"{"text":"hello"}"#), Ok(()));
        assert_eq!(body(b""), Err(Reason::BodyMissing));
        assert_eq!(body(&[b' '; 101]), Err(Reason::BodyTooLarge));
        assert_eq!(body(b"text=hello"), Err(Reason::JsonInvalid));
        assert_eq!(body(br#"{"text":"a","text":"b"}"#), Err(Reason::JsonInvalid));
        assert_eq!(body(br#"{"text":7}"#), Err(Reason::SchemaViolated));
        assert_eq!(body(br#"{"text":""}"#), Err(Reason::SchemaViolated));
        assert_eq!(body(br#"{"text":"a","x":1}"#), Err(Reason::SchemaViolated));
        assert_eq!(body(br#"{"text":"a\u0007b"}"#), Err(Reason::ControlCharacter));
        assert_eq!(body(br#"{"te\u0000xt":"a"}"#), Err(Reason::ControlCharacter));
        assert_eq!(body("[".repeat(50).as_bytes()), Err(Reason::JsonTooComplex));
    }

    #[test]
    fn what_nobody_sees_is_taken_out_and_all_else_stays() {
        assert_eq!(rewritten(br#"{"text":"hello"}"#), Ok(None));
        assert_eq!(
            rewritten(b"{ \"text\" : \"a\\u202eb\xe2\x80\x8b\" }"),
            Ok(Some(br#"{ "text" : "ab" }"#.to_vec()))
        );
        // A name that would become another one.
        assert_eq!(rewritten(br#"{"te\u200bxt":"a"}"#), Err(Reason::InvisibleCharacter));
        // What is left is not what the route takes.
        assert_eq!(rewritten(br#"{"text":"\u200b"}"#), Err(Reason::SchemaViolated));
    }

    #[test]
    fn findings_say_where() {
        let section = InputSection::default();
        let rules = compile(&section).unwrap();
        let body = br#"{"a/b": [{"c": "x\u0000"}]}"#;
        let refusal =
            rules.check_body(Some(b"application/json"), body, &Principal::anonymous()).unwrap_err();
        assert_eq!(refusal.findings[0].at, "/a~1b/0/c");
        assert_eq!(refusal.findings[0].expected, "no U+0000, found at character 1");
    }

    #[test]
    fn forms_are_read_as_strictly() {
        let form = "application/x-www-form-urlencoded";
        let section = InputSection {
            content_types: Some(vec![form.to_owned()]),
            json: Some(crate::document::JsonSection { max_values: 4, ..Default::default() }),
            ..Default::default()
        };
        let rules = compile(&section).unwrap();
        let rewritten = |body: &[u8]| {
            let inspected = rules.check_body(Some(form.as_bytes()), body, &Principal::anonymous());
            inspected.map(|inspected| inspected.rewritten).map_err(|refusal| refusal.reason)
        };
        let body = |body: &[u8]| rewritten(body).map(drop);
        assert_eq!(body(b"grant_type=client_credentials&scope=a+b"), Ok(()));
        assert_eq!(body(b"scope=a&sc%6fpe=b"), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=%zz"), Err(Reason::FormInvalid));
        assert_eq!(body(br#"{"a":"b"}"#), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=1&b=2&c=3&d=4&e=5"), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=%00"), Err(Reason::ControlCharacter));
        assert_eq!(body(b"a%E2%80%AE=a"), Err(Reason::InvisibleCharacter));
        assert_eq!(rewritten(b"a=b+c&d=x%E2%80%AE%26"), Ok(Some(b"a=b+c&d=x%26".to_vec())));
        assert_eq!(rewritten(b"a=b+c&d=x%26"), Ok(None));
        assert_eq!(body(b"%00=a"), Err(Reason::ControlCharacter));
    }

    #[test]
    fn what_cannot_be_inspected_cannot_be_allowed() {
        let with = |types: &[&str], schema| {
            let content_types = Some(types.iter().map(|name| (*name).to_owned()).collect());
            compile(&InputSection { content_types, schema, ..Default::default() })
                .map(|_| ())
                .map_err(|error| error.field)
        };
        assert_eq!(with(&["image/png"], None), Err("input.content_types[0]".to_owned()));
        assert_eq!(with(&["text/plain", "application/ld+json"], None), Ok(()));
        let schema = Some(SchemaSource::Inline(json!({})));
        assert_eq!(with(&["text/plain"], schema), Err("input.schema".to_owned()));
    }
}
