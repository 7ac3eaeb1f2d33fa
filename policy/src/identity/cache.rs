//! Tokens that were verified, remembered until they expire: a second use costs a hash and a look-up.
//!
//! A token is found by its SipHash-2-4-128 (Aumasson and Bernstein 2012) under a key that each worker draws at random. It is
//! a pseudo-random function: who does not know the key cannot make a token that is taken for another, but by guessing
//! 128 bits online. The token itself is not kept.
//!
//! Only tokens that were verified come in, so nobody without one can fill this. Who has many cannot push out others': where there
//! is no room, the tenant that has the most makes it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::jwt::Verified;
use crate::Environment;

/// How many places are looked at for one that has not been used lately.
const MAXIMUM_SCAN: usize = 256;

/// Tokens that were verified.
pub(super) struct TokenCache {
    capacity: usize,
    key: Option<[u8; 16]>,
    slots: Vec<Slot>,
    places: HashMap<u128, usize, BuildHasherDefault<Identity>>,
    /// How many of the slots each tenant has.
    holdings: HashMap<Holder, usize>,
    /// Where the search for a place goes on (the CLOCK algorithm, Corbató 1968).
    hand: usize,
}

struct Slot {
    digest: u128,
    holder: Holder,
    used: bool,
    verified: Arc<Verified>,
}

/// Whose tokens make room for each other: one issuer's callers of one tenant.
type Holder = (usize, Option<String>);

impl TokenCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            key: None,
            slots: Vec::new(),
            places: HashMap::default(),
            holdings: HashMap::new(),
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
        let holder = (verified.issuer, verified.principal.tenant.clone());
        let slot = Slot { digest, holder, used: false, verified };
        if let Some(place) = self.places.get(&digest) {
            let place = *place;
            return self.put(place, slot);
        }
        if self.slots.len() < self.capacity {
            *self.holdings.entry(slot.holder.clone()).or_default() += 1;
            self.places.insert(digest, self.slots.len());
            self.slots.push(slot);
            return;
        }
        if let Some(place) = self.victim(&slot.holder) {
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
        self.let_go(&gone.holder);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.digest, place);
        }
    }

    fn put(&mut self, place: usize, fresh: Slot) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        *self.holdings.entry(fresh.holder.clone()).or_default() += 1;
        self.places.insert(fresh.digest, place);
        let old = std::mem::replace(slot, fresh);
        if self.slots.get(place).is_some_and(|slot| slot.digest != old.digest) {
            self.places.remove(&old.digest);
        }
        self.let_go(&old.holder);
    }

    fn let_go(&mut self, holder: &Holder) {
        if let Some(count) = self.holdings.get_mut(holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.holdings.remove(holder);
            }
        }
    }

    /// A slot of the holder that has the most, if possible one that has not been used since the hand last came by.
    fn victim(&mut self, newcomer: &Holder) -> Option<usize> {
        let most = self.holdings.values().copied().max()?;
        let own = self.holdings.get(newcomer).copied().unwrap_or(0);
        let gives_room = |holder: &Holder, holdings: &HashMap<Holder, usize>| match own == most {
            // Nobody has more: one's own make room for one's own.
            true => holder == newcomer,
            false => holdings.get(holder) == Some(&most),
        };
        let mut fallback = None;
        let mut seen = 0;
        for _ in 0..self.slots.len() {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(place) else { continue };
            if !gives_room(&slot.holder, &self.holdings) {
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

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenCache({} of {})", self.slots.len(), self.capacity)
    }
}

/// Digests are as good as random already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u128` is called.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = (digest ^ (digest >> 64)) as u64;
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
        assert_eq!(cache.holdings.values().sum::<usize>(), 8);
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
                for (holder, count) in &cache.holdings {
                    let found = cache.slots.iter().filter(|slot| slot.holder == *holder).count();
                    proptest::prop_assert_eq!(found, *count);
                }
                proptest::prop_assert_eq!(cache.holdings.values().sum::<usize>(), cache.slots.len());
            }
        }
    }
}
