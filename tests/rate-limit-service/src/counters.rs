//! Counters in a Redis: fixed windows that begin with their first hit.

use std::time::Duration;

use limitador::counter::Counter;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};

/// How long the Redis may take for anything: less than who asks us waits.
const TIMEOUT: Duration = Duration::from_millis(150);

/// Looks and counts in one: with more than one gate there is no time between the two.
const TAKE: &str = r"
    local value = tonumber(redis.call('get', KEYS[1]) or '0')
    local left = tonumber(ARGV[1]) - value
    local hits = tonumber(ARGV[2])
    local within = hits <= left
    if within then
        redis.call('incrby', KEYS[1], hits)
        if value == 0 then redis.call('pexpire', KEYS[1], ARGV[3]) end
        left = left - hits
    end
    local reset = redis.call('pttl', KEYS[1])
    if reset < 0 then reset = tonumber(ARGV[3]) end
    return { within and 1 or 0, left, reset }
";

pub(crate) struct Counters {
    connection: ConnectionManager,
    take: Script,
}

/// What a counter says to so many hits.
pub(crate) struct Taken {
    pub(crate) within: bool,
    pub(crate) remaining: u32,
    pub(crate) reset: Duration,
}

impl Counters {
    pub(crate) async fn connect(url: &str) -> Result<Self, RedisError> {
        // Connects again by itself, when it is next needed: the tests end the Redis and start it again.
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let client = redis::Client::open(url)?;
        let connection = ConnectionManager::new_with_config(client, settings).await?;
        Ok(Self { connection, take: Script::new(TAKE) })
    }

    /// All hits or none.
    pub(crate) async fn take(&self, counter: &Counter, hits: u32) -> Result<Taken, RedisError> {
        let variables = counter.set_variables().iter();
        let variables = variables.map(|(name, value)| format!("{name}={value:?}"));
        let key = format!(
            "{}/{}/{}",
            counter.namespace().as_ref(),
            counter.window().as_secs(),
            variables.collect::<Vec<_>>().join("/"),
        );
        let mut invocation = self.take.key(key);
        invocation.arg(counter.max_value()).arg(hits).arg(counter.window().as_secs() * 1000);
        let mut connection = self.connection.clone();
        let (within, remaining, reset): (u8, i64, u64) =
            invocation.invoke_async(&mut connection).await?;
        Ok(Taken {
            within: within == 1,
            remaining: remaining.max(0).try_into().unwrap_or(u32::MAX),
            reset: Duration::from_millis(reset),
        })
    }
}
