//! The HTTP server: accepts connections, bounds them, and stops in good order.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use rustls::ServerConfig as TlsConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::access_log::AccessLog;
use super::clients::Clients;
use super::connection::Peer;
use super::problem::Problem;
use super::serving::Connection;

/// A response's body, whatever it comes from.
pub type ResponseBody = UnsyncBoxBody<Bytes, BodyError>;
/// What breaks a response's body off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away.
    fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Answers a request that the server takes no further, with this problem.
    fn refuse(
        &self,
        _peer: &Peer,
        _head: &request::Parts,
        problem: Problem,
    ) -> Response<ResponseBody> {
        problem.response()
    }
}

/// The most connections at a time.
const CONNECTIONS: usize = 4096;

/// The bounds of a server; the defaults are Envoy's where Envoy has one.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Connections at a time of one client (one IPv4 address, or one IPv6 network of 64 bits); more are refused.
    pub connections_per_client: usize,
    /// How long a TLS handshake, and after it each request's head, may take.
    pub head_timeout: Duration,
    /// The largest head of a request, in bytes (Envoy: 60 KiB).
    pub head_size: usize,
    /// The most header fields of a request (Envoy: 100).
    pub head_fields: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// How long a client may take nothing of what there is for it: by then the connection, or with HTTP/2 the stream whose
    /// window is shut, is ended (Envoy's bootstrap: `stream_idle_timeout`).
    pub write_timeout: Duration,
    /// How long a connection may be without a running request (`idle_timeout`).
    pub idle_timeout: Duration,
    /// How old a connection may become (`max_connection_duration`).
    pub age: Duration,
    /// How long what is running on a connection may take to end once it is idle or old.
    pub grace: Duration,
    /// How long running requests may take to end once the server is told to stop.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            connections_per_client: CONNECTIONS / 4,
            head_timeout: Duration::from_secs(10),
            head_size: 60 << 10,
            head_fields: 100,
            streams: 100,
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            age: Duration::from_secs(3600),
            grace: Duration::from_secs(60),
            drain: Duration::from_secs(15),
        }
    }
}

impl ServerLimits {
    /// The defaults, with no more connections than this process has file descriptors for: each may need a second one, to the
    /// upstream. As many descriptors as are wanted are asked for first.
    #[must_use]
    pub fn of_process() -> Self {
        let connections = descriptors().map_or(CONNECTIONS, |most| {
            usize::try_from(most / 2).unwrap_or(CONNECTIONS).clamp(1, CONNECTIONS)
        });
        let connections_per_client = connections.div_ceil(4);
        Self { connections, connections_per_client, ..Self::default() }
    }

    /// The largest head that is read at all. Where reading ends at [`Self::head_size`], hyper closes the connection with a bare
    /// status, or does not, depending on how the bytes arrive; a head of up to twice that gets a problem document.
    pub(super) fn refusable_head_size(&self) -> usize {
        self.head_size.saturating_mul(2)
    }

    pub(super) fn admit<B>(&self, request: &Request<B>) -> bool {
        let (headers, uri) = (request.headers(), request.uri());
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
        let size = headers.iter().fold(target, |size, (name, value)| {
            size.saturating_add(name.as_str().len()).saturating_add(value.len())
        });
        headers.len() <= self.head_fields && size <= self.head_size
    }
}

/// How a server speaks TLS, if it does. What replaces it holds for further connections.
#[derive(Clone, Debug)]
pub struct CurrentTls(Arc<ArcSwapOption<TlsConfig>>);

impl CurrentTls {
    /// Has further connections go by these certificates.
    pub fn replace(&self, config: Option<Arc<TlsConfig>>) {
        self.0.store(config);
    }
}

/// A server that has its port and does not answer yet.
pub struct Server {
    listener: TcpListener,
    tls: CurrentTls,
    limits: ServerLimits,
    log: AccessLog,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    ///
    /// The address is in use or not this machine's.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<TlsConfig>>,
        limits: ServerLimits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let tls = CurrentTls(Arc::new(ArcSwapOption::new(tls)));
        Ok(Self { listener, tls, limits, log: Arc::new(|_| {}) })
    }

    /// Says in this log which connections were refused.
    #[must_use]
    pub fn with_log(mut self, log: AccessLog) -> Self {
        self.log = log;
        self
    }

    /// What its certificates can be replaced by.
    #[must_use]
    pub fn tls(&self) -> CurrentTls {
        self.tls.clone()
    }

    /// The address that was taken, with the port if port 0 was asked for.
    ///
    /// # Errors
    ///
    /// The operating system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where the server is found, such as `https://127.0.0.1:8443`.
    ///
    /// # Errors
    ///
    /// As for [`Server::local_address`].
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.0.load().is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.local_address()?))
    }

    /// Serves until `stop` is ready, then lets running requests end.
    pub async fn run<H: Handler>(self, handler: Arc<H>, stop: impl Future<Output = ()>) {
        let Self { listener, tls, limits, log } = self;
        let places = Arc::new(Semaphore::new(limits.connections));
        let clients = Clients::new(limits.connections_per_client, log);
        let (stopping, stopped) = watch::channel(false);
        let mut stop = pin!(stop);

        loop {
            let (place, (socket, address)) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some(client) = clients.enter(address.ip()) else { continue };
            let connection = Connection {
                handler: handler.clone(),
                limits: limits.clone(),
                stopped: stopped.clone(),
                tls: tls.0.load_full(),
            };
            tokio::spawn(async move {
                connection.serve(socket, address).await;
                drop((place, client));
            });
        }

        drop((listener, stopped));
        // An error says that there is no connection left to tell.
        let _ = stopping.send(true);
        let _ = tokio::time::timeout(limits.drain, stopping.closed()).await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, (TcpStream, SocketAddr)) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok(accepted) => return (place, accepted),
            // The client went away, or we are out of file descriptors: later, not never.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// How many file descriptors this process may have, after it has asked for as many as it may want; none if there is no bound.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// Two for each connection, and some for files. macOS gives no more than 10240.
    const WANTED: u64 = 2 * CONNECTIONS as u64 + 1024;

    let limit = getrlimit(Resource::Nofile);
    let reachable = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if limit.current.is_some_and(|current| current < reachable) {
        // Where it is not given, there are fewer connections.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), ..limit });
    }
    getrlimit(Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn every_connection_has_two_descriptors() {
        let limits = ServerLimits::of_process();
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(limits.connections >= 1);
        assert!(most.is_none_or(|most| 2 * limits.connections as u64 <= most.max(2)));
        assert!(limits.connections_per_client * 4 >= limits.connections);
    }
}
