//! What a client asks for, against what it may have.

use portcullis_policy::form::Form;

use crate::clients::{Client, is_scope_token};
use crate::oauth_error::{ErrorCode, OAuthError};

/// What is granted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant<'a> {
    pub(crate) audience: &'a str,
    /// Scopes with spaces between them (RFC 6749 §3.3), in the registry's order; may be empty.
    pub(crate) scope: String,
}

impl<'a> Grant<'a> {
    /// Checks what does not depend on the client. Before its secret is, which costs.
    pub(crate) fn check(form: &Form) -> Result<(), OAuthError> {
        match parameter(form, "grant_type") {
            Some("client_credentials") => Ok(()),
            Some(_) => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "The grant_type offered here is client_credentials.",
            )),
            None => Err(OAuthError::invalid_request("Send grant_type=client_credentials.")),
        }
    }

    /// Grants what is asked for, all of it or nothing.
    pub(crate) fn new(form: &Form, client: &'a Client) -> Result<Self, OAuthError> {
        Ok(Self { audience: audience(form, client)?, scope: scope(form, client)? })
    }
}

/// The service that the token will be for: by its name (`audience`) or by its URI (`resource`, RFC 8707).
fn audience<'a>(form: &Form, client: &'a Client) -> Result<&'a str, OAuthError> {
    let target = match (parameter(form, "audience"), parameter(form, "resource")) {
        (Some(_), Some(_)) => {
            return Err(OAuthError::invalid_request("Send either audience or resource."));
        }
        (Some(name), None) => name,
        (None, Some(uri)) if is_resource(uri) => uri,
        (None, Some(_)) => {
            let description = "A resource is an absolute URI without a fragment.";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, description));
        }
        (None, None) => match client.audiences.as_slice() {
            [only] => return Ok(only),
            _ => {
                let description = "Name the service that the token is for: audience or resource.";
                return Err(OAuthError::new(ErrorCode::InvalidTarget, description));
            }
        },
    };
    // Compared as texts: a URI that is written differently is another one.
    client.audiences.iter().find(|allowed| *allowed == target).map(String::as_str).ok_or(
        OAuthError::new(
            ErrorCode::InvalidTarget,
            "This client may not have tokens for that service.",
        ),
    )
}

/// The scopes asked for, or all that the client may have where it asks for none (RFC 6749 §3.3).
fn scope(form: &Form, client: &Client) -> Result<String, OAuthError> {
    let Some(asked) = parameter(form, "scope") else {
        return Ok(client.scopes.join(" "));
    };
    let asked: Vec<&str> = asked.split(' ').collect();
    if !asked.iter().all(|scope| is_scope_token(scope)) {
        let description = "A scope is a list of words with one space between them.";
        return Err(OAuthError::new(ErrorCode::InvalidScope, description));
    }
    if !asked.iter().all(|asked| client.scopes.iter().any(|allowed| allowed == asked)) {
        let description = "This client may not have all of these scopes.";
        return Err(OAuthError::new(ErrorCode::InvalidScope, description));
    }
    let granted = client.scopes.iter().map(String::as_str).filter(|scope| asked.contains(scope));
    Ok(granted.collect::<Vec<_>>().join(" "))
}

/// A parameter's value. One without a value counts as left out (RFC 6749 §3.2).
pub(crate) fn parameter<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.value(name).filter(|value| !value.is_empty())
}

/// RFC 8707 §2: an absolute URI (RFC 3986 §4.3), which has no fragment.
fn is_resource(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(scheme_byte)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_absolute_uris_without_a_fragment() {
        for uri in ["https://api.example/v1?x=1", "urn:example:api", "a+b-c.1:x"] {
            assert!(is_resource(uri), "{uri}");
        }
        for uri in [
            "",
            "api",
            "/v1",
            "//api.example",
            "https:",
            ":x",
            "1a:x",
            "https://a/#b",
            "https://a#",
            "a b:c",
            "a:b c",
            "a:é",
        ] {
            assert!(!is_resource(uri), "{uri}");
        }
    }
}
