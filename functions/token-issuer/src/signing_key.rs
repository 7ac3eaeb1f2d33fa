//! A key that signs: ECDSA on P-256 with SHA-256 (ES256, RFC 7518 §3.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{self, Signature};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::random::{NoRandomness, random};

/// The `alg` of all tokens.
pub(crate) const ALGORITHM: &str = "ES256";

/// A key pair with its id. Wiped when dropped, never printed.
pub(crate) struct SigningKey {
    key: ecdsa::SigningKey,
    id: String,
    x: String,
    y: String,
}

impl SigningKey {
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        // One in 2^32 numbers is not below the order of the curve.
        for _ in 0..8 {
            if let Some(key) = Self::from_bytes(random::<32>()?.as_slice()) {
                return Ok(key);
            }
        }
        Err(NoRandomness)
    }

    /// Takes the private number, 32 bytes.
    pub(crate) fn from_bytes(private: &[u8]) -> Option<Self> {
        // The library also takes some that are shorter.
        let private: &[u8; 32] = private.try_into().ok()?;
        let key = ecdsa::SigningKey::from_slice(private).ok()?;
        let point = key.verifying_key().to_sec1_point(false);
        let encode = |coordinate: &[u8]| URL_SAFE_NO_PAD.encode(coordinate);
        let (x, y) = point.as_bytes().strip_prefix(&[4])?.split_at_checked(32)?;
        let (x, y) = (encode(x), encode(y));
        // RFC 7638: the members in this order, without blanks.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = encode(&Sha256::digest(thumbprint.as_bytes()));
        Some(Self { key, id, x, y })
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// The `kid`: the thumbprint of the public key (RFC 7638), so that an id cannot be given to another key.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub(crate) fn public_jwk(&self) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y,
            "kid": self.id, "use": "sig", "alg": ALGORITHM,
        })
    }

    /// Signs; the nonce comes from the key and the message (RFC 6979). `None` cannot happen in this universe.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(signature.to_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7515 appendix A.3.
    const PRIVATE: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

    #[test]
    fn the_public_key_is_the_private_ones() {
        let key = SigningKey::from_bytes(&URL_SAFE_NO_PAD.decode(PRIVATE).unwrap()).unwrap();
        assert_eq!(key.x, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(key.y, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        assert_eq!(URL_SAFE_NO_PAD.encode(key.to_bytes().as_slice()), PRIVATE);
        let jwk = key.public_jwk();
        assert_eq!(jwk.get("d"), None);
        assert_eq!(jwk["kid"], key.id());
        assert_eq!(URL_SAFE_NO_PAD.decode(key.id()).unwrap().len(), 32);
    }

    #[test]
    fn numbers_that_are_no_key_are_refused() {
        for number in [&[0; 32][..], &[255; 32], &[1; 31], &[1; 33], &[]] {
            assert!(SigningKey::from_bytes(number).is_none(), "{number:?}");
        }
        assert_ne!(SigningKey::generate().unwrap().id(), SigningKey::generate().unwrap().id());
    }
}
