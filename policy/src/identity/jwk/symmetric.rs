//! HMAC keys (RFC 7518 §6.4), and what must never become one.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::{Algorithm, Hash};
use super::envelope;

/// A secret, as the state that every code by it begins with. Wiped when dropped.
#[derive(Clone)]
pub(in crate::identity) enum SymmetricKey {
    Sha256(Box<Hmac<Sha256>>),
    Sha384(Box<Hmac<Sha384>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl SymmetricKey {
    /// Takes a secret that is as long as the algorithm's digest at least (RFC 7518 §3.2) and no public key (CVE-2016-10555
    /// and its kin: what everybody has is no secret); else tells what was expected.
    pub(super) fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, String> {
        let hash = algorithm.hash();
        if secret.len() < hash.length() {
            let (name, length) = (algorithm.as_str(), hash.length());
            return Err(format!("expected at least {length} bytes for {name} (RFC 7518 §3.2)"));
        }
        if is_public_key(secret) {
            return Err(
                "expected a secret, found a key or certificate that others may have".to_owned()
            );
        }
        let key = match hash {
            Hash::Sha256 => Hmac::new_from_slice(secret).map(Box::new).map(Self::Sha256),
            Hash::Sha384 => Hmac::new_from_slice(secret).map(Box::new).map(Self::Sha384),
            Hash::Sha512 => Hmac::new_from_slice(secret).map(Box::new).map(Self::Sha512),
        };
        key.map_err(|_| "expected an HMAC key".to_owned())
    }

    /// Compares in constant time.
    pub(in crate::identity) fn verifies(&self, message: &[u8], code: &[u8]) -> bool {
        match self {
            Self::Sha256(key) => Hmac::clone(key).chain_update(message).verify_slice(code).is_ok(),
            Self::Sha384(key) => Hmac::clone(key).chain_update(message).verify_slice(code).is_ok(),
            Self::Sha512(key) => Hmac::clone(key).chain_update(message).verify_slice(code).is_ok(),
        }
    }
}

/// Whether a secret is a key or a certificate as PEM, OpenSSH, JWK, DER or DER in base64, whatever blanks are around it.
fn is_public_key(secret: &[u8]) -> bool {
    if envelope::is_der(secret) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(secret) else { return false };
    let text = text.trim_start_matches('\u{feff}').trim();
    let starts = ["-----BEGIN", "---- BEGIN", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    if starts.iter().any(|start| text.starts_with(start)) {
        return true;
    }
    if text.starts_with('{') {
        // A JWK, a set of them, or any other JSON: no random secret is.
        return serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    }
    let joined: String = text.split_ascii_whitespace().collect();
    let engine = if joined.ends_with('=') { &STANDARD } else { &STANDARD_NO_PAD };
    engine.decode(joined).is_ok_and(|bytes| envelope::is_der(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_are_refused_for_each_hash() {
        for (algorithm, length) in
            [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)]
        {
            assert!(SymmetricKey::new(algorithm, &vec![7; length]).is_ok());
            assert!(SymmetricKey::new(algorithm, &vec![7; length - 1]).is_err());
        }
    }

    #[test]
    fn public_keys_are_no_secrets() {
        let point = [[4].as_slice(), &[1; 64]].concat();
        let der = envelope::elliptic(envelope::P256, &point).unwrap();
        let pkcs1 = {
            use spki::der::Encode as _;
            use spki::der::asn1::UintRef;
            let number = |bytes| UintRef::new(bytes).unwrap();
            [number(&[0x81; 256]), number(&[1, 0, 1])].to_der().unwrap()
        };
        let base64 = STANDARD.encode(&der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAA"}"#;
        for secret in [
            der,
            pkcs1,
            pem.clone().into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            format!(" \t\r\n{pem}").into_bytes(),
            format!("\u{feff}{pem}").into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            jwk.into(),
            format!("\n {jwk} ").into_bytes(),
            format!(r#"{{"keys":[{jwk}]}}"#).into_bytes(),
            base64.clone().into_bytes(),
            format!("{}\n{}", &base64[..64], &base64[64..]).into_bytes(),
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ4Y2F0".into(),
        ] {
            let shown = String::from_utf8_lossy(&secret);
            assert!(SymmetricKey::new(Algorithm::Hs256, &secret).is_err(), "{shown}");
        }
        for secret in
            ["{ but no JSON, and long enough for this", "MIIB is how it might well start 32"]
        {
            assert!(SymmetricKey::new(Algorithm::Hs256, secret.as_bytes()).is_ok(), "{secret}");
        }
    }
}
