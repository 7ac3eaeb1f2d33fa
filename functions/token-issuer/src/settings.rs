//! The operator's settings: Spin variables.

use zeroize::Zeroizing;

use portcullis_function::Gatekeeper;
use portcullis_function::keys::{GRACE_SECONDS, PUBLISHED_BEFORE_SECONDS, Sealer};
use portcullis_policy::Secret;

use crate::clients::Registry;
use crate::signing_key::SigningKey;
use crate::token::MAXIMUM_LIFETIME_SECONDS;

/// The names of all variables.
pub(crate) const VARIABLES: [&str; 5] =
    ["issuer", "clients", "key_encryption_key", "assertion_key", "rotation_seconds"];

/// The age at which a signing key is replaced where nothing is said: 30 days.
const DEFAULT_ROTATION_SECONDS: u64 = 30 * 24 * 3600;

/// So long that at most a handful of keys is published: more than a key's whole way from next to forgotten.
const MINIMUM_ROTATION_SECONDS: u64 =
    2 * (PUBLISHED_BEFORE_SECONDS + MAXIMUM_LIFETIME_SECONDS + GRACE_SECONDS);
/// A year.
const MAXIMUM_ROTATION_SECONDS: u64 = 366 * 24 * 3600;

pub(crate) struct Settings {
    /// The `iss` of all tokens, and the origin of all endpoints.
    pub(crate) issuer: String,
    pub(crate) registry: Registry,
    pub(crate) sealer: Sealer,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) rotation_seconds: u64,
}

/// A variable, and what was expected there. Quotes no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Spin variable {variable}: {expected}")]
pub(crate) struct SettingError {
    variable: &'static str,
    expected: String,
}

impl Settings {
    /// Reads the variables; `variable` answers `None` for those that are not set.
    pub(crate) fn read(
        mut variable: impl FnMut(&'static str) -> Option<Zeroizing<String>>,
    ) -> Result<Self, SettingError> {
        let mut required = |name: &'static str, expected: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| wrong(name, format!("not set; expected {expected}")))
        };
        const ISSUER: &str = "an origin such as https://issuer.example, without a slash at its end";
        const KEY: &str = "at least 32 bytes in base64url";

        let issuer = required("issuer", ISSUER)?;
        if !is_origin(&issuer) {
            return Err(wrong(
                "issuer",
                format!("expected {ISSUER}; http on a loopback address only"),
            ));
        }
        let clients = required("clients", "a JSON array of clients")?;
        let registry =
            Registry::parse(&clients).map_err(|error| wrong("clients", error.to_string()))?;
        let key_encryption_key = required("key_encryption_key", KEY)?;
        let sealer = Secret::from_base64url(&key_encryption_key)
            .map_err(|error| wrong("key_encryption_key", error.to_string()))
            .and_then(|key| {
                Sealer::new::<SigningKey>(&key)
                    .ok_or_else(|| wrong("key_encryption_key", format!("expected {KEY}")))
            })?;
        let assertion_key = required("assertion_key", KEY)?;
        // One key for two purposes would let who holds the gate's open the signing keys.
        if *assertion_key == *key_encryption_key {
            let expected = "expected another key than assertion_key";
            return Err(wrong("key_encryption_key", expected.to_owned()));
        }
        let gatekeeper = Gatekeeper::new(assertion_key.as_str().to_owned())
            .map_err(|error| wrong("assertion_key", error.to_string()))?;
        let rotation_seconds = match variable("rotation_seconds").filter(|value| !value.is_empty())
        {
            None => DEFAULT_ROTATION_SECONDS,
            Some(text) => rotation(&text).ok_or_else(|| {
                let (least, most) = (MINIMUM_ROTATION_SECONDS, MAXIMUM_ROTATION_SECONDS);
                wrong("rotation_seconds", format!("expected a whole number from {least} to {most}"))
            })?,
        };
        let issuer = issuer.as_str().to_owned();
        Ok(Self { issuer, registry, sealer, gatekeeper, rotation_seconds })
    }
}

fn wrong(variable: &'static str, expected: String) -> SettingError {
    SettingError { variable, expected }
}

fn rotation(text: &str) -> Option<u64> {
    let seconds = text.parse().ok()?;
    (MINIMUM_ROTATION_SECONDS..=MAXIMUM_ROTATION_SECONDS).contains(&seconds).then_some(seconds)
}

/// `https://host`, with a port or without. RFC 8414 §2 allows a path as well, but then the metadata would be looked
/// for elsewhere than the endpoints are.
fn is_origin(text: &str) -> bool {
    let (authority, secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(authority), _) => (authority, true),
        (None, Some(authority)) => (authority, false),
        (None, None) => return false,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
            };
            (1..=253).contains(&host.len()) && host.bytes().all(plain)
        }
    };
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    host_fits && port_fits && (secure || loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::variables;

    fn error(name: &str, value: Option<&str>) -> String {
        let mut variables = variables();
        match value {
            Some(value) => variables.insert(name.to_owned(), value.to_owned()),
            None => variables.remove(name),
        };
        let read = |name: &'static str| variables.get(name).cloned().map(Zeroizing::new);
        Settings::read(read).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_or_unfit_variable_is_named_and_its_value_is_not() {
        for name in ["issuer", "clients", "key_encryption_key", "assertion_key"] {
            for value in [None, Some("")] {
                let error = error(name, value);
                assert!(
                    error.starts_with(&format!("Spin variable {name}: not set; expected")),
                    "{error}"
                );
            }
        }
        for (name, value) in [
            ("issuer", "hunter2"),
            ("clients", "hunter2"),
            ("clients", r#"[{"id":"hunter2"}]"#),
            ("key_encryption_key", "hunter2"),
            ("key_encryption_key", "hunter2!"),
            ("assertion_key", "hunter2"),
            ("rotation_seconds", "hunter2"),
            ("rotation_seconds", "60"),
            ("rotation_seconds", "-1"),
            ("rotation_seconds", "99999999999999999999"),
        ] {
            let error = error(name, Some(value));
            assert!(error.starts_with(&format!("Spin variable {name}: ")), "{error}");
            assert!(error.contains("expected") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn one_key_does_not_serve_two_purposes() {
        let key = variables()["assertion_key"].clone();
        assert!(error("key_encryption_key", Some(&key)).contains("another key"));
    }

    #[test]
    fn issuers_are_origins() {
        for origin in [
            "https://issuer.example",
            "https://a:8443",
            "http://127.0.0.1:1",
            "http://localhost",
            "https://[::1]:443",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "",
            "issuer.example",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://A",
            "https://u@a",
            "https://a:",
            "https://a:0",
            "https://a:65536",
            "https://a:+1",
            "https://a b",
            "https://[x]",
            "http://a",
            "http://127.0.0.1.example",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }
}
