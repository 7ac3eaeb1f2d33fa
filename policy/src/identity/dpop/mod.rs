//! Proofs of possession (RFC 9449): a token that is bound to a key is good only together with a proof, signed by that
//! key, which is about this request and no other.
//!
//! A proof is checked in `proof`, the URI that it is for in `uri`, the nonce that it may have to hold in `nonce`; that it is
//! used once is seen to in `replays`.

mod nonce;
mod proof;
mod replays;
mod uri;

use super::confirmation::Digest;
use crate::access::{Header, single};
use crate::document::DpopSection;
use crate::exchange::HeaderEdit;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::Question;
use crate::{Environment, Secrets};

use nonce::{Freshness, Nonces};
use proof::{Proof, invalid};
use replays::{NotRecorded, Replays};
use uri::{Origin, TargetUri};

pub(super) use proof::algorithm_names;

/// The field that holds a proof (RFC 9449 §4.1).
pub(super) const FIELD: &str = "dpop";

/// The authentication scheme (RFC 9449 §7.1).
const SCHEME: &str = "dpop ";

/// How old a proof may be, in seconds, where the policy does not say.
const DEFAULT_MAX_AGE_SECONDS: u32 = 60;

/// The most that it may say.
const MAXIMUM_MAX_AGE_SECONDS: u32 = 300;

/// How far a client's clock may be ahead of ours, in seconds; never more than a proof may be old.
const LEEWAY_SECONDS: u64 = 30;

/// A compiled `identity.jwt.dpop` section.
#[derive(Debug)]
pub(super) struct DpopRules {
    max_age_seconds: u64,
    /// Where clients see the gate; none: at https and the authority that they name.
    origin: Option<Origin>,
    nonces: Option<Nonces>,
    replays: Replays,
}

/// A proof that holds. It counts when it has been [recorded](DpopRules::record), before which it could be a replay.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Proved {
    key: Digest,
    id: String,
    issued_at: u64,
    /// A nonce for the client's next proof, where its own will soon be too old.
    pub(super) next_nonce: Option<String>,
}

impl DpopRules {
    pub(super) fn compile(
        section: &DpopSection,
        field: &str,
        secrets: &dyn Secrets,
    ) -> Result<Self, CompileError> {
        let max_age_seconds = section.max_age_seconds.unwrap_or(DEFAULT_MAX_AGE_SECONDS);
        if !(1..=MAXIMUM_MAX_AGE_SECONDS).contains(&max_age_seconds) {
            let message = format!("expected 1 to {MAXIMUM_MAX_AGE_SECONDS}");
            return Err(CompileError::new(format!("{field}.max_age_seconds"), message));
        }
        let origin = section.origin.as_deref().map(|origin| {
            Origin::parse(origin).ok_or_else(|| {
                let message = "expected a scheme and an authority, such as https://api.example";
                CompileError::new(format!("{field}.origin"), message)
            })
        });
        let nonce_key = section
            .nonce_key
            .as_ref()
            .map(|source| CompileError::secret(secrets, source, &format!("{field}.nonce_key")));
        let max_age_seconds = u64::from(max_age_seconds);
        Ok(Self {
            max_age_seconds,
            origin: origin.transpose()?,
            nonces: nonce_key.transpose()?.map(|key| Nonces::new(key, max_age_seconds)),
            replays: Replays::default(),
        })
    }

    /// Whether a request uses the scheme.
    pub(super) fn is_used(headers: &[Header<'_>]) -> bool {
        let scheme = single(headers, "authorization").and_then(|value| value.get(..SCHEME.len()));
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }

    /// Checks the proof that comes with `token`, which is bound to the key with the thumbprint `bound_to`, in everything but
    /// that it is new (RFC 9449 §4.3).
    pub(super) fn check(
        &self,
        token: &str,
        bound_to: &Digest,
        question: &Question<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Proved, Refusal> {
        let proof = Proof::parse(presented(question.headers)?)?;
        // Whose key it is comes before what was signed with it: nobody gets a signature verified by a key of their choice.
        if !proof.is_by(bound_to) {
            let detail = "Sign the proof with the key that the token is bound to.";
            return Err(Refusal::new(Reason::TokenBindingMismatch, detail).finding(
                FIELD,
                "the jwk whose thumbprint is the token's cnf.jkt (RFC 9449 §6.1)",
            ));
        }
        proof.verify_signature(environment)?;
        proof.check_method(&question.target.method)?;
        proof.check_uri(&self.uri(question)?)?;
        let now = environment.now().seconds();
        let next_nonce = self.check_nonce(&proof, now)?;
        let issued_at = self.check_age(&proof, now)?;
        proof.check_token(token)?;
        Ok(Proved { key: *bound_to, id: proof.id()?.to_owned(), issued_at, next_nonce })
    }

    /// Takes note of a proof, which is thereby used up. To be called when nothing can hold the request up any more: what comes a
    /// second time is refused.
    pub(super) fn record(
        &self,
        proved: &Proved,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        let Proved { key, id, issued_at, .. } = proved;
        let recorded = self.replays.record(key, id, *issued_at, self.max_age_seconds, environment);
        recorded.map_err(|not_recorded| match not_recorded {
            NotRecorded::Replayed => {
                let detail = "Make a new proof, with a jti of its own, for every request.";
                Refusal::new(Reason::DpopProofReplayed, detail).finding(FIELD, "a jti that is new")
            }
            NotRecorded::TooOld => self.too_old(),
            NotRecorded::Unavailable { retry_seconds } => {
                Refusal::new(Reason::DpopReplaysUnavailable, "Try again later, with a new proof.")
                    .header("retry-after", retry_seconds.to_string())
            }
        })
    }

    /// What the response tells the client for its next proof (RFC 9449 §8.2).
    pub(super) fn response_edits(proved: &Proved) -> Vec<HeaderEdit> {
        let nonce = proved.next_nonce.iter();
        nonce
            .flat_map(|nonce| {
                let set =
                    |name: &str, value: &str| HeaderEdit::Set(name.to_owned(), value.to_owned());
                [set(NONCE_FIELD, nonce), set("cache-control", "no-store")]
            })
            .collect()
    }

    fn uri(&self, question: &Question<'_>) -> Result<TargetUri, Refusal> {
        let origin = self.origin.clone().or_else(|| Origin::of_request(question.headers));
        let origin = origin.ok_or_else(|| {
            let detail = "Name the host that the request is for.";
            Refusal::new(Reason::DpopProofInvalid, detail).finding("host", "host or host:port")
        })?;
        Ok(TargetUri::new(origin, &question.target.path))
    }

    /// Answers a nonce for the client's next proof, where it should have another.
    fn check_nonce(&self, proof: &Proof<'_>, now: u64) -> Result<Option<String>, Refusal> {
        let Some(nonces) = &self.nonces else { return Ok(None) };
        match proof.nonce().map_or(Freshness::Stale, |nonce| nonces.check(nonce, now)) {
            Freshness::Current => Ok(None),
            Freshness::Previous => Ok(Some(nonces.current(now))),
            Freshness::Stale => {
                let detail =
                    "Make a new proof with the nonce of the DPoP-Nonce field of this response.";
                Err(Refusal::new(Reason::DpopNonceRequired, detail)
                    .finding(FIELD, "a nonce that was given out lately (RFC 9449 §9)")
                    .header(NONCE_FIELD, nonces.current(now))
                    .header("cache-control", "no-store"))
            }
        }
    }

    /// Answers when the proof was made.
    fn check_age(&self, proof: &Proof<'_>, now: u64) -> Result<u64, Refusal> {
        let issued_at = proof.issued_at()?;
        let oldest = now.saturating_sub(self.max_age_seconds);
        let newest = now.saturating_add(LEEWAY_SECONDS.min(self.max_age_seconds));
        match (oldest..=newest).contains(&issued_at) {
            true => Ok(issued_at),
            false => Err(self.too_old()),
        }
    }

    fn too_old(&self) -> Refusal {
        invalid(&format!("an iat of the last {} seconds", self.max_age_seconds))
    }
}

/// RFC 9449 §8.1.
const NONCE_FIELD: &str = "dpop-nonce";

/// The proof as it stands in a request: exactly one.
fn presented<'a>(headers: &[Header<'a>]) -> Result<&'a str, Refusal> {
    let mut values = headers.iter().filter(|(name, _)| *name == FIELD).map(|(_, value)| *value);
    let Some(proof) = values.next() else {
        let detail = "Send a proof, made for this request, in the DPoP field.";
        return Err(Refusal::new(Reason::DpopProofMissing, detail)
            .finding(FIELD, "a DPoP proof (RFC 9449 §4.2)"));
    };
    // Some proxies join two fields of a name into one with a comma before we see them; no proof has one.
    if values.next().is_some() || proof.contains(&b',') {
        let refusal = Refusal::new(Reason::CredentialConflict, "Send one proof.");
        return Err(refusal.finding(FIELD, "this once"));
    }
    std::str::from_utf8(proof).map_err(|_| invalid("a JSON Web Token"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn field(section: serde_json::Value) -> String {
        let section: DpopSection = serde_json::from_value(section).unwrap();
        DpopRules::compile(&section, "dpop", &BTreeMap::new()).unwrap_err().field
    }

    #[test]
    fn sections_are_checked() {
        assert_eq!(field(serde_json::json!({"max_age_seconds": 0})), "dpop.max_age_seconds");
        assert_eq!(field(serde_json::json!({"max_age_seconds": 301})), "dpop.max_age_seconds");
        assert_eq!(field(serde_json::json!({"nonce_key": {"env": "NONE"}})), "dpop.nonce_key.env");
        for origin in [
            "",
            "api.example",
            "https://",
            "https://a/",
            "https://a/b",
            "ftp://a",
            "https://u@a",
            "https://a?",
        ] {
            assert_eq!(field(serde_json::json!({"origin": origin})), "dpop.origin", "{origin}");
        }
    }

    #[test]
    fn one_proof_is_read_and_no_more() {
        let read = |values: &[&str]| {
            let headers: Vec<Header<'_>> =
                values.iter().map(|value| (FIELD, value.as_bytes())).collect();
            presented(&headers).map(str::to_owned).map_err(|refusal| refusal.reason)
        };
        assert_eq!(read(&["a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(read(&[]), Err(Reason::DpopProofMissing));
        for twice in [["a.b.c", "a.b.c"].as_slice(), &["a.b.c", ""], &["a.b.c,a.b.c"], &["a.b.c, "]]
        {
            assert_eq!(read(twice), Err(Reason::CredentialConflict), "{twice:?}");
        }
    }

    #[test]
    fn the_scheme_is_known_in_any_case() {
        let used = |value: &str| DpopRules::is_used(&[("authorization", value.as_bytes())]);
        assert!(
            used("DPoP a")
                && used("dpop a")
                && !used("DPoPa")
                && !used("DPoP")
                && !used("Bearer a")
        );
        assert!(!DpopRules::is_used(&[]));
    }
}
