//! Many buckets in a fixed number of shared slots.
//!
//! A slot holds up to [`WAYS`] buckets and one more that all further keys share. A bucket that is full again says
//! the same as none, so it can make room without giving anything away; one that is not is never thrown out. So a
//! flood of fresh keys can fill a slot, and then shares its last bucket, but cannot refill its own
//! or anybody else's.

use super::bucket::{Bucket, Decision};
use crate::environment::{Environment, Swap, Timestamp};

/// How many slots there are. With their ways: 65,536 keys at once, in at most 1.7 MB.
const SLOTS: u64 = 4096;

/// How many buckets a slot holds.
const WAYS: usize = 16;

/// How often a lost race is run again. Among w workers each round has a winner, so this is out of reach
/// unless the store misbehaves.
const ATTEMPTS: usize = 100;

/// Bytes of one bucket: fingerprint and time.
const ENTRY_BYTES: usize = 24;

/// What stands for a key: 128 bits of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The bucket for keys that found no room; no key has this fingerprint but with negligible probability.
    const SHARED: Self = Self([0; 16]);

    pub(super) fn of(digest: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        for (byte, source) in bytes.iter_mut().zip(digest) {
            *byte = *source;
        }
        Self(bytes)
    }

    /// How many bytes it has.
    pub(super) const BYTES: usize = 16;

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Its first 64 bits, for choosing a slot.
    pub(super) fn number(self) -> u64 {
        self.0.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    fn slot(self) -> String {
        format!("portcullis/limits/{}", self.number() % SLOTS)
    }
}

/// What became of an attempt to take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The bucket has spoken.
    Decided(Decision),
    /// The store does not answer, or others were always faster.
    Unavailable,
}

/// Takes a token from the bucket of `fingerprint`.
pub(super) fn take(
    environment: &mut dyn Environment,
    fingerprint: Fingerprint,
    bucket: Bucket,
    now: Timestamp,
) -> Outcome {
    let mut decision = None;
    let done = update(environment, fingerprint, now, |full_at| {
        let taken = bucket.take(full_at, now);
        decision = Some(taken);
        taken.admitted.then_some(taken.full_at)
    });
    match (done, decision) {
        (true, Some(decision)) => Outcome::Decided(decision),
        _ => Outcome::Unavailable,
    }
}

/// Undoes one [`take`]. If the store does not answer, the token stays taken.
pub(super) fn give_back(
    environment: &mut dyn Environment,
    fingerprint: Fingerprint,
    bucket: Bucket,
    now: Timestamp,
) {
    update(environment, fingerprint, now, |full_at| Some(bucket.give_back(full_at)));
}

/// Changes one bucket atomically: `change` gets its time and answers the new one, or `None` to leave it.
fn update(
    environment: &mut dyn Environment,
    fingerprint: Fingerprint,
    now: Timestamp,
    mut change: impl FnMut(Timestamp) -> Option<Timestamp>,
) -> bool {
    let key = fingerprint.slot();
    for _ in 0..ATTEMPTS {
        let Ok(stored) = environment.load(&key) else { return false };
        let (bytes, version) = match stored {
            Some((bytes, version)) => (bytes, Some(version)),
            None => (Vec::new(), None),
        };
        let mut slot = Slot::read(&bytes);
        let Some(entry) = slot.entry(fingerprint, now) else { return false };
        let Some(full_at) = change(entry.full_at) else { return true };
        entry.full_at = full_at;
        match environment.compare_and_swap(&key, version, &slot.write()) {
            Ok(Swap::Done) => return true,
            Ok(Swap::Conflict) => {}
            Err(_) => return false,
        }
    }
    false
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: Fingerprint,
    full_at: Timestamp,
}

#[derive(Debug, Default)]
struct Slot {
    entries: Vec<Entry>,
}

impl Slot {
    /// Bytes that are not ours to the letter are dropped from the first that is not.
    fn read(bytes: &[u8]) -> Self {
        let (chunks, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let entries = chunks.iter().take(WAYS + 1).map(Entry::read).collect();
        Self { entries }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len().saturating_mul(ENTRY_BYTES));
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.fingerprint.0);
            bytes.extend_from_slice(&entry.full_at.0.to_le_bytes());
        }
        bytes
    }

    /// The entry of a key: its own, a new one, that of a bucket that is full again, or the shared one.
    fn entry(&mut self, fingerprint: Fingerprint, now: Timestamp) -> Option<&mut Entry> {
        let fresh = Entry { fingerprint, full_at: now };
        let own = self.entries.iter().position(|entry| entry.fingerprint == fingerprint);
        let index = own.or_else(|| {
            let keys = self.entries.iter().filter(|entry| entry.fingerprint != Fingerprint::SHARED);
            if keys.count() < WAYS {
                self.entries.push(fresh);
                return Some(self.entries.len().saturating_sub(1));
            }
            let is_full =
                |entry: &Entry| entry.full_at <= now && entry.fingerprint != Fingerprint::SHARED;
            let reusable = self.entries.iter().position(is_full);
            if let Some(entry) = reusable.and_then(|index| self.entries.get_mut(index)) {
                *entry = fresh;
            }
            reusable
        });
        let index = index.unwrap_or_else(|| {
            let shared =
                self.entries.iter().position(|entry| entry.fingerprint == Fingerprint::SHARED);
            shared.unwrap_or_else(|| {
                self.entries.push(Entry { fingerprint: Fingerprint::SHARED, full_at: now });
                self.entries.len().saturating_sub(1)
            })
        });
        self.entries.get_mut(index)
    }
}

impl Entry {
    fn read(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let (mut fingerprint, mut full_at) = ([0; 16], [0; 8]);
        for (to, from) in fingerprint.iter_mut().chain(&mut full_at).zip(bytes) {
            *to = *from;
        }
        Self {
            fingerprint: Fingerprint(fingerprint),
            full_at: Timestamp(u64::from_le_bytes(full_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestEnvironment;

    /// Fingerprints that all fall into one slot.
    fn fingerprint(number: u64) -> Fingerprint {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&(number + 1).to_le_bytes());
        Fingerprint(bytes)
    }

    fn admitted(environment: &mut TestEnvironment, key: u64, bucket: Bucket) -> bool {
        let now = environment.now();
        matches!(take(environment, fingerprint(key), bucket, now),
            Outcome::Decided(decision) if decision.admitted)
    }

    #[test]
    fn a_flood_of_keys_neither_grows_nor_refills_anything() {
        let bucket = Bucket::new(1, 3600, 2).unwrap();
        let mut environment = TestEnvironment::new();
        assert!(admitted(&mut environment, 0, bucket) && admitted(&mut environment, 0, bucket));
        assert!(!admitted(&mut environment, 0, bucket));
        let admissions = (1..10_000).filter(|key| admitted(&mut environment, *key, bucket)).count();
        // 15 further buckets took one each; the shared one gave two.
        assert_eq!(admissions, 17);
        assert!(!admitted(&mut environment, 0, bucket), "the victim's bucket was refilled");
        assert_eq!(environment.stored_bytes(), (WAYS + 1) * ENTRY_BYTES);
    }

    #[test]
    fn a_full_bucket_makes_room() {
        let bucket = Bucket::new(1, 1, 1).unwrap();
        let mut environment = TestEnvironment::new();
        assert!((0..16).all(|key| admitted(&mut environment, key, bucket)));
        environment.advance_seconds(2);
        assert!((100..116).all(|key| admitted(&mut environment, key, bucket)));
        assert_eq!(environment.stored_bytes(), WAYS * ENTRY_BYTES);
    }

    #[test]
    fn lost_races_are_run_again_but_not_for_ever() {
        let bucket = Bucket::new(1, 1, 1).unwrap();
        let mut environment = TestEnvironment::new();
        environment.conflicts = 5;
        assert!(admitted(&mut environment, 1, bucket));
        environment.conflicts = usize::MAX;
        let now = environment.now();
        assert_eq!(take(&mut environment, fingerprint(2), bucket, now), Outcome::Unavailable);
    }
}
