//! The databases of a function: files of SQLite, one for each name that the operator has given.
//!
//! Statements are the function's own, and may be made of what its clients send: so they reach no other file, set nothing that
//! would, and are bounded in size, in what they answer and in time. SQLite waits for disks and for other writers, so each runs on
//! a thread that may.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags};
use tokio::sync::Mutex;

/// The name of the database of a function that names none.
const DEFAULT_DATABASE: &str = "default";

/// The longest statement, in bytes.
const MAX_STATEMENT: usize = 64 << 10;
/// The largest value, row, or list of parameters, in bytes.
const MAX_VALUE: usize = 1 << 20;
/// The most that one statement may answer, in bytes.
const MAX_RESULT: usize = 4 << 20;
/// What a value is counted with beside its content.
const VALUE_OVERHEAD: usize = 32;
/// The largest database, in pages of 4 KiB: 1 GiB.
const MAX_PAGES: u32 = 1 << 18;
/// How long a statement waits for other writers.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take, waiting included.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which databases a function may open: by default none.
#[derive(Clone, Debug, Default)]
pub struct SqliteDatabases {
    directory: Arc<PathBuf>,
    names: Arc<[String]>,
}

/// A name that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("database {0:?}: expected 1 to 64 lower-case letters, digits, - and _")]
pub struct InvalidDatabase(String);

impl SqliteDatabases {
    /// The database NAME is the file NAME.db in `directory`, made when it is first opened. Without names there is one, `default`.
    ///
    /// # Errors
    ///
    /// A name could be something else than a file's.
    pub fn new(directory: PathBuf, names: &[String]) -> Result<Self, InvalidDatabase> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let is_name = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(plain);
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(InvalidDatabase(name.clone()));
        }
        let default = || [DEFAULT_DATABASE.to_owned()].into();
        let names = if names.is_empty() { default() } else { names.into() };
        Ok(Self { directory: Arc::new(directory), names })
    }

    pub(super) fn has_some(&self) -> bool {
        !self.names.is_empty()
    }

    /// The file of a database that the function may open.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let is_known = self.names.iter().any(|known| known == name);
        is_known.then(|| self.directory.join(format!("{name}.db")))
    }
}

/// A connection to one database. Clones are the same one.
#[derive(Clone)]
pub(super) struct Database(Arc<Mutex<Connection>>);

/// What a statement has answered.
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum DatabaseError {
    #[error("the database is full")]
    Full,
    #[error("{0}")]
    Other(String),
}

impl Database {
    pub(super) async fn open(file: PathBuf) -> Result<Self, DatabaseError> {
        let opened = tokio::task::spawn_blocking(move || open(&file)).await;
        let connection = opened.map_err(|error| other(&error))??;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    pub(super) async fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Answer, DatabaseError> {
        let size = parameters.iter().map(|value| size(value.into()));
        if statement.len() > MAX_STATEMENT || size.sum::<usize>() > MAX_VALUE {
            return Err(other(&format!(
                "a statement has at most {MAX_STATEMENT} bytes, and its parameters {MAX_VALUE}"
            )));
        }
        let run = async {
            let connection = self.0.clone().lock_owned().await;
            // Whoever goes away, or has waited for long enough, leaves no statement behind that goes on for ever.
            let mut interrupt = Interrupt(Some(connection.get_interrupt_handle()));
            let work =
                tokio::task::spawn_blocking(move || run(&connection, &statement, parameters));
            let done = work.await.map_err(|error| other(&error))?;
            interrupt.0 = None;
            done
        };
        let done = tokio::time::timeout(STATEMENT_TIMEOUT, run).await;
        done.unwrap_or_else(|_| Err(other(&"the statement takes too long")))
    }

    pub(super) async fn last_insert_rowid(&self) -> i64 {
        self.0.lock().await.last_insert_rowid()
    }

    pub(super) async fn changes(&self) -> u64 {
        self.0.lock().await.changes()
    }

    /// Closes it where that may take a while: the last one to leave a database writes what is in its journal.
    pub(super) fn close(self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(self));
        }
    }
}

struct Interrupt(Option<InterruptHandle>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

fn open(file: &Path) -> Result<Connection, DatabaseError> {
    create(file).map_err(|error| other(&error))?;
    // Not as a URI, which could ask for something else than this file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.query_row(&format!("PRAGMA max_page_count = {MAX_PAGES}"), [], |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE as i32),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_STATEMENT as i32),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    let mut connection = connection;
    connection.authorizer(Some(authorise))?;
    Ok(connection)
}

/// Makes the file of a database where there is none, for this user only; SQLite makes the ones beside it alike. Nothing has it
/// open by the time it has its name: closing it would end the locks that SQLite holds on it.
fn create(file: &Path) -> std::io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let directory = file.parent().unwrap_or(Path::new("."));
    let empty = tempfile::NamedTempFile::new_in(directory)?.into_temp_path();
    match empty.persist_noclobber(file) {
        // Another request has been faster.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        done => done.map_err(|error| error.error),
    }
}

/// What a function may set of its own database. Others could bring temporary files elsewhere, or raise what bounds it.
const PRAGMAS: [&str; 8] = [
    "foreign_keys",
    "index_info",
    "index_list",
    "journal_mode",
    "synchronous",
    "table_info",
    "table_list",
    "user_version",
];

fn authorise(context: AuthContext<'_>) -> Authorization {
    let is_allowed = match context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Unknown { .. } => false,
        AuthAction::Pragma { pragma_name, .. } => {
            PRAGMAS.iter().any(|known| pragma_name.eq_ignore_ascii_case(known))
        }
        AuthAction::Function { function_name } => {
            !function_name.eq_ignore_ascii_case("load_extension")
        }
        _ => true,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

fn run(
    connection: &Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> Result<Answer, DatabaseError> {
    let mut statement = connection.prepare(statement)?;
    let names = (0..statement.column_count()).map(|column| statement.column_name(column));
    let columns = names.map(|name| name.map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    let mut answered = statement.query(rusqlite::params_from_iter(parameters))?;
    let (mut rows, mut left) = (Vec::new(), MAX_RESULT);
    while let Some(row) = answered.next()? {
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = row.get_ref(column)?;
            left = left.checked_sub(size(value)).ok_or_else(|| {
                other(&format!("what a statement answers has at most {MAX_RESULT} bytes"))
            })?;
            let text = |_| other(&"a text in the database is not UTF-8");
            values.push(Value::try_from(value).map_err(text)?);
        }
        rows.push(values);
    }
    Ok(Answer { columns, rows })
}

fn size(value: ValueRef<'_>) -> usize {
    let content = match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
    };
    content.saturating_add(VALUE_OVERHEAD)
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => other(&error),
        }
    }
}

fn other(reason: &dyn std::fmt::Display) -> DatabaseError {
    DatabaseError::Other(reason.to_string())
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
