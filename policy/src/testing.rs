//! An environment for this crate's own tests: a clock that is set and a store that can fail.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::environment::{Environment, NativeSignature, Swap, Timestamp, Unavailable, Version};

pub(crate) struct TestEnvironment {
    now: Timestamp,
    store: BTreeMap<String, (Vec<u8>, Version)>,
    versions: u32,
    pub(crate) store_fails: bool,
    pub(crate) conflicts: usize,
    pub(crate) random_fails: bool,
    pub(crate) source: Option<IpAddr>,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp(1_700_000_000_000_000_000),
            store: BTreeMap::new(),
            versions: 0,
            store_fails: false,
            conflicts: 0,
            random_fails: false,
            source: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        }
    }

    pub(crate) fn advance_seconds(&mut self, seconds: u64) {
        self.advance_nanoseconds(seconds * 1_000_000_000);
    }

    pub(crate) fn advance_nanoseconds(&mut self, nanoseconds: u64) {
        self.now = Timestamp(self.now.0 + nanoseconds);
    }

    pub(crate) fn go_back_seconds(&mut self, seconds: u64) {
        self.now = Timestamp(self.now.0 - seconds * 1_000_000_000);
    }

    pub(crate) fn stored_bytes(&self) -> usize {
        self.store.values().map(|(bytes, _)| bytes.len()).sum()
    }
}

impl Environment for TestEnvironment {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        if self.random_fails {
            return Err(Unavailable);
        }
        bytes.fill(4);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
        self.source
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        if self.store_fails {
            return Err(Unavailable);
        }
        Ok(self.store.get(key).cloned())
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        if self.store_fails {
            return Err(Unavailable);
        }
        let found = self.store.get(key).map(|(_, version)| *version);
        if self.conflicts > 0 || found != expected {
            self.conflicts = self.conflicts.saturating_sub(1);
            return Ok(Swap::Conflict);
        }
        self.versions += 1;
        self.store.insert(key.to_owned(), (value.to_vec(), Version(self.versions)));
        Ok(Swap::Done)
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}
