//! A gate that takes bound tokens, an issuer, and clients with keys.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use portcullis_policy::{
    Environment, Exchange, Header, HeaderEdit, MemoryStore, NativeSignature, Policy, Reason, Reply,
    RequestHead, Stages, Step, Swap, Timestamp, Unavailable, Version,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const ISSUER: &str = "https://issuer.example";
pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A P-256 key of the issuer's or of a client's.
pub(crate) struct Holder(SigningKey);

impl Holder {
    pub(crate) fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number; 32]).unwrap())
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.0.verifying_key().to_sec1_point(false);
        let coordinates = &point.as_bytes()[1..];
        json!({"kty": "EC", "crv": "P-256", "x": encode(&coordinates[..32]), "y": encode(&coordinates[32..])})
    }

    /// RFC 7638: the required members in the order of their names.
    pub(crate) fn thumbprint(&self) -> String {
        encode(Sha256::digest(self.jwk().to_string()))
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", encode(signature.to_bytes()))
    }

    /// A token of the issuer's with this `cnf`.
    pub(crate) fn token(cnf: Value) -> String {
        let claims =
            json!({"iss": ISSUER, "aud": "api", "sub": "alice", "exp": NOW + 100_000, "cnf": cnf});
        let mut claims: Map<String, Value> = claims.as_object().unwrap().clone();
        claims.retain(|_, value| !value.is_null());
        Self::new(1).sign(&json!({"alg": "ES256", "typ": "at+jwt"}), &Value::Object(claims))
    }

    /// A token that is bound to this key.
    pub(crate) fn own_token(&self) -> String {
        Self::token(json!({"jkt": self.thumbprint()}))
    }

    /// A proof for `POST https://api.example/v1/predict` with this token, made now.
    pub(crate) fn proof(&self, token: &str, id: &str) -> String {
        self.proof_with(token, id, json!({}), json!({}))
    }

    /// The same with other claims and header parameters; null removes one.
    pub(crate) fn proof_with(&self, token: &str, id: &str, claims: Value, header: Value) -> String {
        let mut good_header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        let mut good_claims = json!({"jti": id, "htm": "POST", "htu": "https://api.example/v1/predict",
            "iat": NOW, "ath": encode(Sha256::digest(token))});
        for (good, changes) in [(&mut good_header, header), (&mut good_claims, claims)] {
            for (name, value) in changes.as_object().unwrap() {
                match value.is_null() {
                    true => drop(good.as_object_mut().unwrap().remove(name)),
                    false => good[name] = value.clone(),
                }
            }
        }
        self.sign(&good_header, &good_claims)
    }
}

/// A request, and what its connection has shown.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) certificate: Option<[u8; 32]>,
}

impl Request {
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        let standard =
            [(":method", "POST"), (":path", "/v1/predict"), (":authority", "api.example")];
        let fields = standard.iter().chain(fields);
        let headers = fields.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self { headers: headers.collect(), certificate: None }
    }

    pub(crate) fn dpop(token: &str, proof: &str) -> Self {
        Self::new(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
    }

    pub(crate) fn bearer(token: &str) -> Self {
        Self::new(&[("authorization", &format!("Bearer {token}"))])
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn to(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.with(name, value)
    }

    pub(crate) fn on(mut self, certificate: [u8; 32]) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// What the gate says to its header section.
    pub(crate) fn judge(&self, exchange: &mut Exchange, host: &mut Host) -> Step {
        host.certificate = self.certificate;
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        exchange.request_head(&RequestHead { headers: &headers, has_body: false }, host)
    }
}

/// What came of a request: edits of request and response, or the reply.
pub(crate) type Verdict = Result<(Vec<HeaderEdit>, Vec<HeaderEdit>), Reply>;

/// A machine with one store and as many workers as one likes.
pub(crate) struct Gate {
    document: Value,
    policy: Arc<Policy>,
    pub(crate) host: Host,
}

impl Gate {
    pub(crate) fn new(dpop: Value) -> Self {
        Self::of(dpop, json!({}))
    }

    /// With further members of the `identity` section.
    pub(crate) fn of(dpop: Value, identity: Value) -> Self {
        Self::with(dpop, |document| {
            for (name, value) in identity.as_object().unwrap() {
                document["identity"][name] = value.clone();
            }
        })
    }

    /// With changes to the document.
    pub(crate) fn with(dpop: Value, change: impl FnOnce(&mut Value)) -> Self {
        let mut jwk = Holder::new(1).jwk();
        jwk["alg"] = "ES256".into();
        let mut document = json!({"version": 1,
            "identity": {"jwt": {
                "issuers": [{"issuer": ISSUER, "audiences": ["api"], "jwks": {"inline": {"keys": [jwk]}}}],
                "dpop": dpop}},
            "access": {"headers": {"max_count": 100, "max_bytes": 4_000_000}, "methods": ["GET", "POST", "PUT"]},
            "routes": [{"name": "all", "match": {"prefix": "/"}}]});
        change(&mut document);
        let policy = Self::compile(&document);
        Self { document, policy, host: Host::default() }
    }

    /// The same policy on another worker, which shares nothing but the store.
    pub(crate) fn other_worker(&mut self) {
        self.policy = Self::compile(&self.document);
    }

    fn compile(document: &Value) -> Arc<Policy> {
        let secrets = BTreeMap::from([("NONCE_KEY".to_owned(), encode([7; 32]))]);
        let policy = Policy::from_json("policy", &document.to_string(), &secrets, Stages::ALL);
        Arc::new(policy.unwrap())
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    pub(crate) fn begin(&mut self) -> Exchange {
        self.policy.begin(self.host.now())
    }

    pub(crate) fn send(&mut self, request: &Request) -> Verdict {
        let mut exchange = self.begin();
        match request.judge(&mut exchange, &mut self.host) {
            Step::Continue(edits) => Ok((edits, exchange.response_head(&[(":status", b"200")]))),
            Step::Respond(reply) => Err(reply),
            step => panic!("{step:?}"),
        }
    }

    pub(crate) fn reason(&mut self, request: &Request) -> Result<(), Reason> {
        self.send(request).map(drop).map_err(|reply| reason(&reply))
    }

    pub(crate) fn advance_seconds(&mut self, seconds: u64) {
        self.host.now = Timestamp(self.host.now.0 + seconds * 1_000_000_000);
    }

    pub(crate) fn step_back_seconds(&mut self, seconds: u64) {
        self.host.now = Timestamp(self.host.now.0 - seconds * 1_000_000_000);
    }
}

pub(crate) fn reason(reply: &Reply) -> Reason {
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    let name = problem["type"].as_str().unwrap().rsplit(':').next().unwrap();
    let reason = Reason::from_name(name).unwrap();
    assert_eq!(reason.status(), reply.status);
    reason
}

pub(crate) fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let mut values = reply.headers.iter().filter(|(other, _)| *other == name);
    let value = values.next().map(|(_, value)| value.as_str());
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

/// A runtime without native cryptography.
pub(crate) struct Host {
    pub(crate) now: Timestamp,
    pub(crate) store: MemoryStore,
    pub(crate) store_fails: bool,
    /// What it tells of the connection, and how often it was asked.
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) asked: usize,
}

impl Default for Host {
    fn default() -> Self {
        let now = Timestamp(NOW * 1_000_000_000);
        Self { now, store: MemoryStore::default(), store_fails: false, certificate: None, asked: 0 }
    }
}

impl Environment for Host {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(6);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
        None
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        if self.store_fails {
            return Err(Unavailable);
        }
        Ok(self.store.load(key))
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        if self.store_fails {
            return Err(Unavailable);
        }
        Ok(self.store.compare_and_swap(key, expected, value))
    }

    fn client_certificate(&mut self) -> Option<[u8; 32]> {
        self.asked += 1;
        self.certificate
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}
