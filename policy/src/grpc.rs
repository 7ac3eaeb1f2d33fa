//! Refusals for gRPC clients, which cannot read a problem document: a status code and a message.
//!
//! Runtimes make a response of trailers only of them, and do so for every local reply to a gRPC client, so it is left to them.

use std::fmt::Write as _;

use crate::problem::{Reason, Refusal, Reply};

/// The canonical status codes (google.rpc.Code) that refusals have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcStatus {
    /// What was sent is not right.
    InvalidArgument = 3,
    /// The caller may not.
    PermissionDenied = 7,
    /// A limit.
    ResourceExhausted = 8,
    /// There is no such method here.
    Unimplemented = 12,
    /// Later perhaps.
    Unavailable = 14,
    /// It is not known who calls.
    Unauthenticated = 16,
}

/// Whether a request is a gRPC client's: by exactly the content types by which Envoy knows one, since others would get a response with
/// status 200 and no gRPC in it.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

impl Reason {
    /// The status code for gRPC clients.
    pub fn grpc_status(self) -> GrpcStatus {
        match self.status() {
            401 => GrpcStatus::Unauthenticated,
            403 => GrpcStatus::PermissionDenied,
            404 | 405 => GrpcStatus::Unimplemented,
            413 | 429 | 431 => GrpcStatus::ResourceExhausted,
            503 => GrpcStatus::Unavailable,
            _ => GrpcStatus::InvalidArgument,
        }
    }
}

impl Refusal {
    /// The response to a gRPC client. What was found where goes into the message, as far as it is told to others.
    pub(crate) fn into_grpc_reply(self) -> Reply {
        let mut message = format!("{}. {}", self.reason.title(), self.detail);
        for finding in &self.findings {
            // Writing to a string cannot fail.
            let _ = write!(message, " {}: expected {}.", finding.at, finding.expected);
        }
        let end = message.floor_char_boundary(MAXIMUM_MESSAGE_BYTES);
        message.truncate(end);
        Reply {
            status: 200,
            grpc_status: Some(self.reason.grpc_status()),
            headers: self.headers,
            body: message.into_bytes(),
        }
    }
}

/// The longest message, in bytes: clients bound the header section.
const MAXIMUM_MESSAGE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_from_what_only_begins_so() {
        for yes in ["application/grpc", "application/grpc+proto"] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "application/json",
            "application/grpcx",
            "application/grp",
            " application/grpc",
            "Application/gRPC",
            "application/grpc;x=y",
            "application/grpc-web+proto",
        ] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn every_reason_has_a_code() {
        for (reason, code) in [
            (Reason::RateExceeded, 8),
            (Reason::QuotaExceeded, 8),
            (Reason::BodyTooLarge, 8),
            (Reason::TokenExpired, 16),
            (Reason::RoleMissing, 7),
            (Reason::MethodNotAllowed, 12),
            (Reason::SchemaViolated, 3),
            (Reason::LimitsUnavailable, 14),
        ] {
            assert_eq!(reason.grpc_status() as u8, code, "{reason:?}");
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let reply = Refusal::new(Reason::RateExceeded, "Wait.")
            .header("retry-after", "1")
            .into_grpc_reply();
        assert_eq!(reply.body, b"Too many requests. Wait.");
        assert_eq!(reply.grpc_status, Some(GrpcStatus::ResourceExhausted));
        assert_eq!(reply.headers, [("retry-after", "1".to_owned())]);
        let long = Refusal::new(Reason::RateExceeded, "é".repeat(10_000)).into_grpc_reply();
        assert!(
            long.body.len() <= MAXIMUM_MESSAGE_BYTES && std::str::from_utf8(&long.body).is_ok()
        );
    }
}
