//! What is behind the gate: a function in this process, or an HTTP service.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::problem::Problem;
use super::server::{BodyError, ResponseBody};
use crate::component::{Function, FunctionBody, HandleError};
use crate::upstream_at::UpstreamAt;

/// How long an upstream may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to answer with a head: Envoy's default for a route.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// What a request goes to when the filters let it through.
#[derive(Clone)]
pub enum Upstream {
    /// A function in this process.
    Function(Function),
    /// An HTTP/1.1 service.
    Http(HttpUpstream),
    /// The first of these services that takes the request's path, or else the one behind the gate.
    ByPath { elsewhere: Vec<UpstreamAt<HttpUpstream>>, otherwise: Box<Upstream> },
}

impl Upstream {
    /// Sends a request, whole, and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// The problem to answer with, and for the operator what is behind it.
    pub(super) async fn send(
        &self,
        request: Request<()>,
        body: Vec<u8>,
        trailers: Option<HeaderMap>,
    ) -> Result<Response<ResponseBody>, (Problem, String)> {
        match self {
            Self::ByPath { elsewhere, otherwise } => {
                let path = request.uri().path();
                match elsewhere.iter().find(|service| service.takes(path)) {
                    Some(service) => service.upstream.forward(request, body, trailers).await,
                    None => Box::pin(otherwise.send(request, body, trailers)).await,
                }
            }
            Self::Function(function) => {
                let body = Full::new(Bytes::from(body));
                let result = match trailers {
                    None => function.handle(request.map(|()| body)).await,
                    Some(trailers) => {
                        let body = body.with_trailers(async { Some(Ok(trailers)) });
                        function.handle(request.map(|()| body)).await
                    }
                };
                match result {
                    Ok(response) => Ok(erased(response)),
                    Err(error) => Err((function_problem(&error), error.to_string())),
                }
            }
            Self::Http(upstream) => upstream.forward(request, body, trailers).await,
        }
    }
}

/// An HTTP/1.1 service, such as `http://127.0.0.1:3000`. Its connections are kept.
#[derive(Clone)]
pub struct HttpUpstream {
    authority: Authority,
    /// Boxed for its size.
    client: Box<Client<HttpConnector, ResponseBody>>,
}

/// An upstream's address that is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected http://HOST or http://HOST:PORT without a path")]
pub struct InvalidUpstream;

impl FromStr for HttpUpstream {
    type Err = InvalidUpstream;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| InvalidUpstream)?;
        let authority = uri.authority().ok_or(InvalidUpstream)?.clone();
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if uri.scheme() != Some(&Scheme::HTTP) || !is_bare || authority.as_str().contains('@') {
            return Err(InvalidUpstream);
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build(connector);
        Ok(Self { authority, client: Box::new(client) })
    }
}

impl std::fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl HttpUpstream {
    async fn forward(
        &self,
        request: Request<()>,
        body: Vec<u8>,
        trailers: Option<HeaderMap>,
    ) -> Result<Response<ResponseBody>, (Problem, String)> {
        let body = Full::new(Bytes::from(body));
        let body = match trailers {
            None => body.map_err(|never| match never {}).boxed_unsync(),
            Some(trailers) => body
                .with_trailers(async { Some(Ok(trailers)) })
                .map_err(|never| match never {})
                .boxed_unsync(),
        };
        self.send(request.map(|()| body)).await
    }

    async fn send(
        &self,
        request: Request<ResponseBody>,
    ) -> Result<Response<ResponseBody>, (Problem, String)> {
        let (mut head, body) = request.into_parts();
        // The client's authority is the Host field; the connection goes to ours.
        let unavailable = |error: &dyn std::fmt::Display| {
            (Problem::UpstreamUnavailable, format!("upstream {}: {error}", self.authority))
        };
        let mut uri = std::mem::take(&mut head.uri).into_parts();
        if let Some(authority) = uri.authority.replace(self.authority.clone()) {
            let host = authority.as_str().parse().map_err(|error| unavailable(&error))?;
            head.headers.insert(http::header::HOST, host);
        }
        head.uri = Uri::from_parts(uri).map_err(|error| unavailable(&error))?;

        let request = self.client.request(Request::from_parts(head, body));
        match tokio::time::timeout(HEAD_TIMEOUT, request).await {
            // Nobody has asked it to: no response follows (RFC 9110 section 15.2).
            Ok(Ok(response)) if response.status().is_informational() => Err(unavailable(
                &format_args!("{} in place of a response", response.status().as_u16()),
            )),
            Ok(Ok(response)) => Ok(erased(response)),
            Ok(Err(error)) => Err(unavailable(&innermost(&error))),
            Err(_) => Err((
                Problem::UpstreamTimeout,
                format!("upstream {}: no answer in time", self.authority),
            )),
        }
    }
}

/// A function's answer as the client gets it: a response, or the problem that there is none.
#[must_use]
pub fn function_response(
    result: Result<Response<FunctionBody>, HandleError>,
) -> Response<ResponseBody> {
    match result {
        Ok(response) => erased(response),
        Err(error) => function_problem(&error).response(),
    }
}

fn function_problem(error: &HandleError) -> Problem {
    match error {
        HandleError::RequestTooLarge(_) => Problem::TooLarge,
        HandleError::BodyTimeout => Problem::RequestTimeout,
        HandleError::BodyFailed(_) => Problem::BadRequest,
        HandleError::Overloaded => Problem::Overloaded,
        HandleError::Timeout => Problem::UpstreamTimeout,
        HandleError::Failed(_) => Problem::UpstreamUnavailable,
    }
}

fn erased<B>(response: Response<B>) -> Response<ResponseBody>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// The cause that says something to an operator.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
