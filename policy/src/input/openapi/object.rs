//! Objects in a query, each property a text of its own: `name[property]=…`, or `property=…`.
//!
//! One level of them, as OpenAPI has it. Names that programs read differently, or as something else than a name, are none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::node::Node;
use super::types::Types;
use crate::input::multipart::is_magic;
use crate::input::schema::Violation;
use crate::input::{Step, pointer};
use crate::policy::CompileError;

/// How many subschemas are searched for properties.
const MAXIMUM_SUBSCHEMAS: usize = 256;

/// How many properties may be sent.
const MAXIMUM_SENT: usize = 100;

/// The longest name that is not described itself, in bytes.
const MAXIMUM_NAME: usize = 128;

/// What is described of an object's properties.
#[derive(Debug, Clone, Default)]
pub(super) struct Properties {
    named: BTreeMap<String, Types>,
    /// What those are that have no name here, where there may be others.
    others: Option<Types>,
}

impl Properties {
    /// Those that the schema takes: too many rather than too few, since it is asked in the end.
    pub(super) fn compile(schema: &Node<'_>) -> Result<Self, CompileError> {
        let mut properties = Self::default();
        properties.collect(schema, &mut 0)?;
        if properties.named.is_empty() && properties.others.is_none() {
            let message =
                "expected `properties` or `additionalProperties`, which say what a query may have";
            return Err(schema.error(message));
        }
        Ok(properties)
    }

    /// Where two schemas describe it: both are asked in the end.
    pub(super) fn or(mut self, other: &Self) -> Self {
        for (name, types) in &other.named {
            let known = self.named.get(name).copied().unwrap_or(Types::NONE);
            self.named.insert(name.clone(), known.or(*types));
        }
        if let Some(types) = other.others {
            self.add_others(types);
        }
        self
    }

    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    pub(super) fn has_others(&self) -> bool {
        self.others.is_some()
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Whether a property may have this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.types(name).is_some()
    }

    fn types(&self, name: &str) -> Option<Types> {
        if let Some(types) = self.named.get(name) {
            return Some(*types);
        }
        let is_alike = |known: &String| alike(known) == alike(name);
        self.others.filter(|_| is_plain(name) && !self.named.keys().any(is_alike))
    }

    /// The object, or what is wrong with it before its schema is asked.
    pub(super) fn object(&self, sent: &[(String, String)]) -> Result<Value, Violation> {
        if sent.len() > MAXIMUM_SENT {
            let expected = format!("an object of at most {MAXIMUM_SENT} members");
            return Err(Violation { at: String::new(), expected });
        }
        let mut object = Map::new();
        let mut names = BTreeSet::new();
        for (name, text) in sent {
            let wrong = |expected: String| {
                let at = pointer(&[Step::Member(name.as_str().into())]);
                Violation { at, expected }
            };
            let types = self.types(name).ok_or_else(|| wrong("no such member".to_owned()))?;
            if !names.insert(alike(name)) {
                return Err(wrong("it once".to_owned()));
            }
            let value = types.read(text).into_iter().next();
            object.insert(name.clone(), value.ok_or_else(|| wrong(types.expected()))?);
        }
        Ok(Value::Object(object))
    }

    fn collect(&mut self, schema: &Node<'_>, visited: &mut usize) -> Result<(), CompileError> {
        *visited = visited.saturating_add(1);
        if *visited > MAXIMUM_SUBSCHEMAS {
            let message = format!("expected at most {MAXIMUM_SUBSCHEMAS} subschemas");
            return Err(schema.error(&message));
        }
        for (name, node) in schema.members("properties")? {
            if name.is_empty() || name.contains(['[', ']']) {
                return Err(node.error("expected a name without brackets"));
            }
            let types = of_text(&node, &node.clone().resolved()?)?;
            let known = self.named.get(name).copied().unwrap_or(Types::NONE);
            self.named.insert(name.to_owned(), known.or(types));
        }
        for (_, node) in schema.members("patternProperties")? {
            let types = of_text(&node, &node.clone().resolved()?)?;
            self.add_others(types);
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            let Some(place) = schema.raw(keyword) else { continue };
            let node = place.clone().resolved()?;
            if node.value != &Value::Bool(false) {
                let types = of_text(&place, &node)?;
                self.add_others(types);
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.items(keyword)? {
                self.collect(&branch, visited)?;
            }
        }
        Ok(())
    }

    fn add_others(&mut self, types: Types) {
        self.others = Some(self.others.unwrap_or(Types::NONE).or(types));
    }
}

/// What a property's text may be. `place` is where its schema is named.
fn of_text(place: &Node<'_>, schema: &Node<'_>) -> Result<Types, CompileError> {
    let types = Types::of(schema)?;
    if types == Types::ANY {
        // Where nothing is said of a type, it is a text.
        return Ok(Types::STRING);
    }
    match types.has_text() {
        true => Ok(types),
        false => Err(place.error(
            "expected a type that a text can be: boolean, integer, number, string; objects in a \
             query have one level",
        )),
    }
}

/// Whether a name that is not described is one for all who read it.
fn is_plain(name: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    // A number is a place in an array to some (qs), and others number what has none (PHP).
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= MAXIMUM_NAME && name.bytes().all(is_byte) && !is_number && !is_magic(name)
}

/// What some take for the same name: PHP dots for underscores, ASP.NET capital letters for small ones.
fn alike(name: &str) -> String {
    name.to_ascii_lowercase().replace('.', "_")
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
