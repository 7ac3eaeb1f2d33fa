//! The bodies of requests and of responses: by media type, with a schema for each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::node::Node;
use super::schemas::{SchemasBuilder, Use};
use super::types::Types;
use crate::form::Form;
use crate::policy::CompileError;

/// What a body may be.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(super) is_required: bool,
    contents: Vec<Content>,
}

/// A media type, or a range of them, and what is described of it.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// In lower case, without parameters.
    range: String,
    pub(super) schema: Option<Use>,
    /// The types of a form's fields.
    fields: BTreeMap<String, Types>,
}

impl Body {
    /// Of a request body or a response.
    pub(super) fn compile(
        node: &Node<'_>,
        schemas: &mut SchemasBuilder,
    ) -> Result<Self, CompileError> {
        node.object()?;
        let mut contents = Vec::new();
        for (range, node) in node.members("content")? {
            let node = node.resolved()?;
            let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let schema = node.get("schema")?;
            let mut fields = BTreeMap::new();
            if let Some(schema) = schema.as_ref().filter(|_| range.ends_with("urlencoded")) {
                for (name, field) in schema.members("properties")? {
                    fields.insert(name.to_owned(), Types::of(&field.resolved()?)?);
                }
            }
            let schema = node.raw("schema").map(|schema| schemas.add(&schema)).transpose()?;
            contents.push(Content { range, schema, fields });
        }
        Ok(Self { is_required: node.is_set("required")?, contents })
    }

    /// What is described of a media type, given in lower case and without parameters: what is specific first.
    pub(crate) fn content(&self, media_type: &str) -> Option<&Content> {
        let group = media_type.split('/').next().unwrap_or_default();
        let ranges = [media_type.to_owned(), format!("{group}/*"), "*/*".to_owned()];
        let mut ranges = ranges.iter();
        ranges.find_map(|range| self.contents.iter().find(|content| content.range == *range))
    }

    pub(crate) fn media_types(&self) -> Vec<&str> {
        self.contents.iter().map(|content| content.range.as_str()).collect()
    }
}

impl Content {
    pub(crate) fn has_schema(&self) -> bool {
        self.schema.is_some()
    }

    /// Whether a form's field is described.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// A form as the object that its schema is about. Fields that are not described are text.
    pub(super) fn object(&self, form: &Form) -> Value {
        let value = |name: &str, text: &str| {
            let types = self.fields.get(name).copied().unwrap_or(Types::STRING);
            let value = types.read(text).into_iter().next();
            value.unwrap_or_else(|| text.into())
        };
        let fields = form.iter().map(|(name, text)| (name.to_owned(), value(name, text)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}
