//! Temporary: what is taken from `keys` once it is there.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use portcullis_policy::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Spin's key-value store, or a map in the tests.
#[allow(
    async_fn_in_trait,
    reason = "a component has one thread: nobody asks whether these futures are Send"
)]
pub trait Store {
    /// The names of all entries, also those of others.
    async fn names(&self) -> Result<Vec<String>, StoreError>;
    /// An entry, or `None` where there is none of that name.
    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Writes an entry in place of any of that name.
    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError>;
    /// Deletes an entry, if there is one of that name.
    async fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// The store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key-value store: {0}")]
pub struct StoreError(pub String);

/// There are no random numbers. Nothing secret can be made then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host gives no random numbers")]
pub(super) struct NoRandomness;

/// So many bytes that nobody can foretell.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Seals and opens what is stored.
pub(super) struct Sealer(Aes256Gcm);

/// It was sealed under another key, for another place, or has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotOpened;

impl Sealer {
    /// Derives the key (HKDF-SHA-256, RFC 5869) for what `info` says.
    pub(super) fn derive(key: &Secret, info: &[u8]) -> Option<Self> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, key.expose()).expand(info, derived.as_mut_slice()).ok()?;
        Aes256Gcm::new_from_slice(derived.as_slice()).ok().map(Self)
    }

    /// Seals `content` for `place`, where alone it opens again.
    pub(super) fn seal(&self, place: &str, content: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: content, aad: place.as_bytes() };
        let sealed = self.0.encrypt(&Nonce::from(*nonce), payload).map_err(|_| NoRandomness)?;
        Ok([[VERSION].as_slice(), nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this place.
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(NotOpened)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        let content = self.0.decrypt(&Nonce::from(*nonce), payload).map_err(|_| NotOpened)?;
        Ok(Zeroizing::new(content))
    }
}
