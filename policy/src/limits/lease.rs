//! What a worker has taken from shared entries in advance.
//!
//! A worker that is asked for the same key again and again takes several tokens at a time, as many as it has lately handed out in a
//! tenth of a second and as [`Bucket`] lets it, and hands them out without touching shared state. It also remembers for how
//! long an entry was empty. What it has not used it gives back within two seconds.

use super::bucket::{Bucket, LEASE};
use super::table::Place;
use super::{Decision, Fingerprint, NANOSECONDS};
use crate::environment::Timestamp;
use crate::spread::SpreadMap;

/// The most keys of which one worker remembers something.
const MAXIMUM_KEYS: usize = 1024;

/// A lease that is used up sooner than this was too small, and one that lasts longer than the other too large, in nanoseconds.
const SHORT: u64 = NANOSECONDS / 10;
const LONG: u64 = NANOSECONDS / 2;

/// The largest lease that is asked for.
const MAXIMUM_LEASE: u64 = 1 << 20;

/// The longest time for which an entry is believed to be empty without asking, in nanoseconds.
const EMPTY: u64 = NANOSECONDS;

/// Whose tokens are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Bucket(Bucket),
    /// A quota, in the period that ends then.
    Quota(Timestamp),
}

/// What a worker remembers of a key.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// What is left of the lease.
    units: u64,
    /// How large it was; 0 where there is none.
    size: u64,
    since: Timestamp,
    until: Timestamp,
    /// How large the next one should be.
    next: u64,
    owner: Owner,
    place: Place,
    /// What the entry said when it was asked last.
    said: Decision,
    /// Where it had not enough.
    empty: Option<Empty>,
}

/// What an entry said that had less than was asked for.
#[derive(Debug, Clone, Copy)]
struct Empty {
    cost: u64,
    /// Until when that is believed without asking.
    until: Timestamp,
    /// When there is enough.
    ends: Timestamp,
}

/// A lease that a worker has not used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) owner: Owner,
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) unused: u64,
}

/// What a worker knows of a key before it asks.
pub(super) enum Answer {
    /// It can say so itself.
    Known(Decision),
    /// It has to ask. This is left of its last lease, and this much it would like to have.
    Ask(Option<Lease>, u64),
}

/// What one worker remembers.
#[derive(Debug, Default)]
pub(super) struct Leases {
    known: SpreadMap<Fingerprint, Known>,
    latest: Timestamp,
    swept: Timestamp,
}

impl Leases {
    /// Takes `cost` from what is leased.
    pub(super) fn take(&mut self, key: Fingerprint, cost: u64, now: Timestamp) -> Answer {
        // When the clock goes backwards, entries forget who has leased from them.
        if now < self.latest {
            self.known.clear();
        }
        self.latest = now;
        let Some(known) = self.known.get_mut(&key) else { return Answer::Ask(None, 0) };
        if !known.is_good(now) {
            known.next = known.next.checked_div(2).unwrap_or(0);
            return Answer::Ask(None, known.next.saturating_mul(cost));
        }
        if let Some(left) = known.units.checked_sub(cost) {
            known.units = left;
            let remaining = known.said.remaining.saturating_add(left);
            return Answer::Known(Decision { remaining, ..known.said });
        }
        // Of another cost it is not known how long it has to wait.
        if let Some(empty) = known.empty
            && now < empty.until
            && cost == empty.cost
        {
            let wait = Some(empty.ends.since(now));
            return Answer::Known(Decision { admitted: false, wait, ..known.said });
        }
        known.next = match now.since(known.since) {
            age if age < SHORT => known.next.saturating_mul(2).max(1),
            age if age > LONG => known.next.checked_div(2).unwrap_or(0),
            _ => known.next,
        };
        let wanted = known.next.saturating_mul(cost).min(MAXIMUM_LEASE);
        Answer::Ask(known.lease(), wanted)
    }

    /// The entry was asked, and has said this and leased so much.
    pub(super) fn asked(
        &mut self,
        key: Fingerprint,
        (owner, place): (Owner, Place),
        (said, leased, cost): (Decision, u64, u64),
        now: Timestamp,
    ) {
        if !self.known.contains_key(&key) && !self.has_room(now) {
            return;
        }
        let empty = said.wait.filter(|wait| !said.admitted && *wait > 0);
        let empty = empty.map(|wait| Empty {
            cost,
            until: now.plus(wait.min(EMPTY)),
            ends: now.plus(wait),
        });
        let until = now.plus(LEASE);
        let fresh =
            Known { units: 0, size: 0, since: now, until, next: 0, owner, place, said, empty };
        let known = self.known.entry(key).or_insert(fresh);
        // What was leased before has been given back where the entry has admitted the request, and only there.
        let (units, size) = match said.admitted || !known.is_good(now) {
            true => (leased, leased),
            false => (known.units, known.size),
        };
        let is_kept = size > 0 && !said.admitted;
        let (since, until) = if is_kept { (known.since, known.until) } else { (now, until) };
        let next = known.next.min(MAXIMUM_LEASE);
        *known = Known { units, size, since, until, next, ..fresh };
    }

    /// Undoes a take from a lease.
    pub(super) fn give_back(&mut self, key: Fingerprint, cost: u64) {
        if let Some(known) = self.known.get_mut(&key) {
            known.units = known.units.saturating_add(cost).min(known.size);
        }
    }

    /// The leases that have not been used up for a while: to be given back.
    pub(super) fn idle(&mut self, now: Timestamp) -> Vec<Lease> {
        const IDLE: u64 = NANOSECONDS / 2;
        let mut idle = Vec::new();
        for known in self.known.values_mut() {
            if known.size > 0 && now.since(known.since) >= IDLE {
                idle.extend(known.lease().filter(|_| known.is_good(now)));
                (known.size, known.units) = (0, 0);
            }
        }
        idle
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.known.len() >= MAXIMUM_KEYS && now.since(self.swept) >= SHORT {
            self.swept = now;
            self.known.retain(|_, known| known.is_good(now));
        }
        if self.swept > now {
            self.swept = now;
        }
        self.known.len() < MAXIMUM_KEYS
    }
}

impl Known {
    fn is_good(&self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now) && !self.is_over(now)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.owner, Owner::Quota(end) if end <= now)
    }

    fn lease(&self) -> Option<Lease> {
        let Self { owner, place, size, units, .. } = *self;
        (size > 0).then_some(Lease { owner, place, size, unused: units })
    }
}
