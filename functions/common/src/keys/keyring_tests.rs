use proptest::prelude::*;

use super::*;
use crate::keys::testing::{MemoryStore, NOW, PlainKey, run, secret};

type Keyring = super::Keyring<PlainKey>;

const PREFIX: &str = PlainKey::PREFIX;
const RETAINED_SECONDS: u64 = PlainKey::RETAINED_SECONDS;

/// 30 days.
const ROTATION: u64 = 30 * 24 * 3600;

fn sealer(byte: u8) -> Sealer {
    Sealer::new::<PlainKey>(&secret(byte)).unwrap()
}

fn open(store: &MemoryStore, now: u64) -> Result<Keyring, KeyringError> {
    run(Keyring::open(store, &sealer(1), now, ROTATION))
}

fn current(keyring: &Keyring) -> String {
    keyring.current().unwrap().id().to_owned()
}

fn published(keyring: &Keyring) -> Vec<String> {
    let set = keyring.public_set();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn states(keyring: &Keyring) -> Vec<String> {
    let report = keyring.report();
    let keys = report.as_array().unwrap();
    keys.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_first_key_signs_at_once_and_stays() {
    let store = MemoryStore::default();
    let first = open(&store, NOW).unwrap();
    assert_eq!(states(&first), ["current"]);
    let again = open(&store, NOW + 60).unwrap();
    assert_eq!(published(&again), [current(&first)]);
    assert_eq!(store.entries.borrow().len(), 1);
}

#[test]
fn a_key_is_published_before_it_signs_and_after() {
    let store = MemoryStore::default();
    let mut keyring = open(&store, NOW).unwrap();
    let old = current(&keyring);
    assert_eq!(run(keyring.rotate(&store, &sealer(1))), Ok(Rotation::Begun));
    assert_eq!(states(&keyring), ["current", "next"]);
    assert_eq!(current(&keyring), old);
    let new = published(&keyring)[1].clone();
    // A second request changes nothing.
    assert_eq!(run(keyring.rotate(&store, &sealer(1))), Ok(Rotation::Underway));
    assert_eq!(published(&keyring), [old.clone(), new.clone()]);

    let signs = NOW + PUBLISHED_BEFORE_SECONDS;
    let keyring = open(&store, signs - 1).unwrap();
    assert_eq!((current(&keyring), published(&keyring).len()), (old.clone(), 2));
    let keyring = open(&store, signs).unwrap();
    assert_eq!((current(&keyring), published(&keyring).len()), (new.clone(), 2));
    assert_eq!(states(&keyring), ["retired", "current"]);
    // The last token of the old key lives for so long.
    let expired = signs + RETAINED_SECONDS + GRACE_SECONDS;
    assert_eq!(published(&open(&store, expired).unwrap()), [old, new.clone()]);
    assert_eq!(published(&open(&store, expired + 1).unwrap()), [new]);
    assert_eq!(store.entries.borrow().len(), 1);
}

#[test]
fn an_old_key_is_replaced_without_being_asked() {
    let store = MemoryStore::default();
    let old = current(&open(&store, NOW).unwrap());
    let due = NOW + ROTATION - PUBLISHED_BEFORE_SECONDS;
    assert_eq!(published(&open(&store, due - 1).unwrap()).len(), 1);
    let keyring = open(&store, due).unwrap();
    assert_eq!(
        (current(&keyring), states(&keyring)),
        (old.clone(), vec!["current".to_owned(), "next".to_owned()])
    );
    assert_ne!(current(&open(&store, NOW + ROTATION).unwrap()), old);

    // Nobody asked for a year: it is still published first.
    let store = MemoryStore::default();
    let old = current(&open(&store, NOW).unwrap());
    let late = NOW + 12 * ROTATION;
    let keyring = open(&store, late).unwrap();
    assert_eq!((current(&keyring), published(&keyring).len()), (old.clone(), 2));
    assert_eq!(current(&open(&store, late + PUBLISHED_BEFORE_SECONDS - 1).unwrap()), old);
    assert_ne!(current(&open(&store, late + PUBLISHED_BEFORE_SECONDS).unwrap()), old);
}

/// Two instances find no key at the same time, and one is through before the other writes.
#[test]
fn a_race_for_the_first_key_loses_none_that_has_signed() {
    let store = MemoryStore::default();
    let quicker = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let told = quicker.clone();
    *store.before_set.borrow_mut() = Some(Box::new(move |store| {
        *told.borrow_mut() = current(&open(store, NOW - 1).unwrap());
    }));
    let slower = open(&store, NOW).unwrap();
    assert_eq!(current(&slower), *quicker.borrow());
    assert_eq!(published(&slower).len(), 2);
    // From then on all agree, and the one that never signed goes when its tokens would have expired.
    assert_eq!(current(&open(&store, NOW + 1).unwrap()), *quicker.borrow());
    let later = open(&store, NOW + RETAINED_SECONDS + GRACE_SECONDS + 1).unwrap();
    assert_eq!(published(&later), [quicker.borrow().clone()]);
}

#[test]
fn a_race_to_rotate_loses_none_either() {
    let store = MemoryStore::default();
    let old = current(&open(&store, NOW).unwrap());
    let due = NOW + ROTATION - PUBLISHED_BEFORE_SECONDS;
    *store.before_set.borrow_mut() = Some(Box::new(move |store| {
        open(store, due + 1).unwrap();
    }));
    let keyring = open(&store, due).unwrap();
    assert_eq!(current(&keyring), old);
    assert_eq!(states(&keyring), ["current", "next", "next"]);
    // One second apart, as they were published.
    let then = open(&store, NOW + ROTATION).unwrap();
    assert_eq!(states(&then), ["retired", "current", "next"]);
    let then = open(&store, NOW + ROTATION + 1).unwrap();
    assert_eq!(states(&then), ["retired", "retired", "current"]);
}

#[test]
fn what_does_not_open_stops_everything() {
    let store = MemoryStore::default();
    open(&store, NOW).unwrap();
    let with = |byte| run(Keyring::open(&store, &sealer(byte), NOW, ROTATION)).map(drop);
    assert!(
        matches!(with(2), Err(KeyringError::NotOpened { name, .. }) if name.starts_with(PREFIX))
    );
    assert_eq!(with(1), Ok(()));

    // An entry under another's name is not that key.
    let (name, sealed) =
        store.entries.borrow().first_key_value().map(|(a, b)| (a.clone(), b.clone())).unwrap();
    store.entries.borrow_mut().insert(format!("{PREFIX}other"), sealed);
    assert!(matches!(with(1), Err(KeyringError::NotOpened { .. })));
    store.entries.borrow_mut().remove(&format!("{PREFIX}other"));
    // Nor is a key sealed for a name that is not its id.
    let content = [NOW.to_be_bytes().as_slice(), &[0; 8], &[7; 32]].concat();
    let forged = sealer(1).seal(&format!("{PREFIX}x"), &content).unwrap();
    store.entries.borrow_mut().insert(format!("{PREFIX}x"), forged);
    assert!(matches!(with(1), Err(KeyringError::NotOpened { .. })));
    store.entries.borrow_mut().remove(&format!("{PREFIX}x"));
    // What others keep in the same store is theirs.
    store.entries.borrow_mut().insert("unrelated".to_owned(), vec![1]);
    assert_eq!(with(1), Ok(()));
    assert!(
        store.entries.borrow().contains_key("unrelated")
            && store.entries.borrow().contains_key(&name)
    );
}

#[test]
fn a_store_that_fails_or_is_full_is_said_so() {
    let store = MemoryStore::default();
    *store.broken.borrow_mut() = true;
    assert!(matches!(open(&store, NOW).map(drop), Err(KeyringError::Store(_))));
    let store = MemoryStore::default();
    for number in 0..=MAXIMUM_KEYS {
        store.entries.borrow_mut().insert(format!("{PREFIX}{number}"), vec![]);
    }
    assert_eq!(open(&store, NOW).map(drop), Err(KeyringError::TooMany(PREFIX)));
}

#[test]
fn a_clock_before_every_key_signs_nothing() {
    let store = MemoryStore::default();
    let mut keyring = open(&store, NOW).unwrap();
    run(keyring.rotate(&store, &sealer(1))).unwrap();
    let later = NOW + 2 * PUBLISHED_BEFORE_SECONDS + RETAINED_SECONDS + GRACE_SECONDS + 1;
    assert_eq!(published(&open(&store, later).unwrap()).len(), 1);
    assert_eq!(open(&store, NOW).map(drop), Err(KeyringError::NoneActive));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens when: who signs is in every key set that is published until its token has expired, and was in
    /// every one of the hour before, the first key excepted.
    #[test]
    fn no_token_meets_a_set_without_its_key(
        steps in prop::collection::vec((0_u64..40_000, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let rotation = 15_600;
        let store = MemoryStore::default();
        let mut now = NOW;
        let mut sets: Vec<(u64, Vec<String>)> = Vec::new();
        let mut tokens: Vec<(u64, String)> = Vec::new();
        let first = current(&run(Keyring::open(&store, &sealer(1), now, rotation)).unwrap());
        for (pause, rotate, racing) in steps {
            now += pause;
            let at = now;
            let other: Box<dyn FnOnce(&MemoryStore)> = Box::new(move |store| {
                run(Keyring::open(store, &sealer(1), at, rotation)).unwrap();
            });
            *store.before_set.borrow_mut() = racing.then_some(other);
            let mut keyring = run(Keyring::open(&store, &sealer(1), now, rotation)).unwrap();
            if rotate {
                run(keyring.rotate(&store, &sealer(1))).unwrap();
            }
            tokens.push((now, current(&keyring)));
            sets.push((now, published(&keyring)));
        }
        for (signed, kid) in &tokens {
            for (fetched, set) in &sets {
                let lives = *fetched >= *signed && *fetched < signed + RETAINED_SECONDS;
                let before = *kid != first && fetched < signed && fetched + PUBLISHED_BEFORE_SECONDS > *signed;
                if lives || before {
                    prop_assert!(set.contains(kid), "signed {signed}, fetched {fetched}");
                }
            }
        }
    }
}
