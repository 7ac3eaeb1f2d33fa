//! Documents that the policy has fetched: key sets, API keys, deny lists, and what leads to them.
//!
//! The policy says what is due, and keeps what holds where all workers of a machine find it. An instance is gone with its request, so here
//! that is a key-value store, of which an instance reads what the policy asks for and writes what it has changed. Such a store cannot
//! compare and swap: instances that find a document due in the same moment all ask for it, where the workers of a gate take turns.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_policy::{
    Answer, Environment as _, Fetch, Policy, Swap, Timestamp, Unavailable, Version,
};

use crate::environment::Instance;

/// Where documents come from, and where what is known of them is kept.
#[allow(async_fn_in_trait, reason = "a component has one thread")]
pub(crate) trait Archive {
    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, ArchiveError>;

    async fn keep(&self, key: &str, value: &[u8]) -> Result<(), ArchiveError>;

    /// None where there is no whole answer in this time.
    async fn fetch(&self, fetch: &Fetch, timeout: Duration) -> Option<Fetched>;

    /// Lets others get on with what they do.
    async fn pause(&self);
}

/// Why nothing is known, or will be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key-value store does not answer: {0}")]
pub(crate) struct ArchiveError(pub(crate) String);

/// The status and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What of all that the policy keeps may be in the store. Whether a proof was used before is not: nobody would find it in time.
const KEPT: &str = "portcullis/remote/";

/// How long one request waits for documents.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often it looks, whatever the clock says. In that time it pauses 40 times.
const LOOKS: usize = 60;

/// A schedule, a document, and once more where another instance was faster.
const ROUNDS: usize = 4;

/// What an instance has read of the store.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    entries: BTreeMap<String, Entry>,
    /// What the policy has asked for, and was not read.
    missing: Vec<String>,
}

#[derive(Debug, Default)]
struct Entry {
    value: Option<Vec<u8>>,
    version: u32,
    is_changed: bool,
}

impl Kept {
    pub(crate) fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        let Some(entry) = self.entries.get(key) else {
            if key.starts_with(KEPT) && !self.missing.iter().any(|missing| missing == key) {
                self.missing.push(key.to_owned());
            }
            return Err(Unavailable);
        };
        Ok(entry.value.clone().map(|value| (value, Version(entry.version))))
    }

    pub(crate) fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        let entry = self.entries.get_mut(key).ok_or(Unavailable)?;
        if entry.value.as_ref().map(|_| Version(entry.version)) != expected {
            return Ok(Swap::Conflict);
        }
        let version = entry.version.wrapping_add(1);
        *entry = Entry { value: Some(value.to_vec()), version, is_changed: true };
        Ok(Swap::Done)
    }
}

/// The documents of a policy.
pub(crate) struct Remotes<'a, A> {
    pub(crate) policy: &'a Policy,
    pub(crate) archive: &'a A,
}

impl<A: Archive> Remotes<'_, A> {
    /// Takes over what is known, and says what this instance is to fetch.
    pub(crate) async fn due(&self, instance: &mut Instance) -> Vec<Fetch> {
        let mut due = Vec::new();
        if !self.policy.has_remotes() {
            return due;
        }
        for _ in 0..ROUNDS {
            let upkeep = self.policy.upkeep(instance);
            report(&upkeep.warnings);
            due.extend(upkeep.fetches);
            if !self.read_missing(instance).await {
                break;
            }
        }
        // Where nobody would know of it, everybody would fetch, and as often as a client likes.
        if self.save(instance).await { due } else { Vec::new() }
    }

    /// A request waits for something: fetches what this instance is to fetch, or waits for another one.
    pub(crate) async fn wait(&self, due: &mut Vec<Fetch>, instance: &mut Instance) {
        if due.is_empty() {
            due.extend(self.due(instance).await);
        }
        match due.pop() {
            Some(fetch) => self.fetch(fetch, PATIENCE, instance).await,
            None => {
                self.archive.pause().await;
                instance.kept = Kept::default();
            }
        }
        due.extend(self.due(instance).await);
    }

    /// Whether a request that came then, and has looked so often, is to wait no longer.
    pub(crate) fn is_too_late(
        &self,
        since: Timestamp,
        looks: usize,
        instance: &mut Instance,
    ) -> bool {
        let waited = Duration::from_nanos(instance.now().since(since));
        !self.policy.has_remotes() || waited >= PATIENCE || looks >= LOOKS
    }

    /// Fetches what is due while what is known still holds.
    pub(crate) async fn refresh(&self, due: Vec<Fetch>, mut instance: Instance) {
        for fetch in due {
            self.fetch(fetch, Duration::MAX, &mut instance).await;
        }
    }

    /// Fetches a document, and first what leads to it.
    async fn fetch(&self, fetch: Fetch, patience: Duration, instance: &mut Instance) {
        const STEPS: usize = 2;
        let mut next = Some(fetch);
        for _ in 0..STEPS {
            let Some(fetch) = next.take() else { break };
            let fetched = self.archive.fetch(&fetch, fetch.timeout.min(patience)).await;
            let answer =
                fetched.as_ref().map(|Fetched { status, body }| Answer { status: *status, body });
            let mut outcome = self.policy.fetched(&fetch, answer, instance);
            for _ in 0..ROUNDS {
                if !self.read_missing(instance).await {
                    break;
                }
                // What could not be compared with what is there was not kept: now it can be.
                outcome = self.policy.fetched(&fetch, answer, instance);
            }
            report(&outcome.warnings);
            next = outcome.next;
        }
        self.save(instance).await;
    }

    /// Reads what the policy has asked for in vain. Whether there is something that it finds now.
    async fn read_missing(&self, instance: &mut Instance) -> bool {
        let missing = std::mem::take(&mut instance.kept.missing);
        let mut is_read = false;
        for key in missing {
            match self.archive.load(&key).await {
                Ok(value) => {
                    let entry = Entry { value, ..Entry::default() };
                    instance.kept.entries.insert(key, entry);
                    is_read = true;
                }
                Err(error) => {
                    portcullis_function::log!("guard: {error}");
                    return false;
                }
            }
        }
        is_read
    }

    /// Writes what has changed: a document before the schedule that says of which one it is. Whether all of it is written.
    async fn save(&self, instance: &mut Instance) -> bool {
        for (key, entry) in &mut instance.kept.entries {
            let Some(value) = entry.value.as_ref().filter(|_| entry.is_changed) else { continue };
            if let Err(error) = self.archive.keep(key, value).await {
                portcullis_function::log!("guard: {error}");
                return false;
            }
            entry.is_changed = false;
        }
        true
    }
}

fn report(warnings: &[String]) {
    warnings.iter().for_each(|warning| portcullis_function::log!("guard: {warning}"));
}
