//! Keys and their lives.
//!
//! A key is written once, under its own name, and never changed: what it is at a given time follows from its two
//! times alone. Instances that race can so add keys but never take one away from each other, and all of them that see
//! the same keys agree on which one is current:
//!
//! - next: kept, and not used before `activates`, by which time every instance sees it and, where it is published,
//!   everybody who caches the key set has fetched it;
//! - current: of the keys whose time has come, the one whose time came last;
//! - retired: kept until nothing is left that it was used for ([`Kind::RETAINED_SECONDS`]), then deleted.
//!
//! The very first key is current at once. Where several instances make one at the same time, all of them are kept and
//! the oldest wins.
//! What this asks of the store: that a key is seen by every instance within [`GRACE_SECONDS`] of its writing.

use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Kind, NoRandomness, Sealer, Store, StoreError};

/// How long a key is there before it is used. Longer than anybody should cache a key set.
pub const PUBLISHED_BEFORE_SECONDS: u64 = 3600;

/// What clocks may differ, gates allow as leeway, and a store may take until all instances see a new key.
pub const GRACE_SECONDS: u64 = 600;

/// The most keys that are kept: what a gate takes in a set.
pub(super) const MAXIMUM_KEYS: usize = 64;

/// Why there is no key to use. For the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No key can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// An entry that was written under another key, or by somebody else.
    #[error(
        "the stored key {name:?} does not open: expected the key_encryption_key that it was stored under (to begin \
         anew, delete the entries {prefix}* from the store: what was made with them before is refused then)"
    )]
    NotOpened {
        /// The entry's name.
        name: String,
        /// What all such names begin with.
        prefix: &'static str,
    },
    /// More keys than could have come there by themselves.
    #[error(
        "expected at most {MAXIMUM_KEYS} stored keys: delete those entries {0}* that are not wanted"
    )]
    TooMany(&'static str),
    /// The first key's time has not come, although it came at once.
    #[error(
        "no stored key may be used yet: the clock has gone back, or the store does not keep what is written"
    )]
    NoneActive,
}

/// All keys of a kind, in the order in which they are used.
pub struct Keyring<K> {
    keys: Vec<Life<K>>,
    now: u64,
}

/// A key with its times.
struct Life<K> {
    key: K,
    /// When it was made. Times are in seconds since 1970.
    created: u64,
    /// When it begins to be used; 0 for the first one.
    activates: u64,
}

/// What a key is, for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its time has not come.
    Next,
    /// It is used.
    Current,
    /// Another one has taken over.
    Retired,
}

/// What came of a request to rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A new key has been published.
    Begun,
    /// There is a next key already.
    Underway,
}

impl<K: Kind> Keyring<K> {
    /// Reads the keys; makes the first one, or the next when the current one has grown old; deletes those that are of
    /// no use any more.
    pub async fn open(
        store: &impl Store,
        sealer: &Sealer,
        now: u64,
        rotation_seconds: u64,
    ) -> Result<Self, KeyringError> {
        let mut keyring = Self::read(store, sealer, now).await?;
        if keyring.keys.is_empty() {
            Life::<K>::generate(now, 0)?.write(store, sealer).await?;
            // Perhaps another instance was quicker.
            keyring = Self::read(store, sealer, now).await?;
        }
        if let Some(activates) = keyring.rotation_due(rotation_seconds)
            && keyring.keys.len() < MAXIMUM_KEYS
        {
            Life::<K>::generate(now, activates)?.write(store, sealer).await?;
            keyring = Self::read(store, sealer, now).await?;
        }
        keyring.forget_expired(store).await?;
        match keyring.current().is_some() {
            true => Ok(keyring),
            false => Err(KeyringError::NoneActive),
        }
    }

    /// Makes a new key, which will be used in [`PUBLISHED_BEFORE_SECONDS`], unless one waits already.
    pub async fn rotate(
        &mut self,
        store: &impl Store,
        sealer: &Sealer,
    ) -> Result<Rotation, KeyringError> {
        if self.next_activation().is_some() {
            return Ok(Rotation::Underway);
        }
        if self.keys.len() >= MAXIMUM_KEYS {
            return Err(KeyringError::TooMany(K::PREFIX));
        }
        let activates = self.now.saturating_add(PUBLISHED_BEFORE_SECONDS);
        Life::<K>::generate(self.now, activates)?.write(store, sealer).await?;
        *self = Self::read(store, sealer, self.now).await?;
        Ok(Rotation::Begun)
    }

    /// The key that is used now.
    pub fn current(&self) -> Option<&K> {
        self.keys.iter().rfind(|life| life.activates <= self.now).map(|life| &life.key)
    }

    /// Every key that may have been used for what is still good, or soon will be.
    pub fn all(&self) -> impl Iterator<Item = &K> {
        self.keys.iter().map(|life| &life.key)
    }

    /// The public keys of [all](Self::all) of them (RFC 7517 §5).
    pub fn public_set(&self) -> Value {
        let keys: Vec<Value> = self.all().map(K::public_jwk).collect();
        json!({ "keys": keys })
    }

    /// The keys and their states, for the operator.
    pub fn report(&self) -> Value {
        let current = self.current().map(K::id);
        let keys = self.keys.iter().map(|life| {
            let state = match (Some(life.key.id()) == current, life.activates > self.now) {
                (true, _) => State::Current,
                (false, true) => State::Next,
                (false, false) => State::Retired,
            };
            json!({
                "kid": life.key.id(), "state": state,
                "created": life.created, "activates": life.activates.max(life.created),
            })
        });
        keys.collect()
    }

    async fn read(store: &impl Store, sealer: &Sealer, now: u64) -> Result<Self, KeyringError> {
        let mut names = store.names().await?;
        names.retain(|name| name.starts_with(K::PREFIX));
        if names.len() > MAXIMUM_KEYS {
            return Err(KeyringError::TooMany(K::PREFIX));
        }
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            // Deleted since by another instance, as nobody needs it.
            let Some(sealed) = store.value(&name).await? else { continue };
            let life = Life::open(sealer, &name, &sealed);
            // A set without this key would refuse what is good: rather none than that.
            keys.push(life.ok_or(KeyringError::NotOpened { name, prefix: K::PREFIX })?);
        }
        // Among keys of the same time the oldest is used, so that who comes later in a race changes nothing.
        keys.sort_by(|a: &Life<K>, b: &Life<K>| {
            let by_age = || (b.created, b.key.id()).cmp(&(a.created, a.key.id()));
            a.activates.cmp(&b.activates).then_with(by_age)
        });
        Ok(Self { keys, now })
    }

    /// When the key that follows is to be used, if it is time to make one.
    fn rotation_due(&self, rotation_seconds: u64) -> Option<u64> {
        let newest = self.keys.last()?;
        let earliest = self.now.saturating_add(PUBLISHED_BEFORE_SECONDS);
        // Not the time of now, so that instances that do this together mean the same time.
        let due = newest.activates.max(newest.created).saturating_add(rotation_seconds);
        (self.next_activation().is_none() && earliest >= due).then(|| due.max(earliest))
    }

    fn next_activation(&self) -> Option<u64> {
        self.keys.last().map(|life| life.activates).filter(|activates| *activates > self.now)
    }

    /// Takes out the keys that nothing needs any more.
    async fn forget_expired(&mut self, store: &impl Store) -> Result<(), KeyringError> {
        let mut kept = Vec::with_capacity(self.keys.len());
        // From the newest on: when a key ceased to be used is told by those after it.
        let mut superseded: Option<u64> = None;
        for life in std::mem::take(&mut self.keys).into_iter().rev() {
            let last_used = superseded.map(|at| at.max(life.created));
            let expired = last_used.is_some_and(|at| {
                let retained = K::RETAINED_SECONDS.saturating_add(GRACE_SECONDS);
                self.now > at.saturating_add(retained)
            });
            let takes_over = life.activates.max(life.created);
            superseded = Some(superseded.map_or(takes_over, |at| at.min(takes_over)));
            match expired {
                true => store.delete(&life.name()).await?,
                false => kept.push(life),
            }
        }
        kept.reverse();
        self.keys = kept;
        Ok(())
    }
}

impl<K: Kind> Life<K> {
    fn generate(created: u64, activates: u64) -> Result<Self, NoRandomness> {
        Ok(Self { key: K::generate()?, created, activates })
    }

    fn name(&self) -> String {
        format!("{}{}", K::PREFIX, self.key.id())
    }

    async fn write(&self, store: &impl Store, sealer: &Sealer) -> Result<(), KeyringError> {
        let mut content = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES));
        content.extend(self.created.to_be_bytes());
        content.extend(self.activates.to_be_bytes());
        content.extend(self.key.to_bytes().as_slice());
        let name = self.name();
        let sealed = sealer.seal(&name, &content)?;
        Ok(store.set(&name, sealed).await?)
    }

    fn open(sealer: &Sealer, name: &str, sealed: &[u8]) -> Option<Self> {
        let content = sealer.open(name, sealed).ok()?;
        let (created, rest) = content.split_first_chunk::<8>()?;
        let (activates, private) = rest.split_first_chunk::<8>()?;
        let life = Self {
            key: K::from_bytes(private)?,
            created: u64::from_be_bytes(*created),
            activates: u64::from_be_bytes(*activates),
        };
        (life.name() == name).then_some(life)
    }
}

/// Two times and a private number.
const CONTENT_BYTES: usize = 8 + 8 + 32;

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
