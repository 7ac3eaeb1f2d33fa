//! The operator's settings: Spin variables.

use std::collections::BTreeSet;

use portcullis_policy::{Principal, Secret};
use zeroize::Zeroizing;

/// For how many days answers may be retained.
const MAXIMUM_RETENTION_DAYS: u32 = 90;

/// Who answers for a tenant where nothing is said.
const DEFAULT_ADMINISTRATOR: &str = "role:tenant-admin";

/// What is kept, under which key, and who may see all of a tenant's.
pub struct Settings {
    pub(super) key: Secret,
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

        let expected = "at least 32 bytes in base64url";
        let text = set("tenant_key").ok_or(wrong("tenant_key", expected))?;
        let key = Secret::from_base64url(&text).map_err(|_| wrong("tenant_key", expected))?;
        // One key for two purposes would let who holds the gate's open what is kept of all tenants.
        if set("assertion_key")
            .and_then(|other| Secret::from_base64url(&other).ok())
            .is_some_and(|other| other.expose() == key.expose())
        {
            return Err(wrong("tenant_key", "another key than assertion_key"));
        }
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
        Ok(Self { key, retention_days, administrator, text_tenants })
    }
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
