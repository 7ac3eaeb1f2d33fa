//! A policy, an issuer and a runtime to try it in.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

pub mod gate;
pub mod runtime;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use portcullis_policy::assertion::{Received, Verifier};
use portcullis_policy::document::{ApiKeyEntry, JwksSource, LocatedDocument};
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{
    Document, Environment, Exchange, Header, HeaderEdit, Policy, Reply, RequestHead, Secret,
    Stages, Step, Timestamp,
};
pub use runtime::Runtime;
use serde_json::{Value, json};

const KEY: [u8; 32] = [5; 32];
const ISSUER: &str = "https://issuer.portcullis.local";

pub struct Fixture {
    policy: Arc<Policy>,
    keys: ES256KeyPair,
    api_key: String,
    runtime: Runtime,
    audit: String,
    body: Vec<u8>,
}

impl Fixture {
    pub fn new() -> Self {
        Self::of(ES256KeyPair::generate().with_key_id("k1"), |_| ())
    }

    /// With the document's own rules for text on every route: what nobody sees is taken out.
    pub fn stripping() -> Self {
        Self::of(ES256KeyPair::generate().with_key_id("k1"), |document| {
            document.routes.iter_mut().for_each(|route| route.input.text = None);
        })
    }

    /// Fresh limits, the same issuer.
    pub fn with_keys_of(other: &Self) -> Self {
        let keys = ES256KeyPair::from_bytes(&other.keys.to_bytes()).unwrap();
        Self::of(keys.with_key_id("k1"), |_| ())
    }

    fn of(keys: ES256KeyPair, change: impl FnOnce(&mut Document)) -> Self {
        let text = include_str!("../../default.yaml");
        let mut located = LocatedDocument::read("default.yaml", text).unwrap();
        change(&mut located.document);
        let identity = &mut located.document.identity;
        identity.jwt.as_mut().unwrap().issuers[0].jwks = JwksSource::Inline(jwks(&keys));
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        let pepper = Secret::from_bytes(KEY.to_vec().into()).unwrap();
        identity.api_keys.as_mut().unwrap().keys.push(ApiKeyEntry {
            roles: vec!["caller".into()],
            ..ApiKeyEntry::new(key.id(), key.digest(&pepper), "batch")
        });
        let secrets: BTreeMap<String, String> =
            ["PORTCULLIS_API_KEY_PEPPER", "PORTCULLIS_ASSERTION_KEY"]
                .map(|name| (name.to_owned(), URL_SAFE_NO_PAD.encode(KEY)))
                .into();
        let policy = Policy::compile(&located.document, &secrets, Stages::ALL).unwrap();
        Self {
            policy: Arc::new(policy),
            keys,
            api_key: key.expose().to_owned(),
            runtime: Runtime::new(),
            audit: String::new(),
            body: Vec::new(),
        }
    }

    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    pub fn token(&self, role: &str) -> String {
        self.sign(&self.keys, json!({ "roles": [role] }))
    }

    pub fn expired(&self) -> String {
        self.sign(
            &self.keys,
            json!({ "roles": ["caller"], "exp": self.runtime.now.seconds() - 60 }),
        )
    }

    pub fn for_audience(&self, audience: &str) -> String {
        self.sign(&self.keys, json!({ "roles": ["caller"], "aud": audience }))
    }

    pub fn by_stranger(&self) -> String {
        let stranger = ES256KeyPair::generate().with_key_id("k1");
        self.sign(&stranger, json!({ "roles": ["caller"] }))
    }

    pub fn unsigned(&self) -> String {
        let token = self.token("caller");
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#))
    }

    fn sign(&self, keys: &ES256KeyPair, changes: Value) -> String {
        let now = self.runtime.now.seconds();
        let mut claims = json!({"iss": ISSUER, "aud": "scam-detector", "sub": "alice",
            "tenant": "acme", "iat": now, "exp": now + 300, "jti": "t1"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign_es256(keys, &claims)
    }

    pub fn begin(&self) -> Exchange {
        self.policy.begin(self.runtime.now)
    }

    pub fn advance_seconds(&mut self, seconds: u64) {
        self.runtime.now = Timestamp(self.runtime.now.0 + seconds * 1_000_000_000);
    }

    pub fn break_random(&mut self) {
        self.runtime.random_fails = true;
    }

    pub fn head_only(&mut self, request: &Request) -> Step {
        request.judge(&mut self.begin(), &mut self.runtime)
    }

    /// The record of a request that ends after its header section.
    pub fn abandon(&mut self, request: &Request) -> String {
        let mut exchange = self.begin();
        request.judge(&mut exchange, &mut self.runtime);
        exchange.finish(&mut self.runtime).unwrap()
    }

    pub fn run(&mut self, request: &Request) -> Result<Edits, Reply> {
        let mut exchange = self.begin();
        self.body.clone_from(&request.body);
        let mut step = request.judge(&mut exchange, &mut self.runtime);
        if step == Step::NeedBody {
            step = match request.body.len() > exchange.max_body_bytes() {
                true => exchange.body_too_large(),
                false => exchange.request_body(&request.body, &mut self.runtime),
            };
        }
        self.audit = exchange.finish(&mut self.runtime).unwrap();
        match step {
            Step::Continue(edits) => Ok(edits.into()),
            Step::Rewrite(edits, body) => {
                self.body = body;
                Ok(edits.into())
            }
            Step::Respond(reply) => Err(reply),
            Step::NeedBody => panic!("asked for the body twice"),
            Step::Wait => panic!("nothing is fetched here"),
        }
    }

    pub fn audit(&self) -> &str {
        &self.audit
    }

    /// The subject that the upstream would see.
    pub fn verify_assertion(&self, edits: &Edits) -> String {
        let headers: Vec<(&str, &[u8])> =
            edits.set.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let received = Received {
            method: "POST",
            path: "/v1/predict",
            query: None,
            headers: &headers,
            body: &self.body,
            now: self.runtime.now.seconds(),
        };
        let key = Secret::from_bytes(KEY.to_vec().into()).unwrap();
        Verifier::new([("portcullis".to_owned(), key)]).verify(&received).unwrap().subject
    }
}

pub fn jwks(keys: &ES256KeyPair) -> Value {
    let point = keys.public_key().public_key().to_bytes_uncompressed();
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": keys.key_id(), "alg": "ES256",
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])}]})
}

/// Signs claims as they are, which jwt-simple's own claims type would not let through.
pub fn sign_es256(keys: &ES256KeyPair, claims: &Value) -> String {
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
    let header = json!({"alg": "ES256", "kid": keys.key_id(), "typ": "JWT"});
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = SigningKey::from_slice(&keys.to_bytes()).unwrap();
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

#[derive(Debug, Default)]
pub struct Edits {
    pub removed: Vec<String>,
    pub set: Vec<(String, String)>,
}

impl From<Vec<HeaderEdit>> for Edits {
    fn from(edits: Vec<HeaderEdit>) -> Self {
        let mut sorted = Self::default();
        for edit in edits {
            match edit {
                HeaderEdit::Remove(name) => sorted.removed.push(name),
                HeaderEdit::Set(name, value) => sorted.set.push((name, value)),
            }
        }
        sorted
    }
}

#[derive(Debug, Clone)]
pub struct Request {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub fn predict(token: &str) -> Self {
        let headers = [
            (":method", "POST"),
            (":path", "/v1/predict"),
            (":authority", "localhost:8443"),
            ("content-type", "application/json"),
            ("authorization", &format!("Bearer {token}")),
        ];
        Self {
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: br#"{"text":"You have won a prize"}"#.to_vec(),
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub fn to(self, path: &str) -> Self {
        self.without(":path").with(":path", path)
    }

    pub fn method(self, method: &str) -> Self {
        self.without(":method").with(":method", method)
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// What the gate says to its header section.
    pub fn judge(&self, exchange: &mut Exchange, environment: &mut dyn Environment) -> Step {
        let headers = borrowed(&self.headers);
        let head = RequestHead { headers: &headers, has_body: !self.body.is_empty() };
        exchange.request_head(&head, environment)
    }
}

/// Fields as a runtime has them.
pub fn borrowed(fields: &[(String, Vec<u8>)]) -> Vec<Header<'_>> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}
