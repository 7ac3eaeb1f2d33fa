//! One parameter: where it stands, how its values are written, and what they may be.

use serde_json::Value;

use super::node::Node;
use super::object::Properties;
use super::parameters::Invalid;
use super::schemas::{Schemas, SchemasBuilder, Use};
use super::style::{Form, Spellings};
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
    spellings: Spellings,
    schema: Option<Use>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// What of a request is a parameter's, decoded: by how it is spelled.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) named: Vec<String>,
    /// The properties of an object, by their own names.
    own: Vec<(String, String)>,
    /// The same, or the items of an array, whose names are empty, with brackets.
    bracketed: Vec<(String, String)>,
}

/// How a part of a query is one of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling<'n> {
    Named,
    Own,
    Bracketed(&'n str),
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
        let spellings = Spellings::of(node, place, &form)?;
        let schema = schema.map(|schema| schemas.add(&schema)).transpose()?;
        Ok(Some(Self { place, name, is_required, form, spellings, schema }))
    }

    /// How a name in a query is one of this parameter, if it is.
    pub(super) fn spelling<'n>(&self, name: &'n str) -> Option<Spelling<'n>> {
        if self.place != Place::Query {
            return None;
        }
        if self.name == name {
            return Some(Spelling::Named);
        }
        let within = name.strip_prefix(self.name.as_str());
        let within = within.and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
        let within = within.filter(|_| self.spellings.brackets);
        match &self.form {
            Form::Object { properties, .. } => {
                let is_own = self.spellings.own_names && properties.is_named(name);
                let bracketed = within.filter(|within| properties.has(within));
                bracketed.map(Spelling::Bracketed).or(is_own.then_some(Spelling::Own))
            }
            _ => within.filter(|within| within.is_empty()).map(Spelling::Bracketed),
        }
    }

    /// Names in a query that are this parameter's beside its own, as far as other parameters could have them.
    pub(super) fn own_names(&self) -> impl Iterator<Item = &str> {
        let properties = match &self.form {
            Form::Object { properties, .. } if self.spellings.own_names => Some(properties),
            _ => None,
        };
        properties.into_iter().flat_map(Properties::named)
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

    pub(super) fn check(&self, texts: &Texts, schemas: &Schemas, invalid: &mut Invalid) {
        let candidates = match self.candidates(texts) {
            Ok(candidates) => candidates,
            Err(Violation { at, expected }) => {
                return invalid.add(format!("{}{at}", self.at()), expected);
            }
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

    /// What it can be: at least one thing.
    fn candidates(&self, texts: &Texts) -> Result<Vec<Value>, Violation> {
        let wrong = |expected: &str| Violation { at: String::new(), expected: expected.to_owned() };
        let Texts { named, own, bracketed } = texts;
        // Each is read by some and not by others.
        let spellings = [named.is_empty(), own.is_empty(), bracketed.is_empty()];
        if spellings.iter().filter(|is_empty| !**is_empty).count() > 1 {
            return Err(wrong("it in one spelling"));
        }
        let Form::Object { properties, takes_null } = &self.form else {
            let is_list = !bracketed.is_empty();
            let bracketed = bracketed.iter().map(|(_, text)| text.as_str());
            let texts: Vec<&str> = named.iter().map(String::as_str).chain(bracketed).collect();
            let mut candidates = self.read(&texts).map_err(|expected| wrong(&expected))?;
            candidates.retain(|candidate| !is_list || candidate.is_array());
            return if candidates.is_empty() { Err(wrong("a list")) } else { Ok(candidates) };
        };
        match named.as_slice() {
            [] => {
                properties.object(if own.is_empty() { bracketed } else { own }).map(|it| vec![it])
            }
            // What there is to be no object with.
            [text] if *takes_null && text == "null" => Ok(vec![Value::Null]),
            _ if self.spellings.brackets => Err(wrong("its members, as in name[member]=value")),
            _ => Err(wrong("its members, each by its own name")),
        }
    }

    /// What the texts can be: at least one thing.
    fn read(&self, texts: &[&str]) -> Result<Vec<Value>, String> {
        let (types, items) = match (&self.form, texts) {
            (Form::Json, [text]) => {
                let value = parse_json(text.as_bytes(), JSON_LIMITS);
                return value.map(|value| vec![value]).map_err(|error| error.to_string());
            }
            (Form::Json | Form::Object { .. }, _) => return Err("it once".to_owned()),
            (Form::Text { types, items }, _) => (*types, *items),
        };
        let mut candidates = Vec::new();
        if let Some((item_types, separator)) = items {
            let texts: Option<Vec<&str>> = match (separator, texts) {
                (None, texts) => Some(texts.to_vec()),
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

impl Texts {
    pub(super) fn add(&mut self, spelling: Spelling<'_>, name: &str, text: String) {
        match spelling {
            Spelling::Named => self.named.push(text),
            Spelling::Own => self.own.push((name.to_owned(), text)),
            Spelling::Bracketed(within) => self.bracketed.push((within.to_owned(), text)),
        }
    }
}
