//! What the tests have in common.

use std::cell::RefCell;
use std::collections::BTreeMap;

use portcullis_function::jwe::Caller;
use portcullis_function::keys::testing::{MemoryStore, NOW, run};
use portcullis_function::{Body, Gatekeeper, KEY_ID, Reply, Request};
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::screens::Screens;
use crate::service::Service;
use crate::settings::Settings;
use crate::upstream::{Answered, Incoming, Outgoing, Upstream, UpstreamError};

/// 32 bytes of 1, of 2 and of 3, in base64url.
pub(crate) const ASSERTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
pub(crate) const THIRD_KEY: &str = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM";

pub(crate) const UPSTREAM: &str = "http://scam-detector.spin.internal";

/// A policy as the gate has it, with what only the gate needs.
pub(crate) fn policy() -> Value {
    json!({
        "version": 1,
        "assertion": {
            "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis", "lifetime_seconds": 30,
        },
        "input": {
            "content_types": ["application/json"],
            "max_body_bytes": 1000,
            "text": { "control": "strip", "invisible": "strip" },
            "screening": {
                "attacks": "refuse", "prompt_injection": "flag",
                "personal_data": { "email_address": "mask" },
            },
        },
        "output": { "personal_data": { "payment_card": "mask" } },
        "routes": [
            {
                "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] },
                "input": { "schema": { "inline": {
                    "type": "object", "required": ["text"], "additionalProperties": false,
                    "properties": { "text": { "type": "string" }, "source": { "type": "string" } },
                } } },
            },
            { "name": "other", "match": { "path": "/other", "methods": ["POST"], "hosts": ["b.example"] } },
        ],
    })
}

pub(crate) fn variables() -> BTreeMap<String, String> {
    let variables = [
        ("assertion_key", ASSERTION_KEY.to_owned()),
        ("key_encryption_key", OTHER_KEY.to_owned()),
        ("input_policy", policy().to_string()),
        ("upstream", UPSTREAM.to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) const PATH: &str = "/v1/predict";
pub(crate) const QUESTION: &[u8] = br#"{"text":"hello"}"#;
pub(crate) const ANSWER: &[u8] = br#"{"label":"ham"}"#;

/// What the function behind this one answers, and what it was asked.
pub(crate) struct Function {
    pub(crate) answer: Box<dyn Fn() -> Result<Incoming, UpstreamError>>,
    pub(crate) asked: RefCell<Vec<Outgoing>>,
}

impl Upstream for Function {
    async fn send(&self, request: Outgoing) -> Result<Incoming, UpstreamError> {
        self.asked.borrow_mut().push(request);
        (self.answer)()
    }
}

pub(crate) fn json_answer(status: u16, body: &[u8]) -> Incoming {
    Incoming {
        status,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: Body::Whole(body.to_vec().into()),
    }
}

/// The component, its store, the function behind it, and a caller.
pub(crate) struct World {
    pub(crate) settings: Option<Settings>,
    pub(crate) store: MemoryStore,
    pub(crate) function: Function,
    pub(crate) caller: Caller,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&variables())
    }

    pub(crate) fn with(variables: &BTreeMap<String, String>) -> Self {
        let read = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
        Self {
            settings: Some(Settings::read(read, &Screens::default()).unwrap()),
            store: MemoryStore::default(),
            function: Function {
                answer: Box::new(|| Ok(json_answer(200, ANSWER))),
                asked: RefCell::default(),
            },
            caller: Caller::new().unwrap(),
        }
    }

    pub(crate) fn answering(
        mut self,
        answer: impl Fn() -> Result<Incoming, UpstreamError> + 'static,
    ) -> Self {
        self.function.answer = Box::new(answer);
        self
    }

    pub(crate) fn answer(&self, case: &Case) -> Answered {
        let headers: Vec<(&str, &[u8])> =
            case.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request {
            method: case.method,
            path: case.path,
            query: case.query,
            headers: &headers,
            body: case.body.clone(),
            now: NOW,
        };
        let service = Service {
            settings: self.settings.as_ref(),
            store: &self.store,
            upstream: &self.function,
        };
        run(service.answer(&request))
    }

    /// The one key that is published.
    pub(crate) fn published(&self) -> Value {
        let answered = self.answer(&Case::new("GET", "/.well-known/jwks.json", b""));
        let set: Value = serde_json::from_slice(&answered.reply.body).unwrap();
        assert_eq!((answered.reply.status, set["keys"].as_array().unwrap().len()), (200, 1));
        set["keys"][0].clone()
    }

    pub(crate) fn encrypted(&self, content: &[u8]) -> Case {
        self.encrypted_with(content, &json!({}))
    }

    /// With something changed in the protected header.
    pub(crate) fn encrypted_with(&self, content: &[u8], header: &Value) -> Case {
        let published = self.published();
        let message = self.caller.encrypt(&published, content, "application/json", header).unwrap();
        Case::jose(message.as_bytes())
    }

    /// The answer to an encrypted request, as its caller reads it.
    pub(crate) fn sealed(&self, case: &Case) -> (u16, Value, String) {
        let Answered { reply, .. } = self.answer(case);
        assert!(
            reply.headers.contains(&("content-type", "application/jose")),
            "{} {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        );
        assert!(reply.headers.contains(&("cache-control", "no-store")));
        let answer = self.caller.decrypt(&reply.body).unwrap();
        let content = serde_json::from_slice(&answer.content).unwrap_or_default();
        (reply.status, content, answer.content_type)
    }

    pub(crate) fn refused_sealed(&self, case: &Case, status: u16, reason: &str) {
        let (actual, problem, media_type) = self.sealed(case);
        assert_eq!((actual, &problem["status"]), (status, &json!(status)), "{problem}");
        assert_eq!(problem["type"], format!("urn:portcullis:problem:{reason}"));
        assert_eq!(media_type, "application/problem+json");
    }

    /// Asserts that a request is refused in the clear, and that the function hears nothing of it.
    pub(crate) fn refused(&self, case: &Case, status: u16, reason: &str) -> Reply {
        let Answered { reply, signals } = self.answer(case);
        let problem: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        assert_eq!((reply.status, &problem["status"]), (status, &json!(status)), "{problem}");
        assert_eq!(problem["type"], format!("urn:portcullis:problem:{reason}"));
        assert!(reply.headers.contains(&("content-type", "application/problem+json")));
        assert_eq!(signals, None);
        assert!(self.function.asked.borrow().is_empty());
        reply
    }

    /// What the function was asked; once.
    pub(crate) fn asked(&self) -> Outgoing {
        let mut asked = self.function.asked.take();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }
}

/// A request as the gate would send it, and what a test changes of it.
pub(crate) struct Case {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: Option<&'static str>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Body,
}

impl Case {
    pub(crate) fn new(method: &'static str, path: &'static str, body: &[u8]) -> Self {
        let body = Body::Whole(body.to_vec().into());
        Self { method, path, query: None, headers: vec![], body }
    }

    pub(crate) fn jose(message: &[u8]) -> Self {
        Self::new("POST", PATH, message).header("content-type", "application/jose").signed()
    }

    pub(crate) fn at(self, path: &'static str, query: Option<&'static str>) -> Self {
        Self { path, query, ..self }.signed()
    }

    /// As the gate signs it: over what came, not over what is in it.
    pub(crate) fn signed(self) -> Self {
        let Body::Whole(body) = self.body.clone() else { return self };
        self.signed_over(&body, ASSERTION_KEY)
    }

    pub(crate) fn signed_over(mut self, body: &[u8], key: &str) -> Self {
        let signer = Signer::new(KEY_ID, Secret::from_base64url(key).unwrap(), 30);
        let (method, path, query) = (self.method, self.path, self.query);
        let principal = alice().to_field();
        for (name, value) in signer.sign(&principal, method, path, query, body, NOW, &[7; 16]) {
            self = self.header(name, &value);
        }
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }
}

pub(crate) fn alice() -> Principal {
    Principal {
        subject: "alice".to_owned(),
        tenant: Some("acme".to_owned()),
        roles: vec!["caller".to_owned()],
        via: CredentialKind::Jwt,
        ..Principal::anonymous()
    }
}

/// Whom the function behind this one takes the request to be from.
pub(crate) fn principal_of(asked: &Outgoing) -> Principal {
    let (path, query) = asked.uri.strip_prefix(UPSTREAM).unwrap().split_once('?').map_or_else(
        || (asked.uri.strip_prefix(UPSTREAM).unwrap(), None),
        |(path, query)| (path, Some(query)),
    );
    let headers: Vec<(&str, &[u8])> =
        asked.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request {
        method: &asked.method,
        path,
        query,
        headers: &headers,
        body: Body::Whole(asked.body.clone()),
        now: NOW,
    };
    Gatekeeper::new(ASSERTION_KEY.to_owned()).unwrap().principal(&request, &asked.body).unwrap()
}

pub(crate) fn field<'a>(asked: &'a Outgoing, field: &str) -> Option<&'a str> {
    asked.headers.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str())
}
