//! Recorded requests, tried against a policy: natively, in the filter, in Envoy. The verdicts are the same.

use std::borrow::Cow;

use portcullis_policy::{Finding, PROBLEM_TYPE_PREFIX, Reason};
use serde::Serialize;
use serde_json::Value;

mod envoy_backend;
mod policy_backend;
mod reader;
mod request;
mod wasm_backend;

pub use envoy_backend::EnvoyBackend;
pub use policy_backend::PolicyBackend;
pub(crate) use policy_backend::{Driven, drive};
pub use reader::{ReadError, RequestReader};
pub use request::Request;
pub use wasm_backend::WasmBackend;

/// Something that decides about requests. Limits are counted across the requests of one backend.
pub trait Backend {
    /// Decides about a request at the request's own time.
    ///
    /// # Errors
    ///
    /// The backend does not work. What a request is like is never an error.
    fn decide(&mut self, request: &Request) -> Result<Verdict, BackendError>;
}

/// Which proxy would vouch for a client's certificate is not for a backend to make up.
fn without_certificate(request: &Request) -> Result<(), BackendError> {
    match request.client_certificate {
        None => Ok(()),
        Some(_) => {
            let message = "client_certificate_sha256 is for the backend policy: here the client would have to connect with it";
            Err(BackendError(message.to_owned()))
        }
    }
}

/// A backend that does not work, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// What was decided about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether the upstream would have seen it.
    pub decision: Decision,
    /// The status of the refusal; 200 where there is none.
    pub status: u16,
    /// The stage that refused, or `proxy` where the proxy did so without asking the policy.
    pub stage: Option<Cow<'static, str>>,
    /// Why.
    pub reason: Option<Cow<'static, str>>,
    /// What was found where.
    pub findings: Vec<FoundIssue>,
}

/// Whether a request is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is.
    Allow,
    /// It is not.
    Deny,
}

/// A finding as it stands in a problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct FoundIssue {
    /// Why it counts.
    pub reason: String,
    /// A JSON pointer or a field name.
    pub at: String,
    /// What was expected there.
    pub expected: String,
}

impl From<&Finding> for FoundIssue {
    fn from(finding: &Finding) -> Self {
        let Finding { reason, at, expected } = finding;
        Self { reason: reason.as_str().to_owned(), at: at.clone(), expected: expected.clone() }
    }
}

impl Verdict {
    /// The request is let through.
    pub fn allow() -> Self {
        Self { decision: Decision::Allow, status: 200, stage: None, reason: None, findings: vec![] }
    }

    /// The policy refuses.
    pub fn deny(reason: Reason, findings: Vec<FoundIssue>) -> Self {
        Self {
            decision: Decision::Deny,
            status: reason.status(),
            stage: Some(reason.stage().as_str().into()),
            reason: Some(reason.as_str().into()),
            findings,
        }
    }

    /// The proxy refuses before the policy is asked, or after it has failed.
    pub fn refused_by_proxy(status: u16) -> Self {
        let stage = Some("proxy".into());
        Self { decision: Decision::Deny, status, stage, reason: None, findings: vec![] }
    }

    /// What a problem document (RFC 9457) says; none where it is not one of the policy's.
    pub fn from_problem(body: &[u8]) -> Option<Self> {
        let problem: Value = serde_json::from_slice(body).ok()?;
        let name = problem.get("type")?.as_str()?.strip_prefix(PROBLEM_TYPE_PREFIX)?;
        let reason = Reason::from_name(name)?;
        let findings = match problem.get("errors") {
            None => Vec::new(),
            Some(errors) => serde_json::from_value(errors.clone()).ok()?,
        };
        Some(Self::deny(reason, findings))
    }

    /// One line of output, without its end.
    pub fn to_line(&self, id: &Value) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            id: &'a Value,
            #[serde(flatten)]
            verdict: &'a Verdict,
        }
        // Strings and numbers alone: there is nothing that could fail.
        serde_json::to_string(&Line { id, verdict: self }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_survive_problem_documents() {
        let body = br#"{"type":"urn:portcullis:problem:schema-violated","errors":[
            {"reason":"schema-violated","at":"/text","expected":"a string"}]}"#;
        let verdict = Verdict::from_problem(body).unwrap();
        assert_eq!(
            verdict.to_line(&"a".into()),
            r#"{"id":"a","decision":"deny","status":422,"stage":"input","reason":"schema-violated","findings":[{"reason":"schema-violated","at":"/text","expected":"a string"}]}"#
        );
        assert_eq!(
            Verdict::allow().to_line(&1.into()),
            r#"{"id":1,"decision":"allow","status":200,"stage":null,"reason":null,"findings":[]}"#
        );
        assert_eq!(Verdict::from_problem(br#"{"type":"about:blank"}"#), None);
        assert_eq!(Verdict::from_problem(b"no healthy upstream"), None);
    }
}
