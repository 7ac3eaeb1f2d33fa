//! The parameters of an operation: in the path, the query, the header section and cookies.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::node::Node;
use super::schemas::{Schemas, SchemasBuilder, Use};
use super::types::Types;
use crate::access::Header;
use crate::form::decode;
use crate::input::schema::Violation;
use crate::input::{JsonLimits, parse_json};
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};

/// How many parameters an operation may have.
const MAXIMUM_PARAMETERS: usize = 100;

/// How many findings are told of at once.
const MAXIMUM_FINDINGS: usize = 8;

/// How much of a name that nobody knows is told, in characters.
const MAXIMUM_NAME_CHARS: usize = 64;

/// How deep and how large JSON in a parameter may be.
const JSON_LIMITS: JsonLimits = JsonLimits { max_depth: 16, max_values: 1000 };

#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<Parameter>);

#[derive(Debug, Clone)]
struct Parameter {
    place: Place,
    /// In lower case where it is that of a header field.
    name: String,
    is_required: bool,
    form: Form,
    schema: Option<Use>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// How values are written.
#[derive(Debug, Clone)]
enum Form {
    Json,
    Text {
        types: Types,
        /// Of the items, where it may be an array, and what stands between them; nothing where each is a parameter of its own.
        items: Option<(Types, Option<char>)>,
    },
}

impl Parameters {
    /// Those of `node`, which is an operation or a path; of the latter's, `base`, those hold that it does not have itself.
    pub(super) fn compile(
        node: &Node<'_>,
        base: &Self,
        schemas: &mut SchemasBuilder,
    ) -> Result<Self, CompileError> {
        let mut own: Vec<Parameter> = Vec::new();
        for node in node.items("parameters")? {
            let Some(parameter) = Parameter::compile(&node, schemas)? else { continue };
            if own.iter().any(|other| other.is(parameter.place, &parameter.name)) {
                return Err(node.error("expected each parameter once"));
            }
            own.push(parameter);
        }
        let others = base.0.iter();
        let others = others.filter(|other| !own.iter().any(|it| it.is(other.place, &other.name)));
        let others: Vec<Parameter> = others.cloned().collect();
        own.extend(others);
        if own.len() > MAXIMUM_PARAMETERS {
            let message = format!("expected at most {MAXIMUM_PARAMETERS} parameters");
            return Err(node.error(&message));
        }
        Ok(Self(own))
    }

    pub(super) fn has_path(&self, name: &str) -> bool {
        self.0.iter().any(|parameter| parameter.is(Place::Path, name))
    }

    /// Checks a request. `is_extra` says which parameters of a query are known beside those that are described.
    pub(super) fn check(
        &self,
        schemas: &Schemas,
        sent: &Sent<'_>,
        is_extra: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let mut values = self.values(sent, is_extra)?;
        let mut invalid = Invalid::default();
        for (index, parameter) in self.0.iter().enumerate() {
            match values.remove(&index) {
                Some(texts) => parameter.check(&texts, schemas, &mut invalid),
                None if parameter.is_required => invalid.add(parameter.at(), "this parameter"),
                None => {}
            }
        }
        invalid.0.map_or(Ok(()), Err)
    }

    /// The values of each parameter that is there, decoded.
    fn values(
        &self,
        sent: &Sent<'_>,
        is_extra: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<usize, Vec<String>>, Refusal> {
        let mut values: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let find = |place, name: &str| self.0.iter().position(|it| it.is(place, name));
        for (name, value) in sent.path {
            // Some servers end the segment at a semicolon, and read another path than this.
            let decoded = percent_decode_str(value).decode_utf8().ok();
            let decoded = decoded.filter(|_| !value.contains(';'));
            let Some(decoded) = decoded else {
                return Err(invalid(format!("path/{name}"), "UTF-8, percent-encoded, no bare `;`"));
            };
            if let Some(index) = find(Place::Path, name) {
                values.entry(index).or_default().push(decoded.into_owned());
            }
        }
        let mut unknown: Option<Refusal> = None;
        let mut told = 0_usize;
        for (name, value) in pairs(sent.query.unwrap_or_default())? {
            match find(Place::Query, &name) {
                Some(index) => values.entry(index).or_default().push(value),
                None if is_extra(&name) => {}
                None if told < MAXIMUM_FINDINGS => {
                    let name: String = name.chars().take(MAXIMUM_NAME_CHARS).collect();
                    let refusal = unknown.take().unwrap_or_else(|| {
                        let detail = "Send only query parameters that are described here.";
                        Refusal::new(Reason::ParameterUnknown, detail)
                    });
                    told = told.saturating_add(1);
                    unknown = Some(refusal.finding(format!("query/{name}"), "no such parameter"));
                }
                None => {}
            }
        }
        if let Some(refusal) = unknown {
            return Err(refusal);
        }
        for (name, value) in sent.headers {
            let place = if *name == "cookie" { Place::Cookie } else { Place::Header };
            if !self
                .0
                .iter()
                .any(|it| it.place == place && (place == Place::Cookie || it.name == *name))
            {
                continue;
            }
            let Ok(text) = std::str::from_utf8(value) else {
                return Err(invalid((*name).to_owned(), "UTF-8"));
            };
            if place == Place::Header {
                if let Some(index) = find(place, name) {
                    values.entry(index).or_default().push(text.trim().to_owned());
                }
                continue;
            }
            for cookie in text.split(';') {
                let Some((name, value)) = cookie.trim().split_once('=') else { continue };
                if let Some(index) = find(place, name.trim_end()) {
                    values.entry(index).or_default().push(value.trim_start().to_owned());
                }
            }
        }
        Ok(values)
    }
}

/// What of a request has parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) path: &'a [(&'a str, &'a str)],
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a [Header<'a>],
}

impl Parameter {
    /// Nothing for the header fields that are described elsewhere in the document.
    fn compile(
        node: &Node<'_>,
        schemas: &mut SchemasBuilder,
    ) -> Result<Option<Self>, CompileError> {
        let name = node.text("name")?.ok_or_else(|| node.error("expected `name`"))?;
        let place = match node.text("in")? {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            _ => return Err(node.error("expected `in`: path, query, header or cookie")),
        };
        let name = if place == Place::Header { name.to_ascii_lowercase() } else { name.to_owned() };
        if place == Place::Header
            && ["accept", "content-type", "authorization"].contains(&name.as_str())
        {
            return Ok(None);
        }
        let is_required = node.is_set("required")?;
        let (form, schema) = match node.get("content")? {
            Some(content) => {
                let media = content.get("application/json")?.ok_or_else(|| {
                    content.error("expected application/json: others cannot be read in a parameter")
                })?;
                media.get("schema")?;
                (Form::Json, media.raw("schema"))
            }
            None => {
                let schema = node.get("schema")?;
                (Form::compile(node, schema.as_ref(), place)?, node.raw("schema"))
            }
        };
        let schema = schema.map(|schema| schemas.add(&schema)).transpose()?;
        Ok(Some(Self { place, name, is_required, form, schema }))
    }

    fn is(&self, place: Place, name: &str) -> bool {
        self.place == place && self.name == name
    }

    /// How findings name it.
    fn at(&self) -> String {
        match self.place {
            Place::Path => format!("path/{}", self.name),
            Place::Query => format!("query/{}", self.name),
            Place::Header => self.name.clone(),
            Place::Cookie => format!("cookie/{}", self.name),
        }
    }

    fn check(&self, texts: &[String], schemas: &Schemas, invalid: &mut Invalid) {
        let candidates = match self.read(texts) {
            Ok(candidates) => candidates,
            Err(expected) => return invalid.add(self.at(), expected),
        };
        let Some(schema) = self.schema else { return };
        let mut first = None;
        for candidate in candidates {
            let violations = schemas.violations(schema, candidate);
            if violations.is_empty() {
                return;
            }
            first = first.or(Some(violations));
        }
        for Violation { at, expected } in first.unwrap_or_default() {
            invalid.add(format!("{}{at}", self.at()), expected);
        }
    }

    /// What the texts can be: at least one thing.
    fn read(&self, texts: &[String]) -> Result<Vec<Value>, String> {
        let (types, items) = match (&self.form, texts) {
            (Form::Json, [text]) => {
                let value = parse_json(text.as_bytes(), JSON_LIMITS);
                return value.map(|value| vec![value]).map_err(|error| error.to_string());
            }
            (Form::Json, _) => return Err("it once".to_owned()),
            (Form::Text { types, items }, _) => (*types, *items),
        };
        let mut candidates = Vec::new();
        if let Some((item_types, separator)) = items {
            let texts: Option<Vec<&str>> = match (separator, texts) {
                (None, texts) => Some(texts.iter().map(String::as_str).collect()),
                (Some(separator), [text]) => Some(text.split(separator).map(str::trim).collect()),
                // Header fields may be there several times where they are lists (RFC 9110 §5.3).
                (Some(separator), texts) if self.place == Place::Header => Some(
                    texts.iter().flat_map(|text| text.split(separator)).map(str::trim).collect(),
                ),
                _ => None,
            };
            let texts = texts.ok_or_else(|| "it once".to_owned())?;
            let read = |text: &&str| item_types.read(text).into_iter().next();
            let values: Option<Vec<Value>> = texts.iter().map(read).collect();
            candidates.extend(values.map(Value::Array));
        }
        match texts {
            [text] => candidates.extend(types.read(text)),
            _ if items.is_none() => return Err("it once".to_owned()),
            _ => {}
        }
        if candidates.is_empty() {
            return Err(match items {
                Some((item_types, _)) => format!("a list, each {}", item_types.expected()),
                None => types.expected(),
            });
        }
        Ok(candidates)
    }
}

impl Form {
    fn compile(
        node: &Node<'_>,
        schema: Option<&Node<'_>>,
        place: Place,
    ) -> Result<Self, CompileError> {
        let (default_style, default_explode) = match place {
            Place::Path | Place::Header => ("simple", false),
            Place::Query | Place::Cookie => ("form", true),
        };
        let style = node.text("style")?.unwrap_or(default_style);
        let explode = node.flag("explode")?.unwrap_or(style == "form" && default_explode);
        let separator = match style {
            "simple" if default_style == "simple" => Some(','),
            "form" if place == Place::Query && explode => None,
            "form" if default_style == "form" => Some(','),
            "spaceDelimited" if place == Place::Query => Some(' '),
            "pipeDelimited" if place == Place::Query => Some('|'),
            _ => {
                let message = "expected simple in a path or header field, form in a cookie, and \
                               form, spaceDelimited or pipeDelimited in a query";
                return Err(node.error_at("style", message));
            }
        };
        let Some(schema) = schema else {
            return Ok(Self::Text { types: Types::STRING, items: None });
        };
        let types = Types::of(schema)?;
        if !["boolean", "integer", "number", "string", "array"].iter().any(|it| types.has(it)) {
            let message =
                "expected a type that a text can be: boolean, integer, number, string, array";
            return Err(schema.error(message));
        }
        // Where nothing is said of a type, it is a text and no list.
        let has_array = types.has("array") && types != Types::ANY;
        let items = has_array.then(|| Types::of_items(schema)).transpose()?;
        Ok(Self::Text { types, items: items.map(|types| (types, separator)) })
    }
}

/// A refusal with all that is wrong.
#[derive(Debug, Default)]
struct Invalid(Option<Refusal>);

impl Invalid {
    fn add(&mut self, at: String, expected: impl Into<String>) {
        match &mut self.0 {
            Some(refusal) if refusal.findings.len() >= MAXIMUM_FINDINGS => {}
            known => {
                *known = Some(match known.take() {
                    Some(refusal) => refusal.finding(at, expected),
                    None => invalid(at, expected),
                });
            }
        }
    }
}

fn invalid(at: String, expected: impl Into<String>) -> Refusal {
    Refusal::new(Reason::ParameterInvalid, "Send parameters as they are described here.")
        .finding(at, expected)
}

/// The names and values of a query, read strictly: what two parsers could read differently is refused.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut pairs = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let read = |text: &str| decode(text.as_bytes()).map(|text| text.as_str().to_owned());
        // Some servers separate at semicolons too.
        let pair = if piece.contains(';') { None } else { read(name).zip(read(value)) };
        let expected = "UTF-8, percent-encoded, no bare `;`";
        pairs.push(pair.ok_or_else(|| invalid("query".to_owned(), expected))?);
    }
    Ok(pairs)
}
