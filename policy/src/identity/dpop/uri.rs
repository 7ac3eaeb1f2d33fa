//! The URI that a proof is for: RFC 9449 §4.3, with RFC 3986 §6.2.2 and §6.2.3.

use std::fmt;

use crate::access::{Header, Target, single};

/// The longest URI that is looked at, in bytes.
const MAXIMUM_BYTES: usize = 8 * 1024;

/// Scheme, host and port in their normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: Scheme,
    /// In lower case.
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// An origin and a path, both in their normal form: a URI without query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetUri {
    origin: Origin,
    path: String,
}

impl Origin {
    /// Reads `https://host`, `https://host:port` and the like with http.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = Scheme::split(text)?;
        Self::of_authority(scheme, authority)
    }

    /// Where a request came to, by https: none where it does not say.
    pub(super) fn of_request(headers: &[Header<'_>]) -> Option<Self> {
        let authority = single(headers, ":authority").or_else(|| single(headers, "host"))?;
        Self::of_authority(Scheme::Https, std::str::from_utf8(authority).ok()?)
    }

    /// `host`, `host:port`, `[address]` or `[address]:port`; nothing that names a user.
    fn of_authority(scheme: Scheme, authority: &str) -> Option<Self> {
        let (host, port) = match authority.split_once(']') {
            Some((address, port)) => {
                let is_address_byte = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
                let address = address.strip_prefix('[')?;
                if address.is_empty() || !address.bytes().all(is_address_byte) {
                    return None;
                }
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
                (format!("[{address}]"), port)
            }
            None => {
                let (host, port) = match authority.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (authority, None),
                };
                let is_host_byte =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                if host.is_empty() || !host.bytes().all(is_host_byte) {
                    return None;
                }
                (host.to_owned(), port)
            }
        };
        let port = match port {
            None | Some("") => scheme.default_port(),
            // `parse` would take a sign.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
        };
        Some(Self { scheme, host: host.to_ascii_lowercase(), port })
    }
}

impl Scheme {
    /// The scheme, which is compared without case, and what comes after `://`.
    fn split(text: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = text.split_once("://")?;
        match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Some((Self::Https, rest)),
            _ if scheme.eq_ignore_ascii_case("http") => Some((Self::Http, rest)),
            _ => None,
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl TargetUri {
    /// The URI of a request. The path is normalised already, but for the case of escapes.
    pub(super) fn new(origin: Origin, path: &str) -> Self {
        Self { origin, path: with_upper_case_escapes(path) }
    }

    /// Reads an absolute URI, whose query and fragment do not count (RFC 9449 §4.3). None for what two readers could take for
    /// two URIs.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A backslash is a slash to some; visible ASCII is all that a URI is made of.
        let is_uri_byte = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if text.len() > MAXIMUM_BYTES || !text.bytes().all(is_uri_byte) {
            return None;
        }
        let (scheme, rest) = Scheme::split(text)?;
        let hierarchical = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = match hierarchical.find('/') {
            Some(place) => hierarchical.split_at_checked(place)?,
            None => (hierarchical, "/"),
        };
        let origin = Origin::of_authority(scheme, authority)?;
        Some(Self::new(origin, &Target::normal_path(path)?))
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { scheme, host, port } = &self.origin;
        let name = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{name}://{host}")?;
        if *port != scheme.default_port() {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// RFC 3986 §6.2.2.1. What is not an escape stays as it is.
fn with_upper_case_escapes(path: &str) -> String {
    let mut digits = 0u8;
    path.chars()
        .map(|character| match character {
            '%' => {
                digits = 2;
                character
            }
            _ if digits > 0 => {
                digits = digits.saturating_sub(1);
                character.to_ascii_uppercase()
            }
            _ => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(authority: &str, path: &str) -> TargetUri {
        let headers = [(":authority", authority.as_bytes()), (":path", path.as_bytes())];
        let path = Target::read(&headers).unwrap().path;
        TargetUri::new(Origin::of_request(&headers).unwrap(), &path)
    }

    #[test]
    fn equal_uris_are_one() {
        let request = request("API.example:443", "/v1/%7euser/a%2a?x=1");
        for htu in [
            "https://api.example/v1/~user/a%2A",
            "HTTPS://Api.Example:443/v1/~user/a%2a",
            "https://api.example:/v1/%7Euser/a%2A",
            "https://api.example/v1/./x/../~user/a%2A?x=2",
            "https://api.example/v1/~user/a%2A#fragment?",
            "https://api.example/%76%31/~user/a%2A",
        ] {
            assert_eq!(TargetUri::parse(htu).as_ref(), Some(&request), "{htu}");
        }
        assert_eq!(request.to_string(), "https://api.example/v1/~user/a%2A");
        let root = self::request("[2001:DB8::1]:8443", "/");
        assert_eq!(TargetUri::parse("https://[2001:db8::1]:8443"), Some(root));
    }

    #[test]
    fn other_uris_are_others() {
        let request = request("api.example", "/v1/predict");
        for htu in [
            "http://api.example/v1/predict",
            "https://api.example:8443/v1/predict",
            "https://api.example.evil/v1/predict",
            "https://evil.example/v1/predict",
            "https://api.example./v1/predict",
            "https://api.example/v1/predict/",
            "https://api.example/v1/Predict",
            "https://api.example/v1/predict;a",
            "https://api.example/v1",
            "https://api.example/?/v1/predict",
            "https://api.example#/v1/predict",
            "https://api.example?/v1/predict",
            "https://api.example/v1%253Fpredict",
            "https://evil.example?@api.example/v1/predict",
        ] {
            assert_ne!(TargetUri::parse(htu).as_ref(), Some(&request), "{htu}");
        }
        for htu in [
            "",
            "/v1/predict",
            "//api.example/v1/predict",
            "https:/api.example/v1/predict",
            "https:api.example/v1/predict",
            "https:///v1/predict",
            "https://:443/v1/predict",
            "https://user@api.example/v1/predict",
            "https://api.example@evil.example/v1/predict",
            "https://api.example:+443/v1/predict",
            "https://api.example:70000/v1/predict",
            "https://api.example:443:443/v1/predict",
            "https://api.example\\v1/predict",
            "https://api.example/v1\\predict",
            "https://api.example/v1%2fpredict",
            "https://api.example/v1%5cpredict",
            "https://api.example/v1/predict%",
            "https://api.example/v1/predict%00",
            "https://api.ex%61mple/v1/predict",
            "https://[::1/v1/predict",
            "https://[]/v1/predict",
            "https://[::1]x/v1/predict",
            "https://аpi.example/v1/predict",
            " https://api.example/v1/predict",
            "https://api.example/v1/predict\n",
            "wss://api.example/v1/predict",
        ] {
            assert_eq!(TargetUri::parse(htu), None, "{htu}");
        }
        assert_eq!(TargetUri::parse(&format!("https://a/{}", "a".repeat(MAXIMUM_BYTES))), None);
    }

    proptest! {
        /// What is written in normal form is read as the same again.
        #[test]
        fn never_panics_and_is_idempotent(text in "https?://[a-zA-Z0-9.:\\[\\]@-]{0,12}[/?#%.a-zA-F0-9\\\\]{0,24}|.{0,60}") {
            if let Some(uri) = TargetUri::parse(&text) {
                prop_assert_eq!(TargetUri::parse(&uri.to_string()), Some(uri));
            }
        }
    }
}
