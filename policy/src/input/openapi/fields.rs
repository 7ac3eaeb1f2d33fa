//! The fields of forms: what the texts and files that are sent are as values of the schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field::{Field, Sent, Values};
use super::node::Node;
use crate::input::schema::Violation;
use crate::input::{Step, pointer};
use crate::policy::CompileError;

/// How many subschemas are searched for fields.
const MAXIMUM_SUBSCHEMAS: usize = 256;

/// What is described of a form's fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    named: BTreeMap<String, Field>,
    /// What those are that have no name here.
    others: Field,
}

/// What a name is the name of.
enum Spelling<'n> {
    Own,
    /// `name[]`
    Item(&'n str),
    /// `name[property]`
    Member(&'n str, &'n str),
    /// What some take for a part of a field that is described, and that is described as none.
    Nothing,
}

impl Fields {
    /// Of a media type that forms may be of.
    pub(super) fn compile(media_type: &Node<'_>) -> Result<Self, CompileError> {
        let encodings = media_type.members("encoding")?;
        let encodings = encodings.into_iter().collect::<BTreeMap<_, _>>();
        let mut fields = Self::default();
        if let Some(schema) = media_type.get("schema")? {
            fields.collect(&schema, &encodings, &mut 0)?;
        }
        Ok(fields)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Whether a field may be there several times.
    pub(super) fn is_list(&self, name: &str) -> bool {
        matches!(self.spelling(name), Spelling::Item(_)) || self.get(name).repeats()
    }

    fn spelling<'n>(&self, name: &'n str) -> Spelling<'n> {
        let Some((outer, inner)) = name.split_once('[') else { return Spelling::Own };
        let Some(field) = self.named.get(outer).filter(|_| !self.has(name)) else {
            return Spelling::Own;
        };
        match inner.strip_suffix(']') {
            Some("") if field.takes_items() => Spelling::Item(outer),
            Some(inner) if field.takes_member(inner) => Spelling::Member(outer, inner),
            _ => Spelling::Nothing,
        }
    }

    /// A form as the object that its schema is about, or what is wrong with it before that.
    pub(super) fn object(&self, sent: &[(&str, Sent<'_>)]) -> Result<Value, Vec<Violation>> {
        let mut fields: BTreeMap<&str, Values<'_>> = BTreeMap::new();
        let mut violations = Vec::new();
        for (name, value) in sent {
            match self.spelling(name) {
                Spelling::Own => fields.entry(name).or_default().named.push(*value),
                Spelling::Item(outer) => fields.entry(outer).or_default().items.push(*value),
                Spelling::Member(outer, inner) => {
                    fields.entry(outer).or_default().members.push((inner.to_owned(), *value));
                }
                Spelling::Nothing => {
                    let at = pointer(&[Step::Member((*name).into())]);
                    violations.push(Violation { at, expected: "no such field".to_owned() });
                }
            }
        }
        let mut object = Map::new();
        for (name, values) in fields {
            match self.get(name).value(&values) {
                Ok(value) => {
                    object.insert(name.to_owned(), value);
                }
                Err(Violation { at, expected }) => {
                    let at = format!("{}{at}", pointer(&[Step::Member(name.into())]));
                    violations.push(Violation { at, expected });
                }
            }
        }
        if violations.is_empty() { Ok(Value::Object(object)) } else { Err(violations) }
    }

    fn get(&self, name: &str) -> &Field {
        self.named.get(name).unwrap_or(&self.others)
    }

    /// Also the properties of what a schema is put together of.
    fn collect(
        &mut self,
        schema: &Node<'_>,
        encodings: &BTreeMap<&str, Node<'_>>,
        visited: &mut usize,
    ) -> Result<(), CompileError> {
        *visited = visited.saturating_add(1);
        if *visited > MAXIMUM_SUBSCHEMAS {
            return Ok(());
        }
        for (name, node) in schema.members("properties")? {
            let field = Field::compile(&node.resolved()?, encodings.get(name))?;
            let field = match self.named.remove(name) {
                Some(known) => known.or(&field),
                None => field,
            };
            self.named.insert(name.to_owned(), field);
        }
        if let Some(others) = schema.get("additionalProperties")?
            && others.value.is_object()
        {
            self.others = Field::compile(&others, None)?;
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in schema.items(keyword)? {
                self.collect(&branch, encodings, visited)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
