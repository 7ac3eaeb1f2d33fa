//! The gateway: each request through the filters, to the upstream, and back.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, request};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::access_log::{AccessLog, Record};
use super::connection::Peer;
use super::head::{self, REQUEST_ID};
use super::problem::Problem;
use super::response::Return;
use super::server::{Handler, ResponseBody};
use super::upstream::Upstream;
use crate::proxy_wasm::{
    Event, Exchange, FilterPool, HeaderMap as Fields, Host, StreamInfo, TlsInfo,
};

/// The bounds of the gateway.
#[derive(Clone, Debug)]
struct GatewayLimits {
    /// The largest request body, in bytes; the filters may have a lower limit.
    request_body: usize,
    /// How long the parts of a request's body may be apart.
    request_idle: Duration,
    /// How long a whole request may take to arrive and to be decided on.
    request_timeout: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            request_body: 8 << 20,
            request_idle: Duration::from_secs(15),
            request_timeout: Duration::from_secs(60),
        }
    }
}

/// Filters, and what they share.
pub struct Filters {
    pub host: Arc<Host>,
    pub pool: Arc<FilterPool>,
}

/// Filters in front of an upstream.
pub struct Gateway {
    filters: ArcSwap<Filters>,
    upstream: Upstream,
    limits: GatewayLimits,
    access_log: AccessLog,
    /// Where it is said why an upstream gave no response.
    error_log: AccessLog,
}

impl Gateway {
    /// A gateway with the default bounds. `access_log` is told of each request, `error_log` why an upstream gave no response.
    pub fn new(
        filters: Filters,
        upstream: Upstream,
        access_log: AccessLog,
        error_log: AccessLog,
    ) -> Self {
        let filters = ArcSwap::from_pointee(filters);
        Self { filters, upstream, limits: GatewayLimits::default(), access_log, error_log }
    }

    /// The filters that requests pass now.
    pub fn filters(&self) -> Arc<Filters> {
        self.filters.load_full()
    }

    /// Has further requests pass these filters, and answers those that were there: requests that are under way end with them.
    pub fn replace_filters(&self, filters: Filters) -> Arc<Filters> {
        self.filters.swap(Arc::new(filters))
    }
}

impl Handler for Gateway {
    async fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (head, body) = request.into_parts();
        let request_id = request_id();
        let record = self.record(&head, &peer, &request_id);
        let fields = match head::request_fields(&head, &peer, &request_id) {
            Ok(fields) => fields,
            Err(malformed) => return refusal(record, Problem::BadRequest, malformed.0),
        };

        let filters = self.filters();
        let Filters { host, pool } = &*filters;
        let exchange = pool.begin(stream_info(host, &head, &peer));
        let is_head = head.method == http::Method::HEAD;
        let back = Return { exchange, host: Arc::clone(host), record, is_head };
        let forward = Forward { gateway: &self, back, upstream: None, taken: 0 };
        with_request_id(forward.run(fields, body).await, &request_id)
    }

    fn refuse(
        &self,
        peer: &Peer,
        head: &request::Parts,
        problem: Problem,
    ) -> Response<ResponseBody> {
        refusal(self.record(head, peer, &request_id()), problem, problem.reason())
    }
}

/// What answers a request that does not come to the filters.
fn refusal(mut record: Record, problem: Problem, details: &str) -> Response<ResponseBody> {
    record.entry.details = Some(details.to_owned());
    record.entry.status = problem.status().as_u16();
    record.entry.complete = true;
    with_request_id(problem.response(), &record.entry.request_id)
}

fn with_request_id(
    mut response: Response<ResponseBody>,
    request_id: &str,
) -> Response<ResponseBody> {
    if let Ok(value) = request_id.parse() {
        response.headers_mut().entry(REQUEST_ID).or_insert(value);
    }
    response
}

impl Gateway {
    fn record(&self, head: &request::Parts, peer: &Peer, request_id: &str) -> Record {
        let mut record = Record::new(self.access_log.clone());
        let entry = &mut record.entry;
        entry.request_id = request_id.to_owned();
        entry.source = peer.address.to_string();
        entry.method = head.method.as_str().chars().take(32).collect();
        entry.path = head.uri.path().chars().take(1024).collect();
        entry.protocol = protocol(head.version);
        entry.tls = peer.tls.as_ref().map(|tls| tls.version);
        record
    }
}

fn stream_info(host: &Host, head: &request::Parts, peer: &Peer) -> StreamInfo {
    let now = host.clock().now_nanoseconds();
    let mut info = StreamInfo::new(peer.address, peer.local_address, now);
    info.protocol = protocol(head.version);
    info.tls = peer.tls.as_ref().map(|tls| TlsInfo {
        version: tls.version.to_owned(),
        requested_server_name: tls.server_name.clone().unwrap_or_default(),
        peer: tls.client.clone(),
    });
    info
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Ours alone: what a client says may be another request's (Envoy's `preserve_external_request_id: false`).
fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A request on its way to the upstream. It is held until it has come out of the filters whole,
/// so that the upstream sees nothing of a request that is refused.
struct Forward<'a> {
    gateway: &'a Gateway,
    back: Return,
    upstream: Option<Message>,
    taken: usize,
}

#[derive(Default)]
struct Message {
    fields: Fields,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Forward<'_> {
    async fn run(mut self, fields: Fields, body: Incoming) -> Response<ResponseBody> {
        let timeout = self.gateway.limits.request_timeout;
        match tokio::time::timeout(timeout, self.bring(fields, body)).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => return self.back.problem(problem).await,
            Err(_) => self.exchange().time_out(),
        }
        if self.exchange().is_answered() || self.exchange().is_reset() {
            return self.back.local().await;
        }
        let Some(message) = self.upstream.take() else {
            return self.back.problem(Problem::GateUnavailable).await;
        };
        let request = match head::upstream_request(&message.fields) {
            Ok(request) => request,
            Err(malformed) => {
                (self.gateway.error_log)(&format!(
                    "the filters made a bad request: {}",
                    malformed.0
                ));
                return self.back.problem(Problem::GateUnavailable).await;
            }
        };
        match self.gateway.upstream.send(request, message.body, message.trailers).await {
            Ok(response) => self.back.upstream(response).await,
            Err((problem, reason)) => {
                (self.gateway.error_log)(&reason);
                self.back.problem(problem).await
            }
        }
    }

    /// Brings the request, part by part, until the filters have let it by or answered it.
    async fn bring(&mut self, fields: Fields, mut body: Incoming) -> Result<(), Problem> {
        let ends = body.is_end_stream();
        self.exchange().send(Event::Headers(fields, ends));
        self.take()?;
        let mut has_more = !ends;
        while !self.exchange().is_request_decided() {
            if self.exchange().request_pressure() || !has_more {
                self.exchange().request_moved().await;
            } else {
                let idle = self.gateway.limits.request_idle;
                // A filter may go on, or answer, while the client takes its time.
                tokio::select! {
                    part = tokio::time::timeout(idle, body.frame()) => match part {
                        Ok(part) => has_more = self.feed(part)?,
                        Err(_) => self.exchange().time_out(),
                    },
                    () = self.back.exchange.moved() => {}
                }
            }
            self.take()?;
        }
        Ok(())
    }

    /// Gives the filters the next part; false once there is none.
    fn feed(&mut self, part: Option<hyper::Result<Frame<Bytes>>>) -> Result<bool, Problem> {
        let Some(part) = part else {
            self.exchange().send(Event::Data(Vec::new(), true));
            return Ok(false);
        };
        let frame = part.map_err(|_| Problem::BadRequest)?;
        match frame.into_data() {
            Ok(data) => {
                self.back.record.entry.bytes_received += data.len() as u64;
                self.exchange().send(Event::Data(data.into(), false));
                Ok(true)
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.exchange().send(Event::Trailers(head::fields(&trailers)));
                }
                Ok(false)
            }
        }
    }

    /// Takes what has come out of the filters.
    fn take(&mut self) -> Result<(), Problem> {
        for event in self.back.exchange.take_upstream() {
            let message = self.upstream.get_or_insert_default();
            match event {
                Event::Headers(fields, _) => message.fields = fields,
                Event::Data(data, _) => {
                    self.taken = self.taken.saturating_add(data.len());
                    if self.taken > self.gateway.limits.request_body {
                        return Err(Problem::TooLarge);
                    }
                    message.body.extend(data);
                }
                Event::Trailers(fields) => {
                    let trailers = head::header_map(&fields);
                    message.trailers = Some(trailers.map_err(|_| Problem::GateUnavailable)?);
                }
            }
        }
        Ok(())
    }

    fn exchange(&mut self) -> &mut Exchange {
        &mut self.back.exchange
    }
}
