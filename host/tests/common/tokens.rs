//! An issuer of tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "predictions";

/// With one key for ES256.
pub(crate) struct Issuer {
    key_id: &'static str,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        Self::with_key_id("k1")
    }

    pub(crate) fn with_key_id(key_id: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self { key_id, key, random }
    }

    /// The JSON Web Key Set.
    pub(crate) fn keys(&self) -> Value {
        let point = &self.key.public_key().as_ref()[1..];
        let [x, y] = [&point[..32], &point[32..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "kid": self.key_id, "use": "sig", "alg": "ES256", "x": x, "y": y },
        ] })
    }

    /// What a good token says, changed as wanted.
    pub(crate) fn claims(&self, more: &Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "email": "alice@example.com",
            "iat": now, "exp": now + 300,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let signed = of(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id }), claims);
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn unsigned(claims: &Value) -> String {
        format!("{}.", of(&json!({ "alg": "none", "typ": "JWT", "kid": "k1" }), claims))
    }
}

fn of(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}
