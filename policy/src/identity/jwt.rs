//! JSON Web Tokens: a signature by a known issuer over claims that hold here and now.

use std::sync::Arc;

use serde_json::Value;

use super::claims::ClaimRules;
use super::jwk::KeySet;
use super::token::Token;
use crate::document::{Issuer, JwksSource, JwtSection};
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
