//! Keys at rest: AES-256-GCM under a key derived from the operator's.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use portcullis_policy::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Kind, NoRandomness, random};

/// The form of what is sealed: this byte, a nonce, the ciphertext with its tag.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Seals and opens what is stored of one kind of key.
pub struct Sealer(Aes256Gcm);

/// It was sealed under another key, for another place, or has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOpened;

impl Sealer {
    /// Derives the key (HKDF-SHA-256, RFC 5869) for a kind: the operator's key may serve for others as well. `None` cannot
    /// happen: the length asked for is a fixed one.
    pub fn new<K: Kind>(key_encryption_key: &Secret) -> Option<Self> {
        Self::derive(key_encryption_key, K::SEALED_FOR.as_bytes())
    }

    /// Derives the key for whatever `info` says (RFC 5869 §3.2), which nothing else may say under this key.
    pub fn derive(key_encryption_key: &Secret, info: &[u8]) -> Option<Self> {
        Self::expand(&Hkdf::new(None, key_encryption_key.expose()), info)
    }

    /// The same, for who derives more than one key.
    pub(crate) fn expand(extracted: &Hkdf<Sha256>, info: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        extracted.expand(info, key.as_mut_slice()).ok()?;
        Aes256Gcm::new_from_slice(key.as_slice()).ok().map(Self)
    }

    /// Seals `content` for `place`, where alone it opens again.
    pub fn seal(&self, place: &str, content: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        // Random nonces are safe for 2^32 messages: who seals that many derives more keys.
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: content, aad: place.as_bytes() };
        // The only other reason to fail is a content of gigabytes.
        let sealed = self.0.encrypt(&Nonce::from(*nonce), payload).map_err(|_| NoRandomness)?;
        Ok([[VERSION].as_slice(), nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(NotOpened)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        let content = self.0.decrypt(&Nonce::from(*nonce), payload).map_err(|_| NotOpened)?;
        Ok(Zeroizing::new(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::{PlainKey, secret};

    fn sealer(byte: u8) -> Sealer {
        Sealer::new::<PlainKey>(&secret(byte)).unwrap()
    }

    #[test]
    fn opens_in_its_place_under_its_key_alone() {
        let sealed = sealer(1).seal("a", b"content").unwrap();
        assert_eq!(sealer(1).open("a", &sealed).unwrap().as_slice(), b"content");
        assert_eq!(sealer(2).open("a", &sealed).unwrap_err(), NotOpened);
        assert_eq!(sealer(1).open("b", &sealed).unwrap_err(), NotOpened);
        assert!(!sealed.windows(7).any(|window| window == b"content"));
        assert_ne!(sealed, sealer(1).seal("a", b"content").unwrap());
    }

    #[test]
    fn no_byte_can_be_changed_or_cut_off() {
        let sealed = sealer(1).seal("a", b"content").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer(1).open("a", &changed).is_err(), "{index}");
            assert!(sealer(1).open("a", &sealed[..index]).is_err(), "{index}");
        }
    }
}
