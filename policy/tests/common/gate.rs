//! A gate of any policy, and requests to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_policy::{HeaderEdit, Policy, Reason, RequestHead, Stages, Step};
use serde_json::{Value, json};

use super::{Runtime, borrowed};

pub const AUDIENCE: &str = "api";

pub struct Gate {
    policy: Arc<Policy>,
    pub runtime: Runtime,
    /// The record of the last request.
    pub record: String,
    /// The body of the last refusal.
    pub problem: String,
}

/// A request's header section; it has no body.
#[derive(Debug, Clone)]
pub struct Head(pub Vec<(String, Vec<u8>)>);

/// What an upstream gets to see.
#[derive(Debug)]
pub struct Upstream {
    pub headers: Vec<(String, Vec<u8>)>,
    pub subject: String,
}

/// A place where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Bearer,
    Field,
    Query,
    Cookie,
}

impl Place {
    pub const ALL: [Self; 4] = [Self::Bearer, Self::Field, Self::Query, Self::Cookie];

    /// As policies have them.
    pub fn sources() -> Value {
        json!([{"header": "authorization"}, {"header": "x-token"}, {"query": "access_token"}, {"cookie": "session"}])
    }
}

impl Gate {
    pub fn new(document: &Value) -> Self {
        Self::with_secrets(document, &[])
    }

    pub fn with_secrets(document: &Value, secrets: &[(&str, String)]) -> Self {
        Self::of(document, secrets, Stages::ALL)
    }

    pub fn of(document: &Value, secrets: &[(&str, String)], stages: Stages) -> Self {
        let policy = Self::compile(document, secrets, stages);
        let runtime = Runtime::new();
        Self {
            policy: Arc::new(policy.unwrap()),
            runtime,
            record: String::new(),
            problem: String::new(),
        }
    }

    /// What is wrong with a document.
    pub fn error(document: &Value, secrets: &[(&str, String)]) -> String {
        Self::compile(document, secrets, Stages::ALL).unwrap_err()
    }

    fn compile(
        document: &Value,
        secrets: &[(&str, String)],
        stages: Stages,
    ) -> Result<Policy, String> {
        let secrets: BTreeMap<String, String> =
            secrets.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Policy::from_json("policy", &document.to_string(), &secrets, stages)
            .map_err(|error| error.to_string())
    }

    pub fn now(&self) -> u64 {
        self.runtime.now().seconds()
    }

    /// Claims that hold, with these changes; null takes one away.
    pub fn claims(&self, issuer: &str, changes: &Value) -> Value {
        let now = self.now();
        let mut claims =
            json!({"iss": issuer, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    pub fn send(&mut self, head: &Head) -> Result<Upstream, Reason> {
        let mut exchange = self.policy.begin(self.runtime.now());
        let request = RequestHead { headers: &borrowed(&head.0), has_body: false };
        let step = exchange.request_head(&request, &mut self.runtime);
        let refused = exchange.refused().map(|(reason, _)| reason);
        self.record = exchange.finish(&mut self.runtime).unwrap_or_default();
        match (step, refused) {
            (Step::Continue(edits), None) => {
                let subject = exchange.principal().subject.clone();
                Ok(Upstream { headers: applied(&head.0, edits), subject })
            }
            (Step::Respond(reply), Some(reason)) => {
                assert_eq!(reply.status, reason.status());
                self.problem = String::from_utf8(reply.body).unwrap();
                Err(reason)
            }
            (step, refused) => panic!("{step:?} and {refused:?}"),
        }
    }
}

impl Head {
    pub fn get(path: &str) -> Self {
        Self(Vec::new())
            .with(":method", "GET")
            .with(":path", path)
            .with(":authority", "api.example")
    }

    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// A request with a token, whatever is in it, in a place.
    pub fn presenting(token: impl AsRef<[u8]>, place: Place) -> Self {
        let token = token.as_ref();
        match place {
            Place::Bearer => Self::get("/").with("authorization", [b"Bearer ", token].concat()),
            Place::Field => Self::get("/").with("x-token", token),
            Place::Query => Self::get(&format!("/?a=1&access_token={}&b", escaped(token))),
            Place::Cookie => {
                Self::get("/").with("cookie", [b"a=1; session=", token, b"; b=2"].concat())
            }
        }
    }
}

impl Upstream {
    /// The values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.iter().filter(|(other, _)| other == name);
        values.map(|(_, value)| std::str::from_utf8(value).unwrap()).collect()
    }

    pub fn path(&self) -> &str {
        self.all(":path")[0]
    }

    /// Whether a text stands anywhere in the header section.
    pub fn shows(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.headers.iter().any(|(_, value)| value.windows(text.len()).any(|part| part == text))
    }
}

fn applied(headers: &[(String, Vec<u8>)], edits: Vec<HeaderEdit>) -> Vec<(String, Vec<u8>)> {
    let mut headers = headers.to_vec();
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => headers.retain(|(other, _)| *other != name),
            HeaderEdit::Set(name, value) => {
                headers.retain(|(other, _)| *other != name);
                headers.push((name, value.into_bytes()));
            }
        }
    }
    headers
}

/// As a careful client writes any bytes into a query.
fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: &u8| match plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    bytes.iter().map(escape).collect()
}
