//! A real Redis and a real SQLite.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::Value;

use crate::store::{
    RedisConnection, RedisFailure, SqliteConnection, SqliteFailure, SqliteStore, SqliteValue,
};

/// A server of one test, in a folder of its own.
pub(crate) struct Redis {
    server: Child,
    folder: tempfile::TempDir,
}

impl Redis {
    /// None where no program is known: then the test says that it was left out.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("PORTCULLIS_REDIS") else {
            static SAID: OnceLock<()> = OnceLock::new();
            SAID.get_or_init(|| {
                portcullis_function::log!(
                    "\nLEFT OUT: Redis. Set PORTCULLIS_REDIS to a redis-server.\n"
                );
            });
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Self::spawn(&PathBuf::from(program), folder.path());
        let redis = Self { server, folder };
        redis.connect();
        Some(redis)
    }

    fn spawn(program: &Path, folder: &Path) -> Child {
        let mut command = Command::new(program);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(folder.join("socket")).arg("--dir").arg(folder).stdout(Stdio::null());
        command.spawn().unwrap()
    }

    /// Ends the server as a crash does, and starts another one.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.folder.path().join("socket"));
        let program = std::env::var_os("PORTCULLIS_REDIS").unwrap();
        self.server = Self::spawn(&PathBuf::from(program), self.folder.path());
        self.connect();
    }

    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub(crate) fn connect(&self) -> RedisClient {
        let socket = format!("redis+unix://{}", self.folder.path().join("socket").display());
        let begun = Instant::now();
        loop {
            let connected = redis::Client::open(socket.as_str()).unwrap().get_connection();
            match connected {
                Ok(connection) => return RedisClient::new(connection),
                Err(error) if begun.elapsed() > Duration::from_secs(10) => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub(crate) struct RedisClient {
    connection: RefCell<redis::Connection>,
    /// How many commands were sent.
    pub(crate) commands: Cell<usize>,
}

impl RedisClient {
    fn new(connection: redis::Connection) -> Self {
        Self { connection: RefCell::new(connection), commands: Cell::new(0) }
    }

    pub(crate) fn query(&self, command: &[&str]) -> Value {
        let mut parts = command.iter();
        let mut query = redis::cmd(parts.next().unwrap());
        parts.for_each(|part| {
            query.arg(*part);
        });
        query.query(&mut *self.connection.borrow_mut()).unwrap()
    }
}

impl RedisConnection for RedisClient {
    async fn execute(
        &self,
        command: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Vec<i64>, RedisFailure> {
        self.commands.set(self.commands.get() + 1);
        let mut query = redis::cmd(command);
        arguments.iter().for_each(|argument| {
            query.arg(argument.as_slice());
        });
        let answer = query.query::<Vec<i64>>(&mut *self.connection.borrow_mut());
        answer.map_err(|error| RedisFailure(error.to_string()))
    }
}

pub(crate) struct Sqlite {
    pub(crate) connection: rusqlite::Connection,
    /// How many statements were run.
    pub(crate) statements: Cell<usize>,
}

impl Sqlite {
    pub(crate) fn in_memory() -> Self {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        Self { connection, statements: Cell::new(0) }
    }

    pub(crate) fn at(file: &Path) -> Self {
        let connection = rusqlite::Connection::open(file).unwrap();
        Self { connection, statements: Cell::new(0) }
    }

    pub(crate) fn number(&self, statement: &str) -> i64 {
        self.connection.query_row(statement, [], |row| row.get(0)).unwrap()
    }
}

impl SqliteConnection for Sqlite {
    /// As Spin does it: prepared anew for each statement.
    async fn execute(
        &self,
        statement: &str,
        parameters: &[SqliteValue],
    ) -> Result<Vec<String>, SqliteFailure> {
        self.statements.set(self.statements.get() + 1);
        let failed = |error: rusqlite::Error| SqliteFailure(error.to_string());
        let mut statement = self.connection.prepare(statement).map_err(failed)?;
        let parameters = parameters.iter().map(|value| match value {
            SqliteValue::Integer(number) => rusqlite::types::Value::from(*number),
            SqliteValue::Text(text) => text.clone().into(),
        });
        let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(failed)?;
        let mut texts = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            texts.push(row.get::<_, Option<String>>(0).map_err(failed)?.unwrap_or_default());
        }
        Ok(texts)
    }
}

pub(crate) fn sqlite(keys: u64) -> SqliteStore<Sqlite> {
    super::now(SqliteStore::new(Sqlite::in_memory(), keys))
}
