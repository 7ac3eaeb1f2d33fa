//! Limits in Redis: one Lua script, which Redis runs whole before it looks at anything else.
//!
//! All keys have one hash tag, so that one node of a cluster has them all: what is taken from several limits together cannot be
//! spread over machines. A key lives as long as it says something. A Redis that has as many keys as it may have counts further ones
//! together.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use super::{Answer, Count, LimitStore, MOST, Settlement, StoreError, Take, all_hold};

/// A connection to a Redis: Spin's, or another one in tests.
pub(crate) trait RedisConnection {
    /// Runs a command that answers whole numbers and nothing else.
    async fn execute(
        &self,
        command: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Vec<i64>, RedisFailure>;
}

/// What a Redis, or the way to it, says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisFailure(pub(crate) String);

/// Limits in one Redis.
#[derive(Debug)]
pub(crate) struct RedisStore<C> {
    connection: C,
    name: String,
    keys: u64,
    /// Seconds and nanoseconds. None outside of tests: Redis's own clock counts, which is one for all machines.
    time: Option<(u64, u64)>,
}

/// What counts.
pub(super) const SCRIPT: &str = include_str!("limits.lua");

/// The numbers of one answer.
const ANSWER: usize = 5;

impl<C: RedisConnection> RedisStore<C> {
    /// `name` tells what counts apart in one Redis; `keys` is for how many keys there is room, the Redis's other ones included.
    pub(crate) fn new(connection: C, name: &str, keys: u64) -> Self {
        Self { connection, name: name.to_owned(), keys, time: None }
    }

    /// A time that is set and stands still.
    #[cfg(test)]
    pub(super) fn set_time(&mut self, nanoseconds: u64) {
        self.time = Some((nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000));
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &C {
        &self.connection
    }

    fn key(&self, key: &str) -> Vec<u8> {
        format!("{{portcullis:{}}}:{key}", self.name).into_bytes()
    }

    /// Runs the script: by its name, which a Redis knows that has seen it, or by itself.
    async fn run(&self, operations: &[Operation<'_>]) -> Result<Vec<i64>, StoreError> {
        let arguments = self.arguments(operations);
        let with = |script: &str| {
            let script = std::iter::once(script.as_bytes().to_vec());
            script.chain(arguments.iter().cloned()).collect::<Vec<_>>()
        };
        let answer = match self.connection.execute("EVALSHA", with(&digest())).await {
            // Nothing has been run.
            Err(failure) if failure.is_unknown_script() => {
                self.connection.execute("EVAL", with(SCRIPT)).await
            }
            answer => answer,
        };
        answer.map_err(|RedisFailure(reason)| StoreError::Unavailable(reason))
    }

    fn arguments(&self, operations: &[Operation<'_>]) -> Vec<Vec<u8>> {
        let number = |number: u64| number.to_string().into_bytes();
        let mut arguments = vec![number(operations.len().saturating_mul(2) as u64)];
        for operation in operations {
            arguments.push(self.key(operation.own));
            arguments.push(self.key(operation.overflow.unwrap_or(operation.own)));
        }
        match self.time {
            Some((seconds, nanoseconds)) => {
                arguments.extend([number(seconds), number(nanoseconds)]);
            }
            None => arguments.extend([Vec::new(), Vec::new()]),
        }
        for operation in operations {
            arguments.push(operation.name.as_bytes().to_vec());
            arguments.push(operation.count.name().as_bytes().to_vec());
            arguments.push(number(operation.room));
            arguments.push(number(operation.is_enforced.into()));
            arguments.push(number(operation.units.min(MOST)));
            arguments.extend(operation.count.parameters().map(number));
            arguments.push(number(operation.ticket));
        }
        arguments
    }
}

/// One operation of the script.
struct Operation<'a> {
    name: &'a str,
    count: Count,
    own: &'a str,
    overflow: Option<&'a str>,
    room: u64,
    is_enforced: bool,
    units: u64,
    ticket: u64,
}

impl<'a> Operation<'a> {
    fn of_take(take: &'a Take, keys: u64) -> Self {
        let Take { key, count, units, is_enforced } = take;
        Self {
            name: "take",
            count: *count,
            own: key.own(),
            overflow: key.overflow(),
            room: key.room(keys),
            is_enforced: *is_enforced,
            units: *units,
            ticket: 0,
        }
    }

    fn of_settlement(settlement: &'a Settlement, keys: u64) -> Self {
        let (name, own, count, units, ticket) = settlement.parts();
        let room = settlement.room(keys);
        Self { name, count, own, overflow: None, room, is_enforced: false, units, ticket }
    }
}

impl<C: RedisConnection> LimitStore for RedisStore<C> {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        Take::check(takes)?;
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        let operations: Vec<_> =
            takes.iter().map(|take| Operation::of_take(take, self.keys)).collect();
        let numbers = self.run(&operations).await?;
        let (answers, rest) = numbers.as_chunks::<ANSWER>();
        if answers.len() != takes.len() || !rest.is_empty() {
            return Err(StoreError::Unreadable("expected five numbers for each limit"));
        }
        if answers.iter().any(|[admitted, ..]| *admitted < 0) {
            return Err(StoreError::Clock);
        }
        let all_hold = all_hold(takes.iter().zip(answers.iter().map(|[admitted, ..]| *admitted)));
        let answers = takes.iter().zip(answers);
        let read = |(take, answer): (&Take, &[i64; ANSWER])| {
            let [admitted, remaining, wait, ticket, is_shared] = *answer;
            let wait = (wait >= 0).then_some(wait);
            take.answer((admitted, remaining, wait), ticket, is_shared == 1, all_hold)
        };
        Ok(answers.map(read).collect())
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        if !settlements.iter().all(Settlement::is_sound) {
            return Err(StoreError::Asked("a settlement that its count does not know"));
        }
        let operations = settlements.iter().map(|one| Operation::of_settlement(one, self.keys));
        let operations: Vec<_> = operations.collect();
        for some in operations.chunks(super::MAXIMUM_TAKES) {
            self.run(some).await?;
        }
        Ok(())
    }
}

impl RedisFailure {
    /// Whether a Redis has not seen the script, or has been emptied since. Clients put it in words of their own.
    fn is_unknown_script(&self) -> bool {
        self.0.to_ascii_lowercase().contains("noscript")
    }
}

/// The script's SHA-1 in hexadecimal.
fn digest() -> String {
    let mut text = String::with_capacity(40);
    for byte in Sha1::digest(SCRIPT.as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
