//! Refusals as problem documents (RFC 9457).

use serde_json::json;

use crate::service::Reply;

/// A refusal: the status, the reason in the problem's type, and what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Problem {
    status: u16,
    /// The last part of `urn:portcullis:problem:<reason>`.
    reason: &'static str,
    title: &'static str,
    detail: &'static str,
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    pub(crate) const fn new(
        status: u16,
        reason: &'static str,
        title: &'static str,
        detail: &'static str,
    ) -> Self {
        Self { status, reason, title, detail, header: None }
    }

    pub(crate) const fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    pub(crate) fn reply(&self) -> Reply {
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
