//! The `authorisation` and `roles` sections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a caller must be to be let through. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AuthorisationSection {
    /// Which credentials: `authenticated` (the default), `anonymous`, or those that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Requirement>,
    /// At least one of these roles, or a role that inherits one of them; empty: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// All of these OAuth 2 scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Only callers of these tenants; empty: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
    /// Claims that the caller's token must have, all of them. Who comes without a token has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<ClaimRule>>,
}

impl AuthorisationSection {
    /// This section where it says something, else `base`.
    pub(crate) fn over(&self, base: &Self) -> Self {
        Self {
            require: self.require.clone().or_else(|| base.require.clone()),
            roles: self.roles.clone().or_else(|| base.roles.clone()),
            scopes: self.scopes.clone().or_else(|| base.scopes.clone()),
            tenants: self.tenants.clone().or_else(|| base.tenants.clone()),
            claims: self.claims.clone().or_else(|| base.claims.clone()),
        }
    }
}

/// Which credentials a caller must present.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// One that is valid, of any kind.
    #[default]
    Authenticated,
    /// None is needed. One that is presented must still be valid.
    Anonymous,
    /// One of these: names of issuers, or `api_key`.
    Any(Vec<String>),
    /// Each of these at once. The caller is who the first one names; all that name a tenant must name the same.
    All(Vec<String>),
}

/// A claim that must be there, and what it must be. Without any of the conditions it must only be there, and not be null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimRule {
    /// The claim: its name, or a JSON pointer (RFC 6901) such as `/address/country`.
    pub claim: String,
    /// It is one of these, or an array that holds at least one of them. Compared as JSON values, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<Value>>,
    /// It is an array that holds all of these, or the one that is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<Value>>,
    /// It is none of these, and no array that holds one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_of: Option<Vec<Value>>,
}

/// A text that is one of those in `exact`, or begins or ends as one of the others does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TextMatch {
    /// The whole text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<String>,
    /// Its beginning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// Its end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
}

/// The roles that there are, and what each includes. Where this section is given, a route that asks for a role which is not in
/// it is an error.
pub type RolesSection = BTreeMap<String, Role>;

/// A role (RBAC, INCITS 359).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Who has this role has these too, and what they inherit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<String>,
}
