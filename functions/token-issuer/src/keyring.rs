//! The signing keys and their lives.
//!
//! A key is written once, under its own name, and never changed: what it is at a given time follows from its two
//! times alone. Instances that race can so add keys but never take one away from each other, and all of them that see
//! the same keys agree on which one signs:
//!
//! - next: published, does not sign before `activates`, by which time everybody who caches the key set has fetched it;
//! - current: of the keys whose time has come, the one whose time came last;
//! - retired: published until every token that it may have signed has expired, then deleted.
//!
//! The very first key signs at once. Where several instances make one at the same time, all of them are published and
//! the oldest wins; a gate that has fetched the set between them meets an unknown `kid` and fetches it again.
//! What this asks of the store: that a key is seen by every instance within [`GRACE_SECONDS`] of its writing.

use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::random::NoRandomness;
use crate::sealer::Sealer;
use crate::signing_key::SigningKey;
use crate::token::MAXIMUM_LIFETIME_SECONDS;

/// How long a key is published before it signs. Longer than anybody should cache a key set.
pub(crate) const PUBLISHED_BEFORE_SECONDS: u64 = 3600;

/// What clocks may differ, gates allow as leeway, and a store may take until all instances see a new key.
pub(crate) const GRACE_SECONDS: u64 = 600;

/// The most keys that are kept: what a gate takes in a set.
const MAXIMUM_KEYS: usize = 64;

/// All entries' names begin so, followed by the key's id.
const PREFIX: &str = "token-issuer/key/";

/// Where keys are kept: Spin's key-value store, and a map in the tests.
pub(crate) trait Store {
    async fn names(&self) -> Result<Vec<String>, StoreError>;
    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError>;
    async fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// The store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key-value store: {0}")]
pub(crate) struct StoreError(pub(crate) String);

/// Why there are no keys to sign with. For the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyringError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(
        "the stored key {0:?} does not open: expected the key_encryption_key that it was stored under (to begin \
         anew, delete the entries {PREFIX}* from the store: tokens signed before are refused then)"
    )]
    NotOpened(String),
    #[error(
        "expected at most {MAXIMUM_KEYS} stored keys: delete those entries {PREFIX}* that are not wanted"
    )]
    TooMany,
    #[error(
        "no stored key may sign yet: the clock has gone back, or the store does not keep what is written"
    )]
    NoneActive,
}

/// All keys, in the order in which they sign.
pub(crate) struct Keyring {
    keys: Vec<Key>,
    now: u64,
}

struct Key {
    signing: SigningKey,
    /// When it was made. Times are in seconds since 1970.
    created: u64,
    /// When it begins to sign; 0 for the first one.
    activates: u64,
}

/// What a key is, for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Next,
    Current,
    Retired,
}

/// What came of a request to rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// A new key has been published.
    Begun,
    /// There is a next key already.
    Underway,
}

impl Keyring {
    /// Reads the keys; makes the first one, or the next when the current one has grown old; deletes those that are of
    /// no use any more.
    pub(crate) async fn open(
        store: &impl Store,
        sealer: &Sealer,
        now: u64,
        rotation_seconds: u64,
    ) -> Result<Self, KeyringError> {
        let mut keyring = Self::read(store, sealer, now).await?;
        if keyring.keys.is_empty() {
            Key::generate(now, 0)?.write(store, sealer).await?;
            // Perhaps another instance was quicker.
            keyring = Self::read(store, sealer, now).await?;
        }
        if let Some(activates) = keyring.rotation_due(rotation_seconds)
            && keyring.keys.len() < MAXIMUM_KEYS
        {
            Key::generate(now, activates)?.write(store, sealer).await?;
            keyring = Self::read(store, sealer, now).await?;
        }
        keyring.forget_expired(store).await?;
        match keyring.current().is_some() {
            true => Ok(keyring),
            false => Err(KeyringError::NoneActive),
        }
    }

    /// Publishes a new key, which will sign in [`PUBLISHED_BEFORE_SECONDS`], unless one waits already.
    pub(crate) async fn rotate(
        &mut self,
        store: &impl Store,
        sealer: &Sealer,
    ) -> Result<Rotation, KeyringError> {
        if self.next_activation().is_some() {
            return Ok(Rotation::Underway);
        }
        if self.keys.len() >= MAXIMUM_KEYS {
            return Err(KeyringError::TooMany);
        }
        let activates = self.now.saturating_add(PUBLISHED_BEFORE_SECONDS);
        Key::generate(self.now, activates)?.write(store, sealer).await?;
        *self = Self::read(store, sealer, self.now).await?;
        Ok(Rotation::Begun)
    }

    /// The key that signs now.
    pub(crate) fn current(&self) -> Option<&SigningKey> {
        self.keys.iter().rfind(|key| key.activates <= self.now).map(|key| &key.signing)
    }

    /// Every key that a good token may be signed with now or soon (RFC 7517 §5).
    pub(crate) fn public_set(&self) -> Value {
        let keys: Vec<Value> = self.keys.iter().map(|key| key.signing.public_jwk()).collect();
        json!({ "keys": keys })
    }

    /// The keys and their states, for the operator.
    pub(crate) fn report(&self) -> Value {
        let current = self.current().map(SigningKey::id);
        let keys = self.keys.iter().map(|key| {
            let state = match (Some(key.signing.id()) == current, key.activates > self.now) {
                (true, _) => State::Current,
                (false, true) => State::Next,
                (false, false) => State::Retired,
            };
            json!({
                "kid": key.signing.id(), "state": state,
                "created": key.created, "activates": key.activates.max(key.created),
            })
        });
        keys.collect()
    }

    async fn read(store: &impl Store, sealer: &Sealer, now: u64) -> Result<Self, KeyringError> {
        let mut names = store.names().await?;
        names.retain(|name| name.starts_with(PREFIX));
        if names.len() > MAXIMUM_KEYS {
            return Err(KeyringError::TooMany);
        }
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            // Deleted since by another instance, as nobody needs it.
            let Some(sealed) = store.value(&name).await? else { continue };
            let key = Key::open(sealer, &name, &sealed);
            // A set without this key would refuse tokens that are good: rather none than that.
            keys.push(key.ok_or(KeyringError::NotOpened(name))?);
        }
        // Among keys of the same time the oldest signs, so that who comes later in a race changes nothing.
        keys.sort_by(|a: &Key, b: &Key| {
            let by_age = || (b.created, b.signing.id()).cmp(&(a.created, a.signing.id()));
            a.activates.cmp(&b.activates).then_with(by_age)
        });
        Ok(Self { keys, now })
    }

    /// When the key that follows is to sign, if it is time to publish one.
    fn rotation_due(&self, rotation_seconds: u64) -> Option<u64> {
        let newest = self.keys.last()?;
        let earliest = self.now.saturating_add(PUBLISHED_BEFORE_SECONDS);
        // Not the time of now, so that instances that do this together mean the same time.
        let due = newest.activates.max(newest.created).saturating_add(rotation_seconds);
        (self.next_activation().is_none() && earliest >= due).then(|| due.max(earliest))
    }

    fn next_activation(&self) -> Option<u64> {
        self.keys.last().map(|key| key.activates).filter(|activates| *activates > self.now)
    }

    /// Takes out the keys whose tokens have all expired.
    async fn forget_expired(&mut self, store: &impl Store) -> Result<(), KeyringError> {
        let mut kept = Vec::with_capacity(self.keys.len());
        // From the newest on: when a key stopped to sign is told by those after it.
        let mut superseded: Option<u64> = None;
        for key in std::mem::take(&mut self.keys).into_iter().rev() {
            let last_signature = superseded.map(|at| at.max(key.created));
            let expired = last_signature.is_some_and(|at| {
                let retained = MAXIMUM_LIFETIME_SECONDS.saturating_add(GRACE_SECONDS);
                self.now > at.saturating_add(retained)
            });
            let takes_over = key.activates.max(key.created);
            superseded = Some(superseded.map_or(takes_over, |at| at.min(takes_over)));
            match expired {
                true => store.delete(&key.name()).await?,
                false => kept.push(key),
            }
        }
        kept.reverse();
        self.keys = kept;
        Ok(())
    }
}

impl Key {
    fn generate(created: u64, activates: u64) -> Result<Self, NoRandomness> {
        Ok(Self { signing: SigningKey::generate()?, created, activates })
    }

    fn name(&self) -> String {
        format!("{PREFIX}{}", self.signing.id())
    }

    async fn write(&self, store: &impl Store, sealer: &Sealer) -> Result<(), KeyringError> {
        let mut content = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES));
        content.extend(self.created.to_be_bytes());
        content.extend(self.activates.to_be_bytes());
        content.extend(self.signing.to_bytes().as_slice());
        let name = self.name();
        let sealed = sealer.seal(&name, &content)?;
        Ok(store.set(&name, sealed).await?)
    }

    fn open(sealer: &Sealer, name: &str, sealed: &[u8]) -> Option<Self> {
        let content = sealer.open(name, sealed).ok()?;
        let (created, rest) = content.split_first_chunk::<8>()?;
        let (activates, private) = rest.split_first_chunk::<8>()?;
        let key = Self {
            signing: SigningKey::from_bytes(private)?,
            created: u64::from_be_bytes(*created),
            activates: u64::from_be_bytes(*activates),
        };
        (key.name() == name).then_some(key)
    }
}

/// Two times and a private number.
const CONTENT_BYTES: usize = 8 + 8 + 32;

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
