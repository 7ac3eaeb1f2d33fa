//! The secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const BYTES: usize = 32;

/// The key of a watermark: 32 random bytes.
pub struct Key(Zeroizing<[u8; BYTES]>);

/// What was given is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {BYTES} random bytes in base64url (RFC 4648 §5), 43 characters without padding")]
pub struct BadKey;

impl Key {
    /// Reads a key as its file has it: base64url without padding; white space at its ends does not matter.
    ///
    /// # Errors
    ///
    /// [`BadKey`].
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_ascii()).map_err(|_| BadKey)?);
        let mut key = Zeroizing::new([0; BYTES]);
        if bytes.len() != BYTES {
            return Err(BadKey);
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }

    /// By what a key may be named in public: nothing about the key follows from it.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"portcullis watermark key\0")
            .chain_update(*self.0)
            .finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number that only the key's holder can know, for each thing.
    pub(crate) fn number(&self, purpose: &str, thing: &str) -> [u8; 32] {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.0) else { return [0; 32] };
        for part in [purpose, thing] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_32_bytes() {
        assert!(Key::parse(&format!(" {}\n", "A".repeat(43))).is_ok());
        for wrong in ["", "AAAA", &"A".repeat(44), &"=".repeat(43), &"A".repeat(10_000)] {
            assert_eq!(Key::parse(wrong).err(), Some(BadKey), "{wrong}");
        }
    }

    #[test]
    fn other_keys_have_other_names_and_numbers() {
        let (one, other) = (
            Key::parse(&"A".repeat(43)).unwrap(),
            Key::parse(&format!("B{}", "A".repeat(42))).unwrap(),
        );
        assert_ne!(one.id(), other.id());
        assert_ne!(one.number("a", "b"), other.number("a", "b"));
        assert_ne!(one.number("a", "b"), one.number("ab", ""));
    }
}
