//! Who asks: an issuer of tokens, good ones and forged ones, and API keys.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use portcullis_policy::Secret;
use portcullis_policy::document::ApiKeyEntry;
use portcullis_policy::identity::ApiKey;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::scenario::{ApiKeyKind, Dpop, Jwt, PublishedKey, Signer};

/// The issuer that the policies name.
pub const ISSUER: &str = "https://issuer.portcullis.local";
/// The audience that they want.
pub const AUDIENCE: &str = "scam-detector";
/// The secrets that they name, with the variable of the function that has the same value.
pub const ASSERTION_KEY: &str = "PORTCULLIS_ASSERTION_KEY";
const PEPPER: &str = "PORTCULLIS_API_KEY_PEPPER";
/// The origin in proofs, which the policy for them names: the gates' ports are any.
const ORIGIN: &str = "https://gate.portcullis.local";
const KEY_ID: &str = "tests-1";
const STRANGER_KEY_ID: &str = "tests-2";
const API_KEY_ID: &str = "tests1";
/// How long tokens are good for, in seconds.
const LIFETIME: i64 = 300;

/// Keys that live as long as the tests.
pub struct Credentials {
    issuer: SigningKey,
    stranger: SigningKey,
    /// Whose key tokens are bound to.
    client: SigningKey,
    /// How many proofs there have been, so that each has another name.
    proofs: AtomicU64,
    pepper: [u8; 32],
    assertion_key: [u8; 32],
}

impl Default for Credentials {
    fn default() -> Self {
        // Any numbers do: nothing is protected here.
        let key = |byte| SigningKey::from_slice(&[byte; 32]).expect("below the order of P-256");
        Self {
            issuer: key(0x17),
            stranger: key(0x2b),
            client: key(0x61),
            proofs: AtomicU64::new(0),
            pepper: [0x35; 32],
            assertion_key: [0x4d; 32],
        }
    }
}

impl Credentials {
    /// The environment that the gate's secrets come from.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<String, String> {
        [(PEPPER, self.pepper), (ASSERTION_KEY, self.assertion_key)]
            .map(|(name, secret)| (name.to_owned(), URL_SAFE_NO_PAD.encode(secret)))
            .into()
    }

    /// What the gate signs its statements with.
    #[must_use]
    pub fn assertion_key(&self) -> Secret {
        Secret::from_bytes(self.assertion_key.to_vec().into()).expect("long enough")
    }

    /// The issuer's public keys (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.jwks_of(&[PublishedKey::Issuer])
    }

    /// A set of these public keys (RFC 7517).
    #[must_use]
    pub fn jwks_of(&self, keys: &[PublishedKey]) -> Value {
        let keys = keys.iter().map(|key| match key {
            PublishedKey::Issuer => public_jwk(&self.issuer, KEY_ID),
            PublishedKey::Stranger => public_jwk(&self.stranger, STRANGER_KEY_ID),
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    /// What the policy knows of the good API key.
    #[must_use]
    pub fn api_key_entry(&self) -> ApiKeyEntry {
        let pepper = Secret::from_bytes(self.pepper.to_vec().into()).expect("long enough");
        ApiKeyEntry {
            tenant: Some("machines".to_owned()),
            roles: vec!["caller".to_owned()],
            ..ApiKeyEntry::new(API_KEY_ID, api_key(API_KEY_ID, 1).digest(&pepper), "batch")
        }
    }

    /// An API key as it is presented.
    #[must_use]
    pub fn api_key(&self, kind: ApiKeyKind) -> String {
        let key = match kind {
            ApiKeyKind::Good => api_key(API_KEY_ID, 1),
            ApiKeyKind::WrongSecret => api_key(API_KEY_ID, 2),
            ApiKeyKind::UnknownId => api_key("tests2", 1),
            ApiKeyKind::Malformed => return "not-a-key".to_owned(),
        };
        key.expose().to_owned()
    }

    /// A token of somebody called `subject`, with the role `caller` unless `jwt` says otherwise.
    ///
    /// # Errors
    ///
    /// The clock is wrong.
    pub fn token(&self, subject: &str, jwt: &Jwt) -> Result<String> {
        let now = now()?;
        let mut claims = object(json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "tenant": format!("tenant-of-{subject}"),
            "roles": ["caller"], "iat": now, "exp": now + LIFETIME, "jti": format!("token-of-{subject}"),
        }));
        for (name, value) in &jwt.claims {
            let relative = ["exp", "nbf", "iat"].contains(&name.as_str());
            let value = match value.as_i64() {
                Some(seconds) if relative => json!(now + seconds),
                _ => value.clone(),
            };
            put(&mut claims, name, value);
        }
        let algorithm = match jwt.signed_by {
            Signer::PublicKeyAsSecret => "HS256",
            Signer::Issuer | Signer::Stranger | Signer::Nobody => "ES256",
        };
        let mut header = object(json!({ "alg": algorithm, "kid": KEY_ID, "typ": "JWT" }));
        for (name, value) in &jwt.header {
            put(&mut header, name, value.clone());
        }
        let signed = signing_input(header, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(jwt.signed_by, signed.as_bytes()));
        Ok(format!("{signed}.{signature}"))
    }

    /// The fields of a request with a token that is bound to the client's key, and proofs for it (RFC 9449 §7.1).
    ///
    /// # Errors
    ///
    /// The clock is wrong.
    pub fn dpop(
        &self,
        subject: &str,
        dpop: &Dpop,
        method: &str,
        path: &str,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let jwk = required_members(&self.client);
        // RFC 7638 §3.3: serde_json writes the members in the order of their names.
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.to_string()));
        let bound = object(json!({ "cnf": { "jkt": thumbprint } }));
        let token = self.token(subject, &Jwt { claims: bound, ..Jwt::default() })?;
        let scheme = if dpop.as_bearer { "Bearer" } else { "DPoP" };
        let mut fields = vec![("authorization".to_owned(), format!("{scheme} {token}").into())];
        for _ in 0..dpop.proofs.unwrap_or(1) {
            fields.push(("dpop".to_owned(), self.proof(&token, dpop, method, path)?.into()));
        }
        Ok(fields)
    }

    fn proof(&self, token: &str, dpop: &Dpop, method: &str, path: &str) -> Result<String> {
        let number = self.proofs.fetch_add(1, Ordering::Relaxed);
        let now = now()?;
        let mut claims = object(json!({
            "htm": method, "htu": format!("{ORIGIN}{path}"), "iat": now,
            "jti": format!("{now}-{number}"), "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
        }));
        for (name, value) in &dpop.claims {
            let value = match value.as_i64() {
                Some(seconds) if name == "iat" => json!(now + seconds),
                _ => value.clone(),
            };
            put(&mut claims, name, value);
        }
        let key = if dpop.stolen { &self.stranger } else { &self.client };
        let jwk = required_members(key);
        let mut header = object(json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }));
        for (name, value) in &dpop.header {
            put(&mut header, name, value.clone());
        }
        let signed = signing_input(header, claims);
        let signature: Signature = key.sign(signed.as_bytes());
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }

    fn sign(&self, signer: Signer, message: &[u8]) -> Vec<u8> {
        let ecdsa = |key: &SigningKey| {
            let signature: Signature = key.sign(message);
            signature.to_bytes().to_vec()
        };
        match signer {
            Signer::Issuer => ecdsa(&self.issuer),
            Signer::Stranger => ecdsa(&self.stranger),
            Signer::Nobody => Vec::new(),
            Signer::PublicKeyAsSecret => {
                let secret = public_jwk(&self.issuer, KEY_ID).to_string();
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                    .expect("HMAC takes keys of any length");
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }
}

fn public_jwk(key: &SigningKey, key_id: &str) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let coordinate =
        |bytes: Option<&_>| bytes.map(|bytes: &p256::FieldBytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key_id,
        "x": coordinate(point.x()), "y": coordinate(point.y()),
    })
}

fn api_key(id: &str, secret: u8) -> ApiKey {
    ApiKey::new(id, &[secret; 32]).expect("a good id")
}

fn now() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_secs();
    i64::try_from(now).context("the clock")
}

/// RFC 7515 §5.1.
fn signing_input(header: Map<String, Value>, claims: Map<String, Value>) -> String {
    let encode =
        |members: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(members).to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// A public key with the members that its thumbprint is made of (RFC 7638 §3.2).
fn required_members(key: &SigningKey) -> Value {
    let mut jwk = object(public_jwk(key, ""));
    jwk.retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
    Value::Object(jwk)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn put(members: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}
