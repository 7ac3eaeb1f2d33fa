//! The identity stage: who is calling.

mod api_key;
mod cache;
mod challenge;
mod claim;
mod claims;
mod confirmation;
mod dpop;
mod few;
mod header;
mod json;
mod jwk;
mod jwt;
mod keys;
mod requirement;
mod revocation;
mod signature;
mod source;
mod token;

pub use api_key::{ApiKey, ApiKeyError};
pub use jwk::{Algorithm, JwkError, Key, KeySet};
pub use signature::{JwsSignature, SignatureError};
pub use token::{MAXIMUM_TOKEN_BYTES, Token};

pub(crate) use api_key::{ApiKeyRules, check_routes};
pub(crate) use claim::{ClaimCondition, ClaimPath, Claims, unescape as unescape_pointer_step};
pub(crate) use jwt::JwtRules;
pub(crate) use requirement::Required;

use std::sync::Arc;

use crate::access::{Header, Target};
use crate::document::{IdentitySection, Requirement};
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal, Stage};
use crate::remote::Refreshed;
use crate::stages::{Caller, Identify, Interruption, Question};
use crate::{Environment, Secrets};

use challenge::challenge;
use confirmation::Confirmation;
use dpop::{DpopRules, Proved};
use few::Few;
use jwt::Verified;
use requirement::Provider;
use revocation::RevocationRules;
use source::{Found, Source};

/// A compiled `identity` section.
#[derive(Debug)]
pub(crate) struct IdentityRules {
    jwt: Option<JwtRules>,
    api_keys: Option<ApiKeyRules>,
    revocation: Option<RevocationRules>,
}

/// What API keys are called among the names of issuers, where a route says what it wants.
const API_KEY: &str = "api_key";

/// A credential that a request presents.
enum Presented<'a> {
    Token(&'a JwtRules, Found<'a>),
    ApiKey(&'a ApiKeyRules, Found<'a>),
}

impl<'a> Presented<'a> {
    fn found(&self) -> &Found<'a> {
        match self {
            Self::Token(_, found) | Self::ApiKey(_, found) => found,
        }
    }
}

impl IdentityRules {
    /// Compiles the section. `keeps_claims`: whether what comes after it looks at a token's claims.
    pub(crate) fn boxed(
        section: &IdentitySection,
        keeps_claims: bool,
        secrets: &dyn Secrets,
    ) -> Result<Box<dyn Identify>, CompileError> {
        let jwt = section.jwt.as_ref();
        let jwt = jwt.map(|jwt| JwtRules::compile(jwt, keeps_claims, secrets)).transpose()?;
        let api_keys = section.api_keys.as_ref();
        let api_keys = api_keys.map(|keys| ApiKeyRules::compile(keys, secrets)).transpose()?;
        let revocation = section.revocation.as_ref().map(RevocationRules::compile).transpose()?;
        Ok(Box::new(Self { jwt, api_keys, revocation }))
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        let tokens = self.jwt.iter().flat_map(|jwt| &jwt.sources);
        tokens.chain(self.api_keys.iter().flat_map(|keys| &keys.sources))
    }

    /// All credentials of a request. What stands where both kinds may is told apart by how API keys begin.
    fn presented<'a>(&'a self, question: &'a Question<'_>) -> Result<Few<Presented<'a>>, Refusal> {
        let Question { headers, target, .. } = *question;
        let mut presented = Few::new();
        if let Some(jwt) = &self.jwt {
            for source in &jwt.sources {
                let found = source.find(headers, target, jwt.dpop().is_some())?;
                let found = found.filter(|found| {
                    !(self.takes_keys_at(source) && ApiKeyRules::is_key(&found.text))
                });
                if let Some(found) = found {
                    presented.push(Presented::Token(jwt, found));
                }
            }
        }
        if let Some(keys) = &self.api_keys {
            for source in &keys.sources {
                let found = source.find(headers, target, false)?;
                let found = found.filter(|found| {
                    !self.takes_tokens_at(source) || ApiKeyRules::is_key(&found.text)
                });
                if let Some(found) = found {
                    presented.push(Presented::ApiKey(keys, found));
                }
            }
        }
        self.check_all_read(headers, &presented)?;
        Ok(presented)
    }

    /// A field for credentials that holds something else, such as another scheme, is not passed over: what it means is not
    /// known.
    fn check_all_read(
        &self,
        headers: &[Header<'_>],
        presented: &Few<Presented<'_>>,
    ) -> Result<(), Refusal> {
        for source in self.sources() {
            let Some(name) = source.header() else { continue };
            let is_there = headers.iter().any(|(other, _)| *other == name);
            if is_there && !presented.iter().any(|presented| presented.found().at == name) {
                return Err(source.malformed());
            }
        }
        Ok(())
    }

    fn takes_keys_at(&self, source: &Source) -> bool {
        self.api_keys.iter().flat_map(|keys| &keys.sources).any(|other| other.is_same_place(source))
    }

    fn takes_tokens_at(&self, source: &Source) -> bool {
        self.jwt.iter().flat_map(|jwt| &jwt.sources).any(|other| other.is_same_place(source))
    }

    /// Who is calling by one credential. What proves that it is the caller's is added to `proofs`: to be recorded in the end.
    fn identify_one<'a>(
        &self,
        presented: &Presented<'a>,
        question: &Question<'_>,
        environment: &mut dyn Environment,
        proofs: &mut Vec<(&'a DpopRules, Proved)>,
    ) -> Result<(Provider, Caller), Interruption> {
        match presented {
            Presented::ApiKey(keys, found) => {
                let principal = keys.verify(&found.text, question, environment)?;
                environment.note(|trace| {
                    let id = principal.credential_id.as_deref().unwrap_or_default();
                    trace.passed(Stage::Identity, "identity.api_keys", format!("the API key {id}"));
                });
                let (edits, response_edits) = (Vec::new(), Vec::new());
                Ok((Provider::ApiKey, Caller { principal, claims: None, edits, response_edits }))
            }
            Presented::Token(jwt, found) => {
                let verified = jwt.verify(&found.text, question, environment)?;
                environment.note(|trace| jwt.note(&verified, trace));
                let proof = Self::check_binding(jwt, &verified, found, question, environment)?;
                if let Some(revocation) = &self.revocation {
                    revocation.check(&verified, question, environment)?;
                }
                let nonce = proof.as_ref().map(|(_, proved)| DpopRules::response_edits(proved));
                proofs.extend(proof);
                let caller = Caller {
                    principal: Arc::clone(&verified.principal),
                    claims: verified.claims.clone(),
                    edits: verified.edits.clone(),
                    response_edits: nonce.unwrap_or_default(),
                };
                Ok((Provider::Issuer(verified.issuer), caller))
            }
        }
    }

    /// Whether who presents a token is who may (RFC 8705, RFC 9449). Answers the proof of it, if there must be one.
    fn check_binding<'a>(
        jwt: &'a JwtRules,
        verified: &Verified,
        found: &Found<'_>,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Option<(&'a DpopRules, Proved)>, Refusal> {
        let confirmation = verified.confirmation.as_ref();
        if !Confirmation::satisfies(confirmation, jwt.binding(verified.issuer)) {
            let detail = "Get a token that is bound to you (RFC 8705, RFC 9449).";
            return Err(Refusal::new(Reason::TokenBindingMissing, detail));
        }
        let key = confirmation.and_then(|confirmation| confirmation.key);
        if found.is_dpop && key.is_none() {
            let detail = "Present a token that is not bound to a key as a bearer token.";
            return Err(Refusal::new(Reason::TokenBindingMissing, detail));
        }
        if let Some(certificate) = confirmation.and_then(|confirmation| confirmation.certificate) {
            // Certificates are public: no secret is compared.
            if environment.client_certificate() != Some(certificate) {
                let detail = "Connect with the client certificate that the token is bound to.";
                return Err(Refusal::new(Reason::TokenBindingMismatch, detail));
            }
        }
        let Some(key) = key else { return Ok(None) };
        let Some(dpop) = jwt.dpop() else {
            let detail = "Tokens that are bound to a DPoP key are not accepted here.";
            return Err(Refusal::new(Reason::TokenUnsupported, detail));
        };
        // Who has stolen the token must not get by without the key by calling it another kind (RFC 9449 §7.2).
        if !found.is_dpop {
            let detail = "Present the token in the authorization field after `DPoP`, with a proof.";
            return Err(Refusal::new(Reason::DpopProofMissing, detail)
                .finding(found.at, "DPoP TOKEN (RFC 9449 §7.1)"));
        }
        let proved = dpop.check(&found.text, &key, question, environment)?;
        Ok(Some((dpop, proved)))
    }

    /// What was presented was verified, and is of another issuer or kind than what is asked for.
    fn missing_beside_others(&self) -> Refusal {
        let Refusal { detail, .. } = self.missing();
        let detail =
            format!("What was presented is not enough here, or not of the right issuer. {detail}");
        challenge(self.jwt.as_ref(), false, Refusal::new(Reason::CredentialMissing, detail))
    }

    fn identify_all(
        &self,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Option<Caller>, Interruption> {
        let presented = self.presented(question)?;
        // With two credentials, who is calling depends on who reads which; unless both are asked for. Nobody has said what one
        // more than that would mean, and none is verified.
        if presented.len() > question.required.most() {
            let detail = match question.required.most() {
                1 => "Present one credential.",
                _ => "Present each credential once.",
            };
            return Err(Refusal::new(Reason::CredentialConflict, detail).into());
        }
        let mut callers = Few::new();
        let mut proofs = Vec::new();
        for presented in presented.iter() {
            callers.push(self.identify_one(presented, question, environment, &mut proofs)?);
        }
        let caller = question.required.choose(callers, |is_presented| match is_presented {
            true => self.missing_beside_others(),
            false => self.missing(),
        })?;
        // Last: a request that has to wait comes again with the same proof, and who may not come in anyway uses no room.
        for (dpop, proved) in &proofs {
            dpop.record(proved, environment)?;
        }
        Ok(caller)
    }
}

impl Identify for IdentityRules {
    fn identify(
        &self,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Option<Caller>, Interruption> {
        self.identify_all(question, environment).map_err(|interruption| match interruption {
            Interruption::Refused(refusal) => {
                let used_dpop = DpopRules::is_used(question.headers);
                Interruption::Refused(Box::new(challenge(self.jwt.as_ref(), used_dpop, *refusal)))
            }
            Interruption::Wait => Interruption::Wait,
        })
    }

    fn missing(&self) -> Refusal {
        let ways = |sources: &[Source]| {
            let ways = sources.iter().map(Source::describe);
            ways.collect::<Vec<_>>().join(" or ")
        };
        let token = self.jwt.as_ref().map(|jwt| format!("a token {}", ways(&jwt.sources)));
        let key = self.api_keys.as_ref().map(|keys| format!("an API key {}", ways(&keys.sources)));
        let detail = match (token, key) {
            (None, None) => "No credential is accepted here.".to_owned(),
            (Some(one), None) | (None, Some(one)) => format!("Present {one}."),
            (Some(token), Some(key)) => format!("Present {token}, or {key}."),
        };
        challenge(self.jwt.as_ref(), false, Refusal::new(Reason::CredentialMissing, detail))
    }

    fn hide(&self, headers: &[Header<'_>], target: &mut Target) -> Vec<HeaderEdit> {
        let mut edits = source::hide(self.sources(), headers, target);
        // A proof goes where the token goes.
        let hides_proof =
            self.jwt.as_ref().is_some_and(|jwt| jwt.dpop().is_some() && !jwt.forwards_dpop());
        if hides_proof && headers.iter().any(|(name, _)| *name == dpop::FIELD) {
            edits.push(HeaderEdit::Remove(dpop::FIELD.to_owned()));
        }
        edits
    }

    fn singular_fields(&self) -> Vec<&str> {
        self.sources().filter_map(Source::header).collect()
    }

    fn claim_fields(&self) -> Vec<&str> {
        self.jwt.iter().flat_map(JwtRules::claim_fields).collect()
    }

    fn require(&self, requirement: &Requirement, field: &str) -> Result<Required, CompileError> {
        let provider = |name: &str| match name {
            API_KEY => self.api_keys.as_ref().map(|_| Provider::ApiKey),
            issuer => self.jwt.as_ref()?.issuer_named(issuer).map(Provider::Issuer),
        };
        let required = Required::compile(requirement, provider, field)?;
        // A place holds one token.
        let issuers = required.together().iter();
        let issuers = issuers.filter(|provider| matches!(provider, Provider::Issuer(_))).count();
        let places = self.jwt.as_ref().map_or(0, |jwt| jwt.sources.len());
        if issuers > places {
            let message = format!(
                "expected no more issuers than there are places for tokens: `identity.jwt.sources` has {places}"
            );
            return Err(CompileError::new(format!("{field}.all"), message));
        }
        // The caller is who the first one names; a field for the upstream must not be about another.
        let mut fields: Vec<&str> = Vec::new();
        for provider in required.together() {
            let (Provider::Issuer(issuer), Some(jwt)) = (provider, &self.jwt) else { continue };
            if let Some(name) = jwt.claim_fields_of(*issuer).find(|name| fields.contains(name)) {
                let message = format!(
                    "expected issuers that do not write to the same field: two of them write {name}"
                );
                return Err(CompileError::new(format!("{field}.all"), message));
            }
            fields.extend(jwt.claim_fields_of(*issuer));
        }
        Ok(required)
    }

    fn remotes(&self) -> Vec<Arc<dyn Refreshed>> {
        let jwt = self.jwt.iter().flat_map(JwtRules::remotes);
        let api_keys = self.api_keys.iter().filter_map(ApiKeyRules::remote);
        let revocation = self.revocation.iter().filter_map(RevocationRules::remote);
        jwt.chain(api_keys).chain(revocation).collect()
    }
}
