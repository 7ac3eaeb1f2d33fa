//! The `identity` and `authorisation` sections.

use serde::{Deserialize, Serialize};

/// How callers prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySection {
    /// JSON Web Tokens (RFC 7519) as bearer tokens (RFC 6750).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSection>,
    /// API keys for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeySection>,
    /// Whether the upstream sees the credential. Default: false, it is removed.
    pub forward_credentials: bool,
}

/// JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwtSection {
    /// Whose tokens are accepted. At least one.
    pub issuers: Vec<Issuer>,
}

/// Somebody who issues tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The `iss` claim, compared exactly.
    pub issuer: String,
    /// The `aud` claim must name one of these.
    pub audiences: Vec<String>,
    /// The issuer's keys, a JSON Web Key Set (RFC 7517).
    pub jwks: JwksSource,
    /// How far clocks may differ, in seconds, for `exp`, `nbf` and `iat`. Default 30, at most 300.
    #[serde(default = "default_leeway")]
    pub leeway_seconds: u32,
    /// The claim that holds the caller's roles: an array of strings or a space-separated string. Default
    /// `roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// The claim that holds the OAuth 2 scopes, likewise. Default `scope` (RFC 8693 §4.2).
    #[serde(default = "default_scopes_claim")]
    pub scopes_claim: String,
    /// The claim that holds the tenant, a string. Default `tenant`.
    #[serde(default = "default_tenant_claim")]
    pub tenant_claim: String,
}

fn default_leeway() -> u32 {
    30
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn default_scopes_claim() -> String {
    "scope".to_owned()
}

fn default_tenant_claim() -> String {
    "tenant".to_owned()
}

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JwksSource {
    /// A file, relative to the policy document. `portcullis` puts its content into what it gives to filters.
    File(String),
    /// A secret of that name which holds the key set: the only place for symmetric keys.
    Env(String),
    /// The key set itself. Public keys only.
    Inline(serde_json::Value),
}

/// API keys. Only their digests are kept: HMAC-SHA-256 under a secret pepper, so that who reads the
/// document can neither use a key nor try guesses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeySection {
    /// The header field that carries the key. Default `x-api-key`.
    #[serde(default = "default_api_key_header")]
    pub header: String,
    /// The pepper: at least 32 bytes in base64url.
    pub pepper: SecretSource,
    /// The keys, as `portcullis key new` prints them.
    pub keys: Vec<ApiKeyEntry>,
}

fn default_api_key_header() -> String {
    "x-api-key".to_owned()
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    /// The public part of the key, by which it is found and named in records: `pcl_ID_…`.
    pub id: String,
    /// `hmac-sha256:` and 32 bytes in base64url.
    pub digest: String,
    /// Who holds it: the subject of requests made with it.
    pub owner: String,
    /// The tenant it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The roles it gives.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The scopes it gives.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Where a secret is. Secrets are never written in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// The name of an environment variable of the VM or process.
    pub env: String,
}

/// What a caller must be to be let through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AuthorisationSection {
    /// Who comes in: `authenticated` callers (the default) or also `anonymous` ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Requirement>,
    /// At least one of these roles; empty: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// All of these OAuth 2 scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Only callers of these tenants; empty: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
}

impl AuthorisationSection {
    /// This section where it says something, else `base`.
    pub(crate) fn over(&self, base: &Self) -> Self {
        Self {
            require: self.require.or(base.require),
            roles: self.roles.clone().or_else(|| base.roles.clone()),
            scopes: self.scopes.clone().or_else(|| base.scopes.clone()),
            tenants: self.tenants.clone().or_else(|| base.tenants.clone()),
        }
    }
}

/// Whether a caller must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// A valid credential is needed.
    #[default]
    Authenticated,
    /// No credential is needed. One that is presented must still be valid.
    Anonymous,
}
