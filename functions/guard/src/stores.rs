//! The stores over Spin's interfaces.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use spin_sdk::redis::{self, RedisParameter, RedisResult};
use spin_sdk::sqlite::{self, Value};
use spin_sdk::time::sleep;

use crate::settings::LimitsStore;
use crate::store::{
    Answer, Fallback, LimitStore, RedisConnection, RedisFailure, RedisStore, Settlement,
    SqliteConnection, SqliteFailure, SqliteStore, SqliteValue, StoreError, Take,
};

/// How long a store may take: who waits for it holds a request.
const PATIENCE: Duration = Duration::from_secs(2);

/// The database of limits.
const DATABASE: &str = "default";

/// Where one request counts. Nothing is connected to before something is counted.
pub(crate) struct SpinStore(Fallback<Shared, Sqlite>);

impl SpinStore {
    pub(crate) fn new(settings: &LimitsStore) -> Self {
        let keys = settings.keys;
        let sqlite = || Sqlite { keys };
        let shared = match &settings.redis {
            Some((address, name)) => {
                Shared::Redis(Redis { address: address.clone(), name: name.clone(), keys })
            }
            None => Shared::Sqlite(sqlite()),
        };
        Self(Fallback { shared, local: settings.falls_back.then(sqlite) })
    }
}

impl LimitStore for SpinStore {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        self.0.take(takes).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.0.settle(settlements).await
    }
}

enum Shared {
    Redis(Redis),
    Sqlite(Sqlite),
}

impl LimitStore for Shared {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        match self {
            Self::Redis(store) => store.take(takes).await,
            Self::Sqlite(store) => store.take(takes).await,
        }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        match self {
            Self::Redis(store) => store.settle(settlements).await,
            Self::Sqlite(store) => store.settle(settlements).await,
        }
    }
}

/// A Redis, connected to anew each time: between a take and its settlement the function behind may take long, and a server may
/// have gone and come again.
struct Redis {
    address: String,
    name: String,
    keys: u64,
}

impl Redis {
    async fn connect(&self) -> Result<RedisStore<SpinRedis>, StoreError> {
        let connection = redis::Connection::open(&self.address).await.map_err(|error| {
            let RedisFailure(reason) = failure(error);
            StoreError::Unavailable(reason)
        })?;
        Ok(RedisStore::new(SpinRedis(connection), &self.name, self.keys))
    }
}

impl LimitStore for Redis {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        within(async { self.connect().await?.take(takes).await }).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        within(async { self.connect().await?.settle(settlements).await }).await
    }
}

struct SpinRedis(redis::Connection);

impl RedisConnection for SpinRedis {
    async fn execute(
        &self,
        command: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Vec<i64>, RedisFailure> {
        let arguments = arguments.into_iter().map(RedisParameter::Binary);
        let results = self.0.execute(command, arguments).await.map_err(failure)?;
        let number = |result| match result {
            RedisResult::Int64(number) => Ok(number),
            _ => Err(RedisFailure("an answer is not a whole number".to_owned())),
        };
        results.into_iter().map(number).collect()
    }
}

fn failure(error: redis::Error) -> RedisFailure {
    RedisFailure(match error {
        redis::Error::InvalidAddress => "its address is none, or not allowed".to_owned(),
        redis::Error::TooManyConnections => "too many connections are open".to_owned(),
        redis::Error::TypeError => "an answer is of another type".to_owned(),
        redis::Error::Other(reason) => reason,
    })
}

/// The database of this machine.
struct Sqlite {
    keys: u64,
}

impl Sqlite {
    async fn connect(&self) -> Result<SqliteStore<SpinSqlite>, StoreError> {
        let connection = sqlite::Connection::open(DATABASE).await.map_err(|error| {
            let SqliteFailure(reason) = database_failure(error);
            StoreError::Unavailable(reason)
        })?;
        Ok(SqliteStore::new(SpinSqlite(connection), self.keys).await)
    }
}

impl LimitStore for Sqlite {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError> {
        within(async { self.connect().await?.take(takes).await }).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        within(async { self.connect().await?.settle(settlements).await }).await
    }
}

struct SpinSqlite(sqlite::Connection);

impl SqliteConnection for SpinSqlite {
    async fn execute(
        &self,
        statement: &str,
        parameters: &[SqliteValue],
    ) -> Result<Vec<String>, SqliteFailure> {
        let parameters = parameters.iter().map(|value| match value {
            SqliteValue::Integer(number) => Value::Integer(*number),
            SqliteValue::Text(text) => Value::Text(text.clone()),
        });
        let result = self.0.execute(statement, parameters).await.map_err(database_failure)?;
        let rows = result.collect().await.map_err(database_failure)?;
        let first = |row: sqlite::RowResult| match row.values.into_iter().next() {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        };
        Ok(rows.into_iter().map(first).collect())
    }
}

fn database_failure(error: sqlite::Error) -> SqliteFailure {
    SqliteFailure(match error {
        sqlite::Error::NoSuchDatabase => "there is no such database".to_owned(),
        sqlite::Error::AccessDenied => {
            "the database `default` is not given to the guard".to_owned()
        }
        sqlite::Error::InvalidConnection => "the connection is not valid".to_owned(),
        sqlite::Error::DatabaseFull => "the database is full".to_owned(),
        sqlite::Error::Io(reason) => reason,
    })
}

/// What `work` comes to, unless it takes too long.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let (mut work, mut limit) = (pin!(work), pin!(sleep(PATIENCE)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => limit
            .as_mut()
            .poll(context)
            .map(|()| Err(StoreError::Unavailable("it takes too long".to_owned()))),
    })
    .await
}
