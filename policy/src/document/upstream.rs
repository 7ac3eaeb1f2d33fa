//! The `assertion`, `output` and `audit` sections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::screening::{Action, Kind};

use super::{SchemaSource, SecretSource};

/// The signed statement of identity for the upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssertionSection {
    /// The key it is signed with: at least 32 bytes in base64url.
    pub key: SecretSource,
    /// The name by which the upstream finds the key.
    pub key_id: String,
    /// How long it is good for, in seconds. Default 30, at most 300.
    #[serde(default = "default_lifetime")]
    pub lifetime_seconds: u32,
}

fn default_lifetime() -> u32 {
    30
}

/// What may leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OutputSection {
    /// Header fields that are removed from responses. Default: those that tell what the upstream runs on.
    pub remove_headers: Vec<String>,
    /// Header fields that every response gets. Default: `x-content-type-options: nosniff` and `cache-control: no-store`.
    pub set_headers: BTreeMap<String, String>,
    /// Personal data and secrets in responses that are text, JSON or streams of events, by kind. What is not named goes by. With
    /// `refuse` the rest of the response is not sent. `tokenise` is for requests. `stack_trace` is among the kinds: what a program
    /// that failed says of itself, and errors of databases.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::screening::personal_data"
    )]
    pub personal_data: BTreeMap<Kind, Action>,
    /// The longest body of a response, in bytes as the upstream sends them, of whatever type. One that is announced to be longer
    /// is answered with 502 in its place; one of unannounced length is cut there, and the audit record says
    /// `portcullis.response_cut`. Default: there is no longest. Routes may say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// What JSON responses should be. None is held back for it: the audit record says where one is not, as
    /// `portcullis.response_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<ResponseSchema>,
    /// Markers that stand in the system's instructions and may never be in a response, however they are spelled: what follows
    /// one is not sent. At least 12 letters and digits each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<SecretSource>,
}

impl Default for OutputSection {
    fn default() -> Self {
        Self {
            remove_headers: ["server", "x-powered-by", "x-aspnet-version"]
                .map(str::to_owned)
                .into(),
            set_headers: [("x-content-type-options", "nosniff"), ("cache-control", "no-store")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            personal_data: BTreeMap::new(),
            max_body_bytes: None,
            schema: None,
            canaries: Vec::new(),
        }
    }
}

/// What may leave on one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RouteOutput {
    /// The longest body of a response, in place of the document's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
}

impl RouteOutput {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What JSON responses should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResponseSchema {
    /// A JSON Schema in a file, relative to the policy document, for responses with a 2xx status. `portcullis` puts its content
    /// into what it gives to filters.
    File(String),
    /// The schema itself.
    Inline(serde_json::Value),
    /// What the document of `input.openapi` says of the operation's responses.
    Openapi,
}

impl ResponseSchema {
    /// None where it is the OpenAPI document's.
    pub fn as_schema(&self) -> Option<SchemaSource> {
        match self {
            Self::File(file) => Some(SchemaSource::File(file.clone())),
            Self::Inline(schema) => Some(SchemaSource::Inline(schema.clone())),
            Self::Openapi => None,
        }
    }
}

/// The record of what was decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// Which exchanges are recorded.
    pub record: AuditLevel,
}

/// Which exchanges are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditLevel {
    /// All of them.
    #[default]
    All,
    /// Only those that were refused.
    Refused,
}
