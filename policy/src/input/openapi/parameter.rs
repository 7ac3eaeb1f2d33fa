//! One parameter: where it stands, how its values are written, and what they may be.

use serde_json::Value;

use super::node::Node;
use super::parameters::Invalid;
use super::schemas::{Schemas, SchemasBuilder, Use};
use super::types::Types;
use crate::input::schema::Violation;
use crate::input::{JsonLimits, parse_json};
use crate::policy::CompileError;

/// How deep and how large JSON in a parameter may be.
const JSON_LIMITS: JsonLimits = JsonLimits { max_depth: 16, max_values: 1000 };

#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) place: Place,
    /// In lower case where it is that of a header field.
    pub(super) name: String,
    pub(super) is_required: bool,
    form: Form,
    schema: Option<Use>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
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

impl Parameter {
    /// Nothing for the header fields that are described elsewhere in the document.
    pub(super) fn compile(
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

    pub(super) fn is(&self, place: Place, name: &str) -> bool {
        self.place == place && self.name == name
    }

    /// How findings name it.
    pub(super) fn at(&self) -> String {
        match self.place {
            Place::Path => format!("path/{}", self.name),
            Place::Query => format!("query/{}", self.name),
            Place::Header => self.name.clone(),
            Place::Cookie => format!("cookie/{}", self.name),
        }
    }

    pub(super) fn check(&self, texts: &[String], schemas: &Schemas, invalid: &mut Invalid) {
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
            // By the parameter and not by what its schema refers to: others may refer to that too.
            return Err(node.error_at("schema", message));
        }
        // Where nothing is said of a type, it is a text and no list.
        let has_array = types.has("array") && types != Types::ANY;
        let items = has_array.then(|| Types::of_items(schema)).transpose()?;
        Ok(Self::Text { types, items: items.map(|types| (types, separator)) })
    }
}
