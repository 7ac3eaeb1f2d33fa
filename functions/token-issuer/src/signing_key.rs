//! A key that signs: ECDSA on P-256 with SHA-256 (ES256, RFC 7518 §3.4).

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{self, Signature};
use portcullis_function::keys::{Kind, NoRandomness, PublicPoint};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::token::MAXIMUM_LIFETIME_SECONDS;

/// The `alg` of all tokens.
pub(crate) const ALGORITHM: &str = "ES256";

/// A key pair with its id. Wiped when dropped, never printed.
pub(crate) struct SigningKey {
    key: ecdsa::SigningKey,
    public: PublicPoint,
}

impl SigningKey {
    /// Signs; the nonce comes from the key and the message (RFC 6979). `None` cannot happen in this universe.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        let signature: Signature = self.key.try_sign(message).ok()?;
        Some(signature.to_bytes().into())
    }
}

impl Kind for SigningKey {
    const PREFIX: &'static str = "token-issuer/key/";
    const SEALED_FOR: &'static str = "portcullis token-issuer: signing keys at rest, AES-256-GCM";
    /// Until every token that it may have signed has expired.
    const RETAINED_SECONDS: u64 = MAXIMUM_LIFETIME_SECONDS;

    fn generate() -> Result<Self, NoRandomness> {
        PublicPoint::generate(Self::from_bytes)
    }

    /// Takes the private number, 32 bytes.
    fn from_bytes(private: &[u8]) -> Option<Self> {
        // The library also takes some that are shorter.
        let private: &[u8; 32] = private.try_into().ok()?;
        let key = ecdsa::SigningKey::from_slice(private).ok()?;
        let public = PublicPoint::from_sec1(key.verifying_key().to_sec1_point(false).as_bytes())?;
        Some(Self { key, public })
    }

    fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    fn id(&self) -> &str {
        self.public.id()
    }

    fn public_jwk(&self) -> Value {
        self.public.jwk("sig", ALGORITHM)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use portcullis_function::keys::testing::{MemoryStore, NOW, run, secret};
    use portcullis_function::keys::{Keyring, Sealer};

    use super::*;

    /// The key of RFC 7515 appendix A.3.
    const PRIVATE: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

    #[test]
    fn the_public_key_is_the_private_ones() {
        let key = SigningKey::from_bytes(&URL_SAFE_NO_PAD.decode(PRIVATE).unwrap()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(key.to_bytes().as_slice()), PRIVATE);
        let jwk = key.public_jwk();
        assert_eq!(jwk["x"], "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(jwk["y"], "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
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

    /// What an issuer has stored, another version still opens: written by another implementation of HKDF and AES-GCM.
    #[test]
    fn stored_keys_stay_good() {
        const NAME: &str = "token-issuer/key/oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";
        const SEALED: &str = "AQkJCQkJCQkJCQkJCXStDAbdSYEqOxcHIHfy95e2TrR6_UuD8oMe1sWgCF3r_XewkBOWlikrfBxCleRLgDrp73a7g3TQ\
                              danEMwrZzfE";
        let store = MemoryStore::default();
        let sealed = URL_SAFE_NO_PAD.decode(SEALED).unwrap();
        store.entries.borrow_mut().insert(NAME.to_owned(), sealed);
        let sealer = Sealer::new::<SigningKey>(&secret(1)).unwrap();
        let keyring = run(Keyring::<SigningKey>::open(&store, &sealer, NOW, 24 * 3600)).unwrap();
        let private = keyring.current().unwrap().to_bytes();
        assert_eq!(URL_SAFE_NO_PAD.encode(private.as_slice()), PRIVATE);
    }
}
