//! How a client proves who it is (RFC 6749 §2.3.1): HTTP Basic, or its id and secret in the form, never both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::form::{self, Form};
use zeroize::Zeroizing;

use crate::grant::parameter;
use crate::oauth_error::OAuthError;

/// The longest client id and secret that are looked at, in bytes.
pub(crate) const MAXIMUM_ID_BYTES: usize = 128;
const MAXIMUM_SECRET_BYTES: usize = 256;

/// What a client presented. Nothing has been verified yet.
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Zeroizing<String>,
}

impl Credentials {
    /// Finds the credentials of a request.
    ///
    /// # Errors
    ///
    /// There are none, they are malformed, or there are several.
    pub(crate) fn of(headers: &[(&str, &[u8])], form: &Form) -> Result<Self, OAuthError> {
        let mut fields =
            headers.iter().filter(|(name, _)| *name == "authorization").map(|(_, value)| *value);
        let authorization = fields.next();
        if fields.next().is_some() {
            return Err(SEVERAL);
        }
        // Assertions (RFC 7523) are not offered here; beside a secret they would be a second method.
        let asserted = ["client_assertion", "client_assertion_type"];
        if asserted.into_iter().any(|name| parameter(form, name).is_some()) {
            return Err(OAuthError::invalid_client());
        }
        let credentials = match (authorization, parameter(form, "client_secret")) {
            (Some(_), Some(_)) => return Err(SEVERAL),
            (Some(value), None) => {
                let credentials = Self::basic(value).ok_or(OAuthError::invalid_client())?;
                // The form may name the client as well, but not another one.
                if parameter(form, "client_id").is_some_and(|id| id != credentials.id) {
                    return Err(SEVERAL);
                }
                credentials
            }
            (None, Some(secret)) => {
                let id = parameter(form, "client_id").ok_or(OAuthError::invalid_client())?;
                Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }
            }
            (None, None) => return Err(OAuthError::invalid_client()),
        };
        if credentials.id.len() > MAXIMUM_ID_BYTES
            || credentials.secret.len() > MAXIMUM_SECRET_BYTES
        {
            return Err(OAuthError::invalid_client());
        }
        Ok(credentials)
    }

    /// Id and secret are form-encoded first, so that an id can have a colon.
    fn basic(value: &[u8]) -> Option<Self> {
        let (scheme, encoded) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_start_matches(' ')).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (id, secret) = decoded.split_at_checked(colon)?;
        let (id, secret) = (form::decode(id)?, form::decode(secret.strip_prefix(b":")?)?);
        let is_given = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        (is_given(&id) && is_given(&secret)).then(|| Self { id: id.as_str().to_owned(), secret })
    }
}

const SEVERAL: OAuthError =
    OAuthError::invalid_request("Authenticate in one way: by HTTP Basic or in the form.");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oauth_error::ErrorCode;

    fn of(authorization: &[&str], form: &str) -> Result<(String, String), ErrorCode> {
        let headers: Vec<(&str, &[u8])> =
            authorization.iter().map(|value| ("authorization", value.as_bytes())).collect();
        let form = Form::parse(form.as_bytes(), 32).unwrap();
        Credentials::of(&headers, &form)
            .map(|found| (found.id, found.secret.as_str().to_owned()))
            .map_err(|error| error.code)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn found(id: &str, secret: &str) -> Result<(String, String), ErrorCode> {
        Ok((id.to_owned(), secret.to_owned()))
    }

    #[test]
    fn both_ways_are_read() {
        assert_eq!(of(&[&basic("a:b")], ""), found("a", "b"));
        assert_eq!(of(&[&basic("a:b:c")], ""), found("a", "b:c"));
        assert_eq!(of(&[&basic("a%3Ab:c%25+d")], ""), found("a:b", "c% d"));
        assert_eq!(of(&[&basic("a:b").replace("Basic", "bAsIc ")], ""), found("a", "b"));
        assert_eq!(of(&[&basic("a:b")], "client_id=a"), found("a", "b"));
        assert_eq!(of(&[], "client_id=a&client_secret=b%2B"), found("a", "b+"));
    }

    #[test]
    fn never_both() {
        let refused = Err(ErrorCode::InvalidRequest);
        assert_eq!(of(&[&basic("a:b")], "client_id=a&client_secret=b"), refused);
        assert_eq!(of(&[&basic("a:b")], "client_secret=b"), refused);
        assert_eq!(of(&[&basic("a:b")], "client_id=c"), refused);
        assert_eq!(of(&[&basic("a:b"), &basic("a:b")], ""), refused);
        assert_eq!(of(&["Bearer x"], "client_id=a&client_secret=b"), refused);
    }

    #[test]
    fn what_is_no_credential_is_none() {
        let refused = Err(ErrorCode::InvalidClient);
        let long = "a".repeat(257);
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic a:b",
            "Basic YTpi=",
            "Basic YTpi YTpi",
            "Basic YTpi,",
            "BasicYTpi",
            "Bearer YTpi",
            &basic("ab"),
            &basic(":b"),
            &basic("a:"),
            &basic("a%:b"),
            &basic("a%00:b"),
            &basic("a\u{0}:b"),
            &basic("é:b"),
            &basic(&format!("{long}:b")),
            &basic(&format!("a:{long}")),
        ] {
            assert_eq!(of(&[value], ""), refused, "{value}");
        }
        assert_eq!(of(&[], ""), refused);
        assert_eq!(of(&[], "client_id=a"), refused);
        assert_eq!(of(&[], "client_id=a&client_secret="), refused);
        assert_eq!(of(&[], "client_secret=b"), refused);
        assert_eq!(of(&[], "client_id=a&client_secret=b&client_assertion=x"), refused);
        assert_eq!(of(&[&basic("a:b")], "client_assertion_type=x"), refused);
    }

    proptest! {
        #[test]
        fn never_panics(value in prop::collection::vec(any::<u8>(), 0..100)) {
            let form = Form::parse(b"", 32).unwrap();
            let _ = Credentials::of(&[("authorization", &value)], &form);
            let value = format!("Basic {}", STANDARD.encode(&value));
            let _ = Credentials::of(&[("authorization", value.as_bytes())], &form);
        }
    }
}
