//! The `identity` section.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ClaimRule, Discovery, Remote, TextMatch};

/// How callers prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySection {
    /// JSON Web Tokens (RFC 7519) as bearer tokens (RFC 6750) or bound to a key (RFC 8705, RFC 9449).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSection>,
    /// API keys for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeySection>,
    /// Tokens that are refused although they are valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationSection>,
}

/// JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwtSection {
    /// Whose tokens are accepted. At least one.
    pub issuers: Vec<Issuer>,
    /// Where a token may stand. Default: the authorization field, after `Bearer`.
    #[serde(default = "default_token_sources")]
    pub sources: Vec<CredentialSource>,
    /// Proofs of possession (RFC 9449). Without it a token that is bound to a key of the client is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop: Option<DpopSection>,
    /// How many verified tokens each worker remembers until they expire, so that only the first use of a token costs a
    /// signature. Default 4096, at most 65536; 0: none.
    #[serde(default = "default_remembered_tokens")]
    pub remembered_tokens: u32,
}

fn default_token_sources() -> Vec<CredentialSource> {
    vec![CredentialSource { header: Some("authorization".to_owned()), ..Default::default() }]
}

fn default_remembered_tokens() -> u32 {
    4096
}

/// Where a credential may stand: in a header field, a query parameter or a cookie, exactly one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CredentialSource {
    /// The name of a header field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The word before the credential and a space, compared without case (RFC 9110 §11.1). Default: `Bearer` in
    /// the authorization field, none elsewhere. Only with `header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The name of a query parameter (RFC 6750 §2.3). What stands in a URI ends up in logs: prefer a header field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The name of a cookie (RFC 6265).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Whether the upstream sees the credential. Default: false, it is removed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
}

/// Somebody who issues tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name in this document, for `authorisation.require`. Default: the issuer itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The `iss` claim, compared exactly.
    pub issuer: String,
    /// The `aud` claim must name one of these.
    pub audiences: Vec<String>,
    /// The issuer's keys, a JSON Web Key Set (RFC 7517).
    pub jwks: JwksSource,
    /// The signature algorithms accepted (RFC 7518 §3.1, RFC 8037 §3.1). Default: those of the keys. An RSA key that names no
    /// algorithm is for RS256, or for those listed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<String>>,
    /// What the token's `typ` may be, compared without case and without `application/`. Default: `JWT` and `at+jwt`; a token that names
    /// none counts as `JWT`. For access tokens alone (RFC 9068 §4): `[at+jwt]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_types: Option<Vec<String>>,
    /// Whether tokens must name an audience. The access tokens of some issuers have none (Amazon Cognito's say by `client_id` for
    /// whom they are): require what they have in `required_claims`. One that names another audience is refused all the same.
    /// Default: true.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub requires_audience: bool,
    /// What the `sub` claim may be. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<TextMatch>,
    /// How far clocks may differ, in seconds, for `exp`, `nbf` and `iat`. Default 30, at most 300.
    #[serde(default = "default_leeway")]
    pub leeway_seconds: u32,
    /// The longest time from `iat` to `exp`, in seconds. With it `iat` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lifetime_seconds: Option<u32>,
    /// Claims that every token of this issuer must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<ClaimRule>,
    /// The claim that holds the caller's roles: an array of strings or a space-separated string. Its name, or a JSON
    /// pointer (RFC 6901) such as `/realm_access/roles`. Default `roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// The claim that holds the OAuth 2 scopes, likewise. Default `scope` (RFC 8693 §4.2).
    #[serde(default = "default_scopes_claim")]
    pub scopes_claim: String,
    /// The claim that holds the tenant, a string. Default `tenant`.
    #[serde(default = "default_tenant_claim")]
    pub tenant_claim: String,
    /// The claim that holds the caller's plan, a string: what `plans` of limits is about. Its name, or a JSON pointer. Default: no
    /// caller with a token has a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_claim: Option<String>,
    /// The tenants that this issuer may speak for; a token that names another is refused. Default: any. With
    /// several issuers, list them: else each can name the others' tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
    /// Whether its tokens must be bound to the client that may use them. One that is bound is always checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<TokenBinding>,
    /// Claims that the upstream receives as header fields. Clients cannot send them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_headers: Vec<ClaimHeader>,
    /// A header field in which the upstream receives all claims: the token's payload, base64url (RFC 4648 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_header: Option<String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_yes(flag: &bool) -> bool {
    *flag
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

/// What a token must be bound to (RFC 7800).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenBinding {
    /// The certificate of the TLS connection (RFC 8705 §3): `cnf.x5t#S256`.
    Certificate,
    /// A key that the client proves to hold with each request (RFC 9449): `cnf.jkt`.
    Dpop,
    /// Either.
    Any,
}

/// A claim as a header field. A string, number or boolean is written as it is, the items of an array with commas between
/// them; what is not visible ASCII, `%`, and commas in items are percent-encoded (RFC 3986 §2.1) in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimHeader {
    /// The claim: its name, or a JSON pointer (RFC 6901).
    pub claim: String,
    /// The header field.
    pub header: String,
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
    /// Fetched and kept fresh. Public keys only.
    Remote(Remote),
    /// Found through the issuer's metadata (OpenID Connect Discovery 1.0 §4, RFC 8414), fetched and kept fresh.
    Discovery(Discovery),
}

/// Proofs of possession (RFC 9449): a token that is bound to a key (`cnf.jkt`) comes in the authorization field after `DPoP`, and
/// with it, in the `DPoP` field, a proof of the key that is about this request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DpopSection {
    /// How old a proof may be, in seconds. Default 60, at most 300. Each is accepted once, on all workers of a machine together. There
    /// is room for some 4800 proofs of one key within this time: 80 requests in every second at 60 seconds, 16 at 300. Beyond
    /// it requests are refused (`dpop-replays-unavailable`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// With it, proofs must hold a nonce that the gate has given out (RFC 9449 §9), made with this key: at least 32 bytes in
    /// base64url, the same on all gates that clients see as one. A nonce is good for `max_age_seconds` to twice as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce_key: Option<SecretSource>,
    /// The scheme and authority that clients use, such as `https://api.example`, where a proxy in front makes the gate see
    /// another, or where clients come by http. Default: https and the request's own authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// API keys. Only their digests are kept: HMAC-SHA-256 under a secret pepper, so that who reads the
/// document can neither use a key nor try guesses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeySection {
    /// Where a key may stand. Default: the x-api-key field. `{ header: authorization }` takes keys as bearer tokens, beside
    /// JSON Web Tokens: keys begin with `pcl_`.
    #[serde(default = "default_api_key_sources")]
    pub sources: Vec<CredentialSource>,
    /// The pepper: at least 32 bytes in base64url.
    pub pepper: SecretSource,
    /// Keys, as `portcullis key new` prints them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ApiKeyEntry>,
    /// A file of keys, relative to the policy document, which `portcullis key` edits. `portcullis` puts its content into what
    /// it gives to filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Such a file fetched and kept fresh, of at most 1 MiB and 20,000 keys, so that a key that is revoked there opens nothing any
    /// more. While there is none that holds, only the keys above are known. A key that is in both is the document's, and must
    /// be good in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
}

fn default_api_key_sources() -> Vec<CredentialSource> {
    vec![CredentialSource { header: Some("x-api-key".to_owned()), ..Default::default() }]
}

/// A file of API keys, JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeyFile {
    /// The keys.
    pub keys: Vec<ApiKeyEntry>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The scopes it gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The plan it is on, by which limits can differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When it begins to be good, a date and time (RFC 3339). Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// When it ceases to be good, likewise. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The client addresses from which it is good (CIDR); empty: all.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
    /// The names of the routes on which it is good; empty: all that its roles allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Whether it was taken back: kept, so that its id is not given out again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

impl ApiKeyEntry {
    /// A key that is good at once, everywhere and for ever, and gives nothing yet.
    pub fn new(id: &str, digest: String, owner: &str) -> Self {
        Self {
            id: id.to_owned(),
            digest,
            owner: owner.to_owned(),
            tenant: None,
            roles: Vec::new(),
            scopes: Vec::new(),
            plan: None,
            not_before: None,
            expires: None,
            networks: Vec::new(),
            routes: Vec::new(),
            revoked: false,
        }
    }
}

/// Tokens that are refused although they are valid. Every list names claims or keys exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RevocationSection {
    /// The list itself.
    pub inline: DenyList,
    /// A file with such a list, JSON, relative to the policy document. `portcullis` puts its content into what it gives to
    /// filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Such a list fetched and kept fresh. While there is none that holds, no token is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
}

/// What is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DenyList {
    /// Tokens, by their `jti`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jti: Vec<String>,
    /// Callers, by their `sub`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sub: Vec<String>,
    /// Keys, by their `kid`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kid: Vec<String>,
}

/// Where a secret is. Secrets are never written in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "{ env: NAME }, the name of an environment variable")]
pub struct SecretSource {
    /// The name of an environment variable of the VM or process.
    pub env: String,
}
