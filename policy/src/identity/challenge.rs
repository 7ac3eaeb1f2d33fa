//! The challenge that every 401 needs (RFC 9110 §11.6.1).

use super::dpop::algorithm_names;
use super::jwt::JwtRules;
use crate::problem::{Reason, Refusal};

/// Adds to a refusal how to authenticate (RFC 6750 §3, RFC 9449 §7.1): all schemes that are accepted, the one that was used first,
/// with an error code where a token was presented by it.
pub(super) fn challenge(jwt: Option<&JwtRules>, used_dpop: bool, refusal: Refusal) -> Refusal {
    let has_challenge = refusal.headers.iter().any(|(name, _)| *name == "www-authenticate");
    if refusal.reason.status() != 401 || has_challenge {
        return refusal;
    }
    let Some(jwt) = jwt else {
        return refusal.header("www-authenticate", "ApiKey realm=\"portcullis\"");
    };
    let takes_dpop = jwt.dpop().is_some();
    let bearer = BEARER_CHALLENGE.to_owned();
    let dpop = format!("DPoP realm=\"portcullis\", algs=\"{}\"", algorithm_names());
    let (used, other) = match used_dpop && takes_dpop {
        true => (dpop, jwt.takes_bearer().then_some(bearer)),
        // Also where every token must be bound: it is what the client has used.
        false => (bearer, takes_dpop.then_some(dpop)),
    };
    let challenge = match error_code(refusal.reason) {
        // Without an error code where no token was presented.
        None if !used_dpop && !jwt.takes_bearer() => other.unwrap_or(used),
        None => joined(used, other),
        Some(code) => {
            let title = refusal.reason.title();
            joined(format!("{used}, error=\"{code}\", error_description=\"{title}\""), other)
        }
    };
    refusal.header("www-authenticate", challenge)
}

fn joined(used: String, other: Option<String>) -> String {
    match other {
        None => used,
        Some(other) => format!("{used}, {other}"),
    }
}

fn error_code(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::CredentialMissing
        | Reason::ApiKeyInvalid
        | Reason::ApiKeyExpired
        | Reason::ApiKeyNotYetValid
        | Reason::ApiKeyRevoked => None,
        Reason::DpopProofInvalid | Reason::DpopProofReplayed => Some("invalid_dpop_proof"),
        Reason::DpopNonceRequired => Some("use_dpop_nonce"),
        _ => Some("invalid_token"),
    }
}

const BEARER_CHALLENGE: &str = "Bearer realm=\"portcullis\"";
