//! Whether something was signed with one of these keys, and nothing else about it.
//!
//! The signature is verified over the bytes as they came, by the algorithm that the key is for. Where the host has native
//! cryptography for it (RS256, RS384, RS512, ES256, ES384), it is asked; else, and for everything else, it is verified here.

use super::jwk::{Algorithm, Key, KeySet, Material};
use super::token;
use crate::Environment;
use crate::environment::NativeSignature;
use crate::problem::{Reason, Refusal};

/// A signature as a JWS carries it (RFC 7515 §3), and what it says of itself.
#[derive(Debug, Clone, Copy)]
pub struct JwsSignature<'a> {
    /// The `kid` header parameter.
    pub key_id: Option<&'a str>,
    /// The `alg` header parameter.
    pub algorithm: &'a str,
    /// The JWS signing input: header, dot, payload, encoded as they came.
    pub signing_input: &'a [u8],
    /// The signature, decoded.
    pub signature: &'a [u8],
}

/// Why a signature is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No key has this `kid`; or there is none, and not exactly one key.
    #[error("no key of that name")]
    KeyUnknown,
    /// The key is not for the algorithm that the header names (RFC 8725 §3.1).
    #[error("expected alg {}", expected.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or "))]
    WrongAlgorithm {
        /// What the key is for.
        expected: Vec<Algorithm>,
    },
    /// The key has not made this signature of this.
    #[error("the signature does not verify")]
    Invalid,
}

impl KeySet {
    /// Verifies the signature of a JWS in compact serialisation (RFC 7515 §3.1), whatever it is of: no claims are looked for. What the
    /// header may say is as in [`Token`](super::Token).
    ///
    /// # Errors
    ///
    /// It is no such JWS, or the key is not known, is not for its algorithm, or has not signed it.
    pub fn verify_compact(
        &self,
        text: &str,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        token::verify_compact(text, |signature| self.verify_jws(signature, environment).map(drop))
    }

    /// The key that has made a signature, or what the client is told.
    pub(super) fn verify_jws(
        &self,
        signature: &JwsSignature<'_>,
        environment: &mut dyn Environment,
    ) -> Result<&Key, Refusal> {
        self.signed_by(signature, environment).map_err(|error| match error {
            SignatureError::KeyUnknown => {
                Refusal::new(Reason::TokenKeyUnknown, "Get a new token from your issuer.")
            }
            SignatureError::WrongAlgorithm { expected } => {
                let detail = "The token's algorithm is not the one of its key.";
                let refusal = Refusal::new(Reason::TokenUnsupported, detail);
                expected.iter().fold(refusal, |refusal, algorithm| {
                    refusal.finding("authorization", format!("alg {}", algorithm.as_str()))
                })
            }
            SignatureError::Invalid => {
                let detail = "Present the token as its issuer made it.";
                Refusal::new(Reason::TokenSignatureInvalid, detail)
            }
        })
    }

    /// Verifies any JWS signature by the key that it names.
    ///
    /// # Errors
    ///
    /// See [`SignatureError`].
    pub fn verify_signature(
        &self,
        signature: &JwsSignature<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(), SignatureError> {
        self.signed_by(signature, environment).map(|_| ())
    }

    fn signed_by(
        &self,
        signature: &JwsSignature<'_>,
        environment: &mut dyn Environment,
    ) -> Result<&Key, SignatureError> {
        let key = self.find(signature.key_id).ok_or(SignatureError::KeyUnknown)?;
        key.verify_signature(signature, environment).map(|()| key)
    }
}

impl Key {
    /// Verifies a JWS signature by this key, whatever key it names.
    ///
    /// # Errors
    ///
    /// The key is not for its algorithm, or has not made it.
    pub fn verify_signature(
        &self,
        signature: &JwsSignature<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(), SignatureError> {
        // The header only gets to agree with the key: `named` knows no `none`, and a name that is not the key's ends here.
        let algorithm = Algorithm::named(signature.algorithm)
            .filter(|algorithm| self.algorithms().contains(algorithm))
            .ok_or_else(|| SignatureError::WrongAlgorithm {
                expected: self.algorithms().to_vec(),
            })?;
        let JwsSignature { signing_input, signature, .. } = *signature;
        match self.verifies(algorithm, signing_input, signature, environment) {
            true => Ok(()),
            false => Err(SignatureError::Invalid),
        }
    }

    fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        environment: &mut dyn Environment,
    ) -> bool {
        let hash = algorithm.hash().name();
        match &self.material {
            Material::Rsa(key) => match algorithm {
                Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                    if !key.is_in_range(signature) {
                        return false;
                    }
                    let native =
                        NativeSignature { hash, public_key: key.spki(), signature, message };
                    environment
                        .verify_signature(&native)
                        .unwrap_or_else(|| key.verifies(algorithm, message, signature))
                }
                _ => key.verifies(algorithm, message, signature),
            },
            Material::Elliptic(key) => {
                let Some(signature) = key.signature(signature) else { return false };
                let Some(public_key) = key.spki() else { return key.verifies(message, &signature) };
                let der = signature.to_der();
                let native = NativeSignature { hash, public_key, signature: &der, message };
                environment
                    .verify_signature(&native)
                    .unwrap_or_else(|| key.verifies(message, &signature))
            }
            Material::Edwards(key) => key.verifies(message, signature),
            Material::Symmetric(key) => key.verifies(message, signature),
        }
    }
}
