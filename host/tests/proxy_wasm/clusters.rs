//! Call-outs over real sockets, and what a filter is told when a server misbehaves: what Envoy would tell it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::clusters::{Cluster, ClusterLimits, Clusters};
use portcullis::gateway::{Handler, Peer, ResponseBody, Server, ServerLimits};
use portcullis::proxy_wasm::{Host, RequestOutcome, block_on};
use portcullis::tls;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::probe::{Rig, request};

/// Asks the cluster `keys` and waits at most 500 ms; logs the status, the body's length and the number of headers.
const ASKING: &str = r#"
  (global $stream (mut i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $stream (local.get 0))
    (if (call $call #"keys"
      #"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\09\00\00\00\0a\00\00\00\09\00\00\00:method\00GET\00:path\00/jwks?a=b\00:authority\00localhost\00"
      #"" #"" (i32.const 500) (i32.const 0))
      (then (unreachable)))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (if (i32.eqz (call $header (i32.const 6) #":status" (i32.const 32) (i32.const 36)))
      (then (call $say (i32.load (i32.const 32)) (i32.load (i32.const 36))))
      (else (call $say #"none")))
    (call $number (local.get 3))
    (drop (call $effective (global.get $stream)))
    (drop (call $continue (i32.const 0))))
"#;

struct Calling {
    rig: Rig,
    trouble: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Calling {
    fn new(address: SocketAddr) -> Self {
        Self::with(address, None, &[], ClusterLimits::default())
    }

    fn with(
        address: SocketAddr,
        tls_name: Option<&str>,
        trusted: &[PathBuf],
        limits: ClusterLimits,
    ) -> Self {
        let runtime = Runtime::new().unwrap();
        let trouble = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&trouble);
        let cluster = Cluster {
            name: "keys".into(),
            tls: tls_name.is_some(),
            host: tls_name.map_or_else(|| address.ip().to_string(), str::to_owned),
            port: address.port(),
            http2: false,
        };
        let tls = tls_name.map(|_| tls::client_config(trusted).unwrap());
        let error_log: portcullis::gateway::AccessLog =
            Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        let handle = runtime.handle().clone();
        let clusters = Clusters::new(&[cluster], tls.as_ref(), limits, handle, &error_log);
        let host = Host::default().with_call_outs(Arc::new(clusters.unwrap()));
        Self { rig: Rig::on(host, ASKING, |_| {}), trouble, _runtime: runtime }
    }

    /// The status and the body's length that the filter is told.
    fn ask(&self) -> (String, usize) {
        let outcome = block_on(self.rig.begin().request(request(&[])));
        assert!(matches!(outcome, RequestOutcome::Forward(_)), "{outcome:?}");
        let said = self.rig.said();
        (said[0].clone(), said[1].parse().unwrap())
    }

    fn status(&self) -> String {
        self.ask().0
    }

    fn trouble(&self) -> Vec<String> {
        std::mem::take(&mut self.trouble.lock().unwrap())
    }
}

/// A server that sends these bytes for each request, and then closes or not; counts connections and requests.
struct Raw {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    fn new(answer: impl Into<Vec<u8>>, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let raw = Self { address, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (raw.connections.clone(), raw.requests.clone());
        let answer = answer.into();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (answer.clone(), requests.clone());
                std::thread::spawn(move || {
                    let mut read = Vec::new();
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = socket.read(&mut buffer) {
                        read.extend_from_slice(&buffer[..count]);
                        if !read.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let text = String::from_utf8(std::mem::take(&mut read)).unwrap();
                        requests.lock().unwrap().push(text);
                        // The client may have had enough.
                        let _ = socket.write_all(&answer);
                        if closes {
                            return;
                        }
                    }
                });
            }
        });
        raw
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[test]
fn a_good_answer_reaches_the_filter_on_a_kept_connection() {
    let server = Raw::new("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", false);
    let calling = Calling::new(server.address);
    for _ in 0..3 {
        assert_eq!(calling.ask(), ("200".into(), 2));
    }
    assert_eq!(server.connections(), 1);
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].starts_with("GET /jwks?a=b HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("host: localhost\r\n"), "{}", requests[0]);
    assert_eq!(calling.trouble(), [""; 0]);
}

#[test]
fn redirects_are_not_followed_and_nothing_is_decoded() {
    let elsewhere = Raw::new("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false);
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    );
    assert_eq!(Calling::new(Raw::new(redirect, false).address).ask(), ("302".into(), 0));
    assert_eq!(elsewhere.connections(), 0);

    let mut gzip =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n".to_vec();
    gzip.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Calling::new(Raw::new(gzip, false).address).ask(), ("200".into(), 20));
}

#[test]
fn an_answer_that_is_too_long_is_no_answer() {
    let declared = "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n";
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..100 {
        endless.extend_from_slice(b"8000\r\n");
        endless.extend_from_slice(&[b'x'; 0x8000]);
        endless.extend_from_slice(b"\r\n");
    }
    for answer in [declared.as_bytes().to_vec(), endless] {
        let calling = Calling::new(Raw::new(answer, false).address);
        assert_eq!(calling.ask(), ("none".into(), 0));
        assert!(calling.trouble()[0].contains("more than 1048576 bytes"));
    }
    let limits = ClusterLimits { body_bytes: 4, ..ClusterLimits::default() };
    for (length, expected) in [(4, "200"), (5, "none")] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n12345");
        let server = Raw::new(&answer.as_bytes()[..answer.len() - 5 + length], false);
        assert_eq!(Calling::with(server.address, None, &[], limits).status(), expected);
    }
}

#[test]
fn a_header_section_that_is_too_long_is_malformed() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(40_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(101));
    for answer in [long, many] {
        assert_eq!(Calling::new(Raw::new(answer, false).address).status(), "502");
    }
}

#[test]
fn a_server_that_lies_or_talks_nonsense_gives_no_answer() {
    for (answer, expected) in [
        // Cut off before the end that it promised.
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", ("none", 0)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}", ("none", 0)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}", ("none", 0)),
        // More than it promised: the rest belongs to nothing.
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}", ("200", 1)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}", ("502", 87)),
        ("\x16\x03\x01SSH-2.0\r\n\r\n", ("502", 87)),
        ("<html>", ("502", 87)),
        ("", ("503", 95)),
    ] {
        let server = Raw::new(answer, true);
        let calling = Calling::new(server.address);
        let (status, length) = calling.ask();
        assert_eq!((status.as_str(), length), expected, "{answer:?}");
        assert_eq!(calling.trouble().len(), usize::from(status != "200"), "{answer:?}");
    }
}

#[test]
fn what_a_server_says_behind_its_answer_is_not_the_next_one() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nforgedset";
    let server = Raw::new(smuggled, false);
    let calling = Calling::new(server.address);
    for _ in 0..3 {
        assert_eq!(calling.ask(), ("200".into(), 2));
    }
    assert_eq!(server.connections(), 3, "a connection with something left on it is not used again");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let begun = Instant::now();
    assert_eq!(Calling::new(Raw::new("", false).address).status(), "504");
    // The head came, and no end: what has come is not half an answer.
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    assert_eq!(Calling::new(Raw::new(half, false).address).ask(), ("none".into(), 0));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_is_not_there_is_told_once_and_found_again() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let calling = Calling::new(address);
    for _ in 0..3 {
        assert_eq!(calling.status(), "503");
    }
    let trouble = calling.trouble();
    assert_eq!(trouble.len(), 1, "{trouble:?}");
    assert!(trouble[0].starts_with(&format!("cluster keys (http://{address}): ")), "{trouble:?}");

    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]);
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    assert_eq!(calling.status(), "200");
    assert!(calling.trouble()[0].ends_with("it answers again"));
}

#[test]
fn more_calls_than_there_may_be_are_answered_at_once() {
    let server = Raw::new("", false);
    let limits = ClusterLimits { calls: 1, ..ClusterLimits::default() };
    let calling = Arc::new(Calling::with(server.address, None, &[], limits));
    let mut first = calling.rig.begin();
    first.send(portcullis::proxy_wasm::Event::Headers(crate::probe::headers(&[]), true));
    let begun = Instant::now();
    let mut second = calling.rig.begin();
    second.send(portcullis::proxy_wasm::Event::Headers(crate::probe::headers(&[]), true));
    assert_eq!(calling.rig.said()[0], "503");
    assert!(begun.elapsed() < Duration::from_millis(400));
}

/// Files of an authority and of a certificate that it has signed.
struct Authority {
    directory: TempDir,
}

impl Authority {
    fn new(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut server);
        let key = KeyPair::generate().unwrap();
        let certificate =
            server.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap().pem();
        let authority = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::write(authority.path("ca.pem"), authority_pem).unwrap();
        std::fs::write(authority.path("server.pem"), certificate).unwrap();
        std::fs::write(authority.path("server.key"), key.serialize_pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A server with this certificate that answers with the version of HTTP; it ends with the runtime.
    fn serve(&self, runtime: &Runtime) -> SocketAddr {
        struct Version;

        impl Handler for Version {
            async fn handle(
                self: Arc<Self>,
                _: Arc<Peer>,
                request: http::Request<hyper::body::Incoming>,
            ) -> http::Response<ResponseBody> {
                use http_body_util::BodyExt as _;

                let text = match request.version() {
                    http::Version::HTTP_2 => "HTTP/2",
                    _ => "HTTP/1",
                };
                let authority = request.uri().authority().map(ToString::to_string);
                let body = format!("{text} {}", authority.unwrap_or_default());
                http::Response::new(
                    http_body_util::Full::new(body.into()).map_err(|e| match e {}).boxed_unsync(),
                )
            }
        }

        let config = tls::server_config(&self.path("server.pem"), &self.path("server.key"), None);
        let address = "127.0.0.1:0".parse().unwrap();
        let server =
            runtime.block_on(Server::bind(address, Some(config.unwrap()), ServerLimits::default()));
        let server = server.unwrap();
        let address = server.local_address().unwrap();
        runtime.spawn(server.run(Arc::new(Version), std::future::pending()));
        address
    }

    fn ask(&self, trusted: &Self, name: &str) -> ((String, usize), Vec<String>) {
        let runtime = Runtime::new().unwrap();
        let address = self.serve(&runtime);
        let trusted = [trusted.path("ca.pem")];
        let calling = Calling::with(address, Some(name), &trusted, ClusterLimits::default());
        (calling.ask(), calling.trouble())
    }
}

#[test]
fn a_server_with_a_good_certificate_is_spoken_to_in_http_2() {
    let authority = Authority::new("localhost", |_| {});
    assert_eq!(authority.ask(&authority, "localhost").0, ("200".into(), "HTTP/2 localhost".len()));
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_not_spoken_to() {
    let good = Authority::new("localhost", |_| {});
    let other = Authority::new("localhost", |_| {});
    let expired = Authority::new("localhost", |certificate| {
        certificate.not_before = rcgen::date_time_ymd(2020, 1, 1);
        certificate.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let client = Authority::new("localhost", |certificate| {
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let another_name = Authority::new("issuer.example", |_| {});
    for (server, trusted, name) in [
        (&good, &other, "localhost"),
        (&good, &good, "127.0.0.1"),
        (&expired, &expired, "localhost"),
        (&client, &client, "localhost"),
        (&another_name, &another_name, "localhost"),
    ] {
        let ((status, _), trouble) = server.ask(trusted, name);
        assert_eq!(status, "503", "{trouble:?}");
        assert!(trouble[0].contains("certificate"), "{trouble:?}");
    }
}

#[test]
fn a_file_of_authorities_must_be_one() {
    let authority = Authority::new("localhost", |_| {});
    let message = |path: PathBuf| tls::client_config(&[path]).unwrap_err().to_string();
    assert!(message(authority.path("server.key")).contains("server.key: expected certificates"));
    assert!(message(authority.path("no-such.pem")).contains("no-such.pem: "));
}
