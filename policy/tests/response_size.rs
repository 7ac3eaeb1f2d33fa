//! How long a response may be: whole exchanges.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Edits, Runtime};
use portcullis_policy::{Exchange, Header, Policy, RequestHead, Stages, Step};
use serde_json::{Value, json};

struct Gate {
    policy: Arc<Policy>,
    runtime: Runtime,
}

/// What the client gets, and the record.
#[derive(Debug)]
struct Answer {
    status: Option<String>,
    removed: Vec<String>,
    body: Vec<u8>,
    record: Value,
}

impl Gate {
    fn compile(output: Value, route: Value) -> Result<Policy, portcullis_policy::DocumentError> {
        let document = json!({
            "version": 1,
            "authorisation": {"require": "anonymous"},
            "access": {"methods": ["GET", "HEAD"]},
            "output": output,
            "routes": [
                {"name": "files", "match": {"prefix": "/files/"}, "output": route},
                {"name": "all", "match": {"prefix": "/"}},
            ],
        });
        let secrets = BTreeMap::<String, String>::new();
        Policy::from_json("policy", &document.to_string(), &secrets, Stages::ALL)
    }

    fn new(output: Value, route: Value) -> Self {
        let policy = Self::compile(output, route).unwrap();
        Self { policy: Arc::new(policy), runtime: Runtime::new() }
    }

    fn ask(&mut self, method: &str, path: &str) -> Exchange {
        let headers: [Header<'_>; 3] = [
            (":method", method.as_bytes()),
            (":path", path.as_bytes()),
            (":authority", b"api.example"),
        ];
        let mut exchange = self.policy.begin(self.runtime.now());
        let head = RequestHead { headers: &headers, has_body: false };
        let step = exchange.request_head(&head, &mut self.runtime);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        exchange
    }

    fn answer(
        &mut self,
        mut exchange: Exchange,
        fields: &[(&str, &str)],
        parts: &[&[u8]],
    ) -> Answer {
        let head: Vec<Header<'_>> =
            fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let edits = Edits::from(exchange.response_head(&head));
        let mut body = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let replaced = match exchange.wants_response_body() {
                true => exchange.response_body(part, is_last),
                false => None,
            };
            body.extend_from_slice(replaced.as_deref().unwrap_or(part));
        }
        assert!(!exchange.response_body_waits());
        let record = exchange.finish(&mut self.runtime).unwrap();
        let status = edits.set.iter().find(|(name, _)| name == ":status");
        Answer {
            status: status.map(|(_, value)| value.clone()),
            removed: edits.removed,
            body,
            record: serde_json::from_str(&record).unwrap(),
        }
    }

    fn get(&mut self, path: &str, fields: &[(&str, &str)], parts: &[&[u8]]) -> Answer {
        let exchange = self.ask("GET", path);
        self.answer(exchange, fields, parts)
    }
}

const OK: (&str, &str) = (":status", "200");
const IMAGE: (&str, &str) = ("content-type", "image/png");
const TEXT: (&str, &str) = ("content-type", "text/plain");

#[test]
fn what_is_announced_to_be_longer_is_answered_with_a_problem() {
    for output in [
        json!({"max_body_bytes": 8}),
        json!({"max_body_bytes": 8, "personal_data": {"us_ssn": "mask"}}),
    ] {
        let mut gate = Gate::new(output, json!({}));
        for media_type in [IMAGE, TEXT] {
            let fields = [OK, media_type, ("content-length", "9"), ("etag", "\"a\"")];
            let answer = gate.get("/", &fields, &[b"12345", b"6789"]);
            assert_eq!(answer.status.as_deref(), Some("502"));
            let problem: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(problem["type"], "urn:portcullis:problem:response-too-large");
            assert!(answer.removed.contains(&"content-length".to_owned()), "{answer:?}");
            assert!(answer.removed.contains(&"etag".to_owned()), "{answer:?}");
            assert_eq!(answer.record["http"]["response"]["status_code"], 502);
            assert_eq!(answer.record["portcullis"]["response_cut"], true);
            assert_eq!(answer.record["portcullis"]["response_reason"], "response-too-large");
        }
        let answer = gate.get("/", &[OK, IMAGE, ("content-length", "8")], &[b"12345", b"678"]);
        assert_eq!((answer.status, &answer.body[..]), (None, &b"12345678"[..]));
        assert!(!answer.removed.contains(&"content-length".to_owned()));
        assert_eq!(answer.record["portcullis"]["response_cut"], Value::Null);
    }
}

#[test]
fn what_grows_longer_is_cut() {
    let mut gate = Gate::new(json!({"max_body_bytes": 8}), json!({}));
    let chunked = ("transfer-encoding", "chunked");
    for fields in [
        vec![OK, IMAGE],
        vec![OK, IMAGE, chunked],
        // Chunks have the last word, and of two lengths nobody knows which one counts.
        vec![OK, IMAGE, chunked, ("content-length", "8")],
        vec![OK, IMAGE, ("content-length", "8"), ("content-length", "11")],
        vec![OK, IMAGE, ("content-length", "no number")],
        // It is not as long as it was said to be.
        vec![OK, IMAGE, ("content-length", "8")],
    ] {
        let answer = gate.get("/", &fields, &[b"12345", b"6789", b"10", b""]);
        assert_eq!(answer.body, b"12345678", "{fields:?}");
        assert_eq!(answer.status, None);
        assert_eq!(answer.record["portcullis"]["response_cut"], true);
        assert_eq!(answer.record["portcullis"]["response_reason"], "response-too-large");
        let is_believed = fields.last() == Some(&("content-length", "8")) && fields.len() == 3;
        let has_length = fields.iter().any(|(name, _)| *name == "content-length");
        let is_removed = answer.removed.contains(&"content-length".to_owned());
        assert_eq!(is_removed, has_length && !is_believed, "{fields:?}");
    }
    let answer = gate.get("/", &[OK, IMAGE], &[b"12345", b"678", b""]);
    assert_eq!(answer.body, b"12345678");
    assert_eq!(answer.record["portcullis"]["response_cut"], Value::Null);
}

/// Where a screened text is cut, what waits for what does not come is not sent.
#[test]
fn a_cut_releases_nothing() {
    let output = json!({"max_body_bytes": 26, "personal_data": {"us_ssn": "mask"}});
    let mut gate = Gate::new(output, json!({}));
    let answer = gate.get("/", &[OK, TEXT], &[b"she said so: her number is 536-9", b"0-4399", b""]);
    assert!(b"she said so: her number is".starts_with(&answer.body), "{answer:?}");
    let output = json!({"max_body_bytes": 32, "personal_data": {"us_ssn": "mask"}});
    let mut gate = Gate::new(output, json!({}));
    let answer = gate.get("/", &[OK, TEXT], &[b"she said so: her number is 536-9", b"0-4399", b""]);
    assert!(!String::from_utf8(answer.body).unwrap().contains("536"));
}

#[test]
fn a_body_that_does_not_come_has_no_length() {
    let mut gate = Gate::new(json!({"max_body_bytes": 8}), json!({}));
    let exchange = gate.ask("HEAD", "/");
    let answer = gate.answer(exchange, &[OK, IMAGE, ("content-length", "900")], &[]);
    assert_eq!(answer.status, None);
    let answer = gate.get("/", &[(":status", "304"), ("content-length", "900")], &[]);
    assert_eq!(answer.status, None);
    assert!(!answer.removed.contains(&"content-length".to_owned()));
}

#[test]
fn routes_have_caps_of_their_own() {
    let mut gate = Gate::new(json!({"max_body_bytes": 4}), json!({"max_body_bytes": 6}));
    assert_eq!(gate.get("/files/a", &[OK, IMAGE], &[b"123456789"]).body, b"123456");
    assert_eq!(gate.get("/other", &[OK, IMAGE], &[b"123456789"]).body, b"1234");
    // Without one nobody looks.
    let mut gate = Gate::new(json!({}), json!({"max_body_bytes": 6}));
    let mut exchange = gate.ask("GET", "/other");
    exchange.response_head(&[(":status", b"200"), ("content-length", b"100")]);
    assert!(!exchange.wants_response_body());
    let error = Gate::compile(json!({}), json!({"max_body_bytes": 0})).unwrap_err().to_string();
    assert!(error.contains("routes[0].output.max_body_bytes"), "{error}");
    let error = Gate::compile(json!({"max_body_bytes": 0}), json!({})).unwrap_err().to_string();
    assert!(error.contains("output.max_body_bytes: expected at least 1"), "{error}");
}

/// A part that nobody has seen may be of any length.
#[test]
fn what_could_not_be_counted_does_not_go_on() {
    let mut gate = Gate::new(json!({"max_body_bytes": 8}), json!({}));
    let mut exchange = gate.ask("GET", "/");
    exchange.response_head(&[(":status", b"200")]);
    assert!(exchange.response_body_unseen());
    assert_eq!(exchange.response_body(b"1", true), Some(Vec::new()));
}
