//! One call: the request, the bounded answer, and what a filter is told of a failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::connector::Connector;
use super::{Cluster, ClusterLimits};
use crate::gateway::head::{fields, header_map};
use crate::gateway::innermost;
use crate::proxy_wasm::{CallOut, CallResponse, Completion, HeaderMap as Fields};

type RequestBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// The client of one cluster. Its connections are kept.
pub(super) struct Client {
    scheme: &'static str,
    limits: ClusterLimits,
    inner: legacy::Client<Connector, RequestBody>,
}

/// What has become of a call. What a filter is told is what Envoy's router makes of it.
pub(super) enum Answer {
    Complete(CallResponse),
    /// No head in time.
    TimedOut,
    /// No connection.
    Unreachable(String),
    /// The connection closed before there was a head.
    Closed(String),
    /// What came before the body is not HTTP, or too long.
    Malformed(String),
    /// The head came, and then no end of the body: broken off, too long or too slow.
    Broken(String),
}

impl Client {
    /// # Errors
    ///
    /// As for [`Clusters::new`](super::Clusters::new).
    pub(super) fn new(
        cluster: &Cluster,
        tls: Option<&Arc<ClientConfig>>,
        limits: ClusterLimits,
    ) -> Result<Self, String> {
        let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(2)
            .http2_only(cluster.http2)
            .http1_max_buf_size(limits.header_bytes.max(8192))
            .http1_max_headers(limits.header_count)
            .http2_max_header_list_size(header_bytes)
            // No more is on its way than is wanted.
            .http2_initial_stream_window_size(256 << 10)
            .http2_initial_connection_window_size(1 << 20)
            .build(Connector::new(cluster, tls, limits.connect_timeout)?);
        Ok(Self { scheme: if cluster.tls { "https" } else { "http" }, limits, inner })
    }

    /// Makes a call, within its time.
    pub(super) async fn call(&self, call: CallOut) -> Answer {
        let timeout = call.timeout.unwrap_or(self.limits.call_timeout);
        let deadline = Instant::now() + timeout.min(self.limits.call_timeout);
        let Some(request) = self.request(call) else {
            return Answer::Malformed("the filter's request is not HTTP".to_owned());
        };
        let response = match tokio::time::timeout_at(deadline, self.inner.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return failure(&error),
            Err(_) => return Answer::TimedOut,
        };
        if !self.is_bounded(response.headers()) {
            return Answer::Malformed("a header section that is too long".to_owned());
        }
        match tokio::time::timeout_at(deadline, self.read(response)).await {
            Ok(Ok(response)) => Answer::Complete(response),
            Ok(Err(trouble)) => Answer::Broken(trouble),
            Err(_) => Answer::Broken("no end of the answer in time".to_owned()),
        }
    }

    /// The request as HTTP; none if it is none.
    fn request(&self, call: CallOut) -> Option<Request<RequestBody>> {
        let pseudo = |name: &str| std::str::from_utf8(call.headers.first(name)?).ok();
        let method = Method::from_bytes(pseudo(":method")?.as_bytes()).ok()?;
        let (authority, path) = (pseudo(":authority")?, pseudo(":path")?);
        if method == Method::CONNECT || !path.starts_with('/') || authority.contains('@') {
            return None;
        }
        let uri = http::Uri::builder().scheme(self.scheme).authority(authority);
        let uri = uri.path_and_query(path).build().ok()?;

        let mut headers = header_map(&call.headers).ok()?;
        // The authority says it, and the client the length.
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        let body = Full::new(Bytes::from(call.body));
        let body = match call.trailers.is_empty() {
            true => body.boxed_unsync(),
            false => {
                let trailers = header_map(&call.trailers).ok()?;
                body.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync()
            }
        };
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (method, uri, headers);
        Some(request)
    }

    /// Exactly: the parsers' own bounds are those of their buffers.
    fn is_bounded(&self, headers: &HeaderMap) -> bool {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        headers.len() <= self.limits.header_count
            && bytes.sum::<usize>() <= self.limits.header_bytes
    }

    /// Reads an answer to its end, as far as it is bounded.
    async fn read(&self, response: Response<Incoming>) -> Result<CallResponse, String> {
        let limit = self.limits.body_bytes;
        let too_long = || format!("an answer of more than {limit} bytes");
        let (head, mut body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("it switched protocols unasked".to_owned());
        }
        if body.size_hint().lower() > limit as u64 {
            return Err(too_long());
        }
        let mut response =
            CallResponse { headers: head_fields(head.status, &head.headers), ..Default::default() };
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| innermost(&error))?.into_data() {
                Ok(data) if data.len() > limit.saturating_sub(response.body.len()) => {
                    return Err(too_long());
                }
                Ok(data) => response.body.extend_from_slice(&data),
                Err(frame) => {
                    response.trailers = frame.trailers_ref().map(fields).unwrap_or_default();
                }
            }
        }
        Ok(response)
    }
}

impl Answer {
    /// What the operator should know, if anything.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Complete(_) => None,
            Self::TimedOut => Some("no answer in time"),
            Self::Unreachable(trouble)
            | Self::Closed(trouble)
            | Self::Malformed(trouble)
            | Self::Broken(trouble) => Some(trouble),
        }
    }

    pub(super) fn complete(self, completion: Completion) {
        match self {
            Self::Complete(response) => completion.finish(response),
            Self::TimedOut => completion.timed_out(),
            Self::Unreachable(_) => completion.unreachable(),
            Self::Closed(_) => completion.closed(),
            Self::Malformed(_) => completion.malformed(),
            Self::Broken(_) => completion.failed(),
        }
    }
}

/// What it means that there is no head.
fn failure(error: &legacy::Error) -> Answer {
    let trouble = innermost(error);
    if error.is_connect() {
        return Answer::Unreachable(trouble);
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>()
            && (cause.is_parse() || cause.is_parse_too_large())
        {
            return Answer::Malformed(trouble);
        }
        source = cause.source();
    }
    Answer::Closed(trouble)
}

fn head_fields(status: StatusCode, headers: &HeaderMap) -> Fields {
    let mut map = Fields::new();
    map.add(":status", status.as_str());
    for (name, value) in headers {
        map.add(name.as_str(), value.as_bytes());
    }
    map
}
