//! What is counted, of many keys, in a fixed number of shared slots.
//!
//! A slot holds up to [`WAYS`] entries. An entry that says the same as none (a bucket that is full again, a quota whose day is
//! over) can make room without giving anything away; one that does not is never thrown out. So a flood of fresh keys can
//! fill slots, but cannot refill its own buckets or anybody else's. Keys that find no room count together, for each limit and
//! each of [`OVERFLOWS`] parts of the slots.
//!
//! Who behaves has a bucket that is full again, and would be the first to lose its place. So an entry that is used again after it
//! was full is proven, and keeps its place for [`KEPT`] longer; at most half of a slot is. And where a key's slot is depends on
//! a secret of this machine: nobody can make up keys that fall into the slot of somebody else.

use super::Fingerprint;
use crate::environment::{Change, Environment, Timestamp};

/// How many entries a slot holds.
const WAYS: usize = 16;

/// How many entries of a slot can be proven.
const PROVEN_WAYS: usize = 8;

/// How much longer a proven entry keeps its place, in nanoseconds.
const KEPT: u64 = 60 * super::NANOSECONDS;

/// How many shared entries each limit has, for keys that find no room.
const OVERFLOWS: u64 = 16;

/// The most limits that count in one overflow slot. A policy has fewer.
const MAXIMUM_OVERFLOW: usize = 16_384;

/// Bytes of an entry: fingerprint, time, value.
const ENTRY_BYTES: usize = 32;

/// Whose keys are in a part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Those that callers have proved.
    Proved,
    /// Those that anybody can make up.
    Open,
}

/// What is known of a key. All zero where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) time: Timestamp,
    pub(super) value: u64,
}

/// Where a key is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    slot: Slot,
    fingerprint: Fingerprint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Slot {
    Proved(u64),
    Open(u64),
    Overflow(u64),
}

/// What came of an attempt to change an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome<T> {
    Done(T),
    /// There is no such entry, and no room for one.
    NoRoom,
    /// The store does not answer, or others were always faster.
    Unavailable,
}

/// The table's shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// How many slots each region has.
    slots: u64,
}

impl Table {
    /// A table for so many keys.
    pub(super) fn new(keys: u32) -> Self {
        let slots = u64::from(keys).div_ceil(2 * WAYS as u64);
        Self { slots: slots.max(1) }
    }

    pub(super) fn place(self, fingerprint: Fingerprint, region: Region) -> Place {
        let number = fingerprint.number().checked_rem(self.slots).unwrap_or(0);
        let slot = match region {
            Region::Proved => Slot::Proved(number),
            Region::Open => Slot::Open(number),
        };
        Place { slot, fingerprint }
    }

    /// Changes a key's entry atomically, and makes one where there is none: `change` is told whether the entry is
    /// the key's own, and answers whether there is something to store. Where there is no room the entry of `limit` that such keys
    /// share is changed. Answers where it was.
    pub(super) fn change<T>(
        place: Place,
        limit: Fingerprint,
        now: Timestamp,
        environment: &mut dyn Environment,
        mut change: impl FnMut(&mut State, bool) -> (T, bool),
    ) -> Option<(T, Place)> {
        match place.update(true, now, environment, &mut |state| change(state, true)) {
            Outcome::Done(done) => Some((done, place)),
            Outcome::Unavailable => None,
            Outcome::NoRoom => {
                let place = place.overflow(limit);
                match place.update(true, now, environment, &mut |state| change(state, false)) {
                    Outcome::Done(done) => Some((done, place)),
                    Outcome::NoRoom | Outcome::Unavailable => None,
                }
            }
        }
    }

    /// The same for an entry that is there; nothing happens where it is not.
    pub(super) fn change_existing(
        place: Place,
        now: Timestamp,
        environment: &mut dyn Environment,
        mut change: impl FnMut(&mut State) -> bool,
    ) {
        place.update(false, now, environment, &mut |state| ((), change(state)));
    }

    /// What is known of a key.
    pub(super) fn peek(place: Place, environment: &mut dyn Environment) -> Option<State> {
        let stored = environment.load(&place.slot.key()).ok()?;
        let entries = Entries { bytes: stored.map(|(bytes, _)| bytes).unwrap_or_default() };
        let found = entries.find(place.fingerprint);
        Some(found.map_or_else(State::default, |index| entries.state(index)))
    }
}

impl Slot {
    fn key(self) -> String {
        match self {
            Self::Proved(number) => format!("portcullis/limits/proved/{number}"),
            Self::Open(number) => format!("portcullis/limits/open/{number}"),
            Self::Overflow(number) => format!("portcullis/limits/overflow/{number}"),
        }
    }
}

impl Place {
    fn overflow(self, limit: Fingerprint) -> Self {
        let number = match self.slot {
            Slot::Proved(number) => number % OVERFLOWS,
            Slot::Open(number) | Slot::Overflow(number) => (number % OVERFLOWS) + OVERFLOWS,
        };
        Self { slot: Slot::Overflow(number), fingerprint: limit }
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        self.fingerprint
    }

    /// Changes the key's own entry, and makes one where there is none. None where there is no room, or the store does not answer.
    pub(super) fn change_own<T>(
        self,
        now: Timestamp,
        environment: &mut dyn Environment,
        mut change: impl FnMut(&mut State) -> T,
    ) -> Option<T> {
        match self.update(true, now, environment, &mut |state| (change(state), true)) {
            Outcome::Done(done) => Some(done),
            Outcome::NoRoom | Outcome::Unavailable => None,
        }
    }

    fn update<T>(
        self,
        may_create: bool,
        now: Timestamp,
        environment: &mut dyn Environment,
        change: &mut impl FnMut(&mut State) -> (T, bool),
    ) -> Outcome<T> {
        let key = self.slot.key();
        let outcome = environment.update(&key, |stored| {
            let mut entries = Entries { bytes: stored.unwrap_or_default() };
            let index = match (entries.find(self.fingerprint), may_create) {
                (Some(index), _) => index,
                (None, false) => return Change::Keep(Outcome::NoRoom),
                (None, true) => match entries.make_room(self, now) {
                    Some(index) => index,
                    None => return Change::Keep(Outcome::NoRoom),
                },
            };
            let mut state = entries.state(index);
            let was_idle = state != State::default() && self.fingerprint.idle_from(&state) <= now;
            let (done, is_changed) = change(&mut state);
            if !is_changed {
                return Change::Keep(Outcome::Done(done));
            }
            entries.set_state(index, state);
            if was_idle {
                entries.prove(index);
            }
            Change::Store(entries.bytes, Outcome::Done(done))
        });
        outcome.unwrap_or(Outcome::Unavailable)
    }
}

/// The entries of a slot, as they are stored. What follows the last whole one is not looked at.
struct Entries {
    bytes: Vec<u8>,
}

impl Entries {
    fn all(&self) -> &[[u8; ENTRY_BYTES]] {
        self.bytes.as_chunks().0
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<usize> {
        self.all().iter().position(|entry| Fingerprint::read(entry) == fingerprint)
    }

    fn state(&self, index: usize) -> State {
        self.all().get(index).map_or_else(State::default, State::read)
    }

    fn set_state(&mut self, index: usize, state: State) {
        if let Some(entry) = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0.get_mut(index) {
            let (_, rest) = entry.split_at_mut(16);
            let bytes = state.time.0.to_le_bytes().into_iter().chain(state.value.to_le_bytes());
            rest.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }

    /// Marks an entry as proven, if there is room for one more of them.
    fn prove(&mut self, index: usize) {
        let proven = self.all().iter().filter(|entry| Fingerprint::is_proven(entry)).count();
        if proven < PROVEN_WAYS
            && let Some(entry) = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0.get_mut(index)
        {
            Fingerprint::set_proven(entry);
        }
    }

    /// An entry for a new key: another one, or that which has said nothing for the longest time.
    fn make_room(&mut self, place: Place, now: Timestamp) -> Option<usize> {
        let ways = match place.slot {
            Slot::Overflow(_) => MAXIMUM_OVERFLOW,
            Slot::Proved(_) | Slot::Open(_) => WAYS,
        };
        let count = self.all().len();
        let index = if count < ways {
            self.bytes.truncate(count.saturating_mul(ENTRY_BYTES));
            self.bytes.resize(count.saturating_add(1).saturating_mul(ENTRY_BYTES), 0);
            count
        } else {
            let free =
                self.all().iter().enumerate().map(|(index, entry)| (free_from(entry, now), index));
            free.min().filter(|(from, _)| *from <= now)?.1
        };
        let entry = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0.get_mut(index)?;
        *entry = [0; ENTRY_BYTES];
        entry.iter_mut().zip(place.fingerprint.bytes()).for_each(|(to, from)| *to = from);
        Some(index)
    }
}

/// From when on an entry's place may be given to another key.
fn free_from(entry: &[u8; ENTRY_BYTES], now: Timestamp) -> Timestamp {
    let fingerprint = Fingerprint::read(entry);
    let idle = fingerprint.idle_from(&State::read(entry));
    // Written by a clock that has since gone backwards: it would keep its place for as long as the clock jumped.
    if idle > now.plus(fingerprint.horizon()) {
        return Timestamp(0);
    }
    let kept = if Fingerprint::is_proven(entry) { KEPT } else { 0 };
    idle.plus(kept)
}

impl State {
    fn read(entry: &[u8; ENTRY_BYTES]) -> Self {
        let number = |skip: usize| {
            let mut bytes = [0; 8];
            let source = entry.iter().skip(skip);
            bytes.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(bytes)
        };
        Self { time: Timestamp(number(16)), value: number(24) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::bucket::Bucket;
    use crate::limits::fingerprint::Kind;
    use crate::testing::TestEnvironment;

    /// Fingerprints that all fall into one slot.
    fn place(number: u64) -> Place {
        Place {
            slot: Slot::Open(0),
            fingerprint: Fingerprint::new(Kind::Bucket, u128::from(number) << 8),
        }
    }

    fn admitted(environment: &mut TestEnvironment, key: u64, bucket: Bucket) -> bool {
        let now = environment.now();
        let limit = Fingerprint::new(Kind::Bucket, 7);
        let taken = Table::change(place(key + 1), limit, now, environment, |state, _| {
            let (decision, _, is_changed) = bucket.take(state, 1, 0, now);
            (decision.admitted, is_changed)
        });
        taken.unwrap().0
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
    fn a_flood_of_keys_does_not_slow_who_behaves() {
        let bucket = Bucket::new(1, 1, 4).unwrap();
        let mut environment = TestEnvironment::new();
        assert!(admitted(&mut environment, 0, bucket));
        environment.advance_seconds(5);
        assert!(admitted(&mut environment, 0, bucket), "proven from here on");
        let mut fresh = 1..;
        for second in 0..300 {
            environment.advance_seconds(1);
            // Whoever floods takes all that is there, again and again.
            for key in fresh.by_ref().take(40) {
                while admitted(&mut environment, key, bucket) {}
            }
            if second % 30 == 0 {
                assert!(admitted(&mut environment, 0, bucket), "slowed after {second} s");
            }
        }
    }

    #[test]
    fn who_has_once_behaved_does_not_keep_a_place_for_ever() {
        let bucket = Bucket::new(1, 1, 1).unwrap();
        let mut environment = TestEnvironment::new();
        for _ in 0..3 {
            assert!((0..16).all(|key| admitted(&mut environment, key, bucket)));
            environment.advance_seconds(2);
        }
        // Half of the slot is proven; the other half makes room, as does all of it a minute later.
        assert_eq!((100..116).filter(|key| admitted(&mut environment, *key, bucket)).count(), 9);
        environment.advance_seconds(62);
        assert!((200..216).all(|key| admitted(&mut environment, key, bucket)));
        assert_eq!(environment.stored_bytes(), (WAYS + 1) * ENTRY_BYTES);
    }

    #[test]
    fn what_a_clock_ahead_has_written_makes_room() {
        let bucket = Bucket::new(1, 3600, 2).unwrap();
        let mut environment = TestEnvironment::new();
        environment.advance_seconds(30 * 86_400);
        assert!((0..16).all(|key| admitted(&mut environment, key, bucket)));
        environment.go_back_seconds(30 * 86_400);
        assert!((100..116).all(|key| admitted(&mut environment, key, bucket)));
    }

    #[test]
    fn lost_races_are_run_again_but_not_for_ever() {
        let bucket = Bucket::new(1, 1, 1).unwrap();
        let mut environment = TestEnvironment::new();
        environment.conflicts = 5;
        assert!(admitted(&mut environment, 1, bucket));
        environment.conflicts = usize::MAX;
        let now = environment.now();
        let limit = Fingerprint::new(Kind::Bucket, 7);
        let changed = Table::change(place(2), limit, now, &mut environment, |state, _| {
            state.value = 1;
            ((), true)
        });
        assert_eq!(changed, None);
    }
}
