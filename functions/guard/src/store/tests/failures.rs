//! What happens where a store does not answer, or answers nonsense.

use std::cell::RefCell;

use super::connections::{Redis, sqlite};
use super::{SECOND, START, digest, now};
use crate::store::{
    Bucket, Count, Fallback, Key, LimitStore, RedisConnection, RedisFailure, RedisStore,
    Settlement, SqliteConnection, SqliteFailure, SqliteStore, SqliteValue, StoreError, Take,
};

fn two_an_hour(key: u128) -> Take {
    let count = Count::Bucket(Bucket::new(2, 3600, 2, false).unwrap());
    Take { key: Key::new("limit", digest(key), true), count, units: 1, is_enforced: true }
}

/// A connection that answers what it is told to.
struct Told(RefCell<Result<Vec<i64>, RedisFailure>>);

impl RedisConnection for Told {
    async fn execute(&self, _: &str, _: Vec<Vec<u8>>) -> Result<Vec<i64>, RedisFailure> {
        self.0.borrow().clone()
    }
}

impl SqliteConnection for Told {
    async fn execute(&self, _: &str, _: &[SqliteValue]) -> Result<Vec<String>, SqliteFailure> {
        let answer = self.0.borrow().clone();
        answer
            .map(|numbers| numbers.iter().map(|number| format!("[0,1,{number}]")).collect())
            .map_err(|RedisFailure(reason)| SqliteFailure(reason))
    }
}

fn refused() -> Told {
    Told(RefCell::new(Err(RedisFailure("connection refused".to_owned()))))
}

#[test]
fn who_does_not_answer_lets_nobody_through() {
    let shared = || RedisStore::new(refused(), "name", 1000);
    let expected = StoreError::Unavailable("connection refused".to_owned());
    assert_eq!(now(shared().take(&[two_an_hour(1)])), Err(expected.clone()));
    let alone = Fallback { shared: shared(), local: None::<RedisStore<Told>> };
    assert_eq!(now(alone.take(&[two_an_hour(1)])), Err(expected.clone()));
    let local = now(SqliteStore::new(refused(), 1000));
    let both = Fallback { shared: shared(), local: Some(local) };
    assert_eq!(now(both.take(&[two_an_hour(1)])), Err(expected));
}

#[test]
fn another_store_stands_in() {
    let local = sqlite(1000);
    let shared = RedisStore::new(refused(), "name", 1000);
    let store = Fallback { shared, local: Some(local) };
    let taken = now(store.take(&[two_an_hour(1)])).unwrap();
    assert!(now(store.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    assert!(!now(store.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    // What it has counted is given back to it.
    let taken = taken[0].taken.clone().unwrap();
    now(store.settle(&[Settlement::GiveBack(taken, 1)])).unwrap();
    assert!(now(store.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
}

#[test]
fn answers_that_are_none_let_nobody_through() {
    for answer in [vec![], vec![1], vec![1, 1, 1, 1], vec![1; 6], vec![1; 10]] {
        let told = || Told(RefCell::new(Ok(answer.clone())));
        let error = now(RedisStore::new(told(), "name", 1000).take(&[two_an_hour(1)]));
        assert!(matches!(error, Err(StoreError::Unreadable(_))), "{answer:?}: {error:?}");
        let store = now(SqliteStore::new(told(), 1000));
        let error = now(store.take(&[two_an_hour(1)]));
        assert!(matches!(error, Err(StoreError::Unreadable(_))), "{answer:?}: {error:?}");
    }
}

#[test]
fn lists_that_would_count_wrongly_are_refused() {
    let store = sqlite(1000);
    let twice = [two_an_hour(1), two_an_hour(2), two_an_hour(1)];
    assert!(matches!(now(store.take(&twice)), Err(StoreError::Asked(_))));
    let many: Vec<_> = (0..65).map(two_an_hour).collect();
    assert!(matches!(now(store.take(&many)), Err(StoreError::Asked(_))));
    assert_eq!(now(store.take(&[])), Ok(vec![]));
    let taken = now(store.take(&[two_an_hour(1)])).unwrap()[0].taken.clone().unwrap();
    assert!(matches!(now(store.settle(&[Settlement::Release(taken)])), Err(StoreError::Asked(_))));
}

/// A day that neither store's clock is in, nor one beside it.
fn clock_apart(store: &impl LimitStore) {
    let day = |number: u64| START / SECOND - (10 - number) * 86_400;
    let count = Count::Quota { amount: 5, ends: [day(0), day(1), day(2)] };
    let quota = Take {
        key: Key::new("quota", digest(1), true),
        count,
        units: 1,
        // Also one that does not refuse: it would count in no period.
        is_enforced: false,
    };
    assert_eq!(now(store.take(&[two_an_hour(1), quota])), Err(StoreError::Clock));
    // And nothing was taken.
    assert_eq!(now(store.take(&[two_an_hour(1)])).unwrap()[0].remaining, 1);
}

#[test]
fn a_clock_that_is_far_from_the_stores_counts_nothing() {
    let mut store = sqlite(1000);
    store.set_time(START);
    clock_apart(&store);
    let Some(redis) = Redis::start() else { return };
    let mut store = RedisStore::new(redis.connect(), "clock", 1000);
    store.set_time(START);
    clock_apart(&store);
}

#[test]
fn what_others_have_written_is_not_taken_for_nothing() {
    let Some(redis) = Redis::start() else { return };
    let store = RedisStore::new(redis.connect(), "foreign", 1000);
    assert!(now(store.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    let client = redis.connect();
    let redis::Value::Array(keys) = client.query(&["KEYS", "*"]) else { panic!("no keys") };
    let redis::Value::BulkString(key) = &keys[0] else { panic!("no key") };
    client.query(&["SET", &String::from_utf8(key.clone()).unwrap(), "nonsense"]);
    let error = now(store.take(&[two_an_hour(1)]));
    assert!(matches!(error, Err(StoreError::Unavailable(_))), "{error:?}");
}

#[test]
fn a_redis_that_is_killed_is_missed_and_found_again() {
    let Some(mut redis) = Redis::start() else { return };
    let shared = RedisStore::new(redis.connect(), "killed", 1000);
    assert!(now(shared.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    redis.kill();
    assert!(matches!(now(shared.take(&[two_an_hour(1)])), Err(StoreError::Unavailable(_))));
    let store = Fallback { shared, local: Some(sqlite(1000)) };
    assert!(now(store.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    redis.restart();
    // A new one that knows neither the script nor what was counted.
    let shared = RedisStore::new(redis.connect(), "killed", 1000);
    assert!(now(shared.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    assert_eq!(shared.connection().commands.get(), 2, "EVALSHA, then EVAL");
    assert!(now(shared.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
    assert_eq!(shared.connection().commands.get(), 3, "EVALSHA alone");
    assert!(!now(shared.take(&[two_an_hour(1)])).unwrap()[0].is_admitted);
}
