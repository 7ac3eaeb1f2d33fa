//! The text of a key, and the digest of it that is kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Secret;

/// What all keys begin with, so that scanners for leaked secrets find them.
pub(super) const PREFIX: &str = "pcl_";

/// Random bytes in the secret part: twice the 128 bits that are out of reach of guessing.
const SECRET_BYTES: usize = 32;

/// The secret part in base64url.
const SECRET_CHARS: usize = 43;

/// Bytes in an id.
const ID_BYTES: std::ops::RangeInclusive<usize> = 4..=32;

const DIGEST_PREFIX: &str = "hmac-sha256:";

/// A whole API key, `pcl_ID_SECRET`. Wiped when dropped, never printed by `Debug`.
pub struct ApiKey {
    text: Zeroizing<String>,
}

/// Why a text is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected pcl_ID_SECRET: an id of 4 to 32 lower-case letters and digits, a secret of 43 base64url characters"
)]
pub struct ApiKeyError;

impl ApiKey {
    /// Makes a key of an id and 32 random bytes.
    pub fn new(id: &str, secret: &[u8; SECRET_BYTES]) -> Result<Self, ApiKeyError> {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret));
        let length =
            PREFIX.len().saturating_add(id.len()).saturating_add(SECRET_CHARS).saturating_add(1);
        // Of the right size at once: a text that grows leaves pieces of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(length));
        for part in [PREFIX, id, "_", &secret] {
            text.push_str(part);
        }
        id_of(&text)?;
        Ok(Self { text })
    }

    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        id_of(text)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()) })
    }

    /// The public part.
    pub fn id(&self) -> &str {
        id_of(&self.text).unwrap_or_default()
    }

    /// The key itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored: `hmac-sha256:` and the HMAC-SHA-256 of the whole key under the pepper, in base64url.
    pub fn digest(&self, pepper: &Secret) -> String {
        let digest = Pepper::new(pepper).digest(&self.text);
        format!("{DIGEST_PREFIX}{}", URL_SAFE_NO_PAD.encode(digest.0))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id())
    }
}

/// The id in the text of a key, if it is one.
pub(super) fn id_of(text: &str) -> Result<&str, ApiKeyError> {
    let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyError)?;
    let (id, secret) = rest.split_once('_').ok_or(ApiKeyError)?;
    // Room for what 44 characters decode to, of which a secret has one less.
    let mut bytes = Zeroizing::new([0; SECRET_BYTES + 1]);
    let is_secret = secret.len() == SECRET_CHARS
        && URL_SAFE_NO_PAD.decode_slice(secret, bytes.as_mut_slice()) == Ok(SECRET_BYTES);
    if !is_id(id) || !is_secret {
        return Err(ApiKeyError);
    }
    Ok(id)
}

/// Whether a text can be the public part of a key.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ID_BYTES.contains(&id.len()) && id.bytes().all(plain)
}

/// HMAC-SHA-256 under the pepper, which has gone into it already: each key costs what is in it, and no more.
#[derive(Clone)]
pub(super) struct Pepper(Option<Hmac<Sha256>>);

impl Pepper {
    pub(super) fn new(pepper: &Secret) -> Self {
        // HMAC takes keys of any length (RFC 2104 §2), so this cannot fail.
        Self(Hmac::new_from_slice(pepper.expose()).ok())
    }

    pub(super) fn digest(&self, key: &str) -> Digest {
        let Some(keyed) = &self.0 else { return Digest::NOBODYS };
        Digest(keyed.clone().chain_update(key).finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// What is kept of a key. Not comparable but in constant time.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// What a key is compared with where there is nothing to compare it with, so that it takes as long.
    pub(super) const NOBODYS: Self = Self([0; 32]);

    /// Reads `hmac-sha256:` and 32 bytes in base64url.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(DIGEST_PREFIX)?).ok()?;
        bytes.try_into().ok().filter(|bytes| *bytes != Self::NOBODYS.0).map(Self)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(byte: u8) -> Secret {
        Secret::from_bytes(Zeroizing::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn keys_are_read_strictly() {
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        let text = key.expose();
        assert_eq!(ApiKey::parse(text).unwrap().id(), "batch1");
        assert_eq!(text.len(), "pcl_batch1_".len() + SECRET_CHARS);
        let last_bit = text.strip_suffix('k').map(|rest| format!("{rest}l")).unwrap();
        for other in [
            "",
            "pcl_",
            "pcl_batch1",
            "pcl_batch1_",
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}="),
            &format!(" {text}"),
            &format!("{text}\n"),
            &text.replace("pcl_", "PCL_"),
            &text.replace("batch1", "Batch1"),
            &text.replace("batch1", "bat"),
            &text.replace("batch1", &"b".repeat(33)),
            &text.replace("batch1", "bätch"),
            &text.replace('C', "+"),
            // The same 32 bytes written in another way.
            &last_bit,
        ] {
            assert_eq!(ApiKey::parse(other).unwrap_err(), ApiKeyError, "{other}");
        }
        for id in ["", "abc", "a_cd", "Abcd", &"a".repeat(33)] {
            assert!(ApiKey::new(id, &[9; 32]).is_err(), "{id}");
        }
    }

    #[test]
    fn digests_are_those_of_other_implementations() {
        // printf %s pcl_batch1_CQkJ…CQk | openssl dgst -sha256 -mac HMAC -macopt hexkey:0303…03 -binary | basenc --base64url
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        assert_eq!(
            key.digest(&pepper(3)),
            "hmac-sha256:T1ZDvM0Ek_RgYZk0JDxOHEEvZPZpr4Cw1AlQmkILkNs"
        );
        assert_ne!(key.digest(&pepper(3)), key.digest(&pepper(4)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = ApiKey::new("batch1", &[9; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(batch1)");
        let pepper = Pepper::new(&pepper(3));
        assert_eq!(format!("{pepper:?} {:?}", pepper.digest(key.expose())), "Pepper(…) Digest(…)");
    }
}
