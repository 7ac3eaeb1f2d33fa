//! This process as the policy's environment.

use std::net::IpAddr;

use portcullis_policy::{
    Environment, MemoryStore, NativeSignature, Swap, Timestamp, Trace, Unavailable, Version,
};
use ring::rand::SecureRandom as _;

use crate::proxy_wasm::{Clock as _, SystemClock, verifies};

/// One thread's environment: the store is not shared with anybody.
#[derive(Debug, Default)]
pub(crate) struct NativeEnvironment {
    /// The time in place of the machine's clock.
    pub(crate) now: Option<Timestamp>,
    /// The client's address, and the digest of its certificate, of the request that is being decided.
    pub(crate) source: Option<IpAddr>,
    pub(crate) client_certificate: Option<[u8; 32]>,
    /// Where to write down why things are decided.
    pub(crate) trace: Option<Trace>,
    store: MemoryStore,
}

impl NativeEnvironment {
    /// One in which what decides is written down.
    pub(crate) fn traced() -> Self {
        Self { trace: Some(Trace::default()), ..Self::default() }
    }
}

/// The machine's clock.
pub(crate) fn clock() -> Timestamp {
    Timestamp(SystemClock.now_nanoseconds())
}

impl Environment for NativeEnvironment {
    fn now(&mut self) -> Timestamp {
        self.now.unwrap_or_else(clock)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        ring::rand::SystemRandom::new().fill(bytes).map_err(|_| Unavailable)
    }

    fn source(&mut self) -> Option<IpAddr> {
        self.source
    }

    fn client_certificate(&mut self) -> Option<[u8; 32]> {
        self.client_certificate
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

    fn verify_signature(&mut self, signature: &NativeSignature<'_>) -> Option<bool> {
        let NativeSignature { hash, public_key, signature, message } = *signature;
        verifies(hash.as_bytes(), public_key, signature, message).ok().flatten()
    }

    fn trace(&mut self) -> Option<&mut Trace> {
        self.trace.as_mut()
    }
}
