//! An environment for this crate's own tests: a clock that is set and a store that can fail.

use std::net::{IpAddr, Ipv4Addr};

use crate::environment::{
    Environment, MemoryStore, NativeSignature, Swap, Timestamp, Unavailable, Version,
};

pub(crate) struct TestEnvironment {
    now: Timestamp,
    store: MemoryStore,
    pub(crate) store_fails: bool,
    pub(crate) conflicts: usize,
    pub(crate) random_fails: bool,
    pub(crate) source: Option<IpAddr>,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp(1_700_000_000_000_000_000),
            store: MemoryStore::default(),
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

    /// How much is stored, in bytes.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.store.iter().map(|(_, value)| value.len()).sum()
    }

    pub(crate) fn go_back_seconds(&mut self, seconds: u64) {
        self.now = Timestamp(self.now.0 - seconds * 1_000_000_000);
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
        Ok(self.store.load(key))
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
        if self.conflicts > 0 {
            self.conflicts -= 1;
            return Ok(Swap::Conflict);
        }
        Ok(self.store.compare_and_swap(key, expected, value))
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}
