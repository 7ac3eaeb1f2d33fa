//! What the tests of functions have in common: a store in memory, and what never waits.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "only tests use this")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use portcullis_policy::Secret;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Kind, NoRandomness, Store, StoreError, random};

/// Some time in 2023.
pub const NOW: u64 = 1_700_000_000;

/// A key of 32 times this byte.
pub fn secret(byte: u8) -> Secret {
    Secret::from_bytes(Zeroizing::new(vec![byte; 32])).unwrap()
}

/// A kind of key that is good for nothing but having a life.
pub struct PlainKey {
    private: Zeroizing<[u8; 32]>,
    id: String,
}

impl Kind for PlainKey {
    const PREFIX: &'static str = "test/key/";
    const SEALED_FOR: &'static str = "tests of keyrings";
    const RETAINED_SECONDS: u64 = 3600;

    fn generate() -> Result<Self, NoRandomness> {
        random::<32>().map(|private| Self { id: id(&private), private })
    }

    fn from_bytes(private: &[u8]) -> Option<Self> {
        let private = Zeroizing::new(private.try_into().ok()?);
        Some(Self { id: id(&private), private })
    }

    fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.private.clone()
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn public_jwk(&self) -> Value {
        json!({ "kid": self.id })
    }
}

fn id(private: &[u8; 32]) -> String {
    private.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What happens once, just before something is stored.
pub type BeforeSet = Box<dyn FnOnce(&MemoryStore)>;

/// A store in memory. `before_set` happens once, before the next write: what another instance does meanwhile.
#[derive(Default)]
pub struct MemoryStore {
    /// What is stored.
    pub entries: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Taken by the next write.
    pub before_set: RefCell<Option<BeforeSet>>,
    /// Whether everything fails.
    pub broken: RefCell<bool>,
}

impl MemoryStore {
    fn working(&self) -> Result<(), StoreError> {
        match *self.broken.borrow() {
            true => Err(StoreError("gone".to_owned())),
            false => Ok(()),
        }
    }
}

impl Store for MemoryStore {
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        self.working()?;
        Ok(self.entries.borrow().keys().cloned().collect())
    }

    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.working()?;
        Ok(self.entries.borrow().get(name).cloned())
    }

    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.working()?;
        if let Some(meanwhile) = self.before_set.take() {
            meanwhile(self);
        }
        self.entries.borrow_mut().insert(name.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.working()?;
        self.entries.borrow_mut().remove(name);
        Ok(())
    }
}

/// Runs what never waits.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
