//! JSON Web Encryption (RFC 7516): requests and answers that nobody between the caller and the function can read.
//!
//! A caller encrypts to one of the function's [public keys](DecryptionKeys::public_set) and brings its own in the
//! protected header (`reply_jwk`), to which the answer is [encrypted](ReplyKey::encrypt). What may be in such a message
//! is fixed here and not chosen by it: compact serialisation, RSA-OAEP-256 or ECDH-ES+A256KW on P-256, A256GCM, no
//! compression, nothing that is critical.
//!
//! To encrypt is not to sign: anybody can encrypt to a public key. Who is calling is told by the gate's assertion, and
//! what was decrypted is as hostile as any body; the gate could not look into it, so `Screen` does.

mod agreement;
#[cfg(any(test, feature = "caller"))]
mod caller;
mod compact;
mod content;
mod error;
mod header;
mod json;
mod kdf;
mod keys;
mod oaep;
mod reply_key;
#[cfg(feature = "screened")]
mod screened;
mod settings;

pub use agreement::AgreementKey;
#[cfg(any(test, feature = "caller"))]
pub use caller::{Answer, Caller};
pub use error::{JweError, NOT_CONFIGURED, SENDER_MISMATCH};
pub use header::Sender;
pub use keys::{Decrypted, DecryptionKeys};
pub use reply_key::ReplyKey;
#[cfg(feature = "screened")]
pub use screened::{ClearRequest, Screen, Screened};
pub use settings::{JweSettings, SettingError, VARIABLES};

use zeroize::Zeroizing;

use crate::Limit;

/// The media type of encrypted requests and answers (RFC 7515 §9.2.1).
pub const MEDIA_TYPE: &str = "application/jose";

/// How much of an encrypted body is read: 64 KiB of content, in base64url, with its key and its header.
pub const BODY_LIMIT: Limit = Limit { bytes: 96 * 1024, detail: "Send at most 98304 bytes." };

/// The only content encryption.
const CONTENT_ENCRYPTION: &str = "A256GCM";

/// How the content's key is told to the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// RSAES-OAEP with SHA-256 (RFC 7518 §4.3).
    RsaOaep256,
    /// Wrapped with AES under a key that was agreed upon (RFC 7518 §4.6).
    EcdhEsA256Kw,
}

impl Algorithm {
    fn as_str(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::RsaOaep256, Self::EcdhEsA256Kw].into_iter().find(|known| known.as_str() == name)
    }
}

/// A key of A256GCM.
type ContentKey = Zeroizing<[u8; 32]>;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod reply_key_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;
