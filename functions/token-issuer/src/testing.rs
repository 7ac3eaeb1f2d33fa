//! What the tests have in common.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use argon2::password_hash::CustomizedPasswordHasher as _;
use argon2::{Argon2, Params};
use portcullis_policy::Secret;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::keyring::{Store, StoreError};
use crate::settings::Settings;

pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const CLIENT_ID: &str = "batch.1";
pub(crate) const CLIENT_SECRET: &str = "a+b/c=:d%20é";
/// 32 bytes of 1 and of 2, in base64url.
pub(crate) const ASSERTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
pub(crate) const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

pub(crate) fn hash(secret: &str, memory: u32, passes: u32) -> String {
    let params = Params::new(memory, passes, 1, None).unwrap();
    let salt = b"sixteen bytes ok";
    let hasher = Argon2::default();
    hasher.hash_password_with_params(secret.as_bytes(), salt, params).unwrap().to_string()
}

/// A client with everything, one that is disabled, and one with little.
pub(crate) fn clients() -> Value {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let hash = HASH.get_or_init(|| hash(CLIENT_SECRET, 19_456, 2));
    json!([
        {
            "id": CLIENT_ID, "secret_hash": hash, "subject": "alice", "tenant": "acme",
            "roles": ["caller"], "scopes": ["predict", "model"],
            "audiences": ["scam-detector", "https://api.example/v1"], "token_lifetime_seconds": 600,
        },
        { "id": "disabled", "secret_hash": hash, "audiences": ["scam-detector"], "enabled": false },
        { "id": "plain", "secret_hash": hash, "audiences": ["scam-detector"] },
    ])
}

pub(crate) fn variables() -> BTreeMap<String, String> {
    let variables = [
        ("issuer", ISSUER.to_owned()),
        ("clients", clients().to_string()),
        ("key_encryption_key", OTHER_KEY.to_owned()),
        ("assertion_key", ASSERTION_KEY.to_owned()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn settings() -> Settings {
    let variables = variables();
    Settings::read(|name| variables.get(name).cloned().map(Zeroizing::new)).unwrap()
}

pub(crate) fn secret(byte: u8) -> Secret {
    Secret::from_bytes(Zeroizing::new(vec![byte; 32])).unwrap()
}

/// What happens once, just before something is stored.
type BeforeSet = Box<dyn FnOnce(&MemoryStore)>;

/// A store in memory. `before_set` happens once, before the next write: what another instance does meanwhile.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) entries: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(crate) before_set: RefCell<Option<BeforeSet>>,
    pub(crate) broken: RefCell<bool>,
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
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
