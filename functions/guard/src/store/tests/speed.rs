//! How long a decision takes: `cargo test -p guard speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::connections::{Redis, Sqlite};
use super::{digest, now};
use crate::store::{Bucket, Count, Key, LimitStore, RedisStore, SqliteStore, Take};

const DECISIONS: u32 = 20_000;

fn takes(limits: usize, caller: u128) -> Vec<Take> {
    let count = Count::Bucket(Bucket::new(1_000_000, 1, 1_000_000, false).unwrap());
    let take = |limit| {
        let key = Key::new(&format!("limit-{limit}"), digest(caller << 8 | limit as u128), true);
        Take { key, count, units: 1, is_enforced: true }
    };
    (0..limits).map(take).collect()
}

fn measure(what: &str, store: &impl LimitStore) {
    for limits in [1, 3, 8] {
        let (begun, busy) = (Instant::now(), on_cpu());
        for number in 0..DECISIONS {
            now(store.take(&takes(limits, (number % 1000).into()))).unwrap();
        }
        let busy = on_cpu().saturating_sub(busy) / DECISIONS;
        let elapsed = begun.elapsed() / DECISIONS;
        println!("{what}, {limits} limits: {elapsed:?} a decision, {busy:?} of it this thread's");
    }
}

/// How long this thread has been on a processor: what others on the machine do does not count.
fn on_cpu() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

#[test]
#[ignore = "measures"]
fn speed() {
    measure("SQLite in memory", &now(SqliteStore::new(Sqlite::in_memory(), 65_536)));
    let folder = tempfile::tempdir().unwrap();
    let file = Sqlite::at(&folder.path().join("limits.db"));
    let store = now(SqliteStore::new(file, 65_536));
    measure("SQLite in a file", &store);
    println!("{} statements in all", store.connection().statements.get());
    let Some(redis) = Redis::start() else { return };
    let store = RedisStore::new(redis.connect(), "speed", 65_536);
    measure("Redis over a socket", &store);
    println!("{} commands in all", store.connection().commands.get());
    let client = redis.connect();
    let text = |value| match value {
        redis::Value::BulkString(text) => String::from_utf8(text).unwrap(),
        value => format!("{value:?}"),
    };
    let statistics = text(client.query(&["INFO", "commandstats"]));
    statistics.lines().filter(|line| line.contains("evalsha")).for_each(|line| println!("{line}"));
}
