//! A place to run the policy in that holds its clock still and keeps nothing.

use std::net::IpAddr;

use portcullis_policy::{
    Environment, MemoryStore, NativeSignature, Swap, Timestamp, Unavailable, Version,
};

pub struct Runtime {
    pub now: Timestamp,
    store: MemoryStore,
    pub random_fails: bool,
    /// Where requests come from.
    pub source: Option<IpAddr>,
}

impl Runtime {
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn advance_seconds(&mut self, seconds: u64) {
        self.now = Timestamp(self.now.0 + seconds * 1_000_000_000);
    }

    pub fn new() -> Self {
        Self {
            now: Timestamp(1_700_000_000_000_000_000),
            store: MemoryStore::default(),
            random_fails: false,
            source: "192.0.2.1".parse().ok(),
        }
    }
}

impl Environment for Runtime {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        if self.random_fails {
            return Err(Unavailable);
        }
        bytes.fill(6);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
        self.source
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Ok(self.store.load(key))
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        Ok(self.store.compare_and_swap(key, expected, value))
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}
