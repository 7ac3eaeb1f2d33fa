//! The policy document: what an operator writes.
//!
//! One file, YAML or JSON, strict: an unknown field, a wrong type or an impossible combination is an error that names
//! the line, the field and what was expected there. Every section carries the name of its stage; `routes`
//! overrides sections for some requests. These types are the document as written; [`crate::Policy`] is what
//! is made of them.

mod access;
mod authorisation;
mod error;
mod files;
mod identity;
mod input;
mod limits;
mod limits_service;
mod remote;
mod routes;
mod screening;
mod upstream;
#[cfg(feature = "yaml")]
mod yaml;

use serde::{Deserialize, Serialize};

use crate::policy::CompileError;
use crate::{Secret, Secrets};

pub use access::{AccessSection, HeaderLimits, Networks};
pub use authorisation::{
    AuthorisationSection, ClaimRule, Requirement, Role, RolesSection, TextMatch,
};
pub use error::DocumentError;
pub use files::{FilesSection, Metadata};
pub use identity::{
    ApiKeyEntry, ApiKeyFile, ApiKeySection, ClaimHeader, CredentialSource, DenyList, DpopSection,
    IdentitySection, Issuer, JwksSource, JwtSection, RevocationSection, SecretSource, TokenBinding,
};
pub use input::{
    ContentEncoding, Handling, InputSection, JsonSection, Normalisation, OpenApiDocument,
    OpenApiSource, SchemaSource, TextSection,
};
pub use limits::{
    Allowance, Cost, KeyPart, LimitKey, LimitRule, LimitsFields, LimitsTable, PenaltySection,
    Period, RequestValue, Reserve, ResponseValue, Subnet,
};
pub use limits_service::{OnFailure, RateLimitServiceSection};
pub use remote::{Discovery, Endpoint, Remote};
pub use routes::{Route, RouteMatch};
pub use screening::{Reaction, RedactionSection, ScreeningSection};
pub use upstream::{
    AssertionSection, AuditLevel, AuditSection, OutputSection, ResponseSchema, RouteOutput,
};
#[cfg(feature = "yaml")]
pub(crate) use yaml::place_in;
#[cfg(feature = "yaml")]
pub use yaml::{LocatedDocument, MAXIMUM_DOCUMENT_BYTES, read_json, read_value};

/// A policy document as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format: 1.
    pub version: Version,
    /// Who may connect and with what kind of request.
    #[serde(default)]
    pub access: AccessSection,
    /// How callers prove who they are.
    #[serde(default)]
    pub identity: IdentitySection,
    /// The roles that there are, and what each includes.
    #[serde(default, skip_serializing_if = "RolesSection::is_empty")]
    pub roles: RolesSection,
    /// What a caller must be to be let through. Routes may say otherwise.
    #[serde(default)]
    pub authorisation: AuthorisationSection,
    /// How often. All limits must hold. A route's own list replaces this one.
    #[serde(default)]
    pub limits: Vec<LimitRule>,
    /// Which responses have the RateLimit fields. Default: `all`.
    #[serde(default, skip_serializing_if = "LimitsFields::is_default")]
    pub limits_fields: LimitsFields,
    /// The memory that limits share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits_table: Option<LimitsTable>,
    /// Who is refused again and again is shut out for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<PenaltySection>,
    /// What counts the limits that are `shared` among gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_service: Option<RateLimitServiceSection>,
    /// What may be in a request's body. Routes may say otherwise.
    #[serde(default)]
    pub input: InputSection,
    /// What personal data is replaced with, where it is hashed or tokenised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<RedactionSection>,
    /// The signed statement of identity for the upstream. Without it the upstream cannot tell the gate from
    /// anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<AssertionSection>,
    /// What may leave. Routes may say how long it may be.
    #[serde(default)]
    pub output: OutputSection,
    /// The record of what was decided.
    #[serde(default)]
    pub audit: AuditSection,
    /// The requests that are known; the first match applies. A request that matches none is refused.
    pub routes: Vec<Route>,
}

/// The version of the document format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Version;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": 1, "description": "The version of this format: 1." })
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("unknown version {other}, expected 1")),
        }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        1
    }
}

impl Document {
    /// Reads a document that is written in JSON. This is how filters get it.
    pub fn from_json(name: &str, text: &str) -> Result<Self, DocumentError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let document: Self =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
                let field = error.path().to_string();
                let inner = error.into_inner();
                DocumentError::new(name, field, inner.to_string()).at(inner.line(), inner.column())
            })?;
        deserializer.end().map_err(|error| {
            DocumentError::new(name, "", error.to_string()).at(error.line(), error.column())
        })?;
        Ok(document)
    }

    /// The key of the `redaction` section, where there is one.
    pub fn redaction_key(&self, secrets: &dyn Secrets) -> Result<Option<Secret>, CompileError> {
        let section = self.redaction.as_ref();
        section
            .map(|section| CompileError::secret(secrets, &section.key, "redaction.key"))
            .transpose()
    }

    /// The `input` section that holds on a route, or on those that say nothing of it; none if there is no such route.
    pub fn input_of(&self, route: Option<&str>) -> Option<InputSection> {
        let Some(name) = route else { return Some(self.input.clone()) };
        let route = self.routes.iter().find(|route| route.name == name)?;
        Some(route.input.over(&self.input))
    }

    /// The JSON Schema (draft 2020-12) of this format, for editors.
    #[cfg(feature = "schema")]
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Document);
        schema.insert("title".to_owned(), "Portcullis policy document".into());
        schema.to_value()
    }
}
