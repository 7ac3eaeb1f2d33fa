//! Refusals of the token endpoint (RFC 6749 §5.2).

use serde_json::json;

use portcullis_function::Reply;

/// A refusal in the form that OAuth clients read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OAuthError {
    pub(crate) code: ErrorCode,
    /// What to change.
    pub(crate) description: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    UnsupportedGrantType,
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
}

impl ErrorCode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
        }
    }
}

impl OAuthError {
    pub(crate) const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description }
    }

    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// One text for every reason: which one it was would tell which clients there are.
    pub(crate) const fn invalid_client() -> Self {
        let description =
            "Authenticate with the client's id and secret, by HTTP Basic or in the form.";
        Self::new(ErrorCode::InvalidClient, description)
    }

    pub(crate) fn reply(&self) -> Reply {
        let body = json!({ "error": self.code.as_str(), "error_description": self.description });
        let status = if self.code == ErrorCode::InvalidClient { 401 } else { 400 };
        let mut reply = Reply::new(status, "application/json", body.to_string().into_bytes());
        reply.headers.push(("pragma", "no-cache"));
        if status == 401 {
            reply
                .headers
                .push(("www-authenticate", "Basic realm=\"portcullis\", charset=\"UTF-8\""));
        }
        reply
    }
}
