//! Spin's `sqlite`: the databases that the operator has given to the function.

use std::sync::Arc;

use rusqlite::types::Value as SqlValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::bindings::spin::sqlite::sqlite::{
    Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use crate::component::sqlite::{Answer, Database, DatabaseError, SqliteDatabases};
use crate::component::state::State;

/// How many connections one instance may hold open at a time.
pub(in crate::component) const MAX_CONNECTIONS: usize = 16;

/// An open database, as a function holds it.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct OpenDatabase {
    database: Option<Database>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for OpenDatabase {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            database.close();
        }
    }
}

impl Host for State {}

/// What is not `async` in the interface: for other SDKs than Rust's.
impl HostConnection for State {
    async fn open(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Resource<OpenDatabase>, Error>> {
        Ok(match open(&self.databases, self.sqlite_connections.clone(), &name).await {
            Ok(opened) => Ok(self.table.push(opened)?),
            Err(error) => Err(error),
        })
    }

    async fn execute(
        &mut self,
        connection: Resource<OpenDatabase>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        let Some(database) = self.database(&connection)? else {
            return Ok(Err(Error::InvalidConnection));
        };
        let answer = database.execute(statement, parameters_of(parameters)).await;
        Ok(answer.map_err(Error::from).map(|Answer { columns, rows }| {
            let rows = rows.into_iter().map(row).collect();
            QueryResult { columns, rows }
        }))
    }

    async fn last_insert_rowid(
        &mut self,
        connection: Resource<OpenDatabase>,
    ) -> wasmtime::Result<i64> {
        match self.database(&connection)? {
            Some(database) => Ok(database.last_insert_rowid().await),
            None => Ok(0),
        }
    }

    async fn changes(&mut self, connection: Resource<OpenDatabase>) -> wasmtime::Result<u64> {
        match self.database(&connection)? {
            Some(database) => Ok(database.changes().await),
            None => Ok(0),
        }
    }

    fn drop(&mut self, connection: Resource<OpenDatabase>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<State> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Resource<OpenDatabase>, Error>> {
        let (databases, connections) = accessor.with(|mut access| {
            let state = access.get();
            (state.databases.clone(), state.sqlite_connections.clone())
        });
        Ok(match open(&databases, connections, &name).await {
            Ok(opened) => Ok(accessor.with(|mut access| access.get().table.push(opened))?),
            Err(error) => Err(error),
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenDatabase>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<
        Result<(Vec<String>, StreamReader<RowResult>, FutureReader<Result<(), Error>>), Error>,
    > {
        let database = accessor.with(|mut access| access.get().database(&connection))?;
        let Some(database) = database else { return Ok(Err(Error::InvalidConnection)) };
        let Answer { columns, rows } =
            match database.execute(statement, parameters_of(parameters)).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error.into())),
            };
        let rows: Vec<RowResult> = rows.into_iter().map(row).collect();
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, rows)?;
            let end = FutureReader::new(&mut access, async { wasmtime::error::Ok(Ok(())) })?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenDatabase>,
    ) -> wasmtime::Result<i64> {
        match accessor.with(|mut access| access.get().database(&connection))? {
            Some(database) => Ok(database.last_insert_rowid().await),
            None => Ok(0),
        }
    }

    async fn changes_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenDatabase>,
    ) -> wasmtime::Result<u64> {
        match accessor.with(|mut access| access.get().database(&connection))? {
            Some(database) => Ok(database.changes().await),
            None => Ok(0),
        }
    }
}

impl State {
    fn database(&self, connection: &Resource<OpenDatabase>) -> wasmtime::Result<Option<Database>> {
        Ok(self.table.get(connection)?.database.clone())
    }
}

async fn open(
    databases: &SqliteDatabases,
    connections: Arc<Semaphore>,
    name: &str,
) -> Result<OpenDatabase, Error> {
    let file = databases.file(name).ok_or(Error::AccessDenied)?;
    let permit = connections.try_acquire_owned();
    let permit = permit.map_err(|_| Error::Io("too many connections are open".to_owned()))?;
    let database = Database::open(file).await?;
    Ok(OpenDatabase { database: Some(database), _permit: permit })
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full => Self::DatabaseFull,
            DatabaseError::Other(reason) => Self::Io(reason),
        }
    }
}

fn parameters_of(values: Vec<Value>) -> Vec<SqlValue> {
    let value = |value| match value {
        Value::Integer(number) => SqlValue::Integer(number),
        Value::Real(number) => SqlValue::Real(number),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(bytes) => SqlValue::Blob(bytes),
        Value::Null => SqlValue::Null,
    };
    values.into_iter().map(value).collect()
}

fn row(values: Vec<SqlValue>) -> RowResult {
    let value = |value| match value {
        SqlValue::Integer(number) => Value::Integer(number),
        SqlValue::Real(number) => Value::Real(number),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Blob(bytes) => Value::Blob(bytes),
        SqlValue::Null => Value::Null,
    };
    RowResult { values: values.into_iter().map(value).collect() }
}
