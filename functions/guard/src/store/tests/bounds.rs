//! Memory is bounded, and so is what many at a time are given.

use std::sync::Barrier;

use super::connections::{Redis, Sqlite, sqlite};
use super::{SECOND, START, digest, now};
use crate::store::{
    Bucket, Count, Key, LimitStore, Penalty, RedisStore, Settlement, SqliteStore, Take,
};

fn take(key: Key, count: Count) -> Take {
    Take { key, count, units: 1, is_enforced: true }
}

fn bucket(requests: u64, per_seconds: u32, burst: u64) -> Count {
    Count::Bucket(Bucket::new(requests, per_seconds, burst, false).unwrap())
}

fn is_admitted(store: &impl LimitStore, key: Key, count: Count) -> bool {
    now(store.take(&[take(key, count)])).unwrap().iter().all(|answer| answer.is_admitted)
}

fn open(number: u128) -> Key {
    Key::new("flood", digest(number), false)
}

/// What a flood of fresh keys gets: nobody's bucket is refilled, and no place is left for one more of them.
fn flood(store: &impl LimitStore) {
    const ROOM: u128 = 64;
    let count = bucket(1, 3600, 2);
    assert!(is_admitted(store, open(0), count) && is_admitted(store, open(0), count));
    assert!(!is_admitted(store, open(0), count));
    let admitted = (1..5000).filter(|number| is_admitted(store, open(*number), count)).count();
    // Each that had room took one, and each of those that others share gave two.
    assert!(admitted <= ROOM as usize / 2 + 16 * 2, "{admitted}");
    assert!(admitted >= ROOM as usize / 2, "{admitted}");
    assert!(!is_admitted(store, open(0), count), "the victim's bucket was refilled");
    // Who has proved who it is has room yet.
    let known = Key::new("flood", digest(1 << 100), true);
    assert!(is_admitted(store, known.clone(), count) && is_admitted(store, known.clone(), count));
    assert!(!is_admitted(store, known, count));
    // A source for which there is no room is not shut out with others.
    let penalty = Penalty {
        strikes: 1,
        per_seconds: 1,
        first_seconds: 60,
        max_seconds: 60,
        forgive_after_seconds: 60,
    };
    let source = || Key::of_source(digest(7));
    now(store.settle(&[Settlement::Strike(source(), penalty)])).unwrap();
    assert!(is_admitted(store, source(), Count::Penalty(penalty)));
}

#[test]
fn a_flood_takes_up_half_of_the_rows_at_most() {
    let mut store = sqlite(64);
    store.set_time(START);
    flood(&store);
    let rows = store.connection().number("SELECT count(*) FROM portcullis_limits");
    assert!(rows <= 64 + 2 * 16, "{rows}");
    assert_eq!(store.connection().number("SELECT keys FROM portcullis_room"), rows);
}

#[test]
fn a_flood_takes_up_half_of_the_keys_at_most() {
    let Some(redis) = Redis::start() else { return };
    let mut store = RedisStore::new(redis.connect(), "flood", 64);
    store.set_time(START);
    flood(&store);
    let keys = store.connection().query(&["DBSIZE"]);
    assert!(matches!(keys, redis::Value::Int(keys) if keys <= 64 + 2 * 16), "{keys:?}");
}

#[test]
fn rows_that_say_nothing_are_swept_out() {
    let mut store = sqlite(1 << 20);
    let count = bucket(10, 1, 2);
    for number in 0..3000 {
        // A fresh key each millisecond, whose bucket is full again after a tenth of a second; a second later it is swept out.
        store.set_time(START + u64::try_from(number).unwrap() * SECOND / 1000);
        assert!(is_admitted(&store, open(number), count));
    }
    let rows = store.connection().number("SELECT count(*) FROM portcullis_limits");
    assert!((1090..=1110).contains(&rows), "{rows}");
    assert_eq!(store.connection().number("SELECT keys FROM portcullis_room"), rows);
}

#[test]
fn keys_that_say_nothing_expire() {
    let Some(redis) = Redis::start() else { return };
    let store = RedisStore::new(redis.connect(), "expiry", 1 << 20);
    // In Redis's own time: full again after a tenth of a second, and gone a second later.
    assert!(is_admitted(&store, open(1), bucket(10, 1, 2)));
    let client = redis.connect();
    let keys = client.query(&["KEYS", "*"]);
    let redis::Value::Array(keys) = keys else { panic!("{keys:?}") };
    let [redis::Value::BulkString(key)] = keys.as_slice() else { panic!("{keys:?}") };
    let key = String::from_utf8(key.clone()).unwrap();
    assert!(key.starts_with("{portcullis:expiry}:flood:"), "{key}");
    let left = client.query(&["PTTL", &key]);
    assert!(matches!(left, redis::Value::Int(900..=1100)), "{left:?}");
}

/// As many threads as there are connections ask as fast as they can.
fn together(stores: Vec<impl LimitStore + Send>, burst: u64) {
    let barrier = Barrier::new(stores.len());
    let admitted: usize = std::thread::scope(|scope| {
        let counting = stores.into_iter().map(|store| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                (0..300).filter(|_| is_admitted(&store, open(1), bucket(1, 100, burst))).count()
            })
        });
        let counting: Vec<_> = counting.collect();
        counting.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, burst as usize);
}

#[test]
fn four_connections_to_one_file_admit_what_the_limit_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.db");
    let stores = (0..4).map(|_| now(SqliteStore::new(Sqlite::at(&file), 1000)));
    together(stores.collect(), 500);
}

#[test]
fn four_connections_to_one_redis_admit_what_the_limit_says() {
    let Some(redis) = Redis::start() else { return };
    let stores = (0..4).map(|_| RedisStore::new(redis.connect(), "together", 1000));
    together(stores.collect(), 500);
}
