//! Limits in SQLite, the one that Spin embeds: one statement for all that a request takes, which is one transaction.
//!
//! A statement on its own needs no connection that stays the same: so it works as well where Spin's database is libSQL over HTTP,
//! which has no transactions of several statements.

use serde_json::{Value, json};

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
    Null,
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
    time: Option<i64>,
}

const SCHEMA: &str = include_str!("schema.sql");
const TAKE: &str = include_str!("take.sql");
const SETTLE: &str = include_str!("settle.sql");

/// What a connection is set up with. Readers and writers do not wait for each other, and no request waits for a disk: when the
/// power fails the last requests may be forgotten.
const SETTINGS: [&str; 2] = ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"];

impl<C: SqliteConnection> SqliteStore<C> {
    /// `keys` is for how many keys there is room.
    pub(crate) async fn new(connection: C, keys: u64) -> Self {
        for setting in SETTINGS {
            // A database that has no such settings counts as well.
            let _ = connection.execute(setting, &[]).await;
        }
        Self { connection, keys, time: None }
    }

    /// A time that is set and stands still.
    #[cfg(test)]
    pub(super) fn set_time(&mut self, nanoseconds: u64) {
        self.time = Some(i64::try_from(nanoseconds).unwrap());
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &C {
        &self.connection
    }

    async fn run(&self, statement: &str, asked: &Value) -> Result<Vec<String>, StoreError> {
        let time = self.time.map_or(SqliteValue::Null, SqliteValue::Integer);
        let parameters = [SqliteValue::Text(asked.to_string()), time];
        let answer = match self.connection.execute(statement, &parameters).await {
            // Nothing has been changed.
            Err(failure) if failure.is_unknown_table() => {
                for statement in statements(SCHEMA) {
                    self.connection.execute(&statement, &[]).await.map_err(unavailable)?;
                }
                self.connection.execute(statement, &parameters).await
            }
            answer => answer,
        };
        answer.map_err(unavailable)
    }
}

impl<C: SqliteConnection> LimitStore for SqliteStore<C> {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        Take::check(takes)?;
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        let one = |take: &Take| {
            // What shuts out is judged by how long it does; when, is for the strikes.
            let [p1, p2, p3, p4, _] = match take.count {
                super::Count::Penalty(penalty) => {
                    [penalty.first_seconds.into(), penalty.max_seconds.into(), 0, 0, 0]
                }
                count => count.parameters(),
            };
            let Take { key, count, units, is_enforced } = take;
            let (enforced, units) = (u8::from(*is_enforced), (*units).min(MOST));
            let room = key.room(self.keys).min(MOST);
            let (own, overflow, count) = (key.own(), key.overflow(), count.name());
            json!([count, own, overflow, room, enforced, units, p1, p2, p3, p4])
        };
        let rows = self.run(TAKE, &takes.iter().map(one).collect()).await?;
        let unreadable = StoreError::Unreadable("expected six numbers for each limit");
        let mut said: Vec<Said> = rows
            .iter()
            .map(|row| serde_json::from_str(row))
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable.clone())?;
        // Rows come in any order.
        said.sort_unstable_by_key(|(ask, ..)| *ask);
        if !said.iter().map(|(ask, ..)| *ask).eq(0..takes.len()) {
            return Err(unreadable);
        }
        if said.iter().any(|(_, admitted, ..)| *admitted < 0) {
            return Err(StoreError::Clock);
        }
        let all_hold = all_hold(takes.iter().zip(said.iter().map(|(_, admitted, ..)| *admitted)));
        let answers = takes.iter().zip(said);
        let read = |(take, (_, admitted, remaining, wait, ticket, is_shared)): (&Take, Said)| {
            take.answer((admitted, remaining, wait), ticket, is_shared == 1, all_hold)
        };
        Ok(answers.map(read).collect())
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        if !settlements.iter().all(Settlement::is_sound) {
            return Err(StoreError::Asked("a settlement that its count does not know"));
        }
        for settlement in settlements {
            let (name, place, count, units, ticket) = settlement.parts();
            let room = settlement.room(self.keys);
            let [p1, p2, p3, p4, p5] = count.parameters();
            let (room, units) = (room.min(MOST), units.min(MOST));
            let asked = json!([name, count.name(), place, room, units, p1, p2, p3, p4, p5, ticket]);
            self.run(SETTLE, &asked).await?;
        }
        Ok(())
    }
}

/// The place in the list, whether it is admitted, what remains, the wait, the ticket, and whether it was counted with others.
type Said = (usize, i64, i64, Option<i64>, i64, i64);

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
