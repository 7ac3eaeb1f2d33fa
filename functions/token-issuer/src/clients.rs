//! Who may have tokens: the registry of clients.

use std::collections::BTreeSet;

use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::{self, PasswordHash};
use argon2::{Argon2, Params};
use serde::Deserialize;
use serde_json::error::Category;
use zeroize::Zeroizing;

use crate::credentials::{Credentials, MAXIMUM_ID_BYTES};
use crate::token::{MAXIMUM_LIFETIME_SECONDS, MINIMUM_LIFETIME_SECONDS};

/// The longest registry, and the most clients in it.
const MAXIMUM_REGISTRY_BYTES: usize = 512 * 1024;
const MAXIMUM_CLIENTS: usize = 1000;

/// The most roles, scopes or audiences of one client, and the longest of each text, in bytes.
const MAXIMUM_WORDS: usize = 64;
const MAXIMUM_TEXT_BYTES: usize = 256;

/// What a client's secret may cost to check: from OWASP's recommendation (19 MiB, 2 passes, 1 lane) up to what an
/// instance can afford. A registry cannot ask for 4 GiB.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = Params::DEFAULT_M_COST..=64 * 1024;
const PASSES: std::ops::RangeInclusive<u32> = Params::DEFAULT_T_COST..=4;

/// The most different costs in one registry: each is paid for each request.
const MAXIMUM_COSTS: usize = 3;

/// All clients.
pub(crate) struct Registry {
    clients: Vec<Client>,
    /// For each cost that a client's hash has, one that is nobody's: what is checked where a client's own is not.
    decoys: Vec<PasswordHash>,
}

/// Who may have tokens, and for what.
pub(crate) struct Client {
    pub(crate) id: String,
    secret_hash: PasswordHash,
    /// The `sub` of its tokens.
    pub(crate) subject: String,
    pub(crate) tenant: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) audiences: Vec<String>,
    enabled: bool,
    pub(crate) token_lifetime_seconds: Option<u64>,
}

/// What is wrong with the registry. Quotes no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{expected}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub(crate) struct RegistryError {
    /// Such as `[0].roles`; empty for the registry as a whole.
    field: String,
    expected: String,
}

impl Registry {
    /// Reads the registry, a JSON array of clients.
    pub(crate) fn parse(text: &str) -> Result<Self, RegistryError> {
        let whole = |expected: String| RegistryError { field: String::new(), expected };
        if text.len() > MAXIMUM_REGISTRY_BYTES {
            return Err(whole(format!("expected at most {MAXIMUM_REGISTRY_BYTES} bytes")));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let entries: Vec<Entry> =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| unread(&error))?;
        deserializer.end().map_err(|error| {
            whole(format!("line {}: expected one JSON array of clients", error.line()))
        })?;
        if entries.is_empty() || entries.len() > MAXIMUM_CLIENTS {
            return Err(whole(format!("expected 1 to {MAXIMUM_CLIENTS} clients")));
        }
        let mut clients: Vec<Client> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let client = entry.client(index)?;
            if clients.iter().any(|known| known.id == client.id) {
                return Err(wrong(index, "id", "expected an id that is not listed before"));
            }
            clients.push(client);
        }
        let costs: BTreeSet<_> = clients.iter().map(|client| cost(&client.secret_hash)).collect();
        if costs.len() > MAXIMUM_COSTS {
            return Err(whole(format!(
                "expected secret hashes of at most {MAXIMUM_COSTS} different costs (m and t), as each is paid for each \
                 request: give clients of the others new secrets"
            )));
        }
        let decoys = costs.into_iter().map(decoy).collect::<Result<_, _>>();
        let decoys = decoys.map_err(|_| whole("expected hashes of a known cost".to_owned()))?;
        Ok(Self { clients, decoys })
    }

    /// The client that these credentials belong to, unless it is disabled. Takes as long whoever it is, and where there is none:
    /// one hash of each cost is made.
    pub(crate) fn authenticate(&self, credentials: &Credentials) -> Option<&Client> {
        let client = self.clients.iter().find(|client| client.id == credentials.id);
        let mut verified = false;
        for decoy in &self.decoys {
            let own = client.map(|client| &client.secret_hash);
            let own = own.filter(|own| cost(own) == cost(decoy));
            let secret = credentials.secret.as_bytes();
            let matches = Argon2::default().verify_password(secret, own.unwrap_or(decoy)).is_ok();
            verified |= matches && own.is_some();
        }
        client.filter(|client| verified && client.enabled)
    }
}

/// A hash of this cost. No client has it, so it does not matter what it is of.
fn decoy((memory, passes): (u32, u32)) -> Result<PasswordHash, phc::Error> {
    PasswordHash::new(&format!("$argon2id$v=19$m={memory},t={passes},p=1${DECOY}"))
}

/// A salt and a digest of the usual lengths.
const DECOY: &str = "cG9ydGN1bGxpcy1kZWNveQ$cG9ydGN1bGxpcy1kZWNveXBvcnRjdWxsaXMtZGVjb3k";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    secret_hash: Zeroizing<String>,
    subject: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    audiences: Vec<String>,
    #[serde(default = "enabled")]
    enabled: bool,
    token_lifetime_seconds: Option<u64>,
}

fn enabled() -> bool {
    true
}

impl Entry {
    fn client(self, index: usize) -> Result<Client, RegistryError> {
        let check = |holds: bool, field: &'static str| match holds {
            true => Ok(()),
            false => Err(wrong(index, field, expectation(field))),
        };
        // What no encoding touches, so that careless clients get in, too.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let id_length = 1..=MAXIMUM_ID_BYTES;
        check(id_length.contains(&self.id.len()) && self.id.bytes().all(plain), "id")?;
        check(self.subject.as_deref().is_none_or(is_text), "subject")?;
        check(self.tenant.as_deref().is_none_or(is_text), "tenant")?;
        check(is_list(&self.roles, is_text), "roles")?;
        check(is_list(&self.scopes, is_scope_token), "scopes")?;
        check(!self.audiences.is_empty() && is_list(&self.audiences, is_text), "audiences")?;
        let lifetimes = MINIMUM_LIFETIME_SECONDS..=MAXIMUM_LIFETIME_SECONDS;
        check(
            self.token_lifetime_seconds.is_none_or(|lifetime| lifetimes.contains(&lifetime)),
            "token_lifetime_seconds",
        )?;
        let secret_hash = PasswordHash::new(&self.secret_hash).ok().filter(is_affordable);
        Ok(Client {
            subject: self.subject.unwrap_or_else(|| self.id.clone()),
            id: self.id,
            secret_hash: secret_hash
                .ok_or_else(|| wrong(index, "secret_hash", expectation("secret_hash")))?,
            tenant: self.tenant,
            roles: self.roles,
            scopes: self.scopes,
            audiences: self.audiences,
            enabled: self.enabled,
            token_lifetime_seconds: self.token_lifetime_seconds,
        })
    }
}

/// What each field must be, for the operator.
fn expectation(field: &str) -> &'static str {
    match field {
        "id" => "expected 1 to 128 of the characters A-Z a-z 0-9 - . _ ~",
        "secret_hash" => {
            "expected an argon2id hash as `portcullis client new` prints it: $argon2id$v=19$ with m=19456 to 65536, t=2 \
             to 4, p=1, a salt of 16 bytes or more and a digest of 32"
        }
        "subject" | "tenant" => "expected a text of 1 to 256 bytes without control characters",
        "roles" => "expected at most 64 different texts of 1 to 256 bytes",
        "scopes" => "expected at most 64 different scopes without spaces or quotes (RFC 6749 §3.3)",
        "audiences" => "expected 1 to 64 different texts of 1 to 256 bytes",
        "enabled" => "expected true or false",
        "token_lifetime_seconds" => "expected 60 to 3600",
        _ => {
            "expected a client: id, secret_hash and audiences, and where needed subject, tenant, roles, scopes, \
             enabled, token_lifetime_seconds, each once and nothing else"
        }
    }
}

fn wrong(index: usize, field: &str, expected: &str) -> RegistryError {
    RegistryError { field: format!("[{index}].{field}"), expected: expected.to_owned() }
}

/// What serde found, without the values that its own messages quote.
fn unread(error: &serde_path_to_error::Error<serde_json::Error>) -> RegistryError {
    let inner = error.inner();
    let place = format!("line {}, column {}", inner.line(), inner.column());
    if inner.classify() != Category::Data {
        let expected = format!("{place}: expected a JSON array of clients");
        return RegistryError { field: String::new(), expected };
    }
    use serde_path_to_error::Segment;
    let segments = || error.path().iter();
    let index = segments().find_map(|segment| match segment {
        Segment::Seq { index } => Some(*index),
        _ => None,
    });
    // The first name is the field; an unknown one is not shown.
    let field = segments().find_map(|segment| match segment {
        Segment::Map { key } if FIELDS.contains(&key.as_str()) => Some(key.as_str()),
        _ => None,
    });
    let expected = match (index, field) {
        (None, _) => "expected a JSON array of clients",
        (_, field) => expectation(field.unwrap_or_default()),
    };
    let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
    let field = field.map(|field| format!(".{field}")).unwrap_or_default();
    RegistryError { field: format!("{index}{field}"), expected: format!("{expected} ({place})") }
}

const FIELDS: [&str; 9] = [
    "id",
    "secret_hash",
    "subject",
    "tenant",
    "roles",
    "scopes",
    "audiences",
    "enabled",
    "token_lifetime_seconds",
];

fn is_text(text: &str) -> bool {
    (1..=MAXIMUM_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// RFC 6749 §3.3.
pub(crate) fn is_scope_token(text: &str) -> bool {
    is_text(text) && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
}

fn is_list(words: &[String], is_word: fn(&str) -> bool) -> bool {
    let mut seen = BTreeSet::new();
    words.len() <= MAXIMUM_WORDS && words.iter().all(|word| is_word(word) && seen.insert(word))
}

/// Argon2id, not weaker than the recommendation and not dearer than an instance can afford, and nothing beside.
fn is_affordable(hash: &PasswordHash) -> bool {
    let (memory, passes) = cost(hash);
    let salted = hash.salt.as_ref().is_some_and(|salt| salt.as_ref().len() >= 16);
    let digested = hash.hash.as_ref().is_some_and(|digest| digest.len() == 32);
    hash.algorithm.as_str() == "argon2id"
        && hash.version == Some(19)
        && hash.params.as_str() == format!("m={memory},t={passes},p=1")
        && MEMORY_KIB.contains(&memory)
        && PASSES.contains(&passes)
        && salted
        && digested
}

/// Memory in KiB, and passes over it.
fn cost(hash: &PasswordHash) -> (u32, u32) {
    let value = |name| hash.params.get_decimal(name).unwrap_or(0);
    (value("m"), value("t"))
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
