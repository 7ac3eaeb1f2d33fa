//! Whom a token is bound to: its `cnf` claim (RFC 7800).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Json, Members};
use super::token::malformed;
use crate::document::TokenBinding;
use crate::problem::{Reason, Refusal};

/// A SHA-256 digest.
pub(super) type Digest = [u8; 32];

/// What a token is bound to. Where it is bound to both, both must be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// The client certificate's digest (RFC 8705 §3.1).
    pub(super) certificate: Option<Digest>,
    /// The thumbprint (RFC 7638) of the key that DPoP proofs are signed with (RFC 9449 §6.1).
    pub(super) key: Option<Digest>,
}

impl Confirmation {
    /// Reads the claim. A way of confirming that is not known here cannot be checked, so the token is refused.
    pub(super) fn read(claims: &Members<'_>) -> Result<Option<Self>, Refusal> {
        let members = match claims.get("cnf") {
            None => return Ok(None),
            Some(Json::Object(members)) => members,
            Some(_) => return Err(malformed("an object as claim cnf")),
        };
        let digest = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(value) => {
                let bytes = value.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
                let digest = bytes.and_then(|bytes| Digest::try_from(bytes).ok());
                digest
                    .map(Some)
                    .ok_or_else(|| malformed(&format!("a SHA-256 digest as cnf.{name}")))
            }
        };
        let confirmation = Self { certificate: digest("x5t#S256")?, key: digest("jkt")? };
        let known = usize::from(confirmation.certificate.is_some())
            + usize::from(confirmation.key.is_some());
        if known == 0 || known != members.len() {
            let detail = "Get a token that is bound to a client certificate or to a DPoP key.";
            return Err(Refusal::new(Reason::TokenUnsupported, detail)
                .finding("authorization", "cnf with x5t#S256 (RFC 8705) or jkt (RFC 9449)"));
        }
        Ok(Some(confirmation))
    }

    /// Whether a token is bound as its issuer's must be.
    pub(super) fn satisfies(confirmation: Option<&Self>, binding: Option<TokenBinding>) -> bool {
        let certificate =
            confirmation.is_some_and(|confirmation| confirmation.certificate.is_some());
        let key = confirmation.is_some_and(|confirmation| confirmation.key.is_some());
        match binding {
            None => true,
            Some(TokenBinding::Certificate) => certificate,
            Some(TokenBinding::Dpop) => key,
            Some(TokenBinding::Any) => certificate || key,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(cnf: Value) -> Result<Option<Confirmation>, Reason> {
        let claims = json!({ "cnf": cnf }).to_string();
        Confirmation::read(&Members::of(&claims)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn only_what_can_be_checked_is_accepted() {
        let digest = URL_SAFE_NO_PAD.encode([7; 32]);
        let bound = read(json!({"x5t#S256": digest})).unwrap().unwrap();
        assert_eq!(bound, Confirmation { certificate: Some([7; 32]), key: None });
        assert!(read(json!({"x5t#S256": digest, "jkt": digest})).unwrap().is_some());
        assert_eq!(Confirmation::read(&Members::default()).unwrap(), None);
        for cnf in [
            json!(null),
            json!("a"),
            json!([]),
            json!({"jkt": 1}),
            json!({"jkt": "AA"}),
            json!({"x5t#S256": null}),
        ] {
            assert_eq!(read(cnf.clone()), Err(Reason::TokenMalformed), "{cnf}");
        }
        for cnf in
            [json!({}), json!({"jwk": {}}), json!({"jkt": digest, "kid": "a"}), json!({"x5t": "a"})]
        {
            assert_eq!(read(cnf.clone()), Err(Reason::TokenUnsupported), "{cnf}");
        }
    }

    #[test]
    fn an_issuer_can_ask_for_a_binding() {
        let both = Confirmation { certificate: Some([1; 32]), key: None };
        assert!(Confirmation::satisfies(None, None));
        assert!(!Confirmation::satisfies(None, Some(TokenBinding::Any)));
        assert!(Confirmation::satisfies(Some(&both), Some(TokenBinding::Any)));
        assert!(Confirmation::satisfies(Some(&both), Some(TokenBinding::Certificate)));
        assert!(!Confirmation::satisfies(Some(&both), Some(TokenBinding::Dpop)));
    }
}
