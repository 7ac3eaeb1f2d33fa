//! The schemas of a document that are put to use, compiled as one: what they share is compiled once, however many operations
//! there are.

use jsonschema::Draft;
use serde_json::{Map, Value};

use super::faults::Faults;
use super::node::Node;
use crate::input::schema::{Compiled, Violation, unusable};
use crate::policy::CompileError;

/// One of [`Schemas`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use(usize);

/// Schemas by number: each is that of a member of one large object.
#[derive(Debug)]
pub(super) struct Schemas(Compiled);

/// Schemas as they are found.
#[derive(Debug, Default)]
pub(super) struct SchemasBuilder {
    properties: Map<String, Value>,
}

impl SchemasBuilder {
    /// `schema` is as it stands there: what is behind a reference is compiled once.
    pub(super) fn add(&mut self, schema: &Node<'_>) -> Result<Use, CompileError> {
        check(schema)?;
        let number = self.properties.len();
        self.properties.insert(number.to_string(), schema.value.clone());
        Ok(Use(number))
    }

    /// Whether what the document has under names are schemas.
    pub(super) fn check(
        &self,
        document: &Node<'_>,
        faults: &mut Faults,
    ) -> Result<(), CompileError> {
        if let Some(components) = document.get("components")? {
            for (_, schema) in components.members("schemas")? {
                faults.take(check(&schema));
            }
        }
        Ok(())
    }

    /// `document` is moved: a copy of a large one is much for a filter.
    pub(super) fn build(self, document: Value, field: &str) -> Result<Schemas, CompileError> {
        let mut root = Map::new();
        // What references lead to. `properties` is no member of an OpenAPI document.
        if let Value::Object(mut members) = document {
            for name in ["components", "paths"] {
                root.extend(members.remove_entry(name));
            }
        }
        root.insert("properties".to_owned(), Value::Object(self.properties));
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        let compiled = Compiled::build(options, &Value::Object(root)).map_err(|error| {
            let Violation { at, expected } = unusable(error);
            CompileError::new(field, format!("the document: {expected} (at {at})"))
        })?;
        Ok(Schemas(compiled))
    }
}

/// Whether it is a schema at all: what only references lead to is not looked at later.
fn check(schema: &Node<'_>) -> Result<(), CompileError> {
    jsonschema::draft202012::meta::validate(schema.value).map_err(|error| {
        let Violation { at, expected } = unusable(error);
        schema.below(&at).error(&expected)
    })
}

impl Schemas {
    /// Where a value is not what a schema wants; empty where it is.
    pub(super) fn violations(&self, schema: Use, value: Value) -> Vec<Violation> {
        let name = schema.0.to_string();
        let member = Value::Object(Map::from_iter([(name.clone(), value)]));
        let prefix = format!("/{name}");
        let mut violations = self.0.violations(&member);
        for violation in &mut violations {
            let at = violation.at.strip_prefix(&prefix).unwrap_or_default();
            violation.at = at.to_owned();
        }
        violations
    }
}
