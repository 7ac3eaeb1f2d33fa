//! One key, and what it may be used for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::JwkError;
use super::algorithm::Algorithm;
use super::elliptic::{EdwardsKey, EllipticKey};
use super::member::{Jwk, Unusable};
use super::rsa::RsaKey;
use super::symmetric::SymmetricKey;

/// A key that verifies signatures.
#[derive(Clone)]
pub struct Key {
    pub(in crate::identity) id: Option<Arc<str>>,
    pub(in crate::identity) material: Material,
    /// What signatures by it may be made with: one algorithm but for RSA keys that name none.
    pub(in crate::identity) algorithms: Vec<Algorithm>,
    /// Whether `alg` named it.
    pub(super) is_declared: bool,
}

#[derive(Clone)]
pub(in crate::identity) enum Material {
    Rsa(Box<RsaKey>),
    Elliptic(Box<EllipticKey>),
    Edwards(Box<EdwardsKey>),
    Symmetric(SymmetricKey),
}

/// What clients bring along is verified with at our cost: RSA keys of no more bits than this.
const MAXIMUM_CLIENT_MODULUS_BITS: usize = 4096;

impl Key {
    /// Reads the public key that somebody who is not trusted yet sends along, as in a DPoP proof (RFC 9449 §4.2): an
    /// asymmetric one without private members, as strong as those of a set, and not too costly.
    ///
    /// # Errors
    ///
    /// The member that is wrong, and what was expected there.
    pub fn from_public_jwk(jwk: &Value) -> Result<Self, JwkError> {
        let members = jwk.as_object().ok_or_else(|| JwkError::new("", "expected an object"))?;
        let jwk = Jwk { members, field: "" };
        let key = jwk.read().map_err(Unusable::into_error)?;
        match &key.material {
            Material::Symmetric(_) => Err(jwk.error("kty", "expected a public key")),
            Material::Rsa(rsa) if rsa.bits() > MAXIMUM_CLIENT_MODULUS_BITS => {
                let most = MAXIMUM_CLIENT_MODULUS_BITS;
                Err(jwk.error("n", &format!("expected a modulus of at most {most} bits")))
            }
            _ => Ok(key),
        }
    }

    /// What signatures by this key may be made with.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Narrows the key to the accepted algorithms. An RSA key that names none is for those RSA algorithms that are
    /// accepted, where else it would be for RS256. If nothing is left, no signature by it verifies.
    #[must_use]
    pub fn restricted_to(mut self, accepted: &[Algorithm]) -> Self {
        if matches!(self.material, Material::Rsa(_)) && !self.is_declared {
            let rsa = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_rsa());
            self.algorithms = rsa.collect();
        }
        self.algorithms.retain(|algorithm| accepted.contains(algorithm));
        self
    }

    /// The key's thumbprint (RFC 7638): SHA-256 over its required members, in base64url. None for a secret, of which nobody
    /// should have a digest.
    pub fn thumbprint(&self) -> Option<String> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // The members in the order of their names, without blanks: as serde_json writes them.
        let members = match &self.material {
            Material::Rsa(key) => {
                json!({"e": encode(&key.exponent()), "kty": "RSA", "n": encode(key.modulus())})
            }
            Material::Elliptic(key) => {
                let (x, y) = key.coordinates();
                json!({"crv": key.curve(), "kty": "EC", "x": encode(&x), "y": encode(&y)})
            }
            Material::Edwards(key) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": encode(key.bytes())})
            }
            Material::Symmetric(_) => return None,
        };
        Some(encode(&Sha256::digest(members.to_string())))
    }

    pub(super) fn is_symmetric(&self) -> bool {
        matches!(self.material, Material::Symmetric(_))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, {:?})", self.id, self.algorithms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1.
    const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;

    fn key(text: &str) -> Result<Key, JwkError> {
        Key::from_public_jwk(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        let thumbprint = |text| key(text).unwrap().thumbprint().unwrap();
        assert_eq!(thumbprint(RSA), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // A zero in front does not make it another key.
        let longer = RSA.replace("\"AQAB\"", "\"AAEAAQ\"");
        assert_eq!(thumbprint(&longer), thumbprint(RSA));
        // RFC 8037 appendix A.3.
        let edwards =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(thumbprint(edwards), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 9449 §4.2 and §6.1.
        let elliptic = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
        assert_eq!(thumbprint(elliptic), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn what_a_client_sends_is_a_public_key() {
        let oct =
            r#"{"kty":"oct","alg":"HS256","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
        assert_eq!(key(oct).unwrap_err().field, "kty");
        assert_eq!(key(&RSA.replace("{", r#"{"d":"AQ","#)).unwrap_err().field, "d");
        assert_eq!(key("[]").unwrap_err().field, "");
        let long = URL_SAFE_NO_PAD.encode([0xc1u8; 520]);
        let long = format!(r#"{{"kty":"RSA","n":"{long}","e":"AQAB"}}"#);
        assert_eq!(key(&long).unwrap_err().field, "n");
    }

    #[test]
    fn only_what_a_key_does_not_say_can_be_accepted_in_its_place() {
        let accepted = [Algorithm::Ps256, Algorithm::Rs512, Algorithm::Es256];
        let declared = key(RSA).unwrap();
        assert_eq!(declared.algorithms(), [Algorithm::Rs256]);
        assert!(declared.restricted_to(&accepted).algorithms().is_empty());
        let silent = key(&RSA.replace(r#""alg":"RS256","#, "")).unwrap();
        assert_eq!(silent.algorithms(), [Algorithm::Rs256]);
        let narrowed = silent.restricted_to(&accepted);
        assert_eq!(narrowed.algorithms(), [Algorithm::Rs512, Algorithm::Ps256]);
    }
}
