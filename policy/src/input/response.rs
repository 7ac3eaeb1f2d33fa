//! Whether responses are what they are described as. Nothing is refused for it: the record tells.

use std::sync::Arc;

use super::coding::{Caps, Coding};
use super::compile::MAXIMUM_DEPTH;
use super::media_type::{Kind, MediaType};
use super::openapi::OpenApi;
use super::schema::{Schema, Violation};
use super::{JsonLimits, json};
use crate::access::{Header, single};
use crate::policy::CompileError;
use crate::stages::{Announced, CheckResponse, InputSections};

/// The longest response that is looked at, also once it is decoded, in bytes.
const MAXIMUM_BYTES: usize = 256 * 1024;

const MAXIMUM_EXPANSION: usize = 100;

const JSON_LIMITS: JsonLimits = JsonLimits { max_depth: MAXIMUM_DEPTH, max_values: 50_000 };

/// What JSON responses are compared with.
#[derive(Debug, Clone)]
pub(super) enum ResponseRules {
    Schema(Arc<Schema>),
    OpenApi(Arc<OpenApi>),
}

/// A response on its way, as far as it has been seen.
#[derive(Debug)]
pub(super) struct ResponseCheck {
    rules: ResponseRules,
    status: u16,
    media_type: String,
    operation: Option<usize>,
    coding: Option<Coding>,
    body: Vec<u8>,
    is_too_long: bool,
}

impl ResponseRules {
    pub(super) fn compile(
        sections: &InputSections<'_>,
        openapi: Option<&Arc<OpenApi>>,
    ) -> Result<Option<Self>, CompileError> {
        let field = "output.schema";
        let Some(source) = &sections.output.schema else { return Ok(None) };
        let Some(source) = source.as_schema() else {
            return Ok(openapi.map(|openapi| Self::OpenApi(Arc::clone(openapi))));
        };
        Schema::compile(&source, field).map(|schema| Some(Self::Schema(Arc::new(schema))))
    }

    /// None where nothing is described of such a response.
    pub(super) fn of(
        &self,
        announced: &Announced,
        headers: &[Header<'_>],
    ) -> Option<ResponseCheck> {
        let media_type = MediaType::parse(single(headers, "content-type")?)?;
        let status = std::str::from_utf8(single(headers, ":status")?).ok()?.parse().ok()?;
        if media_type.kind != Kind::Json {
            return None;
        }
        let coding = match single(headers, "content-encoding") {
            None => None,
            Some(value) if value.eq_ignore_ascii_case(b"identity") => None,
            Some(value) => Some(Coding::read(value)?),
        };
        let check = ResponseCheck {
            rules: self.clone(),
            status,
            media_type: media_type.as_str().to_owned(),
            operation: announced.operation,
            coding,
            body: Vec::new(),
            is_too_long: false,
        };
        check.is_described().then_some(check)
    }
}

impl CheckResponse for ResponseCheck {
    fn push(&mut self, part: &[u8], is_last: bool) -> Vec<Violation> {
        self.is_too_long |= self.body.len().saturating_add(part.len()) > MAXIMUM_BYTES;
        if self.is_too_long {
            self.body = Vec::new();
            return Vec::new();
        }
        self.body.extend_from_slice(part);
        // To a HEAD request, and with some statuses, there is none.
        if !is_last || self.body.is_empty() { Vec::new() } else { self.violations() }
    }

    fn give_up(&mut self) {
        self.is_too_long = true;
    }
}

impl ResponseCheck {
    fn is_described(&self) -> bool {
        match &self.rules {
            // A problem is of another form.
            ResponseRules::Schema(_) => (200..300).contains(&self.status),
            ResponseRules::OpenApi(openapi) => {
                let operation = self.operation.and_then(|index| openapi.operation(index));
                operation.is_some_and(|it| it.response(self.status, &self.media_type).is_some())
            }
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let caps = Caps { bytes: MAXIMUM_BYTES, expansion: MAXIMUM_EXPANSION };
        let decoded = self.coding.map(|coding| coding.decode(&self.body, caps)).transpose();
        let Ok(decoded) = decoded else { return Vec::new() };
        let body = decoded.as_ref().unwrap_or(&self.body);
        let value = match json::parse_placed(body, JSON_LIMITS) {
            Ok(value) => value,
            Err(misread) => {
                let expected = misread.error.to_string();
                return vec![Violation { at: misread.at(), expected }];
            }
        };
        match &self.rules {
            ResponseRules::Schema(schema) => schema.violations(&value),
            ResponseRules::OpenApi(openapi) => {
                let operation = self.operation.and_then(|index| openapi.operation(index));
                let content = operation.and_then(|it| it.response(self.status, &self.media_type));
                content.map(|content| openapi.violations(content, value)).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::SchemaSource;

    fn check(fields: &[(&str, &str)], parts: &[&[u8]]) -> Option<Vec<String>> {
        let schema = json!({"required": ["label"], "properties": {"score": {"maximum": 1}}});
        let schema = Schema::compile(&SchemaSource::Inline(schema), "f").unwrap();
        let headers: Vec<Header<'_>> =
            fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let rules = ResponseRules::Schema(Arc::new(schema));
        let mut check = rules.of(&Announced::default(), &headers)?;
        let last = parts.len() - 1;
        let parts = parts.iter().enumerate();
        let found = parts.flat_map(|(index, part)| check.push(part, index == last));
        Some(found.map(|violation| violation.at).collect())
    }

    const OK: (&str, &str) = (":status", "200");
    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn the_whole_of_a_json_response_is_compared() {
        let found = |parts: &[&[u8]]| check(&[OK, JSON], parts).unwrap();
        assert!(found(&[br#"{"label": "#, br#""ham", "score": 0.5}"#, b""]).is_empty());
        assert_eq!(found(&[br#"{"label": "ham", "#, br#""score": 2}"#]), ["/score"]);
        assert_eq!(found(&[b"{}"]), [""]);
        assert_eq!(found(&[b"no json"]), [""]);
        assert_eq!(found(&[br#"{"label": "ham", "label": "spam"}"#]), ["/label"]);
        assert!(found(&[b""]).is_empty());
        assert!(found(&[&[b'['; MAXIMUM_BYTES], b"["]).is_empty());
    }

    #[test]
    fn other_responses_are_not() {
        assert_eq!(check(&[OK, ("content-type", "text/html")], &[b"x"]), None);
        assert_eq!(check(&[(":status", "404"), JSON], &[b"{}"]), None);
        assert_eq!(check(&[OK, JSON, ("content-encoding", "deflate")], &[b"x"]), None);
        let broken = check(&[OK, JSON, ("content-encoding", "gzip")], &[b"x"]);
        assert_eq!(broken, Some(Vec::new()));
    }
}
