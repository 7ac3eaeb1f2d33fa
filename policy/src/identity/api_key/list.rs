//! A list of keys, and what is known of each.

use std::collections::HashMap;
use std::sync::Arc;

use super::conditions::Conditions;
use super::key::{Digest, is_id};
use crate::document::ApiKeyEntry;
use crate::policy::CompileError;
use crate::principal::RenderedPrincipal;
use crate::{CredentialKind, Principal};

/// The longest text of an entry, in bytes, and the longest list of roles or scopes.
const MAXIMUM_TEXT_BYTES: usize = 256;
const MAXIMUM_WORDS: usize = 100;

/// Keys by their ids. However many there are, one is found in the same time.
#[derive(Debug, Default)]
pub(super) struct KeyList(HashMap<String, StoredKey>);

/// A key of which everything is known but the key.
#[derive(Debug)]
pub(super) struct StoredKey {
    digest: Digest,
    pub(super) principal: Arc<RenderedPrincipal>,
    pub(super) conditions: Conditions,
}

impl KeyList {
    /// `field` is where the entries stand.
    pub(super) fn compile(
        entries: &[ApiKeyEntry],
        maximum: usize,
        field: &str,
    ) -> Result<Self, CompileError> {
        if entries.len() > maximum {
            return Err(CompileError::new(field, format!("expected at most {maximum} keys")));
        }
        let mut keys = HashMap::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let stored = StoredKey::compile(entry, &field)?;
            if keys.insert(entry.id.clone(), stored).is_some() {
                let message = "expected an id that no other key has";
                return Err(CompileError::new(format!("{field}.id"), message));
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn find(&self, id: &str) -> Option<&StoredKey> {
        self.0.get(id)
    }
}

impl StoredKey {
    fn compile(entry: &ApiKeyEntry, field: &str) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| CompileError::new(format!("{field}.{name}"), message);
        // Whoever puts a whole key here must not find it in the message.
        if !is_id(&entry.id) {
            return Err(error("id", "expected 4 to 32 lower-case letters and digits"));
        }
        let digest = Digest::parse(&entry.digest).ok_or_else(|| {
            error(
                "digest",
                "expected hmac-sha256: and 32 bytes in base64url, as `portcullis key new` prints",
            )
        })?;
        let texts = [
            ("owner", Some(&entry.owner)),
            ("tenant", entry.tenant.as_ref()),
            ("plan", entry.plan.as_ref()),
        ];
        for (name, text) in texts {
            if !text.is_none_or(|text| is_text(text)) {
                return Err(error(name, EXPECTED_TEXT));
            }
        }
        for (name, words) in [("roles", &entry.roles), ("scopes", &entry.scopes)] {
            if words.len() > MAXIMUM_WORDS {
                return Err(error(name, "expected at most 100"));
            }
            if let Some(index) = words.iter().position(|word| !is_text(word)) {
                return Err(error(&format!("{name}[{index}]"), EXPECTED_TEXT));
            }
        }
        // Two scopes in one text would be one that nobody asks for.
        if let Some(index) = entry.scopes.iter().position(|scope| !scope.bytes().all(is_scope_byte))
        {
            let message =
                "expected one scope: visible ASCII without quotes and backslashes (RFC 6749 §3.3)";
            return Err(error(&format!("scopes[{index}]"), message));
        }
        let principal = Principal {
            issuer: None,
            plan: entry.plan.clone(),
            subject: entry.owner.clone(),
            tenant: entry.tenant.clone(),
            roles: sorted(&entry.roles),
            scopes: sorted(&entry.scopes),
            via: CredentialKind::ApiKey,
            credential_id: Some(entry.id.clone()),
        };
        let conditions = Conditions::compile(entry, field)?;
        Ok(Self { digest, principal: Arc::new(principal.into()), conditions })
    }

    /// The key, if there is one and it has this digest. It takes as long where there is none.
    pub(super) fn verified<'a>(key: Option<&'a Self>, digest: &Digest) -> Option<&'a Self> {
        let expected = key.map_or(Digest::NOBODYS, |key| key.digest);
        let is_same = expected.is_same(digest);
        key.filter(|_| is_same)
    }
}

const EXPECTED_TEXT: &str = "expected 1 to 256 bytes of text without control characters";

/// What goes into header fields, records and terminals.
fn is_text(text: &str) -> bool {
    (1..=MAXIMUM_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// RFC 6749 §3.3.
fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> ApiKeyEntry {
        ApiKeyEntry::new(id, format!("hmac-sha256:{}E", "A".repeat(42)), "batch")
    }

    fn error(entries: &[ApiKeyEntry]) -> String {
        KeyList::compile(entries, 3, "keys").unwrap_err().to_string()
    }

    #[test]
    fn entries_are_checked_field_by_field() {
        assert!(KeyList::compile(&[entry("aaaa"), entry("bbbb")], 3, "keys").is_ok());
        let one = |change: fn(&mut ApiKeyEntry)| {
            let mut entry = entry("aaaa");
            change(&mut entry);
            error(&[entry])
        };
        for (change, field) in [
            ((|entry| entry.id = "pcl_aaaa_hunter2".into()) as fn(&mut ApiKeyEntry), "id"),
            (|entry| entry.digest = "A".repeat(43), "digest"),
            (|entry| entry.digest = "hmac-sha256:AAAA".into(), "digest"),
            (|entry| entry.digest = format!("hmac-sha256:{}", "A".repeat(43)), "digest"),
            (|entry| entry.owner.clear(), "owner"),
            (|entry| entry.owner = "a\x1b[2J".into(), "owner"),
            (|entry| entry.owner = "a".repeat(257), "owner"),
            (|entry| entry.tenant = Some(String::new()), "tenant"),
            (|entry| entry.plan = Some("\n".into()), "plan"),
            (|entry| entry.roles = vec!["a".into(), String::new()], "roles[1]"),
            (|entry| entry.roles = vec!["a".into(); 101], "roles"),
            (|entry| entry.scopes = vec!["a b".into()], "scopes[0]"),
        ] {
            let error = one(change);
            assert!(error.starts_with(&format!("keys[0].{field}: expected")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn ids_are_unique_and_lists_bounded() {
        let message = error(&[entry("aaaa"), entry("bbbb"), entry("aaaa")]);
        assert_eq!(message, "keys[2].id: expected an id that no other key has");
        let four = ["aaaa", "bbbb", "cccc", "dddd"].map(entry);
        assert_eq!(error(&four), "keys: expected at most 3 keys");
    }

    #[test]
    fn nobodys_digest_opens_nothing() {
        assert!(StoredKey::verified(None, &Digest::NOBODYS).is_none());
    }
}
