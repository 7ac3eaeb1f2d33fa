//! The gateway as clients meet it: over real sockets, with a filter that lets everything pass.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::compile_cache::CompileCache;
use portcullis::component::{Function, FunctionConfig, Limits};
use portcullis::gateway::{Gateway, GatewayLimits, Server, ServerLimits, Upstream};
use portcullis::proxy_wasm::{Engine, FilterPool, Host, Module, PluginConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod common;

struct Running {
    address: SocketAddr,
    log: Arc<Mutex<Vec<serde_json::Value>>>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(upstream: Upstream, limits: ServerLimits) -> Self {
        let engine = Engine::new(&CompileCache::Off).unwrap();
        let module = wat::parse_str(common::PASS).unwrap();
        let module = Module::from_bytes(&engine, "pass", &module).unwrap();
        let host = Arc::new(Host::default());
        let filters =
            FilterPool::start(&host, &[(module, PluginConfig::new("pass", "{}"))], 2).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let gateway = Arc::new(Gateway {
            host,
            filters,
            upstream,
            limits: GatewayLimits::default(),
            access_log: Arc::new(move |line| {
                sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
            }),
            error_log: Arc::new(|_| {}),
        });
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), None, limits).await.unwrap();
        let address = server.local_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.run(gateway, async {
            let _ = stopped.await;
        }));
        Self { address, log, stop: Some(stop), server }
    }

    async fn function() -> Self {
        let limits = Limits { request_timeout: Duration::from_millis(500), ..Limits::default() };
        let config =
            FunctionConfig { limits, cache: CompileCache::Off, ..FunctionConfig::default() };
        let function = Function::load(common::probe().path, config).unwrap();
        Self::start(Upstream::Function(function), ServerLimits::default()).await
    }

    /// Sends bytes and reads until the server closes.
    async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = socket.write_all(request.as_ref()).await;
        let mut response = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut response));
        let _ = read.await.expect("the server closes the connection");
        String::from_utf8_lossy(&response).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
    }

    async fn logged(&self, count: usize) -> Vec<serde_json::Value> {
        for _ in 0..100 {
            if self.log.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.log.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_request_reaches_the_function_and_is_logged() {
    let running = Running::function().await;
    let response = running.get("/count?secret=1").await;
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    assert!(response.contains("x-request-id: "), "{response}");
    assert!(response.contains("content-length: 0"), "{response}");
    let log = running.logged(1).await;
    assert_eq!(log[0]["status"], 201);
    assert_eq!(log[0]["path"], "/count");
    assert_eq!(log[0]["complete"], true);
}

#[tokio::test]
async fn a_function_that_fails_is_a_problem_of_that_request_alone() {
    let running = Running::function().await;
    for (path, status, reason) in [
        ("/trap", "503", "upstream-unavailable"),
        ("/nothing", "503", "upstream-unavailable"),
        ("/loop", "504", "upstream-timeout"),
    ] {
        let response = running.get(path).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
        assert!(response.contains("content-type: application/problem+json"), "{response}");
        assert!(response.contains(&format!("urn:portcullis:problem:{reason}")), "{response}");
        assert!(running.get("/").await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_problem() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let upstream = Upstream::Http(format!("http://{address}").parse().unwrap());
    let running = Running::start(upstream, ServerLimits::default()).await;
    let response = running.get("/").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains("urn:portcullis:problem:upstream-unavailable"), "{response}");
}

#[tokio::test]
async fn hostile_requests_are_answered_like_envoy() {
    let running = Running::function().await;
    let long = "x".repeat(64 << 10);
    let many = "a: b\r\n".repeat(200);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n\r\n".to_owned(), "400"),
        ("GET /a%2fb HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n".to_owned(), "400"),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".into(),
            "400",
        ),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nlong: {long}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "431"),
    ] {
        let request = request.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let response = running.raw(&request).await;
        let shown: String = request.chars().take(80).collect();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {response}");
    }
    assert!(running.get("/").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for() {
    let limits = ServerLimits {
        head_timeout: Duration::from_millis(200),
        connections: 1,
        ..ServerLimits::default()
    };
    let upstream = Upstream::Http("http://127.0.0.1:9".parse().unwrap());
    let running = Running::start(upstream, limits).await;
    for request in ["", "GE", "GET / HTTP/1.1\r\nhost:", "PRI * HT"] {
        let begun = Instant::now();
        running.raw(request).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{request:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_its_body_leaves_nothing_behind() {
    let running = Running::function().await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let part = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
    socket.write_all(part.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(socket);
    let log = running.logged(1).await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["bytes_received"], 4);
    assert!(running.get("/").await.starts_with("HTTP/1.1 200 "));
}

/// An upstream that answers with one chunk and holds the rest back until it is told.
async fn slow_upstream() -> (Upstream, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (release, released) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let _ = released.await;
        socket.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    });
    (Upstream::Http(format!("http://{address}").parse().unwrap()), release)
}

#[tokio::test]
async fn a_response_is_passed_on_as_it_comes_and_finished_on_shutdown() {
    let (upstream, release) = slow_upstream().await;
    let mut running = Running::start(upstream, ServerLimits::default()).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("first") {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut buffer));
        let count = read.await.expect("the first part comes before the last").unwrap();
        assert_ne!(count, 0);
        seen.extend_from_slice(&buffer[..count]);
    }

    running.stop.take().unwrap().send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(running.address).await.is_err(), "no new connections");
    release.send(()).unwrap();
    socket.read_to_end(&mut seen).await.unwrap();
    assert!(String::from_utf8_lossy(&seen).contains("last"));
    tokio::time::timeout(Duration::from_secs(5), running.server).await.unwrap().unwrap();
}
