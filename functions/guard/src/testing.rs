//! What the tests of several modules need.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_function::{Body, Limit};
use portcullis_policy::Fetch;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::message::{Answer, Content, Incoming, Outgoing, Upstream, UpstreamError};
use crate::remotes::{Archive, ArchiveError, Fetched};

pub(crate) const ASSERTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A policy that lets everybody ask.
pub(crate) fn policy() -> Value {
    json!({
        "version": 1,
        "authorisation": { "require": "anonymous" },
        "assertion": { "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis" },
        "routes": [{ "name": "all", "match": { "prefix": "/v1/" }, "input": {} }],
    })
}

pub(crate) fn variables(policy: &Value) -> BTreeMap<String, String> {
    [
        ("policy", policy.to_string()),
        ("upstream", "http://function.spin.internal".to_owned()),
        ("portcullis_assertion_key", ASSERTION_KEY.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A body that is there.
pub(crate) struct There(pub(crate) Vec<u8>);

impl Content for There {
    async fn read(self, limit: Limit) -> Body {
        match self.0.len() > limit.bytes {
            true => Body::TooLarge(limit.detail),
            false => Body::Whole(Zeroizing::new(self.0)),
        }
    }
}

/// A function that answers the same to all, and remembers what it was asked.
pub(crate) struct Function {
    pub(crate) answer: Result<Answer, UpstreamError>,
    pub(crate) asked: RefCell<Vec<Outgoing>>,
}

impl Function {
    pub(crate) fn answering(status: u16, body: &str) -> Self {
        let fields = vec![("content-type".to_owned(), b"application/json".to_vec())];
        let answer = Answer { status, fields, body: body.as_bytes().to_vec() };
        Self { answer: Ok(answer), asked: RefCell::default() }
    }
}

impl Upstream for Function {
    async fn send(&self, request: Outgoing) -> Result<Answer, UpstreamError> {
        self.asked.borrow_mut().push(request);
        self.answer.clone()
    }
}

/// Nothing is fetched.
pub(crate) struct NoArchive;

impl Archive for NoArchive {
    async fn load(&self, _: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        Err(ArchiveError("there is none".to_owned()))
    }

    async fn keep(&self, _: &str, _: &[u8]) -> Result<(), ArchiveError> {
        Err(ArchiveError("there is none".to_owned()))
    }

    async fn fetch(&self, _: &Fetch, _: Duration) -> Option<Fetched> {
        None
    }

    async fn pause(&self) {}
}

pub(crate) fn request(path: &str, fields: &[(&str, &str)]) -> Incoming {
    let host = [("host", "guard"), ("content-type", "application/json")];
    let fields = host.iter().chain(fields);
    let fields = fields.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    Incoming {
        method: "POST".to_owned(),
        path: path.to_owned(),
        authority: None,
        fields: fields.collect(),
        source: "192.0.2.1".parse().ok(),
    }
}
