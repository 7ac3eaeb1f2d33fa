//! The `input` section.

use serde::{Deserialize, Serialize};

use super::{FilesSection, ScreeningSection};

/// What may be in a request's body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InputSection {
    /// Media types: `application/json`, any `…+json`, `application/x-www-form-urlencoded`, `multipart/form-data`, `text/plain`.
    /// Default: `application/json`. A type that cannot be inspected cannot be allowed.
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
}

impl Default for TextSection {
    fn default() -> Self {
        Self { max_chars: 32 * 1024, control: Handling::Refuse, invisible: Handling::Strip }
    }
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

/// Where a JSON Schema is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SchemaSource {
    /// A file, relative to the policy document. `portcullis` puts its content into what it gives to filters.
    File(String),
    /// The schema itself.
    Inline(serde_json::Value),
}
