//! Access tokens (RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_function::keys::{Kind as _, random};
use serde::Serialize;
use serde_json::json;

use crate::clients::Client;
use crate::grant::Grant;
use crate::signing_key::{ALGORITHM, SigningKey};

/// How long a token is good for where its client says nothing, in seconds.
pub(crate) const DEFAULT_LIFETIME_SECONDS: u64 = 900;

/// What a client can have. A token cannot be called back, so the longest is an hour.
pub(crate) const MINIMUM_LIFETIME_SECONDS: u64 = 60;
pub(crate) const MAXIMUM_LIFETIME_SECONDS: u64 = 3600;

/// What a token says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

/// A token and how long it is good for.
pub(crate) struct AccessToken {
    pub(crate) text: String,
    pub(crate) expires_in: u64,
}

impl AccessToken {
    /// Signs what was granted. `None` where there are no random numbers.
    pub(crate) fn sign(
        issuer: &str,
        client: &Client,
        grant: &Grant<'_>,
        key: &SigningKey,
        now: u64,
    ) -> Option<Self> {
        let expires_in = client.token_lifetime_seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS);
        let claims = Claims {
            iss: issuer,
            sub: &client.subject,
            aud: grant.audience,
            iat: now,
            exp: now.saturating_add(expires_in),
            jti: URL_SAFE_NO_PAD.encode(random::<16>().ok()?.as_slice()),
            client_id: &client.id,
            scope: &grant.scope,
            roles: &client.roles,
            tenant: client.tenant.as_deref(),
        };
        let header = json!({ "typ": "at+jwt", "alg": ALGORITHM, "kid": key.id() }).to_string();
        let claims = serde_json::to_string(&claims).ok()?;
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
        Some(Self { text: format!("{signed}.{signature}"), expires_in })
    }
}
