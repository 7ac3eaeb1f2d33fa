//! The input stage: what a caller brings.
//!
//! Every body is parsed strictly before it is let through: what the gate read is what the upstream reads.

mod json;
mod media_type;
mod schema;
mod text;

use serde_json::Value;

pub(crate) use json::{JsonError, JsonLimits, parse as parse_json};

use crate::access::{Header, single};
use crate::document::InputSection;
use crate::form::Form;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::Inspect;

use media_type::{Kind, MediaType};
use schema::Schema;
use text::TextRules;

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
    text: TextRules,
}

impl InputRules {
    pub(crate) fn compile(section: &InputSection, field: &str) -> Result<Self, CompileError> {
        let default = || vec!["application/json".to_owned()];
        let names = section.content_types.clone().unwrap_or_else(default);
        let content_types = names.iter().enumerate().map(|(index, name)| {
            MediaType::parse(name.as_bytes()).ok_or_else(|| {
                let message = "expected application/json, a +json type, \
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
        if schema.is_some() && !content_types.iter().all(|media| media.kind == Kind::Json) {
            let message = "a schema is for JSON: expected no other content_types beside it";
            return Err(CompileError::new(format!("{field}.schema"), message));
        }
        Ok(Self {
            content_types,
            max_body_bytes: max_body_bytes as usize,
            json: JsonLimits { max_depth: json.max_depth, max_values: json.max_values },
            schema,
            text: TextRules::compile(section.text.unwrap_or_default()),
        })
    }

    /// The same behind a pointer, for [`crate::Stages`].
    pub(crate) fn boxed(
        section: &InputSection,
        field: &str,
    ) -> Result<Box<dyn Inspect>, CompileError> {
        Ok(Box::new(Self::compile(section, field)?))
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

    fn check_json(&self, body: &[u8]) -> Result<(), Refusal> {
        let value = parse_json(body, self.json).map_err(|error| {
            let reason = match error {
                json::JsonError::TooDeep | json::JsonError::TooManyValues => Reason::JsonTooComplex,
                _ => Reason::JsonInvalid,
            };
            Refusal::new(reason, format!("Expected {error}.")).finding("", error.to_string())
        })?;
        self.text.check_json(&value)?;
        self.schema.as_ref().map_or(Ok(()), |schema| schema.check(&value))
    }

    /// Names and values must be what text may be, as if they stood in a JSON object.
    fn check_form(&self, body: &[u8]) -> Result<(), Refusal> {
        let form = Form::parse(body, self.json.max_values as usize).map_err(|error| {
            Refusal::new(Reason::FormInvalid, format!("Expected {error}."))
                .finding("", error.to_string())
        })?;
        let members = form.iter().map(|(name, value)| (name.to_owned(), value.into()));
        self.text.check_json(&Value::Object(members.collect()))
    }

    fn check_text(&self, body: &[u8]) -> Result<(), Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let detail = format!("Expected UTF-8 at byte {}.", error.valid_up_to());
            Refusal::new(Reason::TextInvalid, detail)
        })?;
        self.text.check_json(&Value::String(text.to_owned()))
    }
}

impl Inspect for InputRules {
    fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    fn check_head(&self, headers: &[Header<'_>], has_body: bool) -> Result<(), Refusal> {
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
            self.media_type(single(headers, "content-type"))?;
        }
        Ok(())
    }

    fn check_body(&self, content_type: Option<&[u8]>, body: &[u8]) -> Result<(), Refusal> {
        if body.len() > self.max_body_bytes {
            return Err(self.too_large());
        }
        if body.is_empty() {
            return match &self.schema {
                None => Ok(()),
                Some(_) => Err(Refusal::new(
                    Reason::BodyMissing,
                    "Send a JSON body of the form this route takes.",
                )),
            };
        }
        match self.media_type(content_type)?.kind {
            Kind::Json => self.check_json(body),
            Kind::Form => self.check_form(body),
            Kind::Text => self.check_text(body),
        }
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
    use crate::document::SchemaSource;

    fn rules() -> InputRules {
        let section = InputSection {
            max_body_bytes: Some(100),
            schema: Some(SchemaSource::Inline(json!({
                "type": "object", "required": ["text"], "additionalProperties": false,
                "properties": {"text": {"type": "string", "minLength": 1}},
            }))),
            ..Default::default()
        };
        InputRules::compile(&section, "input").unwrap()
    }

    fn headers<'a>(fields: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
        fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn head(fields: &[(&str, &str)]) -> Result<(), Reason> {
        rules().check_head(&headers(fields), true).map_err(|refusal| refusal.reason)
    }

    fn body(body: &[u8]) -> Result<(), Reason> {
        rules().check_body(Some(b"application/json"), body).map_err(|refusal| refusal.reason)
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
        assert_eq!(body(br#"{"text":"a\u202eb"}"#), Err(Reason::InvisibleCharacter));
        assert_eq!(body(br#"{"te\u0000xt":"a"}"#), Err(Reason::ControlCharacter));
        assert_eq!(body("[".repeat(50).as_bytes()), Err(Reason::JsonTooComplex));
    }

    #[test]
    fn forms_are_read_as_strictly() {
        let form = "application/x-www-form-urlencoded";
        let section = InputSection {
            content_types: Some(vec![form.to_owned()]),
            json: Some(crate::document::JsonSection { max_values: 4, ..Default::default() }),
            ..Default::default()
        };
        let rules = InputRules::compile(&section, "input").unwrap();
        let body = |body: &[u8]| {
            rules.check_body(Some(form.as_bytes()), body).map_err(|refusal| refusal.reason)
        };
        assert_eq!(body(b"grant_type=client_credentials&scope=a+b"), Ok(()));
        assert_eq!(body(b"scope=a&sc%6fpe=b"), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=%zz"), Err(Reason::FormInvalid));
        assert_eq!(body(br#"{"a":"b"}"#), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=1&b=2&c=3&d=4&e=5"), Err(Reason::FormInvalid));
        assert_eq!(body(b"a=%00"), Err(Reason::ControlCharacter));
        assert_eq!(body(b"a=%E2%80%AE"), Err(Reason::InvisibleCharacter));
        assert_eq!(body(b"%00=a"), Err(Reason::ControlCharacter));
    }

    #[test]
    fn what_cannot_be_inspected_cannot_be_allowed() {
        let with = |types: &[&str], schema| {
            let content_types = Some(types.iter().map(|name| (*name).to_owned()).collect());
            InputRules::compile(
                &InputSection { content_types, schema, ..Default::default() },
                "input",
            )
            .map(|_| ())
            .map_err(|error| error.field)
        };
        assert_eq!(with(&["image/png"], None), Err("input.content_types[0]".to_owned()));
        assert_eq!(with(&["text/plain", "application/ld+json"], None), Ok(()));
        let schema = Some(SchemaSource::Inline(json!({})));
        assert_eq!(with(&["text/plain"], schema), Err("input.schema".to_owned()));
    }
}
