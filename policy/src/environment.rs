//! What the policy needs from where it runs.

mod memory_store;

use std::net::IpAddr;

pub use memory_store::MemoryStore;

use crate::trace::Trace;

/// Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// This and so much later.
    pub(crate) fn after(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Nanoseconds from `earlier` until now; none where the clock went backwards.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The runtime as the policy sees it: Envoy, the wasmtime host, a Spin function, or a test.
///
/// Every method is called while a request waits, so none may block for long.
pub trait Environment {
    /// The wall-clock time. May go backwards; the policy copes.
    fn now(&mut self) -> Timestamp;

    /// Fills `bytes` from a cryptographically secure source. An error makes the request fail.
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable>;

    /// What is stored under `key`, shared among all workers of this machine, with its version.
    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable>;

    /// Stores `value` if what is stored is still of the `expected` version (`None`: if nothing is stored).
    /// Must be atomic among workers: a lost update gives away free requests.
    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable>;

    /// The address of the client whose request is being decided, as far as the runtime can vouch for it; never from a field that
    /// clients set. Asked only where it matters, so that finding out costs nothing elsewhere. `None` means that it is not
    /// known: where addresses are restricted, the request is refused.
    fn source(&mut self) -> Option<IpAddr>;

    /// The SHA-256 digest of the DER of the client's certificate, where the client has shown one, has proved to hold its key, and
    /// the runtime has verified it; never from a field that clients set. Asked only where a token is bound to one. `None` means
    /// that the client has shown none: the token is refused.
    fn client_certificate(&mut self) -> Option<[u8; 32]> {
        None
    }

    /// Verifies a signature with the host's native cryptography, where there is any: `None` means that the host
    /// cannot, and the policy will do it itself. `Some(true)` for a bad signature would let a forged
    /// token in; `Some(false)` for a good one only costs a retry.
    fn verify_signature(&mut self, signature: &NativeSignature<'_>) -> Option<bool>;

    /// Where the stages write down why they decide as they do, for an operator who asks. Default: nowhere, which costs nothing.
    fn trace(&mut self) -> Option<&mut Trace> {
        None
    }
}

impl dyn Environment + '_ {
    /// A secret that all workers of this machine have in common: what whoever asked first has put under `key`.
    pub(crate) fn machine_secret(&mut self, key: &str) -> Option<[u8; 16]> {
        if let Some((bytes, _)) = self.load(key).ok()? {
            return bytes.try_into().ok();
        }
        let mut fresh = [0; 16];
        self.random(&mut fresh).ok()?;
        self.update(key, |stored| match stored {
            // Somebody was faster: what is stored then is everybody's.
            Some(bytes) => Change::Keep(bytes.try_into().ok()),
            None => Change::Store(fresh.to_vec(), Some(fresh)),
        })
        .ok()?
    }

    /// Changes what is stored under `key`, atomically. `change` gets what is there and says what is to be; it is asked
    /// again where another worker was faster.
    pub(crate) fn update<T>(
        &mut self,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Change<T>,
    ) -> Result<T, Unavailable> {
        /// Each lost race has a winner, so this is out of reach unless the store misbehaves.
        const ATTEMPTS: usize = 100;
        for _ in 0..ATTEMPTS {
            let (stored, version) = self.load(key)?.unzip();
            let (value, done) = match change(stored) {
                Change::Keep(done) => return Ok(done),
                Change::Store(value, done) => (value, done),
            };
            if self.compare_and_swap(key, version, &value)? == Swap::Done {
                return Ok(done);
            }
        }
        Err(Unavailable)
    }

    /// Writes down why something was decided, if anybody wants to know.
    pub(crate) fn note(&mut self, note: impl FnOnce(&mut Trace)) {
        if let Some(trace) = self.trace() {
            note(trace);
        }
    }
}

/// What an update comes to.
pub(crate) enum Change<T> {
    /// What is stored stays as it is.
    Keep(T),
    /// This is stored in its place.
    Store(Vec<u8>, T),
}

/// Tells whether a stored value is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u32);

/// What became of a [`Environment::compare_and_swap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// The value is stored.
    Done,
    /// Somebody else was faster: read again.
    Conflict,
}

/// The runtime could not do it. The stage that asked fails closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the runtime does not answer")]
pub struct Unavailable;

/// A signature to verify natively.
#[derive(Debug, Clone, Copy)]
pub struct NativeSignature<'a> {
    /// The hash function: `sha256`, `sha384` or `sha512`.
    pub hash: &'a str,
    /// The public key, SubjectPublicKeyInfo (RFC 5280 §4.1) in DER.
    pub public_key: &'a [u8],
    /// The signature: PKCS #1 v1.5 (RFC 8017 §8.2) for RSA, an ECDSA-Sig-Value (RFC 3279 §2.2.3) in DER for ECDSA.
    pub signature: &'a [u8],
    /// What was signed.
    pub message: &'a [u8],
}
