//! The guard in the component host, in this process, and a server that remembers what it was asked.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use portcullis::component::{Function, FunctionConfig, Limits, SqliteDatabases, Variables};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::components::artifact;

pub(crate) const ASSERTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A server that answers `{}` to all, and remembers the header sections.
pub(crate) struct Behind {
    pub(crate) origin: String,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Behind {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.windows(6).any(|window| window == b"\r\n\r\n{}") {
                        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
                    seen.lock().unwrap().push(text);
                    let response = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                                    server: behind\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = connection.write_all(response.as_bytes()).await;
                });
            }
        });
        Self { origin, asked }
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// The guard, and its log.
#[derive(Clone)]
pub(crate) struct Guard {
    function: Function,
    log: Arc<Mutex<Vec<String>>>,
}

impl Guard {
    pub(crate) fn start(
        policy: &Value,
        upstream: &str,
        folder: &Path,
        more: &[(&str, &str)],
    ) -> Option<Self> {
        Self::start_allowed(policy, &[upstream], folder, more)
    }

    /// One that may reach others, too; the first is the function behind.
    pub(crate) fn start_allowed(
        policy: &Value,
        hosts: &[&str],
        folder: &Path,
        more: &[(&str, &str)],
    ) -> Option<Self> {
        let upstream = hosts[0];
        let mut variables = Variables::default();
        let policy = policy.to_string();
        let own = [
            ("policy", &*policy),
            ("upstream", upstream),
            ("portcullis_assertion_key", ASSERTION_KEY),
        ];
        for (name, value) in own.iter().chain(more) {
            variables.insert(name, Zeroizing::new((*value).to_owned())).unwrap();
        }
        let redis = more.iter().find(|(name, _)| *name == "limits_store");
        let allowed = hosts.iter().copied().chain(redis.map(|(_, address)| *address));
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let minute = Duration::from_secs(60);
        let config = FunctionConfig {
            variables,
            databases: SqliteDatabases::new(folder.to_owned(), &[]).unwrap(),
            allowed_outbound_hosts: allowed.map(|host| host.parse().unwrap()).collect(),
            limits: Limits { request_timeout: minute, queue_timeout: minute, ..Limits::default() },
            log: Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())),
            ..FunctionConfig::default()
        };
        let function = Function::load(artifact("guard.wasm")?, config).unwrap();
        Some(Self { function, log })
    }

    pub(crate) async fn send(
        &self,
        fields: &[(&str, &str)],
        body: &str,
    ) -> (u16, HeaderMap, Bytes) {
        let mut request = Request::builder()
            .method("POST")
            .uri("/v1/predict")
            .header("host", "test")
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .header("spin-client-addr", "192.0.2.1:1234");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = self.function.handle(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, body)
    }

    pub(crate) async fn status(&self) -> u16 {
        self.send(&[], "{}").await.0
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}
