//! Secrets: handed in by the environment a policy runs in, never written in a policy document.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The shortest key accepted, in bytes: what HMAC-SHA-256 can make use of (RFC 2104 §3).
pub const MINIMUM_SECRET_BYTES: usize = 32;

/// The longest encoded secret that is read at all.
const MAXIMUM_ENCODED_BYTES: usize = 64 * 1024;

/// Where secrets come from: the environment of the VM, Spin variables, a file of the operator's.
pub trait Secrets {
    /// The value of the secret called `name`, as its holder wrote it, or `None` where there is none.
    fn secret(&self, name: &str) -> Option<Zeroizing<String>>;
}

impl Secrets for std::collections::BTreeMap<String, String> {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        self.get(name).map(|value| Zeroizing::new(value.clone()))
    }
}

/// A key of at least [`MINIMUM_SECRET_BYTES`] bytes. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Reads a key that is written in base64url (RFC 4648 §5), with or without padding.
    pub fn from_base64url(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.len() > MAXIMUM_ENCODED_BYTES {
            return Err(SecretError::TooLong);
        }
        let engine = if text.ends_with('=') { &URL_SAFE } else { &URL_SAFE_NO_PAD };
        let bytes = Zeroizing::new(engine.decode(text).map_err(|_| SecretError::NotBase64Url)?);
        Self::from_bytes(bytes)
    }

    /// Takes raw key bytes.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, SecretError> {
        if bytes.len() < MINIMUM_SECRET_BYTES {
            return Err(SecretError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text is not usable as a key. Says nothing of what the text was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text has a character outside the base64url alphabet, or a wrong length.
    #[error("expected base64url text (RFC 4648 §5)")]
    NotBase64Url,
    /// Fewer than [`MINIMUM_SECRET_BYTES`] bytes.
    #[error("expected at least {MINIMUM_SECRET_BYTES} bytes of key, found {bytes}")]
    TooShort {
        /// How many bytes there were.
        bytes: usize,
    },
    /// More text than any key needs.
    #[error("expected at most {MAXIMUM_ENCODED_BYTES} characters")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_paddings_and_prints_neither() {
        let bytes = [0xfbu8; 32];
        for text in [URL_SAFE.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
            let secret = Secret::from_base64url(&text).unwrap();
            assert_eq!(secret.expose(), bytes);
            assert_eq!(format!("{secret:?}"), "Secret(…)");
        }
    }

    #[test]
    fn refuses_weak_or_malformed_keys() {
        let short = URL_SAFE_NO_PAD.encode([1u8; 31]);
        assert_eq!(
            Secret::from_base64url(&short).unwrap_err(),
            SecretError::TooShort { bytes: 31 }
        );
        assert_eq!(Secret::from_base64url("").unwrap_err(), SecretError::TooShort { bytes: 0 });
        assert_eq!(Secret::from_base64url("not a key!").unwrap_err(), SecretError::NotBase64Url);
    }
}
