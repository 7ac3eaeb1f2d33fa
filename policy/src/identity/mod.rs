//! The identity stage: who is calling.

mod api_key;
mod claims;
mod jwk;
mod jwt;
mod signature;
mod token;

pub use api_key::{ApiKey, ApiKeyError};
pub use jwk::{Algorithm, JwkError, Key, KeySet};
pub use signature::{JwsSignature, SignatureError};
pub use token::{MAXIMUM_TOKEN_BYTES, Token};

pub(crate) use api_key::ApiKeyRules;
pub(crate) use jwt::JwtRules;

use crate::access::{Header, single};
use crate::document::IdentitySection;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::Identify;
use crate::{Environment, Principal, Secrets};

/// A compiled `identity` section.
#[derive(Debug)]
pub(crate) struct IdentityRules {
    jwt: Option<JwtRules>,
    api_keys: Option<ApiKeyRules>,
    forward_credentials: bool,
}

impl IdentityRules {
    /// Compiles the section.
    pub(crate) fn boxed(
        section: &IdentitySection,
        secrets: &dyn Secrets,
    ) -> Result<Box<dyn Identify>, CompileError> {
        let jwt = section.jwt.as_ref().map(|jwt| JwtRules::compile(jwt, secrets)).transpose()?;
        let api_keys = section
            .api_keys
            .as_ref()
            .map(|keys| ApiKeyRules::compile(keys, secrets))
            .transpose()?;
        let forward_credentials = section.forward_credentials;
        Ok(Box::new(Self { jwt, api_keys, forward_credentials }))
    }

    /// Adds the challenge that every 401 needs (RFC 9110 §11.6.1), as RFC 6750 §3 has it: without an error
    /// code where no token was presented.
    fn challenge(&self, refusal: Refusal) -> Refusal {
        if refusal.reason.status() != 401 {
            return refusal;
        }
        let challenge = match &self.jwt {
            Some(_) => match refusal.reason {
                Reason::CredentialMissing | Reason::ApiKeyInvalid => BEARER.to_owned(),
                reason => format!(
                    "{BEARER}, error=\"invalid_token\", error_description=\"{}\"",
                    reason.title()
                ),
            },
            None => "ApiKey realm=\"portcullis\"".to_owned(),
        };
        refusal.header("www-authenticate", challenge)
    }
}

impl Identify for IdentityRules {
    fn identify(
        &self,
        headers: &[Header],
        environment: &mut dyn Environment,
    ) -> Result<Principal, Refusal> {
        let fields =
            self.jwt.as_ref().map(|_| "authorization").into_iter().chain(self.api_key_header());
        for field in fields {
            // Also where no access stage has seen to it: the second one could be what the upstream reads.
            if headers.iter().filter(|(name, _)| name == field).count() > 1 {
                let refusal = Refusal::new(Reason::CredentialConflict, "Present one credential.");
                return Err(refusal.finding(field, "this field once"));
            }
        }
        let bearer = self.jwt.as_ref().zip(single(headers, "authorization"));
        let api_key =
            self.api_keys.as_ref().and_then(|keys| Some((keys, single(headers, keys.header())?)));
        match (bearer, api_key) {
            (None, None) => Ok(Principal::anonymous()),
            (Some((jwt, value)), None) => {
                let token = bearer_token(value).map_err(|refusal| self.challenge(refusal))?;
                jwt.verify(token, environment).map_err(|refusal| self.challenge(refusal))
            }
            (None, Some((keys, value))) => {
                keys.verify(value).map_err(|refusal| self.challenge(refusal))
            }
            // With two credentials, who is calling depends on who reads which.
            (Some(_), Some(_)) => Err(Refusal::new(
                Reason::CredentialConflict,
                "Present either a bearer token or an API key.",
            )),
        }
    }

    fn missing(&self) -> Refusal {
        let detail = match (&self.jwt, &self.api_keys) {
            (Some(_), None) => "Present a bearer token in the authorization field.".to_owned(),
            (None, Some(keys)) => format!("Present an API key in the {} field.", keys.header()),
            (Some(_), Some(keys)) => format!(
                "Present a bearer token in the authorization field or an API key in the {} field.",
                keys.header(),
            ),
            (None, None) => "No credential is accepted here.".to_owned(),
        };
        self.challenge(Refusal::new(Reason::CredentialMissing, detail))
    }

    fn credential_fields(&self) -> Vec<&str> {
        if self.forward_credentials {
            return Vec::new();
        }
        let jwt = self.jwt.is_some().then_some("authorization");
        jwt.into_iter().chain(self.api_keys.as_ref().map(ApiKeyRules::header)).collect()
    }

    fn api_key_header(&self) -> Option<&str> {
        self.api_keys.as_ref().map(ApiKeyRules::header)
    }
}

const BEARER: &str = "Bearer realm=\"portcullis\"";

/// The token of an Authorization field: the scheme in any case (RFC 9110 §11.1), blanks, the token and nothing
/// after it.
fn bearer_token(value: &[u8]) -> Result<&str, Refusal> {
    let refusal = || {
        Refusal::new(Reason::CredentialMalformed, "Write `Bearer`, a space and the token.")
            .finding("authorization", "Bearer TOKEN (RFC 6750 §2.1)")
    };
    let value = std::str::from_utf8(value).map_err(|_| refusal())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(refusal)?;
    let token = token.trim_start_matches(' ');
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case("bearer")
        || token.is_empty()
        || !token.bytes().all(is_token_byte)
    {
        return Err(refusal());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_read_strictly() {
        assert_eq!(bearer_token(b"Bearer a.b.c").unwrap(), "a.b.c");
        assert_eq!(bearer_token(b"bEARER  a").unwrap(), "a");
        for value in [
            b"".as_slice(),
            b"Bearer",
            b"Bearer ",
            b"Bearer\ta",
            b"Bearer a b",
            b"Bearer a,b",
            b"Basic a",
            b"a",
            b"\xff",
            b" Bearer a",
        ] {
            assert!(bearer_token(value).is_err(), "{value:?}");
        }
    }
}
