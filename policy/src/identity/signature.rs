//! Whether a token was signed with one of these keys, and nothing else about it.

use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike as _, EdDSAPublicKeyLike as _, MACLike as _, NoCustomClaims,
    RSAPublicKeyLike as _, VerificationOptions,
};

use super::jwk::{Algorithm, Key, KeySet, Material};
use super::token::Token;
use crate::Environment;
use crate::environment::NativeSignature;
use crate::problem::{Reason, Refusal};

impl KeySet {
    /// Verifies a token's signature, and nothing else about it.
    pub fn verify(
        &self,
        token: &Token<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        let key = self.find(token.key_id()).ok_or_else(|| {
            Refusal::new(Reason::TokenKeyUnknown, "Get a new token from your issuer.")
        })?;
        key.check_algorithm(token)?;
        if key.verifies(token, environment) {
            return Ok(());
        }
        let detail = "Present the token as its issuer made it.";
        Err(Refusal::new(Reason::TokenSignatureInvalid, detail))
    }
}

impl Key {
    /// RFC 8725 §3.1: the key says which algorithm it is for, and the token must agree.
    fn check_algorithm(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let expected = self.algorithm();
        let is_edwards_alias = expected == Algorithm::EdDsa && token.algorithm() == "Ed25519";
        if token.algorithm() == expected.as_str() || is_edwards_alias {
            return Ok(());
        }
        let detail = "The token's algorithm is not the one of its key.";
        Err(Refusal::new(Reason::TokenUnsupported, detail)
            .finding("authorization", format!("alg {}", expected.as_str())))
    }

    fn verifies(&self, token: &Token<'_>, environment: &mut dyn Environment) -> bool {
        // Claims are checked by our own rules, alike wherever the signature is verified; jwt-simple is only asked
        // about the signature.
        let options = || {
            Some(VerificationOptions {
                accept_future: true,
                time_tolerance: Some(Duration::from_secs(0)),
                artificial_time: Some(jwt_simple::prelude::UnixTimeStamp::from_secs(0)),
                max_token_length: Some(super::MAXIMUM_TOKEN_BYTES),
                max_header_length: Some(super::MAXIMUM_TOKEN_BYTES),
                ..VerificationOptions::default()
            })
        };
        match &self.material {
            Material::Rs256(key, public_key) => {
                let native = NativeSignature {
                    hash: "sha256",
                    public_key,
                    signature: &token.signature,
                    message: token.signed.as_bytes(),
                };
                environment.verify_signature(&native).unwrap_or_else(|| {
                    key.verify_token::<NoCustomClaims>(token.text, options()).is_ok()
                })
            }
            Material::Es256(key, public_key) => {
                // Also refuses r or s of zero or beyond the order (CVE-2022-21449), before any host sees them.
                let Ok(signature) = p256::ecdsa::Signature::from_slice(&token.signature) else {
                    return false;
                };
                let signature = signature.to_der();
                let native = NativeSignature {
                    hash: "sha256",
                    public_key,
                    signature: signature.as_bytes(),
                    message: token.signed.as_bytes(),
                };
                environment.verify_signature(&native).unwrap_or_else(|| {
                    key.verify_token::<NoCustomClaims>(token.text, options()).is_ok()
                })
            }
            Material::EdDsa(key) => {
                key.verify_token::<NoCustomClaims>(token.text, options()).is_ok()
            }
            Material::Hs256(key) => {
                key.verify_token::<NoCustomClaims>(token.text, options()).is_ok()
            }
        }
    }
}
