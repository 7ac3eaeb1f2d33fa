//! The claims of a token whose signature is good (RFC 7519 §4).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::claim::{ClaimCondition, ClaimPath};
use super::json::{Json, Members};
use super::token::malformed;
use crate::document::{ClaimHeader, Issuer, TextMatch};
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::{CredentialKind, Principal, access};

/// The most that clocks are let differ, in seconds.
const MAXIMUM_LEEWAY_SECONDS: u32 = 300;

/// The longest value of a header field that is made of a claim, in bytes.
const MAXIMUM_FIELD_BYTES: usize = 4096;

/// What an issuer's claims must say, and where its tokens keep what we need.
#[derive(Debug, Clone)]
pub(super) struct ClaimRules {
    pub(super) issuer: String,
    pub(super) leeway_seconds: u64,
    audiences: Vec<String>,
    requires_audience: bool,
    subjects: Option<TextMatch>,
    max_lifetime_seconds: Option<u64>,
    required: Vec<ClaimCondition>,
    roles: ClaimPath,
    scopes: ClaimPath,
    tenant: ClaimPath,
    tenants: Option<Vec<String>>,
    plan: Option<ClaimPath>,
    headers: Vec<(ClaimPath, String)>,
}

/// When a token is good, in seconds since the epoch, without any leeway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    expires: u64,
    /// The later of `nbf` and `iat`.
    begins: u64,
}

impl Validity {
    /// Whether it is good now, as far as clocks may differ.
    pub(super) fn check(self, now: u64, leeway_seconds: u64) -> Result<(), Refusal> {
        if now >= self.expires.saturating_add(leeway_seconds) {
            return Err(Refusal::new(Reason::TokenExpired, "Get a new token from your issuer."));
        }
        if self.begins > now.saturating_add(leeway_seconds) {
            let detail = "Use the token when it has become valid, or set the issuer's clock.";
            return Err(Refusal::new(Reason::TokenNotYetValid, detail));
        }
        Ok(())
    }

    /// From when on no clock counts it as good.
    pub(super) fn ends(self, leeway_seconds: u64) -> u64 {
        self.expires.saturating_add(leeway_seconds)
    }
}

#[cfg(test)]
impl Validity {
    pub(super) fn for_ever() -> Self {
        Self { expires: MAXIMUM_TIME, begins: 0 }
    }
}

impl ClaimRules {
    pub(super) fn compile(issuer: &Issuer, field: &str) -> Result<Self, CompileError> {
        let error = |name: &str, message: String| {
            Err(CompileError::new(format!("{field}.{name}"), message))
        };
        if issuer.issuer.is_empty() {
            return error("issuer", "expected a text that is not empty".to_owned());
        }
        if issuer.audiences.is_empty() {
            let message =
                "expected at least one audience: else tokens for other services are accepted";
            return error("audiences", message.to_owned());
        }
        if let Some(index) = issuer.audiences.iter().position(String::is_empty) {
            let message = "expected a text that is not empty".to_owned();
            return error(&format!("audiences[{index}]"), message);
        }
        if !issuer.requires_audience && issuer.required_claims.is_empty() {
            let message = "expected required_claims that say for whom tokens without an audience are, such as client_id";
            return error("requires_audience", message.to_owned());
        }
        if issuer.leeway_seconds > MAXIMUM_LEEWAY_SECONDS {
            return error("leeway_seconds", format!("expected at most {MAXIMUM_LEEWAY_SECONDS}"));
        }
        if issuer.max_lifetime_seconds == Some(0) {
            return error("max_lifetime_seconds", "expected at least 1".to_owned());
        }
        if let Some(subjects) = &issuer.subjects {
            subjects.check(&format!("{field}.subjects"))?;
        }
        let path = |text: &str, name: &str| ClaimPath::compile(text, &format!("{field}.{name}"));
        Ok(Self {
            issuer: issuer.issuer.clone(),
            leeway_seconds: u64::from(issuer.leeway_seconds),
            audiences: issuer.audiences.clone(),
            requires_audience: issuer.requires_audience,
            subjects: issuer.subjects.clone(),
            max_lifetime_seconds: issuer.max_lifetime_seconds.map(u64::from),
            required: ClaimCondition::compile_all(
                &issuer.required_claims,
                &format!("{field}.required_claims"),
            )?,
            roles: path(&issuer.roles_claim, "roles_claim")?,
            scopes: path(&issuer.scopes_claim, "scopes_claim")?,
            tenant: path(&issuer.tenant_claim, "tenant_claim")?,
            tenants: issuer.tenants.clone(),
            plan: issuer.plan_claim.as_ref().map(|claim| path(claim, "plan_claim")).transpose()?,
            headers: compile_headers(&issuer.claim_headers, field)?,
        })
    }

    /// Checks `iss`, `aud`, `sub`, `exp`, `nbf`, `iat` and what else this issuer's tokens must say. A token without
    /// `exp` is refused: it would be good for ever.
    pub(super) fn check(
        &self,
        claims: &Members<'_>,
        now: u64,
    ) -> Result<(Principal, Validity), Refusal> {
        for name in ["iss", "sub", "jti", "nonce", "kid"] {
            if claims.get(name).is_some_and(|value| !value.is_string()) {
                return Err(malformed(&format!("a string as claim {name}")));
            }
        }
        if claims.text("iss") != Some(self.issuer.as_str()) {
            return Err(Refusal::new(
                Reason::TokenIssuerUnknown,
                "Get a token from an issuer that is accepted here.",
            ));
        }
        self.check_audience(claims)?;
        let validity = self.validity(claims)?;
        validity.check(now, self.leeway_seconds)?;
        let principal = self.principal(claims)?;
        if let Some(missing) = self.required.iter().find(|condition| !condition.holds_in(claims)) {
            let detail = "Ask your issuer for a token with the claims that this service needs.";
            let expected = format!("the claim {} as this service needs it", missing.path.as_str());
            return Err(
                Refusal::new(Reason::TokenClaimMissing, detail).finding("authorization", expected)
            );
        }
        Ok((principal, validity))
    }

    /// The header fields that are made of claims.
    pub(super) fn header_edits(&self, claims: &Members<'_>) -> Result<Vec<HeaderEdit>, Refusal> {
        let found = self
            .headers
            .iter()
            .filter_map(|(path, name)| Some((path, name, path.find_in(claims)?)));
        found
            .map(|(path, name, value)| match field_value(value) {
                Some(text) => Ok(HeaderEdit::Set(name.clone(), text)),
                None => Err(malformed(&format!(
                    "a string, integer of 64 bits, boolean or array of them, of at most {MAXIMUM_FIELD_BYTES} bytes, as claim {}",
                    path.as_str()
                ))),
            })
            .collect()
    }

    /// The names of the header fields that are made of claims.
    pub(super) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(_, name)| name.as_str())
    }

    fn check_audience(&self, claims: &Members<'_>) -> Result<(), Refusal> {
        let accepted = |audience: &str| self.audiences.iter().any(|known| known == audience);
        let matches = match claims.get("aud") {
            Some(Json::Text(audience)) => accepted(audience),
            Some(Json::Array(audiences)) => {
                if !audiences.iter().all(Json::is_string) {
                    return Err(malformed("a string or strings as claim aud"));
                }
                audiences.iter().filter_map(Json::as_str).any(accepted)
            }
            None => !self.requires_audience,
            Some(_) => return Err(malformed("a string or strings as claim aud")),
        };
        if matches {
            return Ok(());
        }
        let detail = "Ask your issuer for a token for this service.";
        Err(Refusal::new(Reason::TokenAudienceMismatch, detail))
    }

    fn validity(&self, claims: &Members<'_>) -> Result<Validity, Refusal> {
        let expires = time(claims, "exp")?.ok_or_else(|| malformed("a claim exp"))?;
        let issued = time(claims, "iat")?;
        let not_before = time(claims, "nbf")?.unwrap_or(0);
        if let Some(longest) = self.max_lifetime_seconds {
            let issued = issued.ok_or_else(|| malformed("a claim iat"))?;
            if expires.saturating_sub(issued) > longest {
                let detail = "Ask your issuer for a token that expires sooner.";
                let expected = format!("a token that is good for at most {longest} seconds");
                return Err(Refusal::new(Reason::TokenLifetimeTooLong, detail)
                    .finding("authorization", expected));
            }
        }
        Ok(Validity { expires, begins: not_before.max(issued.unwrap_or(0)) })
    }

    fn principal(&self, claims: &Members<'_>) -> Result<Principal, Refusal> {
        let text = |value: Option<&Json<'_>>, name: &str| match value {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.as_ref().to_owned())),
            Some(_) => Err(malformed(&format!("a string as claim {name}"))),
        };
        let subject = text(claims.get("sub"), "sub")?.filter(|subject| !subject.is_empty());
        // Without a subject all of an issuer's callers would share limits and records.
        let subject = subject.ok_or_else(|| malformed("a claim sub"))?;
        if self.subjects.as_ref().is_some_and(|subjects| !subjects.matches(&subject)) {
            let detail = "Get a token for a subject that is accepted here.";
            return Err(Refusal::new(Reason::TokenSubjectDenied, detail));
        }
        let tenant = text(self.tenant.find_in(claims), self.tenant.as_str())?;
        if let (Some(tenant), Some(tenants)) = (&tenant, &self.tenants)
            && !tenants.contains(tenant)
        {
            let detail = "Get a token from the issuer of your tenant.";
            return Err(Refusal::new(Reason::TokenTenantDenied, detail));
        }
        let plan = match &self.plan {
            Some(path) => text(path.find_in(claims), path.as_str())?,
            None => None,
        };
        Ok(Principal {
            issuer: Some(self.issuer.clone()),
            subject,
            tenant,
            plan,
            roles: words(claims, &self.roles)?,
            scopes: words(claims, &self.scopes)?,
            via: CredentialKind::Jwt,
            credential_id: text(claims.get("jti"), "jti")?,
        })
    }
}

fn compile_headers(
    headers: &[ClaimHeader],
    field: &str,
) -> Result<Vec<(ClaimPath, String)>, CompileError> {
    let mut compiled: Vec<(ClaimPath, String)> = Vec::with_capacity(headers.len());
    for (index, header) in headers.iter().enumerate() {
        let field = format!("{field}.claim_headers[{index}]");
        let name = header_name(&header.header, &format!("{field}.header"))?;
        if compiled.iter().any(|(_, other)| *other == name) {
            let message = "expected a field that no other claim is written to";
            return Err(CompileError::new(format!("{field}.header"), message));
        }
        let path = ClaimPath::compile(&header.claim, &format!("{field}.claim"))?;
        compiled.push((path, name));
    }
    Ok(compiled)
}

/// The name of a field that Portcullis sets for the upstream, in lower case. Not one that says how a request is to be read,
/// and not one that says something else.
pub(super) fn header_name(name: &str, field: &str) -> Result<String, CompileError> {
    let name = name.to_ascii_lowercase();
    if !access::is_token(&name) || access::is_reserved(&name) || access::has_meaning(&name) {
        let message = "expected the name of a field of your own, such as x-user-email";
        return Err(CompileError::new(field, message));
    }
    Ok(name)
}

/// All but visible ASCII and the space; and the escape itself.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Likewise, in the items of an array, which commas part.
const ESCAPED_IN_ARRAYS: &AsciiSet = &ESCAPED.add(b',');

/// A claim as the value of a field: nothing in it can end the field or begin another.
fn field_value(value: &Json<'_>) -> Option<String> {
    let scalar = |value: &Json<'_>, escaped: &'static AsciiSet| match value {
        Json::Text(text) => Some(with_blanks_kept(utf8_percent_encode(text, escaped).to_string())),
        // What was read as a floating-point number is not what the token says.
        Json::Number(number) if number.is_f64() => None,
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    let text = match value {
        Json::Array(items) => {
            let items = items.iter().map(|item| scalar(item, ESCAPED_IN_ARRAYS));
            items.collect::<Option<Vec<_>>>()?.join(",")
        }
        one => scalar(one, ESCAPED)?,
    };
    (text.len() <= MAXIMUM_FIELD_BYTES).then_some(text)
}

/// Blanks at the ends are no part of a field's value (RFC 9110 §5.5), nor of an item's in a list: they would be lost, and
/// `admin ` would be `admin`.
fn with_blanks_kept(text: String) -> String {
    let text = match text.strip_prefix(' ') {
        Some(rest) => format!("%20{rest}"),
        None => text,
    };
    match text.strip_suffix(' ') {
        Some(rest) => format!("{rest}%20"),
        None => text,
    }
}

/// A NumericDate (RFC 7519 §2) in whole seconds.
fn time(claims: &Members<'_>, name: &str) -> Result<Option<u64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|seconds| *seconds <= MAXIMUM_TIME) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(malformed(&format!("a whole number of seconds as claim {name}"))),
        },
    }
}

/// 9999-12-31: what RFC 3339 can write.
const MAXIMUM_TIME: u64 = 253_402_300_799;

/// An array of strings or a space-separated string, sorted and without duplicates.
fn words(claims: &Members<'_>, path: &ClaimPath) -> Result<Vec<String>, Refusal> {
    let expected = || malformed(&format!("strings as claim {}", path.as_str()));
    let mut words: Vec<String> = match path.find_in(claims) {
        None => return Ok(Vec::new()),
        Some(Json::Text(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(expected))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(expected()),
    };
    words.sort_unstable();
    words.dedup();
    Ok(words)
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
