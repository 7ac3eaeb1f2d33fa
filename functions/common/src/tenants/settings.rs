//! The operator's settings: Spin variables.

use std::collections::BTreeSet;

use portcullis_policy::{Principal, Secret};
use zeroize::Zeroizing;

use super::vault::{TenantKey, TenantKeys};

/// For how many days answers may be retained.
const MAXIMUM_RETENTION_DAYS: u32 = 90;

/// The most keys: the present one, and some that came before it.
const MAXIMUM_KEYS: usize = 4;

/// Who answers for a tenant where nothing is said.
const DEFAULT_ADMINISTRATOR: &str = "role:tenant-admin";

/// What is kept, under which keys, and who may see all of a tenant's.
pub struct Settings {
    pub(super) keys: TenantKeys,
    /// 0: answers are not retained.
    pub(super) retention_days: u32,
    pub(super) administrator: Administrator,
    /// The tenants that want the texts of their feedback kept.
    pub(super) text_tenants: BTreeSet<String>,
}

/// Who may see and erase what is kept of all of their tenant.
pub(super) enum Administrator {
    Role(String),
    Scope(String),
}

impl Administrator {
    /// Says nothing of which tenant: it is that of the same credential.
    pub(super) fn is(&self, principal: &Principal) -> bool {
        match self {
            Self::Role(role) => principal.roles.contains(role),
            Self::Scope(scope) => principal.scopes.contains(scope),
        }
    }
}

/// A variable, and what was expected there. Quotes no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Spin variable {variable}: expected {expected}")]
pub struct SettingError {
    variable: &'static str,
    expected: &'static str,
}

impl Settings {
    /// The names of all variables that are read. `assertion_key` only to see that it is not used twice.
    pub const VARIABLES: [&'static str; 5] =
        ["tenant_key", "retention_days", "tenant_administrator", "feedback_texts", "assertion_key"];

    /// Reads the variables; `variable` answers `None` for those that are not set.
    pub fn read(
        mut variable: impl FnMut(&'static str) -> Option<Zeroizing<String>>,
    ) -> Result<Self, SettingError> {
        let mut set = |name| variable(name).filter(|value| !value.is_empty());
        let wrong = |variable, expected| SettingError { variable, expected };

        let text = set("tenant_key").unwrap_or_default();
        let assertion_key =
            set("assertion_key").and_then(|other| Secret::from_base64url(&other).ok());
        let keys = keys(&text, assertion_key.as_ref())
            .map_err(|expected| wrong("tenant_key", expected))?;
        let retention_days = set("retention_days").map_or(Some(0), |text| retention(&text));
        let retention_days =
            retention_days.ok_or(wrong("retention_days", "a whole number from 0 to 90"))?;
        let administrator = set("tenant_administrator");
        let administrator = administrator.as_ref().map_or(DEFAULT_ADMINISTRATOR, |text| text);
        let administrator = administrator_of(administrator)
            .ok_or(wrong("tenant_administrator", "role:NAME or scope:NAME"))?;
        let text_tenants = set("feedback_texts")
            .map_or(Ok(BTreeSet::new()), |text| serde_json::from_str(&text))
            .map_err(|_| wrong("feedback_texts", "a JSON array of tenants"))?;
        Ok(Self { keys, retention_days, administrator, text_tenants })
    }
}

/// The keys, the one that is written with first; commas or blanks between them. The error is what was expected.
fn keys(text: &str, assertion_key: Option<&Secret>) -> Result<TenantKeys, &'static str> {
    const EXPECTED: &str = "at least 32 bytes in base64url; or up to 4 such keys, each once, commas between them, the one to \
                            write with first";
    let is_between = |character: char| character == ',' || character.is_ascii_whitespace();
    let mut keys: Vec<TenantKey> = Vec::new();
    for part in text.split(is_between).filter(|part| !part.is_empty()) {
        let secret = Secret::from_base64url(part).map_err(|_| EXPECTED)?;
        // One key for two purposes would let who holds the gate's open what is kept of all tenants.
        if assertion_key.is_some_and(|other| other.expose() == secret.expose()) {
            return Err("another key than assertion_key");
        }
        let key = TenantKey::new(secret).ok_or(EXPECTED)?;
        if keys.iter().any(|other| other.id() == key.id()) || keys.len() == MAXIMUM_KEYS {
            return Err(EXPECTED);
        }
        keys.push(key);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or(EXPECTED)?;
    Ok(TenantKeys { current, former: keys.collect() })
}

fn retention(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|days| is_number && *days <= MAXIMUM_RETENTION_DAYS)
}

fn administrator_of(text: &str) -> Option<Administrator> {
    match text.split_once(':')? {
        ("role", name) if !name.is_empty() => Some(Administrator::Role(name.to_owned())),
        ("scope", name) if !name.is_empty() => Some(Administrator::Scope(name.to_owned())),
        _ => None,
    }
}
