//! Proofs that were used, in a fixed amount of shared memory: each counts once on all workers together.
//!
//! All proofs by one key go to one group of slots, and only there: who fills it holds up nobody else but those few whose keys
//! fall into the same group, and who that is depends on a salt that clients do not know. Which slot of the group it is depends on
//! the proof. A slot is changed by compare-and-swap.
//!
//! A proof is forgotten when it is too old to be accepted again. So that this stays true should the clock go backwards, or the
//! policy be given a longer memory, a slot remembers of the proofs it has forgotten when the youngest was
//! made: whatever is not younger is refused. Where the clock only goes forward, this refuses nothing that would not be too old
//! anyway. Where a slot is full of proofs that could come again, the next one is refused: nothing is thrown out early.

use std::hash::Hasher as _;
use std::sync::OnceLock;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::Environment;
use crate::environment::Change;
use crate::identity::confirmation::Digest;

/// How many groups there are.
const GROUPS: u64 = 512;

/// How many slots a group has.
const SLOTS: u64 = 32;

/// How many proofs a slot holds: 4,194,304 in all, in at most 51 MB. To fill them takes 70,000 proofs that hold in every second at the
/// default age. Of one key it is 8192, which are not spread evenly: with 80 requests in every second at 60 seconds (16 at
/// 300) a slot holds 152 on average, and what it could hold is eight standard deviations away.
const ENTRIES: usize = 256;

/// Bytes of one entry: fingerprint and time.
const ENTRY_BYTES: usize = 12;

/// Bytes in front of the entries.
const FLOOR_BYTES: usize = 4;

const SALT_KEY: &str = "portcullis/dpop/salt";

/// The salt's length, in bytes.
const SALT_BYTES: usize = 16;

/// The proofs that were used.
#[derive(Debug, Default)]
pub(super) struct Replays {
    /// What groups and fingerprints are made with. Drawn by the first worker, the same for all.
    salt: OnceLock<[u8; SALT_BYTES]>,
}

/// Why a proof does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRecorded {
    /// It was used before.
    Replayed,
    /// Whether it was used before is not known any more.
    TooOld,
    /// There is no room for so many seconds, or no store.
    Unavailable { retry_seconds: u64 },
}

/// The store does not answer, answers nonsense, or others were always faster.
const NO_STORE: NotRecorded = NotRecorded::Unavailable { retry_seconds: 1 };

impl Replays {
    /// Takes note of the proof with that `jti` by that key, made at `issued_at` seconds, which is accepted for `max_age` seconds
    /// from then on.
    pub(super) fn record(
        &self,
        key: &Digest,
        id: &str,
        issued_at: u64,
        max_age: u64,
        environment: &mut dyn Environment,
    ) -> Result<(), NotRecorded> {
        let salt = self.salt(environment).ok_or(NO_STORE)?;
        // Until 2106.
        let issued_at = u32::try_from(issued_at).map_err(|_| NO_STORE)?;
        let now = environment.now().seconds();
        let oldest = u32::try_from(now.saturating_sub(max_age)).map_err(|_| NO_STORE)?;
        let (group, _) = hash(&salt, &[key]);
        let (slot, fingerprint) = hash(&salt, &[key, id.as_bytes()]);
        let entry = Entry { fingerprint, issued_at };
        let name = format!("portcullis/dpop/{}/{}", group % GROUPS, slot % SLOTS);
        let recorded = environment.update(&name, |stored| {
            let slot = stored.map_or(Some(Slot::default()), |bytes| Slot::read(&bytes));
            let Some(mut slot) = slot else { return Change::Keep(Err(NO_STORE)) };
            match slot.admit(entry, oldest) {
                Ok(()) => Change::Store(slot.write(), Ok(())),
                Err(not_recorded) => Change::Keep(Err(not_recorded)),
            }
        });
        recorded.unwrap_or(Err(NO_STORE))
    }

    fn salt(&self, environment: &mut dyn Environment) -> Option<[u8; SALT_BYTES]> {
        if let Some(salt) = self.salt.get() {
            return Some(*salt);
        }
        let salt = environment.machine_secret(SALT_KEY)?;
        Some(*self.salt.get_or_init(|| salt))
    }
}

/// A pseudo-random function of the parts (SipHash-2-4-128, Aumasson and Bernstein 2012). Only the last part may vary in length.
fn hash(salt: &[u8; SALT_BYTES], parts: &[&[u8]]) -> (u64, u64) {
    let mut hasher = SipHasher24::new_with_key(salt);
    parts.iter().for_each(|part| hasher.write(part));
    let hash = hasher.finish128();
    (hash.h1, hash.h2)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    /// In seconds since the Unix epoch.
    issued_at: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Slot {
    /// When the youngest of those that were forgotten was made.
    floor: u32,
    entries: Vec<Entry>,
}

impl Slot {
    /// Takes a proof in, if it is new. Those made before `oldest` are forgotten.
    fn admit(&mut self, entry: Entry, oldest: u32) -> Result<(), NotRecorded> {
        if self.entries.iter().any(|known| known.fingerprint == entry.fingerprint) {
            return Err(NotRecorded::Replayed);
        }
        let floor = &mut self.floor;
        self.entries.retain(|known| {
            let is_kept = known.issued_at >= oldest;
            if !is_kept {
                *floor = known.issued_at.max(*floor);
            }
            is_kept
        });
        if entry.issued_at <= self.floor {
            return Err(NotRecorded::TooOld);
        }
        if self.entries.len() >= ENTRIES {
            // When the first of them is too old.
            let first = self.entries.iter().map(|known| known.issued_at).min().unwrap_or(oldest);
            let retry_seconds = u64::from(first.saturating_sub(oldest)).saturating_add(1);
            return Err(NotRecorded::Unavailable { retry_seconds });
        }
        self.entries.push(entry);
        Ok(())
    }

    /// None for what was not written here: what it has forgotten, nobody knows.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (floor, entries) = bytes.split_first_chunk::<FLOOR_BYTES>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() || entries.len() > ENTRIES {
            return None;
        }
        let entries = entries.iter().map(Entry::read).collect::<Option<_>>()?;
        Some(Self { floor: u32::from_le_bytes(*floor), entries })
    }

    fn write(&self) -> Vec<u8> {
        let length = self.entries.len().saturating_mul(ENTRY_BYTES).saturating_add(FLOOR_BYTES);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.floor.to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.fingerprint.to_le_bytes());
            bytes.extend_from_slice(&entry.issued_at.to_le_bytes());
        }
        bytes
    }
}

impl Entry {
    fn read(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (fingerprint, rest) = bytes.split_first_chunk()?;
        let (issued_at, _) = rest.split_first_chunk()?;
        Some(Self {
            fingerprint: u64::from_le_bytes(*fingerprint),
            issued_at: u32::from_le_bytes(*issued_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestEnvironment;

    const MAX_AGE: u64 = 60;

    fn record(
        replays: &Replays,
        key: u8,
        id: &str,
        environment: &mut TestEnvironment,
    ) -> Result<(), NotRecorded> {
        let now = environment.now().seconds();
        replays.record(&[key; 32], id, now, MAX_AGE, environment)
    }

    #[test]
    fn each_proof_counts_once_on_all_workers() {
        let (one, other) = (Replays::default(), Replays::default());
        let mut environment = TestEnvironment::new();
        assert_eq!(record(&one, 1, "a", &mut environment), Ok(()));
        for worker in [&one, &other] {
            assert_eq!(record(worker, 1, "a", &mut environment), Err(NotRecorded::Replayed));
        }
        assert_eq!(record(&other, 1, "b", &mut environment), Ok(()));
        assert_eq!(record(&other, 2, "a", &mut environment), Ok(()), "another key's");
    }

    #[test]
    fn what_is_forgotten_stays_refused_whatever_the_clock_does() {
        let replays = Replays::default();
        let mut environment = TestEnvironment::new();
        let made = environment.now().seconds();
        assert_eq!(record(&replays, 1, "a", &mut environment), Ok(()));
        environment.advance_seconds(MAX_AGE + 1);
        // The proof is forgotten when its slot is used again.
        let slots = |environment: &mut TestEnvironment| {
            for id in 0..200 {
                record(&replays, 1, &format!("b{id}"), environment).unwrap();
            }
        };
        slots(&mut environment);
        environment.go_back_seconds(MAX_AGE);
        let again = replays.record(&[1; 32], "a", made, MAX_AGE, &mut environment);
        assert_eq!(again, Err(NotRecorded::TooOld));
        // Nor does a longer memory bring it back.
        let again = replays.record(&[1; 32], "a", made, 300, &mut environment);
        assert_eq!(again, Err(NotRecorded::TooOld));
        // Proofs that are made now are good: the step costs nobody anything.
        assert_eq!(record(&replays, 1, "c", &mut environment), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_forward_refuses_nothing_that_is_young_enough() {
        let replays = Replays::default();
        let mut environment = TestEnvironment::new();
        for round in 0..500u64 {
            let now = environment.now().seconds();
            for (skew, age) in [0, 1, MAX_AGE].into_iter().enumerate() {
                let id = format!("{round}/{skew}");
                assert_eq!(
                    replays.record(&[1; 32], &id, now - age, MAX_AGE, &mut environment),
                    Ok(())
                );
            }
            environment.advance_seconds(1);
        }
    }

    #[test]
    fn a_flood_fills_its_own_group_and_no_other() {
        let replays = Replays::default();
        let mut environment = TestEnvironment::new();
        let results: Vec<_> =
            (0..20_000).map(|id| record(&replays, 1, &id.to_string(), &mut environment)).collect();
        let recorded = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(recorded, ENTRIES * SLOTS as usize);
        let full = NotRecorded::Unavailable { retry_seconds: MAX_AGE + 1 };
        assert_eq!(results.last(), Some(&Err(full)));
        let per_slot = ENTRIES * ENTRY_BYTES + FLOOR_BYTES;
        assert_eq!(environment.stored_bytes(), per_slot * SLOTS as usize + SALT_BYTES);
        // What was used is still known, and others have room.
        assert_eq!(record(&replays, 1, "0", &mut environment), Err(NotRecorded::Replayed));
        assert_eq!(record(&replays, 2, "0", &mut environment), Ok(()));
        environment.advance_seconds(MAX_AGE + 1);
        assert_eq!(record(&replays, 1, "new", &mut environment), Ok(()));
    }

    #[test]
    fn the_rate_that_is_promised_fits() {
        let replays = Replays::default();
        let mut environment = TestEnvironment::new();
        for second in 0..180 {
            for request in 0..80 {
                let id = format!("{second}/{request}");
                assert_eq!(record(&replays, 1, &id, &mut environment), Ok(()), "{id}");
            }
            environment.advance_seconds(1);
        }
    }

    #[test]
    fn without_a_store_nothing_counts() {
        let mut environment = TestEnvironment::new();
        environment.store_fails = true;
        assert_eq!(record(&Replays::default(), 1, "a", &mut environment), Err(NO_STORE));
        environment.store_fails = false;
        environment.random_fails = true;
        assert_eq!(record(&Replays::default(), 1, "a", &mut environment), Err(NO_STORE));
        environment.random_fails = false;
        let replays = Replays::default();
        assert_eq!(record(&replays, 1, "a", &mut environment), Ok(()));
        environment.store_fails = true;
        assert_eq!(record(&replays, 1, "b", &mut environment), Err(NO_STORE));
        environment.store_fails = false;
        environment.conflicts = 5;
        assert_eq!(record(&replays, 1, "c", &mut environment), Ok(()), "a lost race is run again");
        environment.conflicts = usize::MAX;
        assert_eq!(record(&replays, 1, "d", &mut environment), Err(NO_STORE), "but not for ever");
    }

    #[test]
    fn slots_are_read_as_they_were_written_or_not_at_all() {
        let slot =
            Slot { floor: 7, entries: vec![Entry { fingerprint: u64::MAX - 1, issued_at: 9 }; 3] };
        let bytes = slot.write();
        assert_eq!(Slot::read(&bytes), Some(slot));
        for length in [0, 3, bytes.len() - 1] {
            assert_eq!(Slot::read(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Slot::read(&[0; FLOOR_BYTES + ENTRY_BYTES * (ENTRIES + 1)]), None);
    }
}
