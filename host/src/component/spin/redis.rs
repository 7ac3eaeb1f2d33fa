//! Spin's `redis`: connections to the servers that the operator has named.
//!
//! A connection is one instance's alone, and gone with it: nothing that one request has begun there (a transaction, a
//! subscription) reaches another's. It is bounded in time, in what it sends and in what it reads, since a server holds values that
//! are larger than a function's memory. Behind `rediss://` is TLS, with the server's name in a certificate that this machine trusts.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
};
use redis::{RedisError, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::bindings::spin::redis::redis::{
    Error, Host, HostConnection, HostConnectionWithStore, RedisParameter, RedisResult,
};
use crate::component::outbound::OutboundHost;
use crate::component::state::State;
use crate::tls::client_config;

/// How many connections one instance may hold open at a time.
pub(in crate::component) const MAX_CONNECTIONS: usize = 16;
/// How much one command may have, its arguments included, in bytes.
const MAX_COMMAND: usize = 1 << 20;
/// How much one connection may read, in bytes.
const MAX_READ: usize = 16 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection, as a function holds it.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct OpenRedis {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    _permit: OwnedSemaphorePermit,
}

impl OpenRedis {
    async fn connect(
        address: &str,
        allowed: &[OutboundHost],
        connections: Arc<Semaphore>,
        trusted: impl FnOnce() -> Result<Arc<ClientConfig>, Error>,
    ) -> Result<Self, Error> {
        // What is compared is what is connected to, not what is written.
        let (server, has_tls) = read(address).ok_or(Error::InvalidAddress)?;
        let ConnectionAddr::Tcp(host, port) = server.addr() else {
            return Err(Error::InvalidAddress);
        };
        if !allowed.iter().any(|known| known.allows_redis(host, *port, has_tls)) {
            return Err(Error::InvalidAddress);
        }
        let permit = connections.try_acquire_owned().map_err(|_| Error::TooManyConnections)?;
        let host = host.trim_matches(['[', ']']);
        let tls = if has_tls {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::InvalidAddress)?;
            Some((TlsConnector::from(trusted()?), name))
        } else {
            None
        };
        let connect = async {
            let stream = TcpStream::connect((host, *port)).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match tls {
                Some((tls, name)) => Box::new(tls.connect(name, stream).await?),
                None => Box::new(stream),
            };
            let stream = Metered { stream, left: MAX_READ };
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_TIMEOUT));
            MultiplexedConnection::new_with_config(server.redis_settings(), stream, config).await
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        let connected = connected.map_err(|_| other("the server does not answer in time"))?;
        let (connection, driver) = connected.map_err(|error| failed(&error))?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Self { connection, driver, _permit: permit })
    }
}

/// A server, and whether it is behind TLS. The library that reads addresses knows TLS only where it does it itself, and then has a
/// fragment that turns it off.
fn read(address: &str) -> Option<(ConnectionInfo, bool)> {
    if address.contains('#') {
        return None;
    }
    let plain = address.strip_prefix("rediss://").map(|rest| format!("redis://{rest}"));
    let server = plain.as_deref().unwrap_or(address).into_connection_info().ok()?;
    Some((server, plain.is_some()))
}

/// TLS to servers that this machine trusts, or the authorities in the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. They are read
/// once.
fn trusted() -> Result<Arc<ClientConfig>, Error> {
    static TRUSTED: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let read = || client_config(&[]).map(without_alpn).map_err(|error| error.to_string());
    TRUSTED.get_or_init(read).clone().map_err(Error::Other)
}

/// What is spoken to a Redis has no name there.
fn without_alpn(config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols.clear();
    Arc::new(config)
}

impl Drop for OpenRedis {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Host for State {}

impl HostConnection for State {
    fn drop(&mut self, connection: Resource<OpenRedis>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<State> {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<OpenRedis>, Error>> {
        let (allowed, connections) = accessor.with(|mut access| {
            let state = access.get();
            (state.allowed_hosts(), state.redis_connections.clone())
        });
        Ok(match OpenRedis::connect(&address, &allowed, connections, trusted).await {
            Ok(opened) => Ok(accessor.with(|mut access| access.get().table.push(opened))?),
            Err(error) => Err(error),
        })
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let command = command("PUBLISH", [channel.as_bytes(), &payload]);
        Ok(query(accessor, &connection, command).await?.map(drop))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let answer = query(accessor, &connection, command("GET", [key.as_bytes()])).await?;
        Ok(answer.and_then(|value| match value {
            Value::Nil => Ok(None),
            value => binary(value).map(Some),
        }))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let command = command("SET", [key.as_bytes(), &value]);
        Ok(query(accessor, &connection, command).await?.map(drop))
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let answer = query(accessor, &connection, command("INCR", [key.as_bytes()])).await?;
        Ok(answer.and_then(integer))
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<u32, Error>> {
        let answer = query(accessor, &connection, command("DEL", &keys)).await?;
        Ok(answer.and_then(count))
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, Error>> {
        let command = command("SADD", [&key].into_iter().chain(&values));
        Ok(query(accessor, &connection, command).await?.and_then(count))
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let answer = query(accessor, &connection, command("SMEMBERS", [key.as_bytes()])).await?;
        Ok(answer.and_then(|value| match value {
            Value::Array(members) | Value::Set(members) => members.into_iter().map(text).collect(),
            _ => Err(Error::TypeError),
        }))
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, Error>> {
        let command = command("SREM", [&key].into_iter().chain(&values));
        Ok(query(accessor, &connection, command).await?.and_then(count))
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<OpenRedis>,
        name: String,
        arguments: Vec<RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<RedisResult>, Error>> {
        let arguments = arguments.into_iter().map(|argument| match argument {
            RedisParameter::Int64(number) => number.to_string().into_bytes(),
            RedisParameter::Binary(bytes) => bytes,
        });
        let answer = query(accessor, &connection, command(&name, arguments)).await?;
        Ok(answer.and_then(|value| {
            let mut results = Vec::new();
            flatten(value, &mut results)?;
            Ok(results)
        }))
    }
}

async fn query<T: Send>(
    accessor: &Accessor<T, HasSelf<State>>,
    connection: &Resource<OpenRedis>,
    command: Result<Cmd, Error>,
) -> wasmtime::Result<Result<Value, Error>> {
    let connection = accessor.with(|mut access| {
        access.get().table.get(connection).map(|open| open.connection.clone())
    })?;
    Ok(send(connection, command).await)
}

async fn send(
    mut connection: MultiplexedConnection,
    command: Result<Cmd, Error>,
) -> Result<Value, Error> {
    match connection.send_packed_command(&command?).await {
        Ok(Value::ServerError(error)) => Err(failed(&error.into())),
        Ok(value) => Ok(value),
        Err(error) => Err(failed(&error)),
    }
}

fn command(
    name: &str,
    arguments: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Cmd, Error> {
    let mut command = redis::cmd(name);
    let mut left = MAX_COMMAND.saturating_sub(name.len());
    for argument in arguments {
        let argument = argument.as_ref();
        // Each has a length and line ends of its own.
        left = left
            .checked_sub(argument.len().saturating_add(16))
            .ok_or_else(|| other(&format!("a command has at most {MAX_COMMAND} bytes")))?;
        command.arg(argument);
    }
    Ok(command)
}

/// What Spin answers: a list, whatever is in what.
fn flatten(value: Value, results: &mut Vec<RedisResult>) -> Result<(), Error> {
    results.push(match value {
        Value::Nil => RedisResult::Nil,
        Value::Int(number) => RedisResult::Int64(number),
        Value::BulkString(bytes) => RedisResult::Binary(bytes),
        Value::SimpleString(text) => RedisResult::Status(text),
        Value::Okay => RedisResult::Status("OK".to_owned()),
        Value::Array(values) | Value::Set(values) => {
            return values.into_iter().try_for_each(|value| flatten(value, results));
        }
        Value::ServerError(error) => return Err(failed(&error.into())),
        _ => return Err(Error::TypeError),
    });
    Ok(())
}

fn integer(value: Value) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(number),
        _ => Err(Error::TypeError),
    }
}

fn count(value: Value) -> Result<u32, Error> {
    u32::try_from(integer(value)?).map_err(|_| Error::TypeError)
}

fn binary(value: Value) -> Result<Vec<u8>, Error> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        _ => Err(Error::TypeError),
    }
}

fn text(value: Value) -> Result<String, Error> {
    String::from_utf8(binary(value)?).map_err(|_| Error::TypeError)
}

fn failed(error: &RedisError) -> Error {
    let is_of_another_type = error.kind() == ErrorKind::UnexpectedReturnType
        || error.code() == Some("WRONGTYPE")
        || error.detail().is_some_and(|detail| detail.contains("not an integer"));
    if is_of_another_type { Error::TypeError } else { other(&error.to_string()) }
}

fn other(reason: &str) -> Error {
    Error::Other(reason.to_owned())
}

/// A plain or encrypted connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection from which so much is read and no more.
struct Metered {
    stream: Box<dyn Stream>,
    left: usize,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        Poll::Ready(match self.left.checked_sub(read) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(io::Error::other("the server's answers are larger than allowed")),
        })
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
