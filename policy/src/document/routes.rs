//! The `routes` section.

use serde::{Deserialize, Serialize};

use super::{AccessSection, AuthorisationSection, InputSection, LimitRule, RouteOutput};

/// Requests of one kind, and what holds for them in place of the document's own sections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name in audit records: lower-case letters, digits, hyphens.
    pub name: String,
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: RouteMatch,
    /// Overrides `access`, field by field.
    #[serde(default)]
    pub access: AccessSection,
    /// Overrides `authorisation`, field by field.
    #[serde(default)]
    pub authorisation: AuthorisationSection,
    /// Replaces `limits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<LimitRule>>,
    /// Overrides `input`, field by field.
    #[serde(default)]
    pub input: InputSection,
    /// Overrides `output`, in what it has of it.
    #[serde(default, skip_serializing_if = "RouteOutput::is_empty")]
    pub output: RouteOutput,
}

/// Which requests a route is for: all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RouteMatch {
    /// The whole path, after normalisation (RFC 3986 §6.2.2), case-sensitive. The segment `{tenant}` stands for the caller's own
    /// tenant, as in `/v1/tenants/{tenant}/predict`: whoever asks for another tenant's path is refused. Only letters, digits and
    /// `-._~` can stand there: a tenant of another name has no such path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The beginning of the path: it ends with a slash. May have `{tenant}` as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Methods; empty: any that `access` lets through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Hosts without a port, compared without case; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}
