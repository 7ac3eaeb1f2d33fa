//! The `input` section.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{FilesSection, ScreeningSection};

/// What may be in a request's body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InputSection {
    /// Media types: `application/json`, any `…+json`, `application/x-www-form-urlencoded`, `multipart/form-data`, `text/plain`.
    /// Default: `application/json`. A type that cannot be inspected cannot be allowed, but for `application/jose`: encrypted
    /// for an upstream that screens what it decrypts, as the function `jose` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_types: Option<Vec<String>>,
    /// The longest body, in bytes. Default 65536, at most 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u32>,
    /// How JSON may be built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonSection>,
    /// A JSON Schema (2020-12 or draft 7) that bodies must satisfy. With it a body is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// Bodies that are compressed. Default: refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
    /// How many times its own length a compressed body may become, which never is more than `max_body_bytes`. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_expansion: Option<u32>,
    /// An OpenAPI document (3.1). What it does not describe is refused: paths, methods, parameters of queries, media types, bodies. Its
    /// media types hold in place of the default of `content_types`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openapi: Option<OpenApiSource>,
    /// Every string in the body, member names included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSection>,
    /// What texts are screened for: attacks, personal data. Without it they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screening: Option<ScreeningSection>,
    /// Files that are sent along: parts of multipart forms, and base64 in JSON. Without it the first are refused, and the second
    /// are strings like others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesSection>,
}

impl InputSection {
    /// This section where it says something, else `base`.
    pub(crate) fn over(&self, base: &Self) -> Self {
        Self {
            content_types: self.content_types.clone().or_else(|| base.content_types.clone()),
            max_body_bytes: self.max_body_bytes.or(base.max_body_bytes),
            json: self.json.or(base.json),
            schema: self.schema.clone().or_else(|| base.schema.clone()),
            content_encoding: self.content_encoding.or(base.content_encoding),
            max_expansion: self.max_expansion.or(base.max_expansion),
            openapi: self.openapi.clone().or_else(|| base.openapi.clone()),
            text: self.text.or(base.text),
            screening: self.screening.clone().or_else(|| base.screening.clone()),
            files: self.files.clone().or_else(|| base.files.clone()),
        }
    }
}

/// Bounds on JSON (RFC 8259). Duplicate member names, invalid UTF-8 and trailing bytes are always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct JsonSection {
    /// How deep arrays and objects may nest. Default 32, at most 100.
    pub max_depth: u32,
    /// How many values there may be in all. Default 10000.
    pub max_values: u32,
}

impl Default for JsonSection {
    fn default() -> Self {
        Self { max_depth: 32, max_values: 10_000 }
    }
}

/// Rules for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TextSection {
    /// The longest string, in Unicode scalar values. Default 32768.
    pub max_chars: u32,
    /// Control characters other than tab, line feed and carriage return. Default: refuse.
    pub control: Handling,
    /// Characters that a reader cannot see and that change what a program reads: zero-width spaces, bidirectional
    /// overrides, tag characters and the like. Joiners and marks that ordinary writing needs are
    /// let through. Default: strip. Text that was copied from a web page often has some.
    pub invisible: Handling,
    /// The form of Unicode in which strings go on. Default: none, as they came.
    pub normalise: Normalisation,
}

impl Default for TextSection {
    fn default() -> Self {
        Self {
            max_chars: 32 * 1024,
            control: Handling::Refuse,
            invisible: Handling::Strip,
            normalise: Normalisation::None,
        }
    }
}

/// Forms of Unicode (UAX #15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// Strings go on as they came.
    None,
    /// What is the same character is written in the same way: `e` and an accent become `é`. Names of members and of a form's
    /// fields that are not in this form are refused: two could become the same one.
    Nfc,
    /// And what is another form of a character is that character: full-width letters, ligatures, numbers in circles. This
    /// loses what the forms said.
    Nfkc,
}

/// What happens to characters of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// They are let through.
    Allow,
    /// They are taken out, and the rest is let through. In the name of a member or of a form's field they are refused:
    /// two names could become the same one.
    Strip,
    /// The request is refused.
    Refuse,
}

/// What happens to a body that is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContentEncoding {
    /// It is refused: what cannot be read cannot be judged.
    Refuse,
    /// gzip, Brotli and Zstandard are taken off. What goes on is what was read, uncompressed.
    Decode,
}

/// Where a JSON Schema is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SchemaSource {
    /// A file, relative to the policy document. `portcullis` puts its content into what it gives to filters.
    File(String),
    /// The schema itself.
    Inline(Value),
}

/// Where an OpenAPI document is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OpenApiSource {
    /// A file, YAML or JSON, relative to the policy document, of at most 4 MiB. `portcullis` puts its content into what it gives to
    /// filters, without descriptions and examples.
    File(String),
    /// The document itself.
    Inline(OpenApiDocument),
    /// None: for a route that the document of all others does not describe.
    None,
}

impl OpenApiSource {
    /// A document that has been read, without what no request is checked by: descriptions, examples and the like.
    pub fn inline(mut document: Value) -> Self {
        crate::input::slim_openapi(&mut document);
        Self::Inline(OpenApiDocument(Arc::new(document)))
    }
}

/// An OpenAPI document that routes share.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenApiDocument(pub(crate) Arc<Value>);

impl Serialize for OpenApiDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OpenApiDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|document| Self(Arc::new(document)))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for OpenApiDocument {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenApiDocument".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "description": "An OpenAPI document (3.1)." })
    }
}
