//! A store for one process.

use std::collections::BTreeMap;

use super::{Swap, Version};

/// What an [`Environment`](crate::Environment) stores, where nobody else shares it: in a command, in a test.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: BTreeMap<String, (Vec<u8>, Version)>,
    writes: u32,
}

impl MemoryStore {
    /// See [`Environment::load`](crate::Environment::load).
    pub fn load(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        self.entries.get(key).cloned()
    }

    /// See [`Environment::compare_and_swap`](crate::Environment::compare_and_swap).
    pub fn compare_and_swap(&mut self, key: &str, expected: Option<Version>, value: &[u8]) -> Swap {
        if self.entries.get(key).map(|(_, version)| *version) != expected {
            return Swap::Conflict;
        }
        self.writes = self.writes.wrapping_add(1);
        self.entries.insert(key.to_owned(), (value.to_vec(), Version(self.writes)));
        Swap::Done
    }

    /// All that is stored, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(key, (value, _))| (key.as_str(), value.as_slice()))
    }
}
