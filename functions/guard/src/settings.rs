//! The operator's settings: Spin variables.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_policy::{Document, Policy, Secret, Secrets, Stages};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The policy document, as `portcullis check --format document` prints it.
pub(crate) const POLICY: &str = "policy";
/// The function behind: `http://NAME.spin.internal`.
const UPSTREAM: &str = "upstream";
const UPSTREAM_TIMEOUT: &str = "upstream_timeout_seconds";
/// Where limits are counted: `sqlite`, which is the default, or `redis://HOST`, or `rediss://HOST` behind TLS.
const LIMITS_STORE: &str = "limits_store";
/// What counts apart in one Redis.
const LIMITS_NAME: &str = "limits_name";
/// Who counts where the Redis does not answer: `sqlite`, or nobody, which lets nobody through.
const LIMITS_FALLBACK: &str = "limits_fallback";

/// The names of all variables but those of the policy's secrets, which [`secret_names`] and [`variable_of`] tell.
pub(crate) const VARIABLES: [&str; 6] =
    [POLICY, UPSTREAM, UPSTREAM_TIMEOUT, LIMITS_STORE, LIMITS_NAME, LIMITS_FALLBACK];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);
const DEFAULT_NAME: &str = "limits";
const SQLITE: &str = "sqlite";

pub(crate) struct Settings {
    pub(crate) policy: Arc<Policy>,
    /// What keys of limits are digested under, on all machines that have the same assertion key.
    pub(crate) secret: [u8; 16],
    /// An origin.
    pub(crate) upstream: String,
    pub(crate) timeout: Duration,
    pub(crate) limits: LimitsStore,
}

/// Where limits are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitsStore {
    /// The address of a Redis and what counts apart in it; else the SQLite that is the default database.
    pub(crate) redis: Option<(String, String)>,
    /// Whether SQLite counts where the Redis does not answer.
    pub(crate) falls_back: bool,
    /// For how many keys there is room.
    pub(crate) keys: u64,
}

/// A variable, and what was expected there. Quotes no value of a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Spin variable {variable}: {expected}")]
pub(crate) struct SettingError {
    variable: String,
    expected: String,
}

impl Settings {
    /// Reads the variables; `variable` answers `None` for those that are not set.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<Zeroizing<String>>,
    ) -> Result<Self, SettingError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let text = set(POLICY).ok_or_else(|| {
            unfit(POLICY, "not set; expected what `portcullis check --format document` prints")
        })?;
        let secrets = PolicySecrets::read(&text, &set);
        let document = Document::from_json(POLICY, &text).map_err(|error| unfit(POLICY, error))?;
        // The function behind takes nobody's word but the gate's, and what counts for all machines needs a secret of theirs.
        let Some(assertion) = &document.assertion else {
            return Err(unfit(
                POLICY,
                "assertion: missing; expected the key that signs who is calling",
            ));
        };
        let policy = Policy::compile(&document, &secrets, Stages::ALL)
            .map_err(|error| unfit(POLICY, error))?;
        let key = secrets.secret(&assertion.key.env).unwrap_or_default();
        let secret = limits_secret(&key).ok_or_else(|| unfit(POLICY, "assertion.key: unusable"))?;

        let upstream = set(UPSTREAM).filter(|upstream| is_origin(upstream)).ok_or_else(|| {
            let expected = "expected an origin such as http://scam-detector.spin.internal, in lower case, without a slash at its end";
            unfit(UPSTREAM, expected)
        })?;
        let timeout = match set(UPSTREAM_TIMEOUT).map(|text| text.trim().parse::<u64>()) {
            None => DEFAULT_TIMEOUT,
            Some(Ok(seconds @ 1..=300)) => Duration::from_secs(seconds),
            Some(_) => {
                return Err(unfit(UPSTREAM_TIMEOUT, "expected a whole number from 1 to 300"));
            }
        };
        let keys = u64::from(document.limits_table.unwrap_or_default().keys);
        let limits = LimitsStore::read(set, keys)?;
        Ok(Self {
            policy: Arc::new(policy),
            secret,
            upstream: upstream.to_string(),
            timeout,
            limits,
        })
    }
}

impl LimitsStore {
    fn read(
        set: impl Fn(&str) -> Option<Zeroizing<String>>,
        keys: u64,
    ) -> Result<Self, SettingError> {
        let name =
            set(LIMITS_NAME).map_or_else(|| DEFAULT_NAME.to_owned(), |name| name.to_string());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.len() > 64 || !name.bytes().all(plain) {
            return Err(unfit(LIMITS_NAME, "expected up to 64 letters, digits and -_."));
        }
        let redis = match set(LIMITS_STORE) {
            Some(address) if is_redis(&address) => Some((address.to_string(), name)),
            Some(kind) if *kind != SQLITE => {
                // Not shown: an address may have a password.
                return Err(unfit(
                    LIMITS_STORE,
                    "expected `sqlite`, or the address of a Redis, redis://HOST or rediss://HOST",
                ));
            }
            _ => None,
        };
        let falls_back = match set(LIMITS_FALLBACK) {
            None => false,
            Some(kind) if *kind == SQLITE && redis.is_some() => true,
            Some(_) => {
                let expected = "expected `sqlite`, and that only where limits_store is a Redis";
                return Err(unfit(LIMITS_FALLBACK, expected));
            }
        };
        Ok(Self { redis, falls_back, keys })
    }
}

/// The secrets of a policy, by the names that the document has for them.
#[derive(Default)]
pub(crate) struct PolicySecrets(BTreeMap<String, Zeroizing<String>>);

impl PolicySecrets {
    fn read(document: &str, set: &impl Fn(&str) -> Option<Zeroizing<String>>) -> Self {
        let names = secret_names(document).into_iter();
        Self(names.filter_map(|name| Some((name.clone(), set(&variable_of(&name))?))).collect())
    }
}

impl Secrets for PolicySecrets {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        self.0.get(name).cloned()
    }
}

/// The names of the environment variables in which a document has its secrets: of what is `{"env": NAME}`, wherever it stands.
/// What is no document has none, and is refused when it is compiled.
pub(crate) fn secret_names(document: &str) -> Vec<String> {
    const MOST: usize = 64;
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let (mut names, mut rest) = (Vec::new(), vec![&document]);
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => match members.get("env") {
                Some(Value::String(name)) if members.len() == 1 && names.len() < MOST => {
                    names.push(name.clone());
                }
                _ => rest.extend(members.values()),
            },
            Value::Array(values) => rest.extend(values),
            _ => {}
        }
    }
    names
}

/// The Spin variable in which a secret is that the document calls by the name of an environment variable.
pub(crate) fn variable_of(secret: &str) -> String {
    secret.to_ascii_lowercase()
}

/// A secret that all machines have which sign with the same key, and from which the key cannot be told.
fn limits_secret(key: &str) -> Option<[u8; 16]> {
    let key = Secret::from_base64url(key).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
    mac.update(b"portcullis: keys of limits");
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let (secret, _) = digest.split_first_chunk::<16>()?;
    Some(*secret)
}

/// `http://host` or `https://host`, with a port or without: what a path follows. In upper case, with a user, a path or anything else
/// it would not be the host that the manifest allows.
fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(authority) = authority else { return false };
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    (1..=253).contains(&authority.len()) && authority.bytes().all(plain)
}

/// The address of a Redis. There are clients that turn TLS off by what follows a `#`.
fn is_redis(address: &str) -> bool {
    ["redis://", "rediss://"].iter().any(|scheme| address.starts_with(scheme))
        && !address.contains('#')
}

fn unfit(variable: &str, expected: impl Display) -> SettingError {
    SettingError { variable: variable.to_owned(), expected: expected.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{policy, variables};

    fn read(change: &[(&str, &str)]) -> Result<Settings, String> {
        let mut variables = variables(&policy());
        for (name, value) in change {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let variable = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
        Settings::read(variable).map_err(|error| error.to_string())
    }

    fn error(name: &str, value: &str) -> String {
        read(&[(name, value)]).map(drop).unwrap_err()
    }

    #[test]
    fn an_unfit_variable_is_named_and_its_value_is_not() {
        for name in VARIABLES.into_iter().filter(|name| *name != LIMITS_NAME) {
            let error = error(name, "hunter2");
            assert!(error.starts_with(&format!("Spin variable {name}: ")), "{error}");
            assert!(error.contains("expected") && !error.contains("hunter2"), "{error}");
        }
        assert!(error(LIMITS_NAME, "{a}").contains("letters"));
        for store in ["http://:hunter2@a", "rediss://:hunter2@a/#insecure"] {
            let error = error(LIMITS_STORE, store);
            assert!(error.contains("expected `sqlite`") && !error.contains("hunter2"), "{error}");
        }
        for upstream in ["http://A", "http://a/", "http://u@a", "ftp://a", "http://"] {
            assert!(error(UPSTREAM, upstream).contains("origin"), "{upstream}");
        }
        assert!(error("portcullis_assertion_key", "hunter2").contains("assertion.key"));
        assert!(error("portcullis_assertion_key", "").contains("PORTCULLIS_ASSERTION_KEY"));
        let mut unsigned = policy();
        unsigned.as_object_mut().unwrap().remove("assertion");
        assert!(error(POLICY, &unsigned.to_string()).contains("assertion: missing"));
    }

    #[test]
    fn a_store_is_sqlite_or_a_redis() {
        let of = |change: &[(&str, &str)]| read(change).unwrap().limits;
        let sqlite = LimitsStore { redis: None, falls_back: false, keys: 65_536 };
        assert_eq!(of(&[]), sqlite);
        assert_eq!(of(&[(LIMITS_STORE, "sqlite")]), sqlite);
        let address = ("redis://a:1".to_owned(), "limits".to_owned());
        let redis = LimitsStore { redis: Some(address), ..sqlite };
        assert_eq!(of(&[(LIMITS_STORE, "redis://a:1")]), redis);
        let behind_tls = ("rediss://a:1".to_owned(), "limits".to_owned());
        let behind_tls = LimitsStore { redis: Some(behind_tls), ..redis.clone() };
        assert_eq!(of(&[(LIMITS_STORE, "rediss://a:1")]), behind_tls);
        let both = [(LIMITS_STORE, "redis://a:1"), (LIMITS_FALLBACK, "sqlite")];
        assert_eq!(of(&both), LimitsStore { falls_back: true, ..redis });
        assert!(error(LIMITS_FALLBACK, "sqlite").contains("only where"));
    }

    #[test]
    fn keys_are_digested_under_one_secret_on_all_machines() {
        let (one, same) = (read(&[]).unwrap(), read(&[]).unwrap());
        assert_eq!(one.secret, same.secret);
        let other = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
        assert_ne!(one.secret, read(&[("portcullis_assertion_key", other)]).unwrap().secret);
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let document = r#"{"a": {"env": "A"}, "b": [{"c": {"env": "B"}}, {"env": 1}, {"env": "C", "d": {"env": "D"}}]}"#;
        let mut names = secret_names(document);
        names.sort();
        assert_eq!(names, ["A", "B", "D"]);
        assert!(secret_names("{").is_empty());
    }
}
