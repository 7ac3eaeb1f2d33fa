//! One connection: served, and ended when its time has come.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig as TlsConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::activity::{Activity, Streams, Tracked};
use super::connection::{self, Peer, Protocol, Stream};
use super::framing::{Framing, Lengths};
use super::problem::Problem;
use super::server::{Handler, ResponseBody, ServerLimits};
use super::socket::Socket;

pub(super) struct Connection<H> {
    pub(super) handler: Arc<H>,
    pub(super) limits: ServerLimits,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) tls: Option<Arc<TlsConfig>>,
}

impl<H: Handler> Connection<H> {
    pub(super) async fn serve(self, socket: TcpStream, address: SocketAddr) {
        // Only a matter of latency.
        let _ = socket.set_nodelay(true);
        let mut stopped = self.stopped.clone();
        let socket = Socket::new(socket, self.limits.write_timeout);
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

    async fn serve_http1(self, stream: Stream, peer: Arc<Peer>) {
        let (most_bytes, most_fields) =
            (self.limits.refusable_head_size(), self.limits.head_fields.saturating_mul(2));
        let framing = Framing::new(most_bytes, most_fields);
        let lengths = framing.lengths();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(most_bytes)
            .max_headers(most_fields);
        let activity = Activity::new();
        let service = self.service(peer, activity.clone(), Some(lengths));
        let stream = TokioIo::new(stream.watched(framing));
        let connection = builder.serve_connection(stream, service);
        self.attend(connection, http1::Connection::graceful_shutdown, &activity).await;
    }

    async fn serve_http2(self, stream: Stream, peer: Arc<Peer>) {
        let mut builder = http2::Builder::new(Streams { patience: self.limits.write_timeout });
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
        let activity = Activity::new();
        let service = self.service(peer, activity.clone(), None);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        self.attend(connection, http2::Connection::graceful_shutdown, &activity).await;
    }

    fn service(
        &self,
        peer: Arc<Peer>,
        activity: Arc<Activity>,
        lengths: Option<Lengths>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ResponseBody>,
        Error = Infallible,
        Future: Send,
    > + use<H> {
        let handler = Arc::clone(&self.handler);
        let limits = self.limits.clone();
        service_fn(move |mut request: Request<Incoming>| {
            let running = activity.begin();
            let (handler, peer) = (Arc::clone(&handler), Arc::clone(&peer));
            let is_seen = lengths.as_ref().is_none_or(|lengths| {
                // What hyper reads and we do not could be read in two ways.
                lengths.restore(request.headers_mut()).is_some()
            });
            let problem = match (is_seen, limits.admit(&request)) {
                (true, true) => None,
                (true, false) => Some(Problem::HeadersTooLarge),
                (false, _) => Some(Problem::BadRequest),
            };
            async move {
                let response = match problem {
                    None => handler.handle(peer, request).await,
                    Some(problem) => {
                        let (head, _) = request.into_parts();
                        handler.refuse(&peer, &head, problem)
                    }
                };
                Ok(response.map(|body| Tracked::new(body, running).boxed_unsync()))
            }
        })
    }

    /// Keeps a connection until the client ends it, or nothing goes on on it, or it is old, or the server stops. Only the
    /// first ends it at once: what is running then may end.
    async fn attend<C: Future>(
        self,
        connection: C,
        shut_down: impl FnOnce(Pin<&mut C>),
        activity: &Activity,
    ) {
        let mut connection = pin!(connection);
        let Self { limits, mut stopped, .. } = self;
        tokio::select! {
            // How a connection broke is of no interest to the operator: the access log has its
            // requests.
            _ = connection.as_mut() => return,
            () = activity.over(limits.idle_timeout, limits.age) => {}
            _ = stopped.changed() => {}
        }
        shut_down(connection.as_mut());
        // Whoever does not let it end is not asked again.
        let _ = tokio::time::timeout(limits.grace, connection).await;
    }
}
