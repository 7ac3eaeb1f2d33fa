//! An upstream that answers with what it saw.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_policy::Secret;
use portcullis_policy::assertion::{Received, Verifier};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

/// The name of the key in the policies' `assertion` sections.
const ASSERTION_KEY_ID: &str = "portcullis";

/// A server on loopback, of HTTP/1.1 or of HTTP/2 without TLS. Its answers are JSON: `method`, `path`, `headers`, `body`, `trailers`, and
/// `principal` or `assertion_error`. To a JSON body with `answer` it gives what stands there: `content_type`, `headers`,
/// `pieces`, each of which is sent by itself, a moment after the one before, and `trailers`, which by HTTP/1.1 have to be announced.
pub(crate) struct Echo {
    runtime: Handle,
    address: SocketAddr,
    is_http2: bool,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    verifier: Verifier,
    requests: AtomicUsize,
}

impl Echo {
    pub(crate) fn start(runtime: &Handle, assertion_key: Secret, is_http2: bool) -> Result<Self> {
        let verifier = Verifier::new([(ASSERTION_KEY_ID.to_owned(), assertion_key)]);
        let shared = Arc::new(Shared { verifier, requests: AtomicUsize::new(0) });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut echo = Self { runtime: runtime.clone(), address, is_http2, shared, server: None };
        echo.resume()?;
        Ok(echo)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have come so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Closes the port and all connections.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // Ended, by the abort.
            let _ = self.runtime.block_on(server);
        }
    }

    /// Opens the port again, the same one.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let listener = self.runtime.block_on(TcpListener::bind(self.address));
        let listener = listener.with_context(|| format!("listening on {}", self.address))?;
        self.address = listener.local_addr()?;
        let server = accept(listener, self.is_http2, Arc::clone(&self.shared));
        self.server = Some(self.runtime.spawn(server));
        Ok(())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn accept(listener: TcpListener, is_http2: bool, shared: Arc<Shared>) {
    // Aborts its connections when it is dropped, which it is when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let socket = TokioIo::new(socket);
            // How the gate ends a connection is its own affair.
            let _ = match is_http2 {
                true => {
                    let server = http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(socket, service).await
                }
                false => {
                    let mut server = http1::Builder::new();
                    server.max_headers(256).serve_connection(socket, service).await
                }
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let seen = match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let body = collected.to_bytes();
            if let Ok(Asked { answer }) = serde_json::from_slice(&body) {
                return Ok(answer.give());
            }
            shared.describe(&head, &body, &trailers)
        }
        Err(error) => json!({ "body_error": error.to_string() }),
    };
    let response = Response::builder()
        .header("content-type", "application/json")
        // What an upstream tells of itself and the gate takes out again.
        .header("server", "echo/1.0")
        .header("x-powered-by", "tests")
        .body(Full::new(Bytes::from(seen.to_string())).boxed());
    Ok(response.unwrap_or_default())
}

type AnswerBody = BoxBody<Bytes, Infallible>;

#[derive(Deserialize)]
struct Asked {
    answer: Prescribed,
}

/// An answer that the request asks for.
#[derive(Deserialize)]
struct Prescribed {
    content_type: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    pieces: Vec<String>,
    #[serde(default)]
    trailers: BTreeMap<String, String>,
}

impl Prescribed {
    fn give(self) -> Response<AnswerBody> {
        /// Long enough for a piece to be on its way before the next one comes.
        const MOMENT: Duration = Duration::from_millis(20);
        let (sender, receiver) = Channel::new(1);
        let trailers = self.trailers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        });
        let trailers: HeaderMap = trailers.collect();
        tokio::spawn(async move {
            let mut sender: Sender<Bytes> = sender;
            for piece in self.pieces {
                if sender.send_data(Bytes::from(piece)).await.is_err() {
                    return;
                }
                tokio::time::sleep(MOMENT).await;
            }
            if !trailers.is_empty() {
                // The gate may have gone meanwhile.
                let _ = sender.send_trailers(trailers).await;
            }
        });
        let mut response = Response::builder().header("content-type", self.content_type);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(receiver.boxed()).unwrap_or_default()
    }
}

impl Shared {
    fn describe(&self, head: &request::Parts, body: &[u8], trailers: &HeaderMap) -> Value {
        let mut seen = json!({
            "method": head.method.as_str(),
            "path": head.uri.to_string(),
            "headers": fields(&head.headers),
            "body": String::from_utf8_lossy(body),
            "body_bytes": body.len(),
            "trailers": fields(trailers),
        });
        let headers: Vec<(&str, &[u8])> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let verified = self.verifier.verify(&Received {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &headers,
            body,
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        });
        match verified {
            Ok(principal) => {
                seen["principal"] = json!({
                    "subject": principal.subject,
                    "tenant": principal.tenant,
                    "roles": principal.roles,
                    "scopes": principal.scopes,
                    "via": principal.via.as_str(),
                });
            }
            Err(error) => seen["assertion_error"] = error.to_string().into(),
        }
        seen
    }
}

fn fields(map: &HeaderMap) -> Value {
    map.iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}
