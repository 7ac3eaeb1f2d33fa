//! The claims of a token whose signature is good (RFC 7519 §4).

use serde_json::{Map, Value};

use super::token::malformed;
use crate::problem::{Reason, Refusal};
use crate::{CredentialKind, Principal};

/// What an issuer's claims must say, and where its tokens keep what we need.
#[derive(Debug, Clone)]
pub(super) struct ClaimRules {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    pub(super) leeway_seconds: u64,
    pub(super) roles_claim: String,
    pub(super) scopes_claim: String,
    pub(super) tenant_claim: String,
}

impl ClaimRules {
    /// Checks `iss`, `aud`, `exp`, `nbf` and `iat`. A token without `exp` is refused: it would be good for ever.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        now: u64,
    ) -> Result<Principal, Refusal> {
        for name in ["iss", "sub", "jti", "nonce", "kid"] {
            if claims.get(name).is_some_and(|value| !value.is_string()) {
                return Err(malformed(&format!("a string as claim {name}")));
            }
        }
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(Refusal::new(
                Reason::TokenIssuerUnknown,
                "Get a token from an issuer that is accepted here.",
            ));
        }
        self.check_audience(claims)?;
        self.check_time(claims, now)?;
        self.principal(claims)
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let accepted = |audience: &str| self.audiences.iter().any(|known| known == audience);
        let matches = match claims.get("aud") {
            Some(Value::String(audience)) => accepted(audience),
            Some(Value::Array(audiences)) => {
                if !audiences.iter().all(Value::is_string) {
                    return Err(malformed("a string or strings as claim aud"));
                }
                audiences.iter().filter_map(Value::as_str).any(accepted)
            }
            None => false,
            Some(_) => return Err(malformed("a string or strings as claim aud")),
        };
        if matches {
            return Ok(());
        }
        let detail = "Ask your issuer for a token for this service.";
        Err(Refusal::new(Reason::TokenAudienceMismatch, detail))
    }

    fn check_time(&self, claims: &Map<String, Value>, now: u64) -> Result<(), Refusal> {
        let expires = time(claims, "exp")?.ok_or_else(|| malformed("a claim exp"))?;
        if now >= expires.saturating_add(self.leeway_seconds) {
            return Err(Refusal::new(Reason::TokenExpired, "Get a new token from your issuer."));
        }
        for name in ["nbf", "iat"] {
            let begins = time(claims, name)?.unwrap_or(0);
            if begins > now.saturating_add(self.leeway_seconds) {
                let detail = "Use the token when it has become valid, or set the issuer's clock.";
                return Err(Refusal::new(Reason::TokenNotYetValid, detail));
            }
        }
        Ok(())
    }

    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, Refusal> {
        let text = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(&format!("a string as claim {name}"))),
        };
        let subject = text("sub")?.filter(|subject| !subject.is_empty());
        Ok(Principal {
            // Without a subject all of an issuer's callers would share limits and records.
            subject: subject.ok_or_else(|| malformed("a claim sub"))?,
            tenant: text(&self.tenant_claim)?,
            roles: words(claims, &self.roles_claim)?,
            scopes: words(claims, &self.scopes_claim)?,
            via: CredentialKind::Jwt,
            credential_id: text("jti")?,
        })
    }
}

/// A NumericDate (RFC 7519 §2) in whole seconds.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
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
fn words(claims: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let expected = || malformed(&format!("strings as claim {name}"));
    let mut words: Vec<String> = match claims.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items
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
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn check(change: Value) -> Result<Principal, Reason> {
        let rules = ClaimRules {
            issuer: "https://issuer.example".into(),
            audiences: vec!["scam-detector".into()],
            leeway_seconds: 30,
            roles_claim: "roles".into(),
            scopes_claim: "scope".into(),
            tenant_claim: "tenant".into(),
        };
        let mut claims = json!({
            "iss": "https://issuer.example", "sub": "alice", "aud": "scam-detector",
            "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "t1",
            "roles": ["caller", "admin", "caller"], "scope": "b a", "tenant": "acme",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Map<String, Value> = claims
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(_, v)| *v != json!("absent"))
            .collect();
        rules.check(&claims, NOW).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_good_token_names_its_principal() {
        let principal = check(json!({})).unwrap();
        assert_eq!(principal.subject, "alice");
        assert_eq!(principal.tenant.as_deref(), Some("acme"));
        assert_eq!(principal.roles, ["admin", "caller"]);
        assert_eq!(principal.scopes, ["a", "b"]);
        assert_eq!(principal.credential_id.as_deref(), Some("t1"));
        assert!(check(json!({"aud": ["x", "scam-detector"]})).is_ok());
    }

    #[test]
    fn time_is_checked_with_leeway() {
        assert!(check(json!({"exp": NOW - 29})).is_ok());
        assert_eq!(check(json!({"exp": NOW - 30})), Err(Reason::TokenExpired));
        assert!(check(json!({"nbf": NOW + 30})).is_ok());
        assert_eq!(check(json!({"nbf": NOW + 31})), Err(Reason::TokenNotYetValid));
        assert_eq!(check(json!({"iat": NOW + 31})), Err(Reason::TokenNotYetValid));
        assert_eq!(check(json!({"exp": "absent"})), Err(Reason::TokenMalformed));
    }

    #[test]
    fn claims_of_the_wrong_type_are_refused() {
        for claims in [
            json!({"exp": "9999999999"}),
            json!({"exp": 1e18}),
            json!({"exp": -1}),
            json!({"exp": 1_800_000_000.5}),
            json!({"exp": null}),
            json!({"exp": [NOW + 60]}),
            json!({"nbf": "0"}),
            json!({"sub": 1}),
            json!({"sub": ""}),
            json!({"sub": "absent"}),
            json!({"iss": ["https://issuer.example"]}),
            json!({"aud": {"scam-detector": 1}}),
            json!({"aud": ["scam-detector", 1]}),
            json!({"roles": {"admin": true}}),
            json!({"roles": ["a", 1]}),
            json!({"tenant": ["acme"]}),
        ] {
            assert_eq!(check(claims.clone()), Err(Reason::TokenMalformed), "{claims}");
        }
    }

    #[test]
    fn issuer_and_audience_are_compared_exactly() {
        for issuer in ["https://issuer.example/", "HTTPS://issuer.example", "", "absent"] {
            assert_eq!(check(json!({"iss": issuer})), Err(Reason::TokenIssuerUnknown), "{issuer}");
        }
        for audience in [json!("scam"), json!("scam-detector "), json!([]), json!("absent")] {
            assert_eq!(check(json!({"aud": audience})), Err(Reason::TokenAudienceMismatch));
        }
    }
}
