//! What the workers of a gate know of the keys that a service counts: hits that were granted and are not used yet, and who is
//! over the limit until when. In a fixed number of shared slots, as the buckets are.

use super::SharedFingerprint;
use crate::environment::{Change, Environment, Timestamp};

use super::MAXIMUM_MEMORY;

/// How many slots there are. With their ways: 32,768 keys at once, in at most 2 MB.
const SLOTS: u64 = 4096;

/// How many keys a slot holds.
const WAYS: usize = 8;

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// Hits that are granted and not used.
    pub(super) hits: u32,
    /// How many there were when the last were granted.
    pub(super) base: u32,
    /// How many more the service had when it was last asked.
    pub(super) remaining: u32,
    /// How many were used in [`AHEAD`](super::calls::AHEAD), between the last two grants.
    pub(super) pace: u32,
    /// When the last were granted.
    pub(super) granted_at: Timestamp,
    /// When what is granted ends.
    pub(super) ends_at: Timestamp,
    /// Until when the service grants nothing.
    pub(super) over_until: Timestamp,
    /// Until when some worker asks.
    pub(super) asking_until: Timestamp,
}

impl Lease {
    const NONE: Self = Self {
        hits: 0,
        base: 0,
        remaining: u32::MAX,
        pace: 0,
        granted_at: Timestamp(0),
        ends_at: Timestamp(0),
        over_until: Timestamp(0),
        asking_until: Timestamp(0),
    };

    /// The hits that may be used now.
    pub(super) fn usable(&self, now: Timestamp) -> u32 {
        let holds = self.granted_at <= now && is_until(self.ends_at, now);
        if holds { self.hits } else { 0 }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        is_until(self.over_until, now)
    }

    pub(super) fn is_asking(&self, now: Timestamp) -> bool {
        is_until(self.asking_until, now)
    }

    /// How soon others may have its place: what says nothing at once, what is over the limit rather than nobody, what is
    /// granted or asked for not at all.
    fn is_spare(&self, now: Timestamp, or_over: bool) -> bool {
        self.usable(now) == 0 && !self.is_asking(now) && (or_over || !self.is_over(now))
    }

    fn read(bytes: &[u8; LEASE_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let mut word = |size: usize| {
            let (word, behind) = rest.split_at_checked(size).unwrap_or_default();
            rest = behind;
            word.iter().rev().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
        };
        let mut short = || u32::try_from(word(4)).unwrap_or(0);
        let (hits, base, remaining, pace) = (short(), short(), short(), short());
        let mut time = || Timestamp(word(8));
        let (granted_at, ends_at) = (time(), time());
        let (over_until, asking_until) = (time(), time());
        Self { hits, base, remaining, pace, granted_at, ends_at, over_until, asking_until }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for number in [self.hits, self.base, self.remaining, self.pace] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.granted_at, self.ends_at, self.over_until, self.asking_until] {
            bytes.extend_from_slice(&time.0.to_le_bytes());
        }
    }
}

/// Whether `end` is to come. A time that is further away than anything is remembered was written by a clock that has since gone
/// backwards: believed, it would shut callers out, or keep what has ended.
fn is_until(end: Timestamp, now: Timestamp) -> bool {
    end > now && end <= now.after(MAXIMUM_MEMORY)
}

const LEASE_BYTES: usize = 4 * 4 + 4 * 8;
const ENTRY_BYTES: usize = SharedFingerprint::BYTES + LEASE_BYTES;

/// What is known of a key now.
pub(super) fn look(
    environment: &mut dyn Environment,
    fingerprint: SharedFingerprint,
) -> Result<Lease, NoRoom> {
    let stored = environment.load(&key(fingerprint)).map_err(|_| NoRoom)?;
    let slot = stored.map(|(bytes, _)| Slot::read(&bytes)).unwrap_or_default();
    Ok(slot.find(fingerprint).unwrap_or(Lease::NONE))
}

/// Changes what is known of a key, atomically: `change` gets it and answers the new one, or `None` to leave it.
pub(super) fn update(
    environment: &mut dyn Environment,
    fingerprint: SharedFingerprint,
    now: Timestamp,
    mut change: impl FnMut(Lease) -> Option<Lease>,
) -> Result<Lease, NoRoom> {
    let key = key(fingerprint);
    let updated = environment.update(&key, |stored| {
        let mut slot = Slot::read(&stored.unwrap_or_default());
        let known = slot.find(fingerprint).unwrap_or(Lease::NONE);
        let Some(lease) = change(known) else { return Change::Keep(Ok(known)) };
        match slot.entry(fingerprint, now) {
            Some(entry) => *entry = lease,
            None => return Change::Keep(Err(NoRoom)),
        }
        Change::Store(slot.write(), Ok(lease))
    });
    updated.unwrap_or(Err(NoRoom))
}

/// Nothing can be remembered of a key: its slot is full, or the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

fn key(fingerprint: SharedFingerprint) -> String {
    format!("portcullis/limits/service/{}", fingerprint.number() % SLOTS)
}

#[derive(Debug, Default)]
struct Slot {
    entries: Vec<(SharedFingerprint, Lease)>,
}

impl Slot {
    fn read(bytes: &[u8]) -> Self {
        let (chunks, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let entries = chunks.iter().take(WAYS).filter_map(|chunk| {
            let (fingerprint, rest) = chunk.split_first_chunk()?;
            Some((SharedFingerprint::from_bytes(*fingerprint), Lease::read(rest.first_chunk()?)))
        });
        Self { entries: entries.collect() }
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len().saturating_mul(ENTRY_BYTES));
        for (fingerprint, lease) in &self.entries {
            bytes.extend_from_slice(fingerprint.as_bytes());
            lease.write(&mut bytes);
        }
        bytes
    }

    fn find(&self, fingerprint: SharedFingerprint) -> Option<Lease> {
        self.entries.iter().find(|(other, _)| *other == fingerprint).map(|(_, lease)| *lease)
    }

    /// The place of a key: its own, a new one, or a spare one.
    fn entry(&mut self, fingerprint: SharedFingerprint, now: Timestamp) -> Option<&mut Lease> {
        let own = self.entries.iter().position(|(other, _)| *other == fingerprint);
        let index = own.or_else(|| {
            if self.entries.len() < WAYS {
                self.entries.push((fingerprint, Lease::NONE));
                return Some(self.entries.len().saturating_sub(1));
            }
            let spare = |or_over: bool| {
                self.entries.iter().position(|(_, lease)| lease.is_spare(now, or_over))
            };
            spare(false).or_else(|| spare(true))
        })?;
        let entry = self.entries.get_mut(index)?;
        entry.0 = fingerprint;
        Some(&mut entry.1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::TestEnvironment;

    fn fingerprint(number: u64) -> SharedFingerprint {
        let mut bytes = [0; 16];
        // All in one slot.
        bytes[..8].copy_from_slice(&(number * SLOTS).to_be_bytes());
        bytes[15] = 1;
        SharedFingerprint::from_bytes(bytes)
    }

    fn granted(now: Timestamp, hits: u32) -> Lease {
        let ends_at = now.after(Duration::from_secs(10));
        Lease { hits, base: hits, granted_at: now, ends_at, ..Lease::NONE }
    }

    #[test]
    fn what_is_written_is_read() {
        let lease = Lease {
            hits: 1,
            base: 0x0102_0304,
            remaining: u32::MAX,
            pace: 9,
            granted_at: Timestamp(5),
            ends_at: Timestamp(u64::MAX),
            over_until: Timestamp(7),
            asking_until: Timestamp(0x0807_0605_0403_0201),
        };
        let mut bytes = Vec::new();
        lease.write(&mut bytes);
        assert_eq!(Lease::read(bytes.as_slice().try_into().unwrap()), lease);
    }

    #[test]
    fn a_flood_of_keys_takes_nothing_that_is_granted() {
        let mut environment = TestEnvironment::new();
        let now = environment.now();
        for number in 0..WAYS as u64 {
            let done =
                update(&mut environment, fingerprint(number), now, |_| Some(granted(now, 5)));
            assert!(done.is_ok());
        }
        let late = |environment: &mut TestEnvironment, number: u64| {
            update(environment, fingerprint(number), now, |_| Some(granted(now, 1)))
        };
        for number in 100..1000 {
            assert_eq!(late(&mut environment, number), Err(NoRoom));
        }
        assert_eq!(look(&mut environment, fingerprint(3)).unwrap().usable(now), 5);
        // One that is over the limit makes room: to forget it costs a call.
        let over = |lease: Lease| {
            Some(Lease { hits: 0, over_until: now.after(Duration::from_secs(5)), ..lease })
        };
        update(&mut environment, fingerprint(3), now, over).unwrap();
        assert!(late(&mut environment, 100).is_ok());
        assert!(environment.stored_bytes() <= WAYS * ENTRY_BYTES);
    }

    #[test]
    fn a_clock_that_jumps_back_neither_grants_nor_shuts_out() {
        let now = Timestamp(1_700_000_000_000_000_000);
        let lease = Lease { over_until: now.after(Duration::from_secs(60)), ..granted(now, 5) };
        let earlier = Timestamp(now.0 - 86_400_000_000_000);
        assert!(lease.is_over(now) && !lease.is_over(earlier));
        assert_eq!((lease.usable(now), lease.usable(earlier)), (5, 0));
    }

    #[test]
    fn bytes_of_others_are_no_lease() {
        for length in [0, 1, ENTRY_BYTES - 1, ENTRY_BYTES, 100 * ENTRY_BYTES] {
            let slot = Slot::read(&vec![0xff; length]);
            assert!(slot.entries.len() <= WAYS);
            let now = Timestamp(1_700_000_000_000_000_000);
            assert!(slot.entries.iter().all(|(_, lease)| lease.usable(now) == 0));
        }
    }
}
