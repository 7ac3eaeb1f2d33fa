//! The function itself: loaded once, called for every request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, Uri, header};
use http_body::Body;
use tokio::sync::{Semaphore, oneshot};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{InstantiationError, ProxyHandler};

use super::body::FunctionBody;
use super::instance::{Instances, Interest, Ticket, keep_ticking, summary};
use super::key_value::KeyValueStore;
use super::limits::Limits;
use super::load::{self, LoadError};
use super::outbound::OutboundHost;
use super::output::LogSink;
use super::sqlite::SqliteDatabases;
use super::state::Shared;
use super::upload::Uploads;
use super::variables::Variables;
use crate::compile_cache::CompileCache;

/// What a function gets from its host.
#[derive(Clone)]
pub struct FunctionConfig {
    pub variables: Variables,
    pub key_value: KeyValueStore,
    pub limits: Limits,
    /// The SQLite databases the function may open: by default none.
    pub databases: SqliteDatabases,
    /// The hosts the function may call, over HTTP or as Redis: by default none.
    pub allowed_outbound_hosts: Vec<OutboundHost>,
    /// Where the function's own output and its late failures go: by default standard error.
    pub log: LogSink,
    pub cache: CompileCache,
}

impl Default for FunctionConfig {
    fn default() -> Self {
        Self {
            variables: Variables::default(),
            key_value: KeyValueStore::default(),
            limits: Limits::default(),
            databases: SqliteDatabases::default(),
            allowed_outbound_hosts: Vec::new(),
            log: Arc::new(|line| eprintln!("function: {line}")),
            cache: CompileCache::default(),
        }
    }
}

impl FunctionConfig {
    /// Whether a function can have begun something that it must end when its client has gone.
    pub(super) fn keeps_accounts(&self) -> bool {
        self.databases.has_some() || self.allowed_outbound_hosts.iter().any(OutboundHost::is_redis)
    }
}

/// A component that answers HTTP requests. Clones share everything.
#[derive(Clone)]
pub struct Function {
    handler: ProxyHandler<Instances>,
    shared: Arc<Shared>,
    uploads: Uploads,
    turns: Arc<Semaphore>,
}

/// Why a function gave no response. The caller answers the client; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    #[error("the request's body is larger than {0} bytes")]
    RequestTooLarge(u64),
    #[error("the request's body did not arrive in time")]
    BodyTimeout,
    #[error("the request's body broke off: {0}")]
    BodyFailed(String),
    #[error("too many requests are running already")]
    Overloaded,
    #[error("the function did not answer in time")]
    Timeout,
    #[error("the function failed: {0}")]
    Failed(String),
}

impl Function {
    /// Loads a component. The first time this compiles it, which takes seconds; later it comes
    /// from the cache.
    ///
    /// # Errors
    ///
    /// The file is unreadable, no component, no HTTP function, or imports what this host does
    /// not offer.
    pub fn load(path: impl AsRef<Path>, config: FunctionConfig) -> Result<Self, LoadError> {
        let engine = load::engine(&config.cache)?;
        let pre = load::component(&engine, path.as_ref())?;
        keep_ticking(&engine).map_err(|error| LoadError::Engine(error.to_string()))?;

        let uploads = Uploads::new(&config.limits);
        let turns = Arc::new(Semaphore::new(config.limits.concurrency));
        let shared = Arc::new(Shared {
            variables: Arc::new(config.variables.clone()),
            allowed: config.allowed_outbound_hosts.clone().into(),
            config,
        });
        let instances = Instances { engine, pre, shared: shared.clone() };
        Ok(Self { handler: ProxyHandler::new(instances), shared, uploads, turns })
    }

    /// Answers one request, in an instance of its own, once its body is there.
    ///
    /// The URI may be in origin form (the authority is then taken from `Host`). Dropping the
    /// future, or the response's body before its end, stops the instance, as a client does that goes away. One that has a database or
    /// a Redis goes on, as in Spin, for at most the time of both timeouts: it has to settle what it has begun there.
    ///
    /// # Errors
    ///
    /// No response came: see [`HandleError`]. The function itself is fine, and the next request
    /// finds a fresh instance.
    pub async fn handle<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<FunctionBody>, HandleError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Display,
    {
        let limits = &self.shared.config.limits;
        if declared_length(request.headers()).is_some_and(|length| length > limits.request_body) {
            return Err(HandleError::RequestTooLarge(limits.request_body));
        }
        let (head, body) = absolute(request)?.into_parts();
        let body = self.uploads.take(body, limits).await?;
        let turn = self.turns.clone().acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(limits.queue_timeout, turn).await else {
            return Err(HandleError::Overloaded);
        };

        let (mut interest, interest_receiver) = Interest::new();
        let (failure, failure_receiver) = oneshot::channel();
        let ticket = Ticket { _permit: permit, interest: interest_receiver, failure };

        let answer = tokio::time::timeout(
            limits.request_timeout,
            self.answer(ticket, Request::from_parts(head, body), failure_receiver),
        );
        let answer = answer.await.unwrap_or(Err(HandleError::Timeout));
        let (parts, body) = answer.inspect_err(|_| interest.stop())?.into_parts();
        let body = FunctionBody::new(body, limits.response_body, limits.body_timeout, interest);
        Ok(Response::from_parts(parts, body))
    }

    async fn answer(
        &self,
        ticket: Ticket,
        request: Request<WasiBody>,
        failure: oneshot::Receiver<String>,
    ) -> Result<Response<WasiBody>, HandleError> {
        let error = match self.handler.handle(ticket, request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if let Some(instantiation) = error.downcast_ref::<InstantiationError<Ticket>>() {
            return Err(HandleError::Failed(summary(&instantiation.error)));
        }
        // If the instance has failed it is about to say why, and knows better.
        let reason = tokio::time::timeout(Duration::from_millis(100), failure).await;
        Err(HandleError::Failed(match reason {
            Ok(Ok(reason)) => reason,
            Ok(Err(_)) | Err(_) => summary(&error),
        }))
    }
}

/// Puts a request's URI into absolute form: a component reads its authority from there.
fn absolute<B>(request: Request<B>) -> Result<Request<B>, HandleError> {
    let (mut parts, body) = request.into_parts();
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority.take().or_else(|| host.and_then(|host| host.parse().ok()));
    uri.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
    uri.scheme.get_or_insert(Scheme::HTTP);
    uri.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    parts.uri = Uri::from_parts(uri)
        .map_err(|error| HandleError::Failed(format!("the request's URI: {error}")))?;
    Ok(Request::from_parts(parts, body))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
