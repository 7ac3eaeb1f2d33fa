//! Tokens that were verified, remembered until they expire: a second use costs a hash and a look-up.
//!
//! A token is found by its SipHash-2-4-128 (Aumasson and Bernstein 2012) under a key that each worker draws at random. It is
//! a pseudo-random function: who does not know the key cannot make a token that is taken for another, but by guessing
//! 128 bits online. The token itself is not kept.
//!
//! Only tokens that were verified come in, so nobody without one can fill this. Who has many cannot push out others': where there
//! is no room, the tenant that has the most makes it.

use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::jwt::Verified;
use crate::Environment;
use crate::spread::SpreadMap;

/// How many places are looked at for one that has not been used lately.
const MAXIMUM_SCAN: usize = 256;

/// Tokens that were verified.
pub(super) struct TokenCache {
    capacity: usize,
    key: Option<[u8; 16]>,
    slots: Vec<Slot>,
    places: SpreadMap<u128, usize>,
    holdings: Holdings,
    /// Where the search for a place goes on (the CLOCK algorithm, Corbató 1968).
    hand: usize,
}

struct Slot {
    digest: u128,
    holder: Holder,
    used: bool,
    verified: Arc<Verified>,
}

/// Whose tokens make room for each other: one issuer's callers of one tenant. A digest under the same key as that of tokens:
/// holders whose digests were the same would share their room, and nothing else.
type Holder = u64;

/// How many of the slots each holder has.
#[derive(Default)]
struct Holdings {
    counts: SpreadMap<Holder, usize>,
    /// How many holders have how many slots, so that the most is known without looking at all of them.
    holders: Vec<usize>,
    most: usize,
}

impl TokenCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            key: None,
            slots: Vec::new(),
            places: SpreadMap::default(),
            holdings: Holdings::default(),
            hand: 0,
        }
    }

    /// The digest by which a token is found. None without random numbers: then nothing is remembered.
    pub(super) fn digest(
        &mut self,
        token: &str,
        environment: &mut dyn Environment,
    ) -> Option<u128> {
        if self.capacity == 0 {
            return None;
        }
        let key = match self.key {
            Some(key) => key,
            None => {
                let mut key = [0; 16];
                environment.random(&mut key).ok()?;
                *self.key.insert(key)
            }
        };
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(token.as_bytes());
        Some(hasher.finish128().as_u128())
    }

    /// What is remembered under a digest.
    pub(super) fn find(&mut self, digest: u128) -> Option<Arc<Verified>> {
        let slot = self.slots.get_mut(*self.places.get(&digest)?)?;
        slot.used = true;
        Some(Arc::clone(&slot.verified))
    }

    /// Remembers a token that was just verified.
    pub(super) fn remember(&mut self, digest: u128, verified: Arc<Verified>) {
        let holder = self.holder(&verified);
        let slot = Slot { digest, holder, used: false, verified };
        if let Some(place) = self.places.get(&digest) {
            let place = *place;
            return self.put(place, slot);
        }
        if self.slots.len() < self.capacity {
            self.holdings.add(holder);
            self.places.insert(digest, self.slots.len());
            self.slots.push(slot);
            return;
        }
        if let Some(place) = self.victim(holder) {
            self.put(place, slot);
        }
    }

    /// Forgets a token, such as one whose key was taken back.
    pub(super) fn forget(&mut self, digest: u128) {
        let Some(place) = self.places.remove(&digest) else { return };
        if place >= self.slots.len() {
            return;
        }
        let gone = self.slots.swap_remove(place);
        self.holdings.take(gone.holder);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.digest, place);
        }
    }

    fn holder(&self, verified: &Verified) -> Holder {
        let mut hasher = SipHasher24::new_with_key(&self.key.unwrap_or_default());
        hasher.write_u64(verified.issuer as u64);
        if let Some(tenant) = &verified.principal.tenant {
            hasher.write_u8(1);
            hasher.write(tenant.as_bytes());
        }
        hasher.finish128().h1
    }

    fn put(&mut self, place: usize, fresh: Slot) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        let (digest, holder) = (fresh.digest, fresh.holder);
        let old = std::mem::replace(slot, fresh);
        if old.digest != digest {
            self.places.remove(&old.digest);
            self.places.insert(digest, place);
        }
        if old.holder != holder {
            self.holdings.add(holder);
            self.holdings.take(old.holder);
        }
    }

    /// A slot of the holder that has the most, if possible one that has not been used since the hand last came by.
    fn victim(&mut self, newcomer: Holder) -> Option<usize> {
        let most = self.holdings.most;
        let own = self.holdings.of(newcomer);
        let gives_room = |holder: Holder, holdings: &Holdings| match own == most {
            // Nobody has more: one's own make room for one's own.
            true => holder == newcomer,
            false => holdings.of(holder) == most,
        };
        let mut fallback = None;
        let mut seen = 0;
        for _ in 0..self.slots.len() {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(place) else { continue };
            if !gives_room(slot.holder, &self.holdings) {
                continue;
            }
            if !std::mem::replace(&mut slot.used, false) {
                return Some(place);
            }
            fallback = Some(place);
            seen += 1;
            if seen >= MAXIMUM_SCAN {
                break;
            }
        }
        fallback
    }
}

impl Holdings {
    fn of(&self, holder: Holder) -> usize {
        self.counts.get(&holder).copied().unwrap_or(0)
    }

    fn add(&mut self, holder: Holder) {
        let count = self.counts.entry(holder).or_default();
        let before = *count;
        *count = before.saturating_add(1);
        let after = *count;
        self.moved(before, after);
        self.most = self.most.max(after);
    }

    fn take(&mut self, holder: Holder) {
        let Some(count) = self.counts.get_mut(&holder) else { return };
        let before = *count;
        *count = before.saturating_sub(1);
        let after = *count;
        if after == 0 {
            self.counts.remove(&holder);
        }
        self.moved(before, after);
        // Whoever had the most still has the most, or one less.
        if before == self.most && self.holders.get(before) == Some(&0) {
            self.most = after;
        }
    }

    /// One holder has so many now.
    fn moved(&mut self, before: usize, after: usize) {
        if self.holders.len() <= after {
            self.holders.resize(after.saturating_add(1), 0);
        }
        if let Some(holders) = self.holders.get_mut(before) {
            *holders = holders.saturating_sub(1);
        }
        if let Some(holders) = self.holders.get_mut(after) {
            *holders = holders.saturating_add(1);
        }
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenCache({} of {})", self.slots.len(), self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestEnvironment;

    fn verified(tenant: &str) -> Arc<Verified> {
        Arc::new(Verified::for_tests(0, Some(tenant)))
    }

    #[test]
    fn a_token_is_found_by_itself_alone() {
        let (mut cache, mut environment) = (TokenCache::new(4), TestEnvironment::new());
        let digest = cache.digest("a.b.c", &mut environment).unwrap();
        cache.remember(digest, verified("acme"));
        assert!(cache.find(digest).is_some());
        for other in ["a.b.d", "a.b.c ", "A.b.c", ""] {
            let other = cache.digest(other, &mut environment).unwrap();
            assert!(cache.find(other).is_none());
        }
        cache.forget(digest);
        assert!(cache.find(digest).is_none());
    }

    #[test]
    fn without_random_numbers_or_room_nothing_is_remembered() {
        let mut environment = TestEnvironment::new();
        assert_eq!(TokenCache::new(0).digest("a", &mut environment), None);
        environment.random_fails = true;
        assert_eq!(TokenCache::new(4).digest("a", &mut environment), None);
    }

    /// A tenant that comes with any number of tokens takes the room that nobody else uses, and no more.
    #[test]
    fn a_flood_of_one_tenant_leaves_the_others_theirs() {
        let mut cache = TokenCache::new(8);
        for digest in 0..4 {
            cache.remember(digest, verified("acme"));
        }
        for digest in 100..10_000 {
            cache.remember(digest, verified("globex"));
        }
        assert!((0..4).all(|digest| cache.find(digest).is_some()));
        assert_eq!(cache.slots.len(), 8);
        assert_eq!(cache.places.len(), 8);
        assert_eq!(cache.holdings.counts.values().sum::<usize>(), 8);
        // A third one comes to its share, at the cost of who has most.
        cache.remember(20_000, verified("initech"));
        assert!(cache.find(20_000).is_some());
    }

    #[test]
    fn what_is_used_stays() {
        let mut cache = TokenCache::new(3);
        for digest in 0..3 {
            cache.remember(digest, verified("acme"));
        }
        assert!(cache.find(0).is_some());
        for digest in 10..12 {
            cache.remember(digest, verified("acme"));
            assert!(cache.find(0).is_some());
        }
    }

    proptest::proptest! {
        /// Whatever is remembered and forgotten in whatever order: the books balance.
        #[test]
        fn the_books_balance(steps in proptest::collection::vec((0_u8..3, 0_u128..20, 0_u8..4), 0..200)) {
            let mut cache = TokenCache::new(6);
            for (step, digest, tenant) in steps {
                match step {
                    0 => cache.forget(digest),
                    1 => drop(cache.find(digest)),
                    _ => cache.remember(digest, verified(&tenant.to_string())),
                }
                proptest::prop_assert!(cache.slots.len() <= 6);
                proptest::prop_assert_eq!(cache.places.len(), cache.slots.len());
                for (digest, place) in &cache.places {
                    proptest::prop_assert_eq!(cache.slots[*place].digest, *digest);
                }
                for (holder, count) in &cache.holdings.counts {
                    let found = cache.slots.iter().filter(|slot| slot.holder == *holder).count();
                    proptest::prop_assert_eq!(found, *count);
                }
                let counts = || cache.holdings.counts.values().copied();
                proptest::prop_assert_eq!(counts().sum::<usize>(), cache.slots.len());
                proptest::prop_assert_eq!(counts().max().unwrap_or(0), cache.holdings.most);
            }
        }
    }
}
