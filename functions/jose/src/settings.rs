//! The operator's settings: Spin variables.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use portcullis_function::jwe::{self, JweSettings, Screen};
use portcullis_function::{Gatekeeper, KEY_ID};
use portcullis_policy::Secret;
use portcullis_policy::assertion::Signer;
use zeroize::Zeroizing;

use crate::origin::{is_origin, is_prefix};
use crate::screens::{PolicySecrets, Screens, secret_names, variable_of};

/// The variable with the policy document.
pub(crate) const INPUT_POLICY: &str = "input_policy";
const ASSERTION_KEY: &str = "assertion_key";
const UPSTREAM: &str = "upstream";
const PATH_PREFIX: &str = "path_prefix";
const UPSTREAM_TIMEOUT: &str = "upstream_timeout_seconds";

/// How long the function behind this one may take where nothing is said: hosts give this one little more, and who waits is to
/// be told under encryption.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);
/// In seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=300;

/// How long the function behind this one may take the assertion for good: it is asked at once.
const ASSERTION_SECONDS: u32 = 30;

/// The names of all variables but those of the policy's secrets, which [`secret_names`] and [`variable_of`] tell.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    jwe::VARIABLES.into_iter().chain([INPUT_POLICY, UPSTREAM, UPSTREAM_TIMEOUT, PATH_PREFIX])
}

pub(crate) struct Settings {
    pub(crate) gatekeeper: Gatekeeper,
    /// The error names what is not set: then no encrypted request is accepted.
    pub(crate) encryption: Result<Encryption, NotSet>,
}

/// All that there must be for an encrypted request.
pub(crate) struct Encryption {
    pub(crate) keys: JweSettings,
    pub(crate) screen: Rc<Screen>,
    pub(crate) signer: Signer,
    /// The origin of the function behind this one.
    pub(crate) upstream: String,
    /// How long it may take, all in all.
    pub(crate) timeout: Duration,
    /// What goes before the paths of that function; may be empty.
    pub(crate) path_prefix: String,
}

/// Variables that are not set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("encrypted requests are not accepted: not set: Spin variable {}", .0.join(", "))]
pub(crate) struct NotSet(Vec<&'static str>);

/// A variable, and what was expected there. Quotes no value of a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("Spin variable {variable}: {expected}")]
    Unfit { variable: String, expected: String },
    #[error(transparent)]
    Jwe(#[from] jwe::SettingError),
}

impl Settings {
    /// Reads the variables; `variable` answers `None` for those that are not set.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<Zeroizing<String>>,
        screens: &Screens,
    ) -> Result<Self, SettingError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());

        const KEY: &str = "not set; expected at least 32 bytes in base64url";
        let assertion_key = set(ASSERTION_KEY).ok_or_else(|| unfit(ASSERTION_KEY, KEY))?;
        let secret =
            Secret::from_base64url(&assertion_key).map_err(|error| unfit(ASSERTION_KEY, error))?;
        let gatekeeper = Gatekeeper::new(assertion_key.to_string())
            .map_err(|error| unfit(ASSERTION_KEY, error))?;

        let keys = JweSettings::read(set)?;
        let screen = match set(INPUT_POLICY) {
            None => None,
            Some(document) => {
                let secrets = policy_secrets(&document, set)?;
                let screen = screens.screen(INPUT_POLICY, &document, secrets);
                Some(screen.map_err(|error| unfit(INPUT_POLICY, error))?)
            }
        };
        let upstream = set(UPSTREAM);
        if upstream.as_deref().is_some_and(|upstream| !is_origin(upstream)) {
            return Err(unfit(
                UPSTREAM,
                "expected an origin such as http://scam-detector.spin.internal, in lower case, without a slash at its end",
            ));
        }
        let timeout = match set(UPSTREAM_TIMEOUT) {
            None => DEFAULT_TIMEOUT,
            Some(text) => timeout(&text).ok_or_else(|| {
                let (least, most) = (TIMEOUTS.start(), TIMEOUTS.end());
                let expected = format!("expected a whole number from {least} to {most}");
                unfit(UPSTREAM_TIMEOUT, expected)
            })?,
        };
        let path_prefix = set(PATH_PREFIX).unwrap_or_default();
        if !path_prefix.is_empty() && !is_prefix(&path_prefix) {
            return Err(unfit(
                PATH_PREFIX,
                "expected a path such as /encrypted, of letters, digits and -_., without a slash at its end",
            ));
        }
        let encryption = match (keys, screen, upstream) {
            (Some(keys), Some(screen), Some(upstream)) => Ok(Encryption {
                keys,
                screen,
                signer: Signer::new(KEY_ID, secret, ASSERTION_SECONDS),
                upstream: upstream.to_string(),
                timeout,
                path_prefix: path_prefix.to_string(),
            }),
            (keys, screen, upstream) => {
                let missing = [
                    ("key_encryption_key or decryption_keys", keys.is_none()),
                    (INPUT_POLICY, screen.is_none()),
                    (UPSTREAM, upstream.is_none()),
                ];
                let missing = missing.into_iter().filter(|(_, is_missing)| *is_missing);
                Err(NotSet(missing.map(|(name, _)| name).collect()))
            }
        };
        Ok(Self { gatekeeper, encryption })
    }
}

fn policy_secrets(
    document: &str,
    set: impl Fn(&str) -> Option<Zeroizing<String>>,
) -> Result<PolicySecrets, SettingError> {
    let mut secrets = PolicySecrets::default();
    for name in secret_names(document) {
        let variable = variable_of(&name);
        let Some(value) = set(&variable) else {
            let expected = format!("not set; expected the secret {name} of {INPUT_POLICY}");
            return Err(unfit(&variable, expected));
        };
        secrets.insert(name, value);
    }
    Ok(secrets)
}

fn timeout(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok()?;
    TIMEOUTS.contains(&seconds).then_some(Duration::from_secs(seconds))
}

fn unfit(variable: &str, expected: impl Display) -> SettingError {
    SettingError::Unfit { variable: variable.to_owned(), expected: expected.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::testing::{OTHER_KEY, policy, variables};

    fn read(variables: &BTreeMap<String, String>) -> Result<Settings, SettingError> {
        let read = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
        Settings::read(read, &Screens::default())
    }

    fn error(name: &str, value: &str) -> String {
        let mut variables = variables();
        variables.insert(name.to_owned(), value.to_owned());
        read(&variables).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn an_unfit_variable_is_named_and_its_value_is_not() {
        for name in [
            "assertion_key",
            "key_encryption_key",
            "decryption_keys",
            "decryption_rotation_seconds",
            "input_policy",
            "upstream",
            "upstream_timeout_seconds",
            "path_prefix",
        ] {
            let error = error(name, "hunter2");
            assert!(error.starts_with(&format!("Spin variable {name}: ")), "{error}");
            assert!(error.contains("expected") && !error.contains("hunter2"), "{error}");
        }
        assert!(error("assertion_key", " ").contains("assertion_key: not set; expected"));
        assert!(error("assertion_key", OTHER_KEY).contains("another key"), "one for two purposes");
        for number in ["0", "301", "-1", "1.5", "99999999999999999999"] {
            assert!(error("upstream_timeout_seconds", number).ends_with("from 1 to 300"));
        }
        let mut unknown = policy();
        unknown["inputs"] = json!({});
        assert!(error("input_policy", &unknown.to_string()).contains("inputs"));
    }

    #[test]
    fn what_is_not_set_is_named_and_nothing_is_decrypted_without_it() {
        assert!(read(&variables()).unwrap().encryption.is_ok());
        for (name, told) in [
            ("key_encryption_key", "key_encryption_key or decryption_keys"),
            ("input_policy", "input_policy"),
            ("upstream", "upstream"),
        ] {
            for value in [None, Some("")] {
                let mut variables = variables();
                variables.remove(name);
                variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
                let not_set = read(&variables).unwrap().encryption.map(drop).unwrap_err();
                assert_eq!(not_set, NotSet(vec![told]));
                assert!(not_set.to_string().ends_with(&format!("Spin variable {told}")));
            }
        }
    }

    #[test]
    fn secrets_of_the_policy_are_variables() {
        let mut document = policy();
        document["redaction"] = json!({ "key": { "env": "REDACTION_KEY" } });
        document["input"]["screening"]["personal_data"] = json!({ "email_address": "tokenise" });
        let mut variables = variables();
        variables.insert("input_policy".to_owned(), document.to_string());
        let error = read(&variables).map(drop).unwrap_err().to_string();
        assert_eq!(
            error,
            "Spin variable redaction_key: not set; expected the secret REDACTION_KEY of input_policy"
        );
        variables.insert("redaction_key".to_owned(), OTHER_KEY.to_owned());
        assert!(read(&variables).unwrap().encryption.is_ok());
        variables.insert("redaction_key".to_owned(), "hunter2".to_owned());
        let error = read(&variables).map(drop).unwrap_err().to_string();
        assert!(error.contains("redaction.key") && !error.contains("hunter2"), "{error}");
    }
}
