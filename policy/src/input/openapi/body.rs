//! The bodies of requests and of responses: by media type, with a schema for each.

use serde_json::Value;

use super::field::Sent;
use super::fields::Fields;
use super::node::Node;
use super::schemas::{SchemasBuilder, Use};
use crate::input::schema::Violation;
use crate::policy::CompileError;

/// The media types that forms may be of, and the ranges they are in.
const FORMS: [&str; 5] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/*",
    "multipart/*",
    "*/*",
];

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
    /// Of forms.
    fields: Fields,
}

impl Body {
    /// Of a request.
    pub(super) fn request(
        node: &Node<'_>,
        schemas: &mut SchemasBuilder,
    ) -> Result<Self, CompileError> {
        Self::compile(node, schemas, true)
    }

    pub(super) fn response(
        node: &Node<'_>,
        schemas: &mut SchemasBuilder,
    ) -> Result<Self, CompileError> {
        Self::compile(node, schemas, false)
    }

    fn compile(
        node: &Node<'_>,
        schemas: &mut SchemasBuilder,
        is_request: bool,
    ) -> Result<Self, CompileError> {
        node.object()?;
        let mut contents = Vec::new();
        for (range, node) in node.members("content")? {
            let node = node.resolved()?;
            let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_form = is_request && FORMS.contains(&range.as_str());
            let fields = if is_form { Fields::compile(&node)? } else { Fields::default() };
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
        self.fields.has(name)
    }

    /// Whether a form's field may be there several times.
    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.fields.is_list(name)
    }

    /// A form as the object that its schema is about. Fields that are not described are text.
    pub(super) fn object(&self, sent: &[(&str, Sent<'_>)]) -> Result<Value, Vec<Violation>> {
        self.fields.object(sent)
    }
}
