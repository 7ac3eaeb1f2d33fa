//! The operator's settings: Spin variables.

use portcullis_policy::Secret;
use zeroize::Zeroizing;

use super::AgreementKey;
use super::oaep::RsaKey;
use crate::keys::{GRACE_SECONDS, Kind as _, PUBLISHED_BEFORE_SECONDS, Sealer};

/// The names of the variables that [`JweSettings::read`] asks for.
pub const VARIABLES: [&str; 4] =
    [KEY_ENCRYPTION_KEY, ASSERTION_KEY, "decryption_keys", "decryption_rotation_seconds"];

const KEY_ENCRYPTION_KEY: &str = "key_encryption_key";
const ASSERTION_KEY: &str = "assertion_key";

/// The age at which a key is replaced where nothing is said: 30 days.
const DEFAULT_ROTATION_SECONDS: u64 = 30 * 24 * 3600;
/// So long that at most a handful of keys is kept: more than a key's whole way from next to forgotten.
const MINIMUM_ROTATION_SECONDS: u64 =
    2 * (PUBLISHED_BEFORE_SECONDS + AgreementKey::RETAINED_SECONDS + GRACE_SECONDS);
/// A year.
const MAXIMUM_ROTATION_SECONDS: u64 = 366 * 24 * 3600;

/// What decryption needs to know.
pub struct JweSettings {
    /// What the function's own keys are encrypted under; without it there are none.
    pub(super) sealer: Option<Sealer>,
    /// The operator's keys: the first one is published, the others are there for what was encrypted before.
    pub(super) rsa: Vec<RsaKey>,
    pub(super) rotation_seconds: u64,
}

/// A variable, and what was expected there. Quotes no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Spin variable {variable}: {expected}")]
pub struct SettingError {
    variable: &'static str,
    expected: String,
}

impl JweSettings {
    /// Reads the variables; `variable` answers `None` for those that are not set. `None` where there is no key at all:
    /// encrypted requests are not accepted then.
    pub fn read(
        mut variable: impl FnMut(&'static str) -> Option<Zeroizing<String>>,
    ) -> Result<Option<Self>, SettingError> {
        let mut set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let sealer = match set(KEY_ENCRYPTION_KEY) {
            None => None,
            Some(text) => {
                // One key for two purposes would let who holds the gate's open the decryption keys.
                if set(ASSERTION_KEY).is_some_and(|other| *other == *text) {
                    return Err(wrong(
                        KEY_ENCRYPTION_KEY,
                        "expected another key than assertion_key",
                    ));
                }
                let key = Secret::from_base64url(&text)
                    .map_err(|error| wrong(KEY_ENCRYPTION_KEY, error.to_string()))?;
                let sealer = Sealer::new::<AgreementKey>(&key);
                let expected = "expected at least 32 bytes in base64url";
                Some(sealer.ok_or_else(|| wrong(KEY_ENCRYPTION_KEY, expected))?)
            }
        };
        let rsa = match set("decryption_keys") {
            None => Vec::new(),
            Some(text) => {
                RsaKey::read_all(&text).map_err(|expected| wrong("decryption_keys", expected))?
            }
        };
        let rotation_seconds = match set("decryption_rotation_seconds") {
            None => DEFAULT_ROTATION_SECONDS,
            Some(text) => rotation(&text).ok_or_else(|| {
                let (least, most) = (MINIMUM_ROTATION_SECONDS, MAXIMUM_ROTATION_SECONDS);
                let expected = format!("expected a whole number from {least} to {most}");
                wrong("decryption_rotation_seconds", expected)
            })?,
        };
        let is_configured = sealer.is_some() || !rsa.is_empty();
        Ok(is_configured.then_some(Self { sealer, rsa, rotation_seconds }))
    }
}

fn wrong(variable: &'static str, expected: impl Into<String>) -> SettingError {
    SettingError { variable, expected: expected.into() }
}

fn rotation(text: &str) -> Option<u64> {
    let seconds = text.trim().parse().ok()?;
    (MINIMUM_ROTATION_SECONDS..=MAXIMUM_ROTATION_SECONDS).contains(&seconds).then_some(seconds)
}
