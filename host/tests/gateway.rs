//! The gateway as clients meet it: over real sockets, with a filter that lets everything pass.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::clusters::{Cluster, ClusterLimits, Clusters};
use portcullis::compile_cache::CompileCache;
use portcullis::component::{Function, FunctionConfig, Limits};
use portcullis::gateway::{AccessLog, Filters, Gateway, Server, ServerLimits, Upstream};
use portcullis::proxy_wasm::{Engine, FilterPool, Host, Module, PluginConfig};
use portcullis::tls;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod common;
#[path = "gateway/holding.rs"]
mod holding;
#[allow(dead_code, reason = "not every test uses everything")]
#[path = "proxy_wasm/probe.rs"]
mod probe;
#[cfg(unix)]
#[path = "gateway/unread_log.rs"]
mod unread_log;

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
        Self::with(Host::default(), module, upstream, limits, None).await
    }

    async fn with(
        host: Host,
        module: Module,
        upstream: Upstream,
        limits: ServerLimits,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let host = Arc::new(host);
        let filters =
            FilterPool::start(&host, &[(module, PluginConfig::new("pass", "{}"))], 2).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let access_log: AccessLog = Arc::new(move |line| {
            sink.lock().unwrap().push(serde_json::from_str(line).unwrap());
        });
        let filters = Filters { host, pool: filters };
        let gateway = Arc::new(Gateway::new(filters, upstream, access_log, Arc::new(|_| {})));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), tls, limits).await.unwrap();
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
async fn an_upstream_that_switches_protocols_unasked_is_a_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    });
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
    let framed = |coding| format!("POST / HTTP/1.1\r\nhost: a\r\n{coding}\r\n\r\n0\r\n\r\n");
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
        (framed("transfer-encoding: gzip, chunked"), "400"),
        (framed("transfer-encoding: chunked, chunked"), "400"),
        (framed("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), "400"),
        (framed("transfer-encoding: chunked\r\ncontent-length: 5"), "400"),
        (framed("Content-Length: 5\r\nTransfer-Encoding: chunked"), "400"),
        (framed("content-length: 5\r\ncontent-length: 5"), "400"),
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

/// One behind the other on one connection, with bodies that look like what is refused.
#[tokio::test]
async fn what_stands_in_bodies_is_no_request() {
    let running = Running::function().await;
    let body =
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    let length = body.len();
    let head = "POST / HTTP/1.1\r\nhost: a\r\n";
    let sized = format!("{head}content-length: {length}\r\n\r\n{body}");
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n3;a=b\r\n\r\n\r\r\n0\r\nb: c\r\n\r\n"
    );
    let last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let responses = running.raw([sized, chunked, last.to_owned()].concat()).await;
    assert_eq!(responses.matches("HTTP/1.1 200 ").count(), 3, "{responses}");
}

#[tokio::test]
async fn a_request_id_is_the_gates_own() {
    let upstream = Upstream::Http("http://127.0.0.1:9".parse().unwrap());
    let running = Running::start(upstream, ServerLimits::default()).await;
    let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let response = running.raw(format!("{head}x-request-id: theirs\r\n\r\n")).await;
    let log = running.logged(1).await;
    let id = log[0]["request_id"].as_str().unwrap();
    assert_ne!(id, "theirs");
    assert!(response.contains(&format!("x-request-id: {id}\r\n")), "{response}");
}

#[tokio::test]
async fn refusals_of_the_host_itself_are_logged_and_named() {
    let upstream = Upstream::Http("http://127.0.0.1:9".parse().unwrap());
    let running = Running::start(upstream, ServerLimits::default()).await;
    let long = format!("GET /long HTTP/1.1\r\nhost: a\r\nlong: {}\r\n", "x".repeat(64_000));
    let many = format!("GET /many HTTP/1.1\r\nhost: a\r\n{}", "a: b\r\n".repeat(120));
    let double = "GET /double HTTP/1.1\r\nhost: a\r\nhost: a\r\n".to_owned();
    for (number, (request, path, status)) in
        [(long, "/long", 431), (many, "/many", 431), (double, "/double", 400)].iter().enumerate()
    {
        let response = running.raw(format!("{request}connection: close\r\n\r\n")).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        let log = running.logged(number + 1).await;
        assert_eq!(log.len(), number + 1);
        assert_eq!(log[number]["path"], *path);
        assert_eq!(log[number]["status"], *status);
        let id = log[number]["request_id"].as_str().unwrap();
        assert!(response.contains(&format!("x-request-id: {id}\r\n")), "{response}");
    }
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

/// Asks the cluster `keys`; on 200 the request goes on, else it is answered 401. Until then nothing is let by.
const ASKING: &str = r#"
  (global $stream (mut i32) (i32.const 0))
  (global $open (mut i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $stream (local.get 0))
    (drop (call $call #"keys"
      #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00"
      #"" #"" (i32.const 2000) (i32.const 0)))
    (i32.const 1))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (i32.eqz (global.get $open)))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $header (i32.const 6) #":status" (i32.const 32) (i32.const 36)))
    (if (call $effective (global.get $stream)) (then (return)))
    ;; "200" is told from the rest by its first digit.
    (if (i32.eq (i32.load8_u (i32.load (i32.const 32))) (i32.const 50))
      (then
        (global.set $open (i32.const 1))
        (drop (call $add (i32.const 0) #"x-asked" #"yes"))
        (drop (call $continue (i32.const 0))))
      (else (drop (call $reply (i32.const 401) #"" #"no" #"" (i32.const -1))))))
"#;

/// A server that sends its answer when it is told to.
async fn keys(answer: &'static str) -> (Host, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = Cluster {
        name: "keys".into(),
        tls: false,
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        http2: false,
    };
    let (release, released) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        let _ = released.await;
        // The gate may have gone.
        let _ = socket.write_all(answer.as_bytes()).await;
    });
    let log: portcullis::gateway::AccessLog = Arc::new(|_| {});
    let limits = ClusterLimits::default();
    let clusters =
        Clusters::new(&[cluster], None, limits, tokio::runtime::Handle::current(), &log).unwrap();
    (Host::default().with_call_outs(Arc::new(clusters)), release)
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";

/// An upstream that answers with the head and the body that it got.
async fn echo() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"abcdef") {
                assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", read.len());
            socket.write_all(&[head.as_bytes(), &read].concat()).await.unwrap();
        }
    });
    Upstream::Http(format!("http://{address}").parse().unwrap())
}

#[tokio::test]
async fn a_request_waits_for_a_call_and_goes_on_with_the_body_that_came_meanwhile() {
    let (host, release) = keys(GOOD).await;
    let module = probe::module(ASKING);
    let running = Running::with(host, module, echo().await, ServerLimits::default(), None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\nabc";
    socket.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    release.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    socket.write_all(b"def").await.unwrap();
    let mut response = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut response));
    read.await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("x-asked: yes\r\n") && response.ends_with("abcdef"), "{response}");
}

#[tokio::test]
async fn a_refusal_after_a_call_does_not_wait_for_the_body() {
    let (host, release) = keys(BAD).await;
    let module = probe::module(ASKING);
    let running = Running::with(host, module, echo().await, ServerLimits::default(), None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\nabc";
    socket.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    release.send(()).unwrap();
    let mut response = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), socket.read_buf(&mut response));
    read.await.expect("an answer while the rest of the body is outstanding").unwrap();
    assert!(response.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&response));
}

#[tokio::test]
async fn a_client_that_leaves_while_its_request_waits_for_a_call_leaves_nothing_behind() {
    let (host, release) = keys(GOOD).await;
    let module = probe::module(ASKING);
    let running = Running::with(host, module, echo().await, ServerLimits::default(), None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(socket);
    let log = running.logged(1).await;
    assert_eq!(log[0]["complete"], false);
    release.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The VM is well: the next stream asks, and finds nobody there any more.
    assert!(running.get("/").await.starts_with("HTTP/1.1 401 "));
    assert!(running.get("/").await.starts_with("HTTP/1.1 401 "));
}

/// Answers with what it is told of the client's certificate.
const TELLING: &str = r#"
  (func $tell (param $path i32) (param $length i32)
    (i32.store (i32.const 32) (i32.const 0))
    (i32.store (i32.const 36) (i32.const 0))
    (drop (call $property (local.get $path) (local.get $length) (i32.const 32) (i32.const 36)))
    (memory.copy (global.get $end) (i32.load (i32.const 32)) (i32.load (i32.const 36)))
    (global.set $end (i32.add (global.get $end) (i32.load (i32.const 36))))
    (i32.store8 (global.get $end) (i32.const 10))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))
  (global $end (mut i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $end (i32.const 8192))
    (call $tell #"connection\00subject_peer_certificate")
    (call $tell #"connection\00sha256_peer_certificate_digest")
    (call $tell #"connection\00dns_san_peer_certificate")
    (call $tell #"connection\00uri_san_peer_certificate")
    (call $tell #"request\00headers\00x-forwarded-client-cert")
    (call $tell #"connection\00mtls")
    (drop (call $reply (i32.const 200) #"" (i32.const 8192)
      (i32.sub (global.get $end) (i32.const 8192)) #"" (i32.const -1)))
    (i32.const 1))
"#;

/// An authority for clients, and the files and certificates made with it.
struct Clients {
    directory: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Clients {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).unwrap().pem();
        std::fs::write(directory.path().join("clients.pem"), pem).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("dev-credentials").arg("--dir").arg(directory.path());
        assert!(command.output().unwrap().status.success());
        Self { directory, issuer: rcgen::Issuer::new(authority, key) }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn server(&self, required: bool) -> Arc<rustls::ServerConfig> {
        let clients = tls::ClientCertificates { authorities: self.path("clients.pem"), required };
        let (certificate, key) = (self.path("server.pem"), self.path("server.key"));
        tls::server_config(&certificate, &key, Some(&clients)).unwrap()
    }

    /// A client's certificate and key, changed as wanted.
    fn client(
        &self,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> (rcgen::Certificate, rcgen::KeyPair) {
        let mut client = rcgen::CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
        client.subject_alt_names.push(rcgen::SanType::URI("spiffe://a/b".try_into().unwrap()));
        client.distinguished_name = rcgen::DistinguishedName::new();
        client.distinguished_name.push(rcgen::DnType::OrganizationName, "Acme");
        client.distinguished_name.push(rcgen::DnType::CommonName, "client");
        client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut client);
        let key = rcgen::KeyPair::generate().unwrap();
        (client.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client's TLS, with or without a certificate.
    fn config(
        &self,
        identity: Option<&(rcgen::Certificate, rcgen::KeyPair)>,
    ) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        for root in tls::certificates(&self.path("ca.pem")).unwrap() {
            roots.add(root).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
                builder.with_client_auth_cert(vec![certificate.der().clone()], key.into()).unwrap()
            }
        })
    }
}

/// What the filter says of a client, or that there is no connection.
async fn told(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> Option<Vec<String>> {
    let socket = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await.ok()?;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-client-cert: Subject=\"CN=admin\"\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.ok()?;
    let response = String::from_utf8(response).unwrap();
    let (_, body) = response.split_once("\r\n\r\n")?;
    Some(body.lines().map(str::to_owned).collect())
}

async fn telling(server: Arc<rustls::ServerConfig>) -> Running {
    let upstream = Upstream::Http("http://127.0.0.1:9".parse().unwrap());
    let module = probe::module(TELLING);
    Running::with(Host::default(), module, upstream, ServerLimits::default(), Some(server)).await
}

#[tokio::test]
async fn filters_are_told_of_a_verified_client_certificate_and_of_nothing_else() {
    let clients = Clients::new();
    let running = telling(clients.server(false)).await;
    let identity = clients.client(|_| {});
    let config = clients.config(Some(&identity));
    let digest = ring::digest::digest(&ring::digest::SHA256, identity.0.der());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = ["CN=client,O=Acme", &digest, "client.example", "spiffe://a/b", "", "\u{1}"];
    assert_eq!(told(running.address, &config).await.unwrap(), expected);
    // A resumed session is that of the same client.
    assert_eq!(told(running.address, &config).await.unwrap(), expected);

    let anonymous = told(running.address, &clients.config(None)).await.unwrap();
    assert_eq!(anonymous, ["", "", "", "", "", "\0"]);
}

#[tokio::test]
async fn a_client_whose_certificate_is_not_good_does_not_connect() {
    let clients = Clients::new();
    let running = telling(clients.server(false)).await;
    let stranger = Clients::new().client(|_| {});
    let expired = clients.client(|certificate| {
        certificate.not_before = rcgen::date_time_ymd(2020, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let server = clients.client(|certificate| {
        certificate.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    // Signed by a client's key, not by the authority's.
    let forged = {
        let (_, key) = clients.client(|_| {});
        let forger = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let mut forged = Clients::new();
        forged.issuer = rcgen::Issuer::new(forger, key);
        forged.client(|_| {})
    };
    for (name, identity) in
        [("stranger", &stranger), ("expired", &expired), ("server", &server), ("forged", &forged)]
    {
        assert_eq!(told(running.address, &clients.config(Some(identity))).await, None, "{name}");
    }
}

#[tokio::test]
async fn where_a_certificate_is_required_nobody_connects_without_one() {
    let clients = Clients::new();
    let running = telling(clients.server(true)).await;
    assert_eq!(told(running.address, &clients.config(None)).await, None);
    let identity = clients.client(|_| {});
    assert!(told(running.address, &clients.config(Some(&identity))).await.is_some());
}
