//! JSON Web Tokens: a signature by a known issuer over claims that hold here and now.

use std::sync::{Arc, Mutex, PoisonError};

use super::API_KEY;
use super::cache::TokenCache;
use super::claim::Claims;
use super::claims::{ClaimRules, Validity, header_name};
use super::confirmation::Confirmation;
use super::dpop::DpopRules;
use super::header::KnownHeaders;
use super::jwk::KeySet;
use super::keys::KeySource;
use super::source::Source;
use super::token::{Buffer, Jws, is_media_type};
use crate::document::{Issuer, JwtSection, TokenBinding};
use crate::environment::Timestamp;
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;
use crate::principal::RenderedPrincipal;
use crate::problem::{Reason, Refusal, Stage};
use crate::remote::{Hope, Refreshed};
use crate::stages::{Interruption, Question};
use crate::trace::Trace;
use crate::{Environment, Secrets};

/// The most tokens that each worker remembers.
const MAXIMUM_REMEMBERED: u32 = 65_536;

/// The most issuers.
const MAXIMUM_ISSUERS: usize = 64;

/// A compiled `identity.jwt` section.
#[derive(Debug)]
pub(crate) struct JwtRules {
    pub(super) sources: Vec<Source>,
    issuers: Vec<IssuerRules>,
    dpop: Option<DpopRules>,
    remembered: Mutex<TokenCache>,
    headers: Mutex<KnownHeaders>,
    /// Whether what comes after the identity stage looks at claims: a token's are most of what remembering it takes.
    keeps_claims: bool,
}

#[derive(Debug)]
struct IssuerRules {
    /// Its name in the document.
    name: String,
    claims: ClaimRules,
    keys: KeySource,
    /// In lower case, without `application/`.
    token_types: Vec<String>,
    binding: Option<TokenBinding>,
    payload_header: Option<String>,
}

/// A token that was verified, and what it says. What may change until it is used again is checked then.
#[derive(Debug)]
pub(super) struct Verified {
    /// Which issuer's it is.
    pub(super) issuer: usize,
    pub(super) principal: Arc<RenderedPrincipal>,
    /// The `kid` of the key that verified it, whether the token named it or not.
    pub(super) key_id: Option<Arc<str>>,
    pub(super) confirmation: Option<Confirmation>,
    /// Header fields for the upstream.
    pub(super) edits: Vec<HeaderEdit>,
    pub(super) claims: Option<Arc<Claims>>,
    validity: Validity,
    /// The generation of the key set that it was verified with.
    generation: u64,
}

impl JwtRules {
    pub(crate) fn compile(
        section: &JwtSection,
        keeps_claims: bool,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        const FIELD: &str = "identity.jwt";
        if !(1..=MAXIMUM_ISSUERS).contains(&section.issuers.len()) {
            let message = format!("expected 1 to {MAXIMUM_ISSUERS} issuers");
            return Err(CompileError::new(format!("{FIELD}.issuers"), message));
        }
        if section.remembered_tokens > MAXIMUM_REMEMBERED {
            let message = format!("expected at most {MAXIMUM_REMEMBERED}");
            return Err(CompileError::new(format!("{FIELD}.remembered_tokens"), message));
        }
        let mut issuers: Vec<IssuerRules> = Vec::with_capacity(section.issuers.len());
        for (index, issuer) in section.issuers.iter().enumerate() {
            let field = format!("{FIELD}.issuers[{index}]");
            let compiled = IssuerRules::compile(issuer, &field, secrets)?;
            if issuers.iter().any(|known| known.claims.issuer == compiled.claims.issuer) {
                let message = "expected an issuer that is not listed before";
                return Err(CompileError::new(format!("{field}.issuer"), message));
            }
            if compiled.name == API_KEY {
                let message =
                    format!("expected another name than `{API_KEY}`, which stands for API keys");
                return Err(CompileError::new(format!("{field}.name"), message));
            }
            if issuers.iter().any(|known| known.name == compiled.name) {
                let message = "expected a name that no other issuer has";
                return Err(CompileError::new(format!("{field}.name"), message));
            }
            if compiled.binding == Some(TokenBinding::Dpop) && section.dpop.is_none() {
                let message = "expected `identity.jwt.dpop` beside it";
                return Err(CompileError::new(format!("{field}.binding"), message));
            }
            issuers.push(compiled);
        }
        let sources = Source::compile_all(&section.sources, &format!("{FIELD}.sources"))?;
        if section.dpop.is_some() && !sources.iter().any(Source::takes_dpop) {
            let message = "expected the authorization field, with a prefix, among `identity.jwt.sources` (RFC 9449 §7.1)";
            return Err(CompileError::new(format!("{FIELD}.dpop"), message));
        }
        let dpop = section.dpop.as_ref();
        let dpop = dpop.map(|dpop| DpopRules::compile(dpop, &format!("{FIELD}.dpop"), secrets));
        Ok(Self {
            sources,
            issuers,
            dpop: dpop.transpose()?,
            remembered: Mutex::new(TokenCache::new(section.remembered_tokens as usize)),
            headers: Mutex::default(),
            keeps_claims,
        })
    }

    /// Verifies a token: its form, its signature by its issuer's key, and its claims, in this order, so that nothing is told
    /// about claims that anybody could have written.
    pub(super) fn verify(
        &self,
        text: &str,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Arc<Verified>, Interruption> {
        let now = question.now;
        let digest = self.with_remembered(|cache| cache.digest(text, environment));
        if let Some(digest) = digest
            && let Some(verified) = self.remembered(digest, now)?
        {
            return Ok(verified);
        }
        let mut buffer = Buffer::default();
        let known = |encoded: &str| self.with_headers(|headers| headers.find(encoded));
        let token = Jws::parse(text, known, &mut buffer)?;
        let issuer = token.claims.text("iss");
        let issuers = self.issuers.iter().enumerate();
        let known =
            issuers.into_iter().find(|(_, rules)| issuer == Some(rules.claims.issuer.as_str()));
        let Some((index, rules)) = known else {
            let detail = "Get a token from an issuer that is accepted here.";
            return Err(Refusal::new(Reason::TokenIssuerUnknown, detail).into());
        };
        environment.note(|trace| trace.issuer(index));
        let mut verified = rules.verify(index, &token, question, environment)?;
        self.with_headers(|headers| headers.remember(token.encoded_header(), &token.header));
        verified.claims = self.keeps_claims.then(|| Arc::new(token.claims.to_map()));
        let verified = Arc::new(verified);
        if let Some(digest) = digest {
            self.with_remembered(|cache| cache.remember(digest, Arc::clone(&verified)));
        }
        Ok(verified)
    }

    /// A token that was verified before, if what it was verified with still holds.
    fn remembered(&self, digest: u128, now: Timestamp) -> Result<Option<Arc<Verified>>, Refusal> {
        let Some(verified) = self.with_remembered(|cache| cache.find(digest)) else {
            return Ok(None);
        };
        let Some(rules) = self.issuers.get(verified.issuer) else { return Ok(None) };
        let generation = rules.keys.current(now).map(|(_, generation)| generation);
        if generation != Some(verified.generation) {
            // Its key may have been taken back.
            self.with_remembered(|cache| cache.forget(digest));
            return Ok(None);
        }
        let good = verified.validity.check(now.seconds(), rules.claims.leeway_seconds);
        if now.seconds() >= verified.validity.ends(rules.claims.leeway_seconds) {
            self.with_remembered(|cache| cache.forget(digest));
        }
        good.map(|()| Some(verified))
    }

    fn with_remembered<T>(&self, action: impl FnOnce(&mut TokenCache) -> T) -> T {
        action(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_headers<T>(&self, action: impl FnOnce(&mut KnownHeaders) -> T) -> T {
        action(&mut self.headers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down whose token was verified, and with which key.
    pub(super) fn note(&self, verified: &Verified, trace: &mut Trace) {
        let Verified { issuer, key_id, .. } = verified;
        trace.issuer(*issuer);
        let name = self.issuers.get(*issuer).map_or("", |rules| rules.claims.issuer.as_str());
        let key = key_id
            .as_deref()
            .map_or("the issuer's only key".to_owned(), |id| format!("the key {id}"));
        let found = format!("a token of {name}, verified with {key}");
        trace.passed(Stage::Identity, format!("identity.jwt.issuers[{issuer}]"), found);
    }

    /// The place of the issuer of that name.
    pub(super) fn issuer_named(&self, name: &str) -> Option<usize> {
        self.issuers.iter().position(|issuer| issuer.name == name)
    }

    /// What proofs must be like, where tokens may be presented as RFC 9449 has it.
    pub(super) fn dpop(&self) -> Option<&DpopRules> {
        self.dpop.as_ref()
    }

    /// Whether the upstream sees tokens that are presented so.
    pub(super) fn forwards_dpop(&self) -> bool {
        self.sources.iter().any(|source| source.takes_dpop() && source.forwards())
    }

    /// Whether there are tokens that are good without a proof.
    pub(super) fn takes_bearer(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.binding != Some(TokenBinding::Dpop))
    }

    /// What an issuer's tokens must be bound to.
    pub(super) fn binding(&self, issuer: usize) -> Option<TokenBinding> {
        self.issuers.get(issuer)?.binding
    }

    /// Header fields that are made of claims: nobody else may set them.
    pub(super) fn claim_fields(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().flat_map(IssuerRules::claim_fields)
    }

    /// Those that are made of one issuer's claims.
    pub(super) fn claim_fields_of(&self, issuer: usize) -> impl Iterator<Item = &str> {
        self.issuers.get(issuer).into_iter().flat_map(IssuerRules::claim_fields)
    }

    /// What is fetched.
    pub(super) fn remotes(&self) -> impl Iterator<Item = Arc<dyn Refreshed>> {
        let remotes = self.issuers.iter().filter_map(|issuer| issuer.keys.remote());
        remotes.map(|remote| Arc::clone(remote) as Arc<dyn Refreshed>)
    }
}

impl IssuerRules {
    fn compile(issuer: &Issuer, field: &str, secrets: &dyn Secrets) -> Result<Self, CompileError> {
        let payload_header = issuer.payload_header.as_deref();
        let payload_header = payload_header
            .map(|name| header_name(name, &format!("{field}.payload_header")))
            .transpose()?;
        let claims = ClaimRules::compile(issuer, field)?;
        if claims.header_names().any(|name| payload_header.as_deref() == Some(name)) {
            let message = "expected a field that no claim is written to";
            return Err(CompileError::new(format!("{field}.payload_header"), message));
        }
        Ok(Self {
            name: issuer.name.clone().unwrap_or_else(|| issuer.issuer.clone()),
            claims,
            keys: KeySource::compile(issuer, field, secrets)?,
            token_types: token_types(issuer, &format!("{field}.token_types"))?,
            binding: issuer.binding,
            payload_header,
        })
    }

    fn claim_fields(&self) -> impl Iterator<Item = &str> {
        self.claims.header_names().chain(self.payload_header.as_deref())
    }

    fn verify(
        &self,
        index: usize,
        token: &Jws<'_>,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Verified, Interruption> {
        let token_type = token.header.token_type();
        if !self.token_types.iter().any(|known| is_media_type(token_type, known)) {
            let expected = format!("typ {}", self.token_types.join(" or "));
            return Err(Refusal::new(
                Reason::TokenUnsupported,
                "Present a token of a type that is accepted here.",
            )
            .finding("authorization", expected)
            .into());
        }
        let (keys, generation) = self.keys_for(token, question, environment)?;
        let key = keys.verify_jws(&token.signature(), environment)?;
        let (principal, validity) = self.claims.check(&token.claims, question.now.seconds())?;
        let mut edits = self.claims.header_edits(&token.claims)?;
        if let Some(name) = &self.payload_header {
            edits.push(HeaderEdit::Set(name.clone(), token.payload().to_owned()));
        }
        Ok(Verified {
            issuer: index,
            principal: Arc::new(principal.into()),
            key_id: key.id.clone(),
            confirmation: Confirmation::read(&token.claims)?,
            edits,
            validity,
            generation,
            claims: None,
        })
    }

    /// The keys to verify a token with: those that are known, or where its own is not among them those that are known after
    /// the issuer was asked.
    fn keys_for(
        &self,
        token: &Jws<'_>,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<(Arc<KeySet>, u64), Interruption> {
        let Question { since, now, .. } = *question;
        let has_key = |keys: &KeySet| keys.find(token.header.key_id.as_deref()).is_some();
        let known = self.keys.current(now).filter(|(keys, _)| has_key(keys));
        if let Some(known) = known {
            return Ok(known);
        }
        if let Some(remote) = self.keys.remote() {
            // Another worker may know more already.
            remote.learn(environment);
            if let Some(known) = self.keys.current(now).filter(|(keys, _)| has_key(keys)) {
                return Ok(known);
            }
            if remote.demand(since, now) == Hope::Wait {
                return Err(Interruption::Wait);
            }
        }
        // Where there are keys, the signature's own check says that none of them is the token's.
        self.keys.current(now).ok_or_else(|| {
            Refusal::new(Reason::IdentityUnavailable, "Try again in a moment.")
                .header("retry-after", "5")
                .into()
        })
    }
}

fn token_types(issuer: &Issuer, field: &str) -> Result<Vec<String>, CompileError> {
    let Some(names) = &issuer.token_types else {
        return Ok(["jwt", "at+jwt"].map(str::to_owned).to_vec());
    };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(CompileError::new(field, "expected at least one type, such as at+jwt"));
    }
    Ok(names.iter().map(|name| super::token::media_type(name)).collect())
}

#[cfg(test)]
impl Verified {
    /// One that says nothing but whose it is.
    pub(super) fn for_tests(issuer: usize, tenant: Option<&str>) -> Self {
        let tenant = tenant.map(str::to_owned);
        Self {
            issuer,
            principal: Arc::new(
                crate::Principal { tenant, ..crate::Principal::anonymous() }.into(),
            ),
            key_id: None,
            confirmation: None,
            edits: Vec::new(),
            claims: None,
            validity: Validity::for_ever(),
            generation: 0,
        }
    }
}
