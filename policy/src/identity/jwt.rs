//! JSON Web Tokens: a signature by a known issuer over claims that hold here and now.

use std::sync::Arc;

use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike as _, EdDSAPublicKeyLike as _, MACLike as _, NoCustomClaims,
    RSAPublicKeyLike as _, VerificationOptions,
};
use serde_json::Value;

use super::claims::ClaimRules;
use super::jwk::{Algorithm, Key, KeySet, Material};
use super::token::Token;
use crate::document::{Issuer, JwksSource, JwtSection};
use crate::environment::NativeSignature;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::{Environment, Principal, Secrets};

/// The most that clocks are let differ.
const MAXIMUM_LEEWAY_SECONDS: u32 = 300;

/// A compiled `identity.jwt` section.
#[derive(Debug)]
pub(crate) struct JwtRules {
    issuers: Vec<(ClaimRules, Arc<KeySet>)>,
}

impl JwtRules {
    pub(crate) fn compile(
        section: &JwtSection,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        const FIELD: &str = "identity.jwt.issuers";
        if section.issuers.is_empty() {
            return Err(CompileError::new(FIELD, "expected at least one issuer"));
        }
        let mut issuers: Vec<(ClaimRules, Arc<KeySet>)> = Vec::new();
        for (index, issuer) in section.issuers.iter().enumerate() {
            let field = format!("{FIELD}[{index}]");
            if issuers.iter().any(|(known, _)| known.issuer == issuer.issuer) {
                let message = "expected an issuer that is not listed before";
                return Err(CompileError::new(format!("{field}.issuer"), message));
            }
            issuers
                .push((claim_rules(issuer, &field)?, Arc::new(key_set(issuer, &field, secrets)?)));
        }
        Ok(Self { issuers })
    }

    /// Verifies a token: its form, its signature by its issuer's key, and its claims, in this order, so that
    /// nothing is told about claims that anybody could have written.
    pub(crate) fn verify(
        &self,
        text: &str,
        environment: &mut dyn Environment,
    ) -> Result<Principal, Refusal> {
        let token = Token::parse(text)?;
        let issuer = token.claims.get("iss").and_then(Value::as_str);
        let known = self.issuers.iter().find(|(rules, _)| issuer == Some(rules.issuer.as_str()));
        let Some((rules, keys)) = known else {
            let detail = "Get a token from an issuer that is accepted here.";
            return Err(Refusal::new(Reason::TokenIssuerUnknown, detail));
        };
        keys.verify(&token, environment)?;
        let now = environment.now().seconds();
        rules.check(&token.claims, now)
    }
}

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

fn claim_rules(issuer: &Issuer, field: &str) -> Result<ClaimRules, CompileError> {
    if issuer.issuer.is_empty() {
        return Err(CompileError::new(
            format!("{field}.issuer"),
            "expected a text that is not empty",
        ));
    }
    if issuer.audiences.is_empty() {
        let message = "expected at least one audience: else tokens for other services are accepted";
        return Err(CompileError::new(format!("{field}.audiences"), message));
    }
    if issuer.leeway_seconds > MAXIMUM_LEEWAY_SECONDS {
        let message = format!("expected at most {MAXIMUM_LEEWAY_SECONDS}");
        return Err(CompileError::new(format!("{field}.leeway_seconds"), message));
    }
    Ok(ClaimRules {
        issuer: issuer.issuer.clone(),
        audiences: issuer.audiences.clone(),
        leeway_seconds: u64::from(issuer.leeway_seconds),
        roles_claim: issuer.roles_claim.clone(),
        scopes_claim: issuer.scopes_claim.clone(),
        tenant_claim: issuer.tenant_claim.clone(),
    })
}

fn key_set(issuer: &Issuer, field: &str, secrets: &dyn Secrets) -> Result<KeySet, CompileError> {
    match &issuer.jwks {
        JwksSource::Inline(value) => {
            let field = format!("{field}.jwks.inline");
            let set = KeySet::from_value(value).map_err(|error| match error.field.is_empty() {
                true => CompileError::new(&field, error.expected),
                false => CompileError::new(format!("{field}.{}", error.field), error.expected),
            })?;
            if set.is_symmetric() {
                let message = "expected public keys: secrets come from the environment (jwks.env)";
                return Err(CompileError::new(field, message));
            }
            Ok(set)
        }
        JwksSource::Env(name) => {
            let field = format!("{field}.jwks.env");
            let text = secrets.secret(name).ok_or_else(|| CompileError::unset(&field, name))?;
            KeySet::parse(&text).map_err(|error| {
                CompileError::new(field, format!("the key set in {name} is not usable: {error}"))
            })
        }
        JwksSource::File(_) => {
            let message = "expected the key set itself: `portcullis` puts files in place";
            Err(CompileError::new(format!("{field}.jwks.file"), message))
        }
    }
}
