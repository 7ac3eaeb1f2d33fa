//! What workers share of a document that is fetched: when it was, and what it was.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::nanoseconds;
use crate::Environment;
use crate::environment::{Change, Swap, Timestamp, Version};

/// The longest time between two fetches that fail.
const MAXIMUM_BACK_OFF: Duration = Duration::from_secs(30);

/// When a document was fetched, and when it will be again. Times are those of the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// Changes with the document; 0 while there is none.
    pub(super) generation: u64,
    /// The digest of the document's text.
    digest: [u8; 16],
    /// How often it was asked for.
    pub(super) attempts: u64,
    /// When the last attempt that succeeded began.
    #[serde(with = "nanoseconds_since_epoch")]
    pub(super) asked_at: Timestamp,
    /// When the last attempt ended.
    #[serde(with = "nanoseconds_since_epoch")]
    checked_at: Timestamp,
    /// When the next one is due.
    #[serde(with = "nanoseconds_since_epoch")]
    next_at: Timestamp,
    /// Until when somebody is asking.
    #[serde(with = "nanoseconds_since_epoch")]
    pub(super) leased_until: Timestamp,
    /// How many attempts in a row have failed.
    failures: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        const NEVER: Timestamp = Timestamp(0);
        Self {
            generation: 0,
            digest: [0; 16],
            attempts: 0,
            asked_at: NEVER,
            checked_at: NEVER,
            next_at: NEVER,
            leased_until: NEVER,
            failures: 0,
        }
    }
}

impl Schedule {
    /// What cannot be read is written anew.
    fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether what was fetched still holds. Its age counts from when it was asked for.
    pub(super) fn holds(&self, now: Timestamp, max_stale: Duration) -> bool {
        // A clock that has been set back far does not make it younger.
        let age = now.since(self.asked_at).max(self.asked_at.since(now));
        self.generation > 0 && age <= nanoseconds(max_stale)
    }

    /// Whether somebody should ask now. A clock that has jumped back must not put it off.
    pub(super) fn is_due(
        &self,
        now: Timestamp,
        demanded: bool,
        cool_down: Duration,
        refresh: Duration,
    ) -> bool {
        // No lease is longer than two time-outs and a bit.
        let is_leased =
            self.leased_until > now && self.leased_until < now.after(Duration::from_secs(150));
        if is_leased {
            return false;
        }
        let jumped = self.next_at > now.after(refresh) || self.checked_at > now;
        let scheduled = now >= self.next_at || jumped;
        // While attempts fail, requests do not set off more of them.
        let demanded = demanded && self.failures == 0 && now >= self.checked_at.after(cool_down);
        scheduled || demanded
    }

    pub(super) fn leased(self, until: Timestamp) -> Self {
        Self { leased_until: until, ..self }
    }

    pub(super) fn succeeded(
        &self,
        begun: Timestamp,
        now: Timestamp,
        refresh: Duration,
        jitter: f64,
        new_digest: Option<[u8; 16]>,
    ) -> Self {
        // A little early, each gate at a time of its own: many of them should not ask at once.
        let next = refresh.mul_f64(0.9 + 0.1 * jitter);
        Self {
            generation: self.generation.saturating_add(u64::from(new_digest.is_some())),
            digest: new_digest.unwrap_or(self.digest),
            attempts: self.attempts.wrapping_add(1),
            asked_at: begun,
            checked_at: now,
            next_at: now.after(next),
            leased_until: Timestamp(0),
            failures: 0,
        }
    }

    pub(super) fn failed(&self, now: Timestamp, refresh: Duration, jitter: f64) -> Self {
        let failures = self.failures.saturating_add(1);
        let longest = MAXIMUM_BACK_OFF.min(refresh);
        let back_off = Duration::from_secs(1 << failures.saturating_sub(1).min(10)).min(longest);
        Self {
            attempts: self.attempts.wrapping_add(1),
            checked_at: now,
            next_at: now.after(back_off.mul_f64(0.75 + 0.25 * jitter)),
            leased_until: Timestamp(0),
            failures,
            ..*self
        }
    }
}

/// From 0 to 1.
pub(super) fn jitter(environment: &mut dyn Environment) -> f64 {
    let mut byte = [0];
    // Without random numbers all gates ask at once, which is no more than a nuisance.
    let _ = environment.random(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// The two entries in the store: the schedule, and the document's text.
#[derive(Debug)]
pub(super) struct Shared {
    schedule_key: String,
    body_key: String,
}

impl Shared {
    /// One of its own for each document and URI.
    pub(super) fn new(name: &str, uri: &str) -> Self {
        let digest =
            Sha256::new().chain_update(name).chain_update([0]).chain_update(uri).finalize();
        let digest = URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or_default());
        Self {
            schedule_key: format!("portcullis/remote/{digest}/schedule"),
            body_key: format!("portcullis/remote/{digest}/body"),
        }
    }

    /// The schedule that all know; an empty one where there is none yet.
    pub(super) fn load(
        &self,
        environment: &mut dyn Environment,
    ) -> Option<(Schedule, Option<Version>)> {
        let (bytes, version) = environment.load(&self.schedule_key).ok()?.unzip();
        Some((bytes.map(|bytes| Schedule::read(&bytes)).unwrap_or_default(), version))
    }

    /// The document's text, if it is the one that the schedule is of.
    pub(super) fn body(
        &self,
        environment: &mut dyn Environment,
        schedule: &Schedule,
    ) -> Option<Vec<u8>> {
        let (body, _) = environment.load(&self.body_key).ok()??;
        (digest(&body) == schedule.digest).then_some(body)
    }

    /// Takes the lease if `wanted` still wants it. One worker succeeds.
    pub(super) fn take_lease(
        &self,
        environment: &mut dyn Environment,
        wanted: impl Fn(&Schedule) -> Option<Schedule>,
    ) -> Option<Schedule> {
        let (schedule, version) = self.load(environment)?;
        let leased = wanted(&schedule)?;
        // Who loses need not try again: somebody else asks.
        let swap = environment.compare_and_swap(&self.schedule_key, version, &leased.write());
        (swap == Ok(Swap::Done)).then_some(leased)
    }

    /// Stores a document's text if it is a new one, and then the schedule that `next` makes of the one that is there.
    pub(super) fn store(
        &self,
        environment: &mut dyn Environment,
        body: Option<&[u8]>,
        next: impl Fn(&Schedule, Option<[u8; 16]>) -> Schedule,
    ) -> Option<Schedule> {
        let digest = body.map(digest);
        if let Some(body) = body {
            let put = environment.update(&self.body_key, |stored| match stored {
                Some(stored) if stored == body => Change::Keep(()),
                _ => Change::Store(body.to_vec(), ()),
            });
            put.ok()?;
        }
        let stored = environment.update(&self.schedule_key, |stored| {
            let schedule = stored.map(|bytes| Schedule::read(&bytes)).unwrap_or_default();
            let is_new = schedule.generation == 0 || digest != Some(schedule.digest);
            let schedule = next(&schedule, digest.filter(|_| is_new));
            Change::Store(schedule.write(), schedule)
        });
        stored.ok()
    }
}

fn digest(body: &[u8]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let mut first = [0; 16];
    first.copy_from_slice(digest.split_at(16).0);
    first
}

mod nanoseconds_since_epoch {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::environment::Timestamp;

    pub(super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        u64::deserialize(deserializer).map(Timestamp)
    }
}
