//! Keys that are encrypted with RSA: RSA-OAEP-256 (RFC 7518 §4.3).

use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey, PublicKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::compact::{decode, encode};
use super::{Algorithm, ContentKey};
use crate::keys::NoRandomness;

/// How long moduli may be, in bits: longer ones take too long.
const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The most keys that an operator may have: the present one, and some that came before it.
const MAXIMUM_KEYS: usize = 4;

/// The one exponent that everybody uses.
const EXPONENT: u64 = 65_537;

/// A key pair of the operator's. Wiped when dropped, never printed.
pub(super) struct RsaKey {
    private: PrivateKey,
    modulus: String,
    id: String,
}

impl RsaKey {
    /// Reads keys in PKCS #8 (RFC 5958), PEM (RFC 7468), one after another. The error says what was expected.
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>, &'static str> {
        const END: &str = "-----END PRIVATE KEY-----";
        let blocks = text.split_inclusive(END).map(str::trim).filter(|block| !block.is_empty());
        let keys: Vec<_> = blocks
            .take(MAXIMUM_KEYS.saturating_add(1))
            .map(Self::read)
            .collect::<Result<_, _>>()?;
        match keys.len() {
            0..=MAXIMUM_KEYS => Ok(keys),
            _ => Err("expected at most 4 keys"),
        }
    }

    fn read(pem: &str) -> Result<Self, &'static str> {
        let private = PrivateKey::from_pkcs8_pem(pem).map_err(
            |_| "expected RSA keys in PKCS #8, PEM: -----BEGIN PRIVATE KEY----- and its end",
        )?;
        Self::new(private).ok_or("expected RSA keys of 2048 to 4096 bits with the exponent 65537")
    }

    pub(super) fn new(private: PrivateKey) -> Option<Self> {
        let bits = usize::try_from(private.n().bit_width_vartime()).ok()?;
        if !BITS.contains(&bits) || *private.e() != BoxedUint::from(EXPONENT) {
            return None;
        }
        let (modulus, exponent) = (encode(private.n_bytes()), encode(private.e_bytes()));
        // RFC 7638: the members in this order, without blanks.
        let thumbprint = format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#);
        let id = encode(Sha256::digest(thumbprint.as_bytes()));
        Some(Self { private, modulus, id })
    }

    /// The content's key; `None` where it was not encrypted to this key.
    pub(super) fn unwrap(&self, encrypted: &[u8]) -> Option<ContentKey> {
        // Blinded, with random numbers of the host's.
        let key = Zeroizing::new(self.private.oaep_decrypt::<Sha256>(encrypted).ok()?);
        Some(Zeroizing::new(key.as_slice().try_into().ok()?))
    }

    /// The `kid`: the thumbprint of the public key (RFC 7638).
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn public_jwk(&self) -> Value {
        json!({
            "kty": "RSA", "n": self.modulus, "e": "AQAB",
            "kid": self.id, "use": "enc", "alg": Algorithm::RsaOaep256.as_str(),
        })
    }
}

/// Encrypts the content's key to whose public key this is.
pub(super) fn wrap(content: &ContentKey, to: &PublicKey) -> Result<Vec<u8>, NoRandomness> {
    // The length fits any modulus of these.
    to.oaep_encrypt::<Sha256>(content.as_slice()).map_err(|_| NoRandomness)
}

/// The key that a JSON Web Key (RFC 7518 §6.3.1) is.
pub(super) fn public_key(jwk: &Map<String, Value>) -> Option<PublicKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("kty") != Some("RSA") || text("e") != Some("AQAB") {
        return None;
    }
    // Written as short as can be.
    let modulus = text("n").and_then(decode).filter(|n| n.first().is_some_and(|byte| *byte > 0))?;
    let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?;
    if usize::try_from(bits).ok()? > BITS.end().next_multiple_of(8) {
        return None;
    }
    let modulus = BoxedUint::from_be_slice(&modulus, bits).ok()?;
    PublicKey::new_with_size_limits(modulus, BoxedUint::from(EXPONENT), BITS).ok()
}
