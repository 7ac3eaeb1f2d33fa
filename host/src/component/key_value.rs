//! Spin's key-value store: what a function keeps between requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The only store that exists, as in Spin without a runtime configuration.
pub(super) const DEFAULT_STORE: &str = "default";

/// The longest key, in bytes.
pub const MAX_KEY: usize = 255;
/// The largest value, in bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// The most that all keys and values together may take, in bytes.
pub const MAX_TOTAL: usize = 64 << 20;
/// What an entry is counted with beside its key and value, so that many tiny ones are bounded too.
const ENTRY_OVERHEAD: usize = 64;

/// A key-value store in memory, shared by all instances of a function.
///
/// It is bounded ([`MAX_KEY`], [`MAX_VALUE`], [`MAX_TOTAL`]) and lives as long as the process.
#[derive(Clone, Default)]
pub struct KeyValueStore(Arc<Mutex<Entries>>);

impl KeyValueStore {
    /// The value of `key`, if there is one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.entries().map.get(key).cloned()
    }

    /// Whether `key` has a value.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.entries().map.contains_key(key)
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// A bound would be exceeded; nothing has changed then.
    pub fn set(&self, key: String, value: Vec<u8>) -> Result<(), Full> {
        if key.len() > MAX_KEY {
            return Err(Full::Key);
        }
        if value.len() > MAX_VALUE {
            return Err(Full::Value);
        }
        let mut entries = self.entries();
        let freed = entries.map.get(&key).map_or(0, |old| size(&key, old));
        let total = entries.total.saturating_sub(freed).saturating_add(size(&key, &value));
        if total > MAX_TOTAL {
            return Err(Full::Store);
        }
        entries.total = total;
        entries.map.insert(key, value);
        Ok(())
    }

    /// Removes `key`, if it is there.
    pub fn delete(&self, key: &str) {
        let mut entries = self.entries();
        if let Some(old) = entries.map.remove(key) {
            entries.total = entries.total.saturating_sub(size(key, &old));
        }
    }

    /// All keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.entries().map.keys().cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change is complete before anything can panic, so a poisoned lock guards good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bound that a write would have exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("the key is longer than {MAX_KEY} bytes")]
    Key,
    #[error("the value is larger than {MAX_VALUE} bytes")]
    Value,
    #[error("the store is full: it holds at most {MAX_TOTAL} bytes")]
    Store,
}

#[derive(Default)]
struct Entries {
    map: BTreeMap<String, Vec<u8>>,
    total: usize,
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_get_delete() {
        let store = KeyValueStore::default();
        store.set("b".into(), vec![1]).unwrap();
        store.clone().set("a".into(), vec![2]).unwrap();
        store.set("b".into(), vec![3]).unwrap();
        assert_eq!(store.value("b"), Some(vec![3]));
        assert_eq!(store.keys(), ["a", "b"]);
        store.delete("b");
        store.delete("b");
        assert!(!store.contains("b"));
        assert_eq!(store.entries().total, size("a", &[2]));
    }

    #[test]
    fn every_bound_holds() {
        let store = KeyValueStore::default();
        assert_eq!(store.set("k".repeat(MAX_KEY + 1), vec![]), Err(Full::Key));
        assert_eq!(store.set("k".into(), vec![0; MAX_VALUE + 1]), Err(Full::Value));

        let mut written = 0;
        while store.set(format!("k{written}"), vec![0; MAX_VALUE]).is_ok() {
            written += 1;
            assert!(written <= 64, "the total is not bounded");
        }
        assert_eq!(store.set("one more".into(), vec![0; MAX_VALUE]), Err(Full::Store));
        store.set("k0".into(), vec![]).expect("replacing by something smaller frees space");
        store.set("one more".into(), vec![0; MAX_VALUE - 256]).unwrap();
    }
}
