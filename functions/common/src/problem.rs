//! Refusals as problem documents (RFC 9457).

use serde_json::json;

use crate::Reply;

/// A refusal: the status, the reason in the problem's type, and what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    /// The last part of `urn:portcullis:problem:<reason>`.
    reason: &'static str,
    title: &'static str,
    detail: &'static str,
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    /// The reason is the last part of `urn:portcullis:problem:<reason>`.
    pub const fn new(
        status: u16,
        reason: &'static str,
        title: &'static str,
        detail: &'static str,
    ) -> Self {
        Self { status, reason, title, detail, header: None }
    }

    /// With one more field.
    #[must_use]
    pub const fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The problem document.
    pub fn reply(&self) -> Reply {
        let document = json!({
            "type": format!("urn:portcullis:problem:{}", self.reason),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        });
        let mut reply =
            Reply::new(self.status, "application/problem+json", document.to_string().into_bytes());
        reply.headers.extend(self.header);
        reply
    }
}

/// There is no such path.
pub const NOT_FOUND: Problem = Problem::new(
    404,
    "not-found",
    "Not found",
    "There is nothing at this path. /openapi.yaml lists what there is.",
);

/// The path is for other methods; to be given an `allow` field.
pub const METHOD_NOT_ALLOWED: Problem = Problem::new(
    405,
    "method-not-allowed",
    "Method not allowed",
    "Use one of the methods in the Allow field.",
);

/// The request did not come through the gate.
pub const UNAUTHENTICATED: Problem = Problem::new(
    401,
    "assertion-invalid",
    "Not through the gate",
    "This function answers only what its gateway has admitted. Send the request to the gateway.",
)
// RFC 9110 §11.6.1 wants a challenge with each 401; "Signature" is what a gateway is to bring.
.with_header("www-authenticate", "Signature realm=\"portcullis\"");

/// Something that the operator has to see to.
pub const UNAVAILABLE: Problem = Problem::new(
    503,
    "function-unavailable",
    "Function unavailable",
    "The function is not set up. Its operator finds the reason in its log.",
);
