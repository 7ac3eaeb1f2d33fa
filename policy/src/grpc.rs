//! Refusals for gRPC clients, which cannot read a problem document: a response of trailers only, with the canonical status code.

use std::fmt::Write as _;

use crate::problem::{Reason, Refusal, Reply};

/// The canonical status codes (google.rpc.Code) that refusals have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    InvalidArgument = 3,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a request is a gRPC client's, by its content type: `application/grpc`, or with what messages are written in after it.
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    let Some((name, rest)) = content_type.split_at_checked(PREFIX.len()) else { return false };
    name.eq_ignore_ascii_case(PREFIX) && matches!(rest.first(), None | Some(b'+' | b';' | b'-'))
}

const PREFIX: &[u8] = b"application/grpc";

impl Reason {
    /// The status code for gRPC clients.
    pub fn grpc_status(self) -> u8 {
        let code = match self.status() {
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            405 => Code::Unimplemented,
            413 | 429 | 431 => Code::ResourceExhausted,
            503 => Code::Unavailable,
            _ => Code::InvalidArgument,
        };
        code as u8
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
        let mut headers = vec![
            ("content-type", "application/grpc".to_owned()),
            ("grpc-status", self.reason.grpc_status().to_string()),
            ("grpc-message", percent_encoded(&message)),
        ];
        headers.extend(self.headers);
        Reply { status: 200, headers, body: Vec::new() }
    }
}

/// The longest message, in bytes: clients bound the header section.
const MAXIMUM_MESSAGE_BYTES: usize = 1024;

/// As grpc-message wants it: everything but printable ASCII, and the percent sign, is escaped.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if encoded.len() >= MAXIMUM_MESSAGE_BYTES {
            break;
        }
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_from_what_only_begins_so() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;x=y",
            "application/grpc-web+proto",
        ] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in
            ["", "application/json", "application/grpcx", "application/grp", " application/grpc"]
        {
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
            assert_eq!(reason.grpc_status(), code, "{reason:?}");
        }
    }

    #[test]
    fn a_message_is_escaped_and_bounded() {
        let reply = Refusal::new(Reason::RateExceeded, "100 % é\r\nx-evil: 1")
            .header("retry-after", "1")
            .into_grpc_reply();
        let field =
            |name: &str| reply.headers.iter().find(|(other, _)| *other == name).unwrap().1.clone();
        assert_eq!((reply.status, reply.body.len()), (200, 0));
        assert_eq!(field("grpc-status"), "8");
        assert_eq!(field("grpc-message"), "Too many requests. 100 %25 %C3%A9%0D%0Ax-evil: 1");
        assert_eq!(field("retry-after"), "1");
        let long = Refusal::new(Reason::RateExceeded, "é".repeat(10_000)).into_grpc_reply();
        assert!(long.headers.iter().all(|(_, value)| value.len() <= MAXIMUM_MESSAGE_BYTES + 2));
    }
}
