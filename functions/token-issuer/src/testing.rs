//! What the tests have in common.

use std::collections::BTreeMap;

use argon2::password_hash::CustomizedPasswordHasher as _;
use argon2::{Argon2, Params};
pub(crate) use portcullis_function::keys::testing::{MemoryStore, NOW, run};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::settings::Settings;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const CLIENT_ID: &str = "batch.1";
pub(crate) const CLIENT_SECRET: &str = "a+b/c=:d%20é";
/// 32 bytes of 1 and of 2, in base64url.
pub(crate) const ASSERTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

pub(crate) fn hash(secret: &str, memory: u32, passes: u32) -> String {
    let params = Params::new(memory, passes, 1, None).unwrap();
    let salt = b"sixteen bytes ok";
    let hasher = Argon2::default();
    hasher.hash_password_with_params(secret.as_bytes(), salt, params).unwrap().to_string()
}

/// A client with everything, one that is disabled, and one with little.
pub(crate) fn clients() -> Value {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let hash = HASH.get_or_init(|| hash(CLIENT_SECRET, 19_456, 2));
    json!([
        {
            "id": CLIENT_ID, "secret_hash": hash, "subject": "alice", "tenant": "acme",
            "roles": ["caller"], "scopes": ["predict", "model"],
            "audiences": ["scam-detector", "https://api.example/v1"], "token_lifetime_seconds": 600,
        },
        { "id": "disabled", "secret_hash": hash, "audiences": ["scam-detector"], "enabled": false },
        { "id": "plain", "secret_hash": hash, "audiences": ["scam-detector"] },
    ])
}

pub(crate) fn variables() -> BTreeMap<String, String> {
    let variables = [
        ("issuer", ISSUER.to_owned()),
        ("clients", clients().to_string()),
        ("key_encryption_key", OTHER_KEY.to_owned()),
        ("assertion_key", ASSERTION_KEY.to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn settings() -> Settings {
    let variables = variables();
    Settings::read(|name| variables.get(name).cloned().map(Zeroizing::new)).unwrap()
}
