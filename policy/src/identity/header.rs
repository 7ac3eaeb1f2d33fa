//! The JOSE header of a token (RFC 7515 §4): what it may say, and what is asked of it.

use std::sync::Arc;

use super::json::{Json, Members};
use super::token::malformed;
use crate::problem::{Reason, Refusal};

/// What is asked of a header that says nothing it may not.
#[derive(Debug)]
pub(super) struct JoseHeader {
    /// `alg`
    pub(super) algorithm: String,
    /// `kid`
    pub(super) key_id: Option<String>,
    /// `typ`
    token_type: Option<String>,
}

/// Headers of tokens that were verified, as they are written. An issuer writes the same one until its key changes, so it is
/// not decoded, read and checked for each of its tokens: what is the same text says the same.
#[derive(Debug, Default)]
pub(super) struct KnownHeaders {
    list: Vec<(Box<str>, Arc<JoseHeader>)>,
    /// Which one makes room for the next.
    oldest: usize,
}

/// How many are known at most: a few issuers with a few keys each.
const MAXIMUM_KNOWN: usize = 8;

/// The longest that is known, encoded.
const MAXIMUM_KNOWN_BYTES: usize = 512;

impl JoseHeader {
    /// Checks a header, and takes from it what is asked.
    pub(super) fn of(members: &Members<'_>) -> Result<Self, Refusal> {
        check(members, false)?;
        let text = |name| members.text(name).map(str::to_owned);
        Ok(Self {
            algorithm: text("alg").unwrap_or_default(),
            key_id: text("kid"),
            token_type: text("typ"),
        })
    }

    /// What kind of token it says it is, `jwt` where it does not say.
    pub(super) fn token_type(&self) -> &str {
        self.token_type.as_deref().unwrap_or("jwt")
    }
}

impl KnownHeaders {
    pub(super) fn find(&self, encoded: &str) -> Option<Arc<JoseHeader>> {
        let found = self.list.iter().find(|(known, _)| **known == *encoded);
        found.map(|(_, header)| Arc::clone(header))
    }

    /// Remembers the header of a token that was verified.
    pub(super) fn remember(&mut self, encoded: &str, header: &Arc<JoseHeader>) {
        let is_known = self.list.iter().any(|(_, known)| Arc::ptr_eq(known, header));
        if is_known || encoded.len() > MAXIMUM_KNOWN_BYTES {
            return;
        }
        let fresh = (encoded.into(), Arc::clone(header));
        match self.list.get_mut(self.oldest) {
            Some(place) => *place = fresh,
            None => self.list.push(fresh),
        }
        self.oldest = self.oldest.saturating_add(1) % MAXIMUM_KNOWN;
    }
}

/// RFC 7515 §4.1 and RFC 8725 §3: what the header may say. That of a proof (RFC 9449 §4.2) has a key.
pub(super) fn check(header: &Members<'_>, takes_key: bool) -> Result<(), Refusal> {
    let unsupported = |expected: &str| {
        Err(Refusal::new(Reason::TokenUnsupported, "Use a plain signed token.")
            .finding("authorization", expected))
    };
    for name in ["alg", "kid", "typ", "cty", "jku", "x5u", "x5t", "x5t#S256"] {
        if header.get(name).is_some_and(|value| !value.is_string()) {
            return Err(malformed(&format!("a string as header parameter {name}")));
        }
    }
    if header.get("alg").is_none() {
        return Err(malformed("an alg header parameter"));
    }
    if header.text("kid").is_some_and(|kid| kid.len() > 256) {
        return Err(malformed("a kid of at most 256 bytes"));
    }
    // Extensions that must be understood are not (RFC 7515 §4.1.11); what is signed is the text as it stands (RFC 7797); a
    // nested or encrypted token is not what the signature says; keys are never taken from a token (RFC 8725 §3.10).
    for name in ["crit", "b64", "enc", "zip", "jwk", "salt"] {
        if header.get(name).is_some() && !(takes_key && name == "jwk") {
            return unsupported(&format!("no header parameter {name}"));
        }
    }
    if header.text("cty").is_some_and(|cty| cty.eq_ignore_ascii_case("jwt")) {
        return unsupported("no nested token");
    }
    let chain_is_well_formed = match header.get("x5c") {
        None => true,
        Some(Json::Array(chain)) => chain.iter().all(Json::is_string),
        Some(_) => false,
    };
    if !chain_is_well_formed {
        return Err(malformed("an array of strings as header parameter x5c"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Arc<JoseHeader> {
        Arc::new(JoseHeader::of(&Members::of(text)).unwrap())
    }

    #[test]
    fn the_last_ones_are_known_by_all_of_their_text() {
        let mut known = KnownHeaders::default();
        let name = |number: usize| format!("encoded{number}");
        for number in 0..20 {
            let header = header(&format!(r#"{{"alg":"ES256","kid":"{number}"}}"#));
            known.remember(&name(number), &header);
            // Again, as for each token of it.
            known.remember(&name(number), &header);
            let found = known.find(&name(number)).unwrap();
            assert_eq!(found.key_id, Some(number.to_string()));
        }
        let still = (0..20).filter(|number| known.find(&name(*number)).is_some());
        assert!(still.eq(12..20));
        for other in ["", "encoded1", "encoded19 ", "Encoded19", "encoded190"] {
            assert!(known.find(other).is_none(), "{other}");
        }
        let long = "a".repeat(MAXIMUM_KNOWN_BYTES + 1);
        known.remember(&long, &header(r#"{"alg":"ES256"}"#));
        assert!(known.find(&long).is_none());
    }

    #[test]
    fn says_what_is_asked_of_it() {
        let read = header(r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#);
        assert_eq!((read.algorithm.as_str(), read.key_id.as_deref()), ("ES256", Some("k")));
        assert_eq!(read.token_type(), "at+jwt");
        assert_eq!(header(r#"{"alg":"ES256"}"#).token_type(), "jwt");
    }
}
