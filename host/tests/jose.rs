//! The real component that decrypts, in the component host, in front of the real scam detector, which another process serves.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use components::{Detector, artifact};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portcullis::component::{Function, FunctionConfig, KeyValueStore, Variables};
use portcullis_function::jwe::Caller;
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

#[path = "common/components.rs"]
mod components;

const ASSERTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const ENCRYPTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const PATH: &str = "/v1/predict";

/// What decrypts, and its log.
struct Jose {
    function: Function,
    log: Arc<Mutex<Vec<String>>>,
}

impl Jose {
    /// `allowed` is whom it may call.
    fn start(upstream: &str, allowed: &str) -> Option<Self> {
        let path = artifact("jose.wasm")?;
        let policy = json!({
            "version": 1,
            "input": { "screening": { "attacks": "refuse", "personal_data": { "email_address": "mask" } } },
            "routes": [{
                "name": "predict", "match": { "path": PATH, "methods": ["POST"] },
                "input": { "schema": { "inline": {
                    "type": "object", "required": ["text"], "additionalProperties": false,
                    "properties": { "text": { "type": "string" } },
                } } },
            }],
        });
        let mut variables = Variables::default();
        for (name, value) in [
            ("assertion_key", ASSERTION_KEY.to_owned()),
            ("key_encryption_key", ENCRYPTION_KEY.to_owned()),
            ("input_policy", policy.to_string()),
            ("upstream", upstream.to_owned()),
        ] {
            variables.insert(name, Zeroizing::new(value)).unwrap();
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let config = FunctionConfig {
            variables,
            key_value: KeyValueStore::default(),
            allowed_outbound_hosts: vec![allowed.parse().unwrap()],
            log: Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())),
            ..FunctionConfig::default()
        };
        Some(Self { function: Function::load(path, config).unwrap(), log })
    }

    /// Sends a request as the gate would: the status, the media type and the content.
    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String, Bytes) {
        let principal = Principal {
            subject: "alice".to_owned(),
            roles: vec!["caller".to_owned()],
            via: CredentialKind::Jwt,
            ..Principal::anonymous()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signer = Signer::new("portcullis", Secret::from_base64url(ASSERTION_KEY).unwrap(), 30);
        let assertion =
            signer.sign(&principal.to_field(), method, path, None, body.as_bytes(), now, &[7; 16]);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "test")
            .header("content-type", "application/jose");
        for (name, value) in assertion {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = self.function.handle(request).await.unwrap();
        let status = response.status().as_u16();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, media_type, body)
    }

    async fn key(&self) -> Value {
        let (status, _, body) = self.send("GET", "/.well-known/jwks.json", "").await;
        assert_eq!(status, 200, "{:?}", self.log.lock().unwrap());
        let set: Value = serde_json::from_slice(&body).unwrap();
        set["keys"][0].clone()
    }

    /// Encrypts a question, and decrypts what is answered.
    async fn ask(&self, question: &Value) -> (u16, Value) {
        let caller = Caller::new().unwrap();
        let (key, question) = (self.key().await, question.to_string());
        let message = caller.encrypt(&key, question.as_bytes(), "application/json", &json!({}));
        let message = message.unwrap();
        let (status, media_type, body) = self.send("POST", PATH, &message).await;
        assert_eq!(media_type, "application/jose", "{status} {:?}", self.log.lock().unwrap());
        let answer = caller.decrypt(&body).unwrap();
        (status, serde_json::from_slice(&answer.content).unwrap())
    }
}

#[tokio::test]
async fn an_encrypted_text_is_assessed() {
    let Some(detector) = Detector::start(ASSERTION_KEY) else { return };
    let Some(jose) = Jose::start(&detector.origin, &detector.origin) else { return };
    let scam = json!({ "text": "USPS: your parcel is held, pay $1.99 at http://usps-fee.top/x" });
    let (status, answer) = jose.ask(&scam).await;
    assert_eq!((status, &answer["label"]), (200, &json!("scam")), "{answer}");
    let (status, answer) = jose.ask(&json!({ "text": "Lunch tomorrow?" })).await;
    assert_eq!((status, &answer["label"]), (200, &json!("ham")), "{answer}");
    // The policy's refusal, and the detector's own.
    let (status, problem) = jose.ask(&json!({ "text": 1 })).await;
    assert_eq!(status, 422);
    assert_eq!(problem["type"], "urn:portcullis:problem:schema-violated");
    let (status, problem) = jose.ask(&json!({ "text": "a".repeat(66_000) })).await;
    assert_eq!(status, 413, "{problem}");

    let (status, media_type, _) = jose.send("POST", PATH, "{\"text\":\"hello\"}").await;
    assert_eq!((status, &*media_type), (400, "application/problem+json"));
}

#[tokio::test]
async fn who_may_not_be_called_is_not() {
    let Some(jose) = Jose::start("http://127.0.0.1:9", "http://127.0.0.1:10") else { return };
    let (status, problem) = jose.ask(&json!({ "text": "hello" })).await;
    assert_eq!(status, 502);
    assert_eq!(problem["type"], "urn:portcullis:problem:upstream-unreachable");
    let Some(jose) = Jose::start("http://127.0.0.1:9", "http://127.0.0.1:9") else { return };
    assert_eq!(jose.ask(&json!({ "text": "hello" })).await.0, 502, "nobody listens there");
}
