//! Why an encrypted request gets no answer.

use crate::keys::NoRandomness;
use crate::{Problem, UNAVAILABLE};

/// Why an encrypted request gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// It cannot be decrypted. The reason is for the operator's log alone, and never says more than the sender knows:
    /// not whether it was the key or the content that was no good.
    #[error("an encrypted request: {0}")]
    Refused(&'static str),
    /// It was decrypted, and there is no key that the answer could be encrypted to: what is to be changed.
    #[error("an encrypted request: {0}")]
    ReplyKey(&'static str),
    /// Nothing can be encrypted, nor decrypted safely.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl JweError {
    /// What the caller is told: the same whatever was wrong with the encryption, so that nobody can find out about keys
    /// or contents by sending changed messages.
    pub fn problem(self) -> Problem {
        match self {
            Self::Refused(_) => REFUSED,
            Self::ReplyKey(detail) => {
                Problem::new(400, "reply-key-unfit", "No key to answer with", detail)
            }
            Self::Random(_) => UNAVAILABLE,
        }
    }
}

/// Encrypted requests are not answered here at all.
pub const NOT_CONFIGURED: Problem = Problem::new(
    415,
    "unsupported-media-type",
    "Unsupported media type",
    "Encrypted requests are not accepted here. Send one Content-Type field: application/json.",
)
.with_header("accept", "application/json");

/// A message that was decrypted names somebody else than the credential beside it.
pub const SENDER_MISMATCH: Problem = Problem::new(
    403,
    "jwe-sender-mismatch",
    "Another's message",
    "Send messages of your own: sub and iss in the protected header, where they are there, name the caller.",
);

const REFUSED: Problem = Problem::new(
    400,
    "jwe-refused",
    "Not decrypted",
    "Send a JWE in compact serialisation with alg RSA-OAEP-256 or ECDH-ES+A256KW, enc A256GCM, and the kid of a \
     key of /.well-known/jwks.json that was fetched today; without zip and crit.",
);
