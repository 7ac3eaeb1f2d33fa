//! The keys of one issuer.

use serde_json::Value;

use super::JwkError;
use super::algorithm::Algorithm;
use super::key::Key;
use super::member::{Jwk, Unusable};
use crate::input::{JsonLimits, parse_json};

/// The longest key set that is read.
const MAXIMUM_SET_BYTES: usize = 64 * 1024;

/// The most keys in a set.
const MAXIMUM_KEYS: usize = 64;

const LIMITS: JsonLimits = JsonLimits { max_depth: 8, max_values: 10_000 };

/// The keys of one issuer: public ones, or secrets, never both.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a key set that an operator has written. Every key in it that is for signatures must be usable, have its own `kid`,
    /// and be as strong as its algorithm wants (RFC 7518 §3.2, §3.3; RFC 8725 §3.5). Symmetric and public keys do not mix: a
    /// public key that could be taken for a secret is how tokens are forged.
    ///
    /// # Errors
    ///
    /// The first key or member that is not as it must be.
    pub fn parse(text: &str) -> Result<Self, JwkError> {
        Self::from_value(&json(text.as_bytes())?)
    }

    /// Likewise, from JSON that has been read.
    ///
    /// # Errors
    ///
    /// See [`parse`](Self::parse).
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, item) in items(value)?.iter().enumerate() {
            let field = format!("keys[{index}]");
            let key = match read(item, &field) {
                Ok(key) => key,
                Err(Unusable::Encryption) => continue,
                Err(unusable) => return Err(unusable.into_error()),
            };
            if keys.iter().any(|other| other.id == key.id) {
                return Err(ambiguous(&field));
            }
            keys.push(key);
        }
        let symmetric = keys.iter().filter(|key| key.is_symmetric()).count();
        if symmetric > 0 && symmetric < keys.len() {
            return Err(JwkError::new("keys", "expected symmetric or public keys, not both"));
        }
        if keys.is_empty() {
            return Err(none_usable());
        }
        Ok(Self { keys })
    }

    /// Reads a key set that an issuer serves, as it came from the network. What is not known here is passed over (RFC 7517 §5):
    /// an issuer may begin to use it. What is weak, malformed or ambiguous is left out and told; tokens by it are not accepted,
    /// those by the other keys are.
    ///
    /// # Errors
    ///
    /// It is no key set, it is too large, no key of it can be used, or there is a secret in it, which none is any more.
    pub fn parse_remote(bytes: &[u8]) -> Result<(Self, Vec<JwkError>), JwkError> {
        let value = json(bytes)?;
        let (mut keys, mut left_out): (Vec<(String, Key)>, Vec<JwkError>) = Default::default();
        for (index, item) in items(&value)?.iter().enumerate() {
            let field = format!("keys[{index}]");
            if item.get("kty").is_some_and(|kind| kind == "oct") {
                let expected = "expected public keys: a secret that is served is none";
                return Err(JwkError::new(format!("{field}.kty"), expected));
            }
            match read(item, &field) {
                Ok(key) => keys.push((field, key)),
                Err(Unusable::Encryption | Unusable::Unknown(_)) => {}
                Err(Unusable::Bad(error)) => left_out.push(error),
            }
        }
        // Of two keys with one `kid` neither is taken: which came first must not decide.
        let is_repeated =
            |key: &Key| keys.iter().filter(|(_, other)| other.id == key.id).count() > 1;
        let repeated = keys.iter().filter(|(_, key)| is_repeated(key));
        left_out.extend(repeated.map(|(field, _)| ambiguous(field)));
        let keys: Vec<Key> =
            keys.iter().filter(|(_, key)| !is_repeated(key)).map(|(_, key)| key.clone()).collect();
        if keys.is_empty() {
            return Err(left_out.into_iter().next().unwrap_or_else(none_usable));
        }
        Ok((Self { keys }, left_out))
    }

    /// Narrows every key to the algorithms that are accepted of its issuer; see [`Key::restricted_to`]. A key of which nothing is
    /// left stays known, so that tokens by it are told apart from those by keys that were never heard of.
    ///
    /// # Errors
    ///
    /// Nothing is left of any key.
    pub fn restricted_to(self, accepted: &[Algorithm]) -> Result<Self, JwkError> {
        let keys: Vec<Key> = self.keys.into_iter().map(|key| key.restricted_to(accepted)).collect();
        if keys.iter().all(|key| key.algorithms.is_empty()) {
            let names: Vec<&str> = accepted.iter().map(|algorithm| algorithm.as_str()).collect();
            let expected = format!("expected a key for {}", names.join(", "));
            return Err(JwkError::new("keys", expected));
        }
        Ok(Self { keys })
    }

    /// Whether these keys are secrets.
    pub fn is_symmetric(&self) -> bool {
        self.keys.iter().any(Key::is_symmetric)
    }

    /// The `kid` of every key that has one.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }

    /// The key for a token: that of its `kid`, or the only one where the token names none, or the key has none (RFC 7517 §4.5
    /// leaves it to the issuer). Whether it has signed the token is yet to be seen.
    pub(in crate::identity) fn find(&self, id: Option<&str>) -> Option<&Key> {
        let named = id.and_then(|id| self.keys.iter().find(|key| key.id.as_deref() == Some(id)));
        named.or(match self.keys.as_slice() {
            [only] if id.is_none() || only.id.is_none() => Some(only),
            _ => None,
        })
    }
}

fn json(bytes: &[u8]) -> Result<Value, JwkError> {
    if bytes.len() > MAXIMUM_SET_BYTES {
        return Err(JwkError::new("", format!("expected at most {MAXIMUM_SET_BYTES} bytes")));
    }
    parse_json(bytes, LIMITS).map_err(|error| JwkError::new("", format!("expected {error}")))
}

fn items(value: &Value) -> Result<&[Value], JwkError> {
    let items = value.get("keys").and_then(Value::as_array);
    let items =
        items.ok_or_else(|| JwkError::new("keys", "expected an array of keys (RFC 7517 §5)"))?;
    if items.len() > MAXIMUM_KEYS {
        return Err(JwkError::new("keys", format!("expected at most {MAXIMUM_KEYS} keys")));
    }
    Ok(items)
}

fn read(item: &Value, field: &str) -> Result<Key, Unusable> {
    let members = item.as_object().ok_or_else(|| JwkError::new(field, "expected an object"))?;
    Jwk { members, field }.read()
}

fn ambiguous(field: &str) -> JwkError {
    JwkError::new(format!("{field}.kid"), "expected a kid that no other key has")
}

fn none_usable() -> JwkError {
    JwkError::new("keys", "expected at least one key for signatures")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037 appendix A.2.
    fn key(id: &str) -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x})
    }

    #[test]
    fn finds_keys_by_id_and_alone_without() {
        let two = KeySet::from_value(&json!({"keys": [key("a"), key("b")]})).unwrap();
        assert_eq!(two.find(Some("b")).unwrap().id.as_deref(), Some("b"));
        assert!(two.find(Some("c")).is_none() && two.find(None).is_none());
        let one = KeySet::from_value(&json!({"keys": [key("a")]})).unwrap();
        assert!(one.find(None).is_some() && !one.is_symmetric());
    }

    #[test]
    fn members_are_named_once() {
        let error = KeySet::parse("{\"keys\":[],\"keys\":[]}").unwrap_err();
        assert!(error.field.is_empty() && error.expected.contains("once"), "{error}");
    }
}
