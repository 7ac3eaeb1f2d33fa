//! The HTTP server: accepts connections, bounds them, and stops in good order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig as TlsConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{self, Peer, Protocol, Stream};
use super::problem::Problem;

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
}

/// The bounds of a server; the defaults are Envoy's where Envoy has one.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a TLS handshake, and after it each request's head, may take.
    pub head_timeout: Duration,
    /// The largest head of a request, in bytes (Envoy: 60 KiB).
    pub head_size: usize,
    /// The most header fields of a request (Envoy: 100).
    pub head_fields: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// How long running requests may take to end once the server is told to stop.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head_timeout: Duration::from_secs(10),
            head_size: 60 << 10,
            head_fields: 100,
            streams: 100,
            drain: Duration::from_secs(15),
        }
    }
}

impl ServerLimits {
    /// The largest head that is read at all. Where reading ends at [`Self::head_size`], hyper closes the connection with a bare
    /// status, or does not, depending on how the bytes arrive; a head of up to twice that gets a problem document.
    fn refusable_head_size(&self) -> usize {
        self.head_size.saturating_mul(2)
    }

    fn admit<B>(&self, request: &Request<B>) -> bool {
        let (headers, uri) = (request.headers(), request.uri());
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
        let size = headers.iter().fold(target, |size, (name, value)| {
            size.saturating_add(name.as_str().len()).saturating_add(value.len())
        });
        headers.len() <= self.head_fields && size <= self.head_size
    }
}

/// A server that has its port and does not answer yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<TlsConfig>>,
    limits: ServerLimits,
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
        Ok(Self { listener, tls, limits })
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
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.local_address()?))
    }

    /// Serves until `stop` is ready, then lets running requests end.
    pub async fn run<H: Handler>(self, handler: Arc<H>, stop: impl Future<Output = ()>) {
        let Self { listener, tls, limits } = self;
        let places = Arc::new(Semaphore::new(limits.connections));
        let (stopping, stopped) = watch::channel(false);
        let mut stop = pin!(stop);

        loop {
            let (place, (socket, address)) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &places) => accepted,
            };
            let connection = Connection {
                handler: handler.clone(),
                limits: limits.clone(),
                stopped: stopped.clone(),
                tls: tls.clone(),
            };
            tokio::spawn(async move {
                connection.serve(socket, address).await;
                drop(place);
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

struct Connection<H> {
    handler: Arc<H>,
    limits: ServerLimits,
    stopped: watch::Receiver<bool>,
    tls: Option<Arc<TlsConfig>>,
}

impl<H: Handler> Connection<H> {
    async fn serve(self, socket: TcpStream, address: SocketAddr) {
        // Only a matter of latency.
        let _ = socket.set_nodelay(true);
        let mut stopped = self.stopped.clone();
        let ready = tokio::time::timeout(
            self.limits.head_timeout,
            connection::ready(socket, address, self.tls.as_ref()),
        );
        let (stream, protocol, peer) = tokio::select! {
            ready = ready => match ready {
                Ok(Ok(ready)) => ready,
                // Nobody to answer: no handshake, no bytes, or gone again.
                Ok(Err(_)) | Err(_) => return,
            },
            _ = stopped.changed() => return,
        };
        match protocol {
            Protocol::Http1 => self.serve_http1(stream, Arc::new(peer)).await,
            Protocol::Http2 => self.serve_http2(stream, Arc::new(peer)).await,
        }
    }

    fn service(
        &self,
        peer: Arc<Peer>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future: Send,
    > + use<H> {
        let handler = Arc::clone(&self.handler);
        let limits = self.limits.clone();
        service_fn(move |request: Request<Incoming>| {
            let too_large = !limits.admit(&request);
            let answer = (!too_large).then(|| Arc::clone(&handler).handle(peer.clone(), request));
            async move {
                Ok(match answer {
                    Some(answer) => answer.await,
                    None => Problem::HeadersTooLarge.response(),
                })
            }
        })
    }

    async fn serve_http1(self, stream: Stream, peer: Arc<Peer>) {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.refusable_head_size())
            .max_headers(self.limits.head_fields.saturating_mul(2));
        let service = self.service(peer);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut stopped = self.stopped;
        tokio::select! {
            // How a connection broke is of no interest to the operator: the access log has its
            // requests.
            _ = connection.as_mut() => return,
            _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn serve_http2(self, stream: Stream, peer: Arc<Peer>) {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(
                u32::try_from(self.limits.refusable_head_size()).unwrap_or(u32::MAX),
            )
            .max_concurrent_streams(self.limits.streams)
            .max_send_buf_size(256 << 10)
            // A client that has gone silently is found out.
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        let service = self.service(peer);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut stopped = self.stopped;
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}
