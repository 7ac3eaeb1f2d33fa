//! Limits in SQLite, the one that Spin embeds: one transaction for all that a request takes.
//!
//! What is known is read and what becomes of it written while nobody else can write. To have SQLite reckon was tried, as Redis does:
//! one statement that said all would have taken it ten times as long to understand as these take altogether.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::judge::{self, Judged, Row};
use super::{Answer, LimitStore, MOST, Settlement, StoreError, Take, all_hold};

/// A connection to a SQLite database: Spin's, or another one in tests.
pub(crate) trait SqliteConnection {
    /// Runs one statement. Answers the first column of each row, where it is text.
    async fn execute(
        &self,
        statement: &str,
        parameters: &[SqliteValue],
    ) -> Result<Vec<String>, SqliteFailure>;
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SqliteValue {
    Integer(i64),
    Text(String),
}

/// What a database says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqliteFailure(pub(crate) String);

/// Limits in one database.
#[derive(Debug)]
pub(crate) struct SqliteStore<C> {
    connection: C,
    keys: u64,
    /// Nanoseconds. None outside of tests: SQLite's own clock counts.
    time: Option<u64>,
    /// Whether rows are swept out that say nothing any more: always, outside of tests.
    sweeps: bool,
}

const SCHEMA: &str = include_str!("schema.sql");
const READ: &str = include_str!("read.sql");
const WRITE: &str = include_str!("write.sql");
const SWEEP: &str = include_str!("sweep.sql");

/// What a connection is set up with. Readers and writers do not wait for each other, and no request waits for a disk: when the
/// power fails the last requests may be forgotten.
const SETTINGS: [&str; 2] = ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"];

/// What was read: the time, how many rows there are, and those that were asked for.
struct Known {
    now: u64,
    keys: u64,
    rows: BTreeMap<String, Row>,
}

impl<C: SqliteConnection> SqliteStore<C> {
    /// `keys` is for how many keys there is room.
    pub(crate) async fn new(connection: C, keys: u64) -> Self {
        for setting in SETTINGS {
            // A database that has no such settings counts as well.
            let _ = connection.execute(setting, &[]).await;
        }
        Self { connection, keys, time: None, sweeps: true }
    }

    /// A time that is set and stands still.
    #[cfg(test)]
    pub(crate) fn set_time(&mut self, nanoseconds: u64) {
        self.time = Some(nanoseconds);
    }

    #[cfg(test)]
    pub(super) fn stop_sweeping(&mut self) {
        self.sweeps = false;
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &C {
        &self.connection
    }

    async fn run(
        &self,
        statement: &str,
        parameters: &[SqliteValue],
    ) -> Result<Vec<String>, StoreError> {
        self.connection.execute(statement, parameters).await.map_err(unavailable)
    }

    /// Ends the transaction that is open.
    async fn end<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        match done {
            Ok(done) => self.run("COMMIT", &[]).await.map(|_| done),
            Err(error) => {
                // If that fails, too, it ends with the connection.
                let _ = self.run("ROLLBACK", &[]).await;
                Err(error)
            }
        }
    }

    async fn read(&self, keys: impl Iterator<Item = &str>) -> Result<Known, StoreError> {
        let keys = [SqliteValue::Text(keys.collect::<Value>().to_string())];
        let rows = match self.connection.execute(READ, &keys).await {
            Err(failure) if failure.is_unknown_table() => {
                for statement in statements(SCHEMA) {
                    self.run(&statement, &[]).await?;
                }
                self.run(READ, &keys).await?
            }
            rows => rows.map_err(unavailable)?,
        };
        let unreadable = StoreError::Unreadable("expected a key and four numbers, and the time");
        let mut known = BTreeMap::new();
        for row in rows {
            let (key, a, b, c, idle): (String, u64, u64, u64, u64) =
                serde_json::from_str(&row).map_err(|_| unreadable.clone())?;
            known.insert(key, Row { a, b, c, idle });
        }
        let Row { a: now, b: keys, .. } = known.remove("").ok_or(unreadable)?;
        Ok(Known { now: self.time.unwrap_or(now), keys, rows: known })
    }

    async fn write(&self, known: &Known, rows: &BTreeMap<&str, Row>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let row = |(key, Row { a, b, c, idle }): (&&str, &Row)| json!([key, a, b, c, idle]);
        let written = rows.iter().map(row).collect::<Value>().to_string();
        self.run(WRITE, &[SqliteValue::Text(written)]).await?;
        if self.sweeps && rows.keys().any(|key| !known.rows.contains_key(*key)) {
            let now = SqliteValue::Integer(i64::try_from(known.now).unwrap_or(i64::MAX));
            self.run(SWEEP, &[now]).await?;
        }
        Ok(())
    }

    async fn take_within(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        let keys = takes.iter().map(|take| &take.key);
        let keys = keys.flat_map(|key| [Some(key.own()), key.overflow()]).flatten();
        let known = self.read(keys).await?;
        let mut judged = Vec::with_capacity(takes.len());
        for take in takes {
            let is_own =
                known.rows.contains_key(take.key.own()) || known.keys < take.key.room(self.keys);
            let place = take.key.place(!is_own);
            let row = place.and_then(|place| known.rows.get(place)).copied().unwrap_or_default();
            let said = judge::take(take.count, take.units.min(MOST), row, known.now);
            judged.push((take, !is_own, place, said.ok_or(StoreError::Clock)?));
        }
        let admitted = judged.iter().map(|(take, _, _, said)| (*take, said.is_admitted.into()));
        let all_hold = all_hold(admitted);
        // Where one refuses, those after it are not touched.
        let first =
            judged.iter().position(|(take, _, _, said)| take.is_enforced && !said.is_admitted);
        let touched =
            judged.iter().take(first.map_or(judged.len(), |index| index.saturating_add(1)));
        let rows = touched.filter(|(_, _, _, said)| all_hold || !said.is_admitted);
        let rows = rows.filter_map(|(_, _, place, said)| Some(((*place)?, said.row?))).collect();
        self.write(&known, &rows).await?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let read = |(take, is_shared, _, said): (&Take, bool, _, Judged)| {
            let Judged { is_admitted, remaining, wait, ticket, .. } = said;
            let said = (is_admitted.into(), number(remaining), wait.map(number));
            take.answer(said, number(ticket), is_shared, all_hold)
        };
        Ok(judged.into_iter().map(read).collect())
    }

    async fn settle_within(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let places = || settlements.iter().map(|settlement| settlement.parts().1);
        let known = self.read(places()).await?;
        let mut rows = BTreeMap::new();
        for (settlement, place) in settlements.iter().zip(places()) {
            let row = rows.get(place).or_else(|| known.rows.get(place)).copied();
            let has_room = known.keys < settlement.room(self.keys);
            if let Some(row) = judge::settle(settlement, row, has_room, known.now) {
                rows.insert(place, row);
            }
        }
        self.write(&known, &rows).await
    }
}

impl<C: SqliteConnection> LimitStore for SqliteStore<C> {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        Take::check(takes)?;
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        self.run("BEGIN IMMEDIATE", &[]).await?;
        self.end(self.take_within(takes).await).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        if !settlements.iter().all(Settlement::is_sound) {
            return Err(StoreError::Asked("a settlement that its count does not know"));
        }
        if settlements.is_empty() {
            return Ok(());
        }
        self.run("BEGIN IMMEDIATE", &[]).await?;
        self.end(self.settle_within(settlements).await).await
    }
}

impl SqliteFailure {
    fn is_unknown_table(&self) -> bool {
        self.0.contains("no such table")
    }
}

fn unavailable(SqliteFailure(reason): SqliteFailure) -> StoreError {
    StoreError::Unavailable(reason)
}

/// The statements of a script: a connection runs one at a time. They are apart by an empty line.
fn statements(script: &str) -> impl Iterator<Item = String> {
    script.split("\n\n").map(str::to_owned)
}
