//! The real guard in the component host, in front of a function in another process or of a server that remembers what it was asked,
//! with limits in a real SQLite and in a real Redis.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use components::{Detector, artifact};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use portcullis::component::{Function, FunctionConfig, Limits, SqliteDatabases, Variables};
use redis_server::Redis;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

#[path = "common/components.rs"]
mod components;
#[path = "common/redis.rs"]
mod redis_server;

const ASSERTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// So many a day, that none comes back while a test runs.
const MOST: usize = 12;

fn policy() -> Value {
    json!({
        "version": 1,
        "authorisation": { "require": "anonymous" },
        "limits": [{ "name": "day", "key": "address", "requests": MOST, "per": "day" }],
        "assertion": { "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis" },
        "routes": [{ "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] }, "input": {} }],
    })
}

/// A server that answers `{}` to all, and remembers the header sections.
struct Behind {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Behind {
    async fn start() -> Self {
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

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// The guard, and its log.
#[derive(Clone)]
struct Guard {
    function: Function,
    log: Arc<Mutex<Vec<String>>>,
}

impl Guard {
    fn start(policy: &Value, upstream: &str, folder: &Path, more: &[(&str, &str)]) -> Option<Self> {
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
        let allowed = [upstream].into_iter().chain(redis.map(|(_, address)| *address));
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

    async fn send(&self, fields: &[(&str, &str)], body: &str) -> (u16, HeaderMap, Bytes) {
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

    async fn status(&self) -> u16 {
        self.send(&[], "{}").await.0
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// Sends so many at a time, by turns to each: the statuses.
async fn flood(guards: &[&Guard], requests: usize) -> Vec<u16> {
    let sent: Vec<_> = (0..requests)
        .map(|index| {
            let guard = guards[index % guards.len()].clone();
            tokio::spawn(async move { guard.status().await })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in sent {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

fn exactly(admitted: usize, refused: usize) -> Vec<u16> {
    [vec![200; admitted], vec![429; refused]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_in_sqlite_is_exact_however_many_come_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    assert_eq!(flood(&[&guard], 30).await, exactly(MOST, 30 - MOST), "{:?}", guard.log());
    assert_eq!(behind.count(), MOST);

    // What is refused is told as the gate tells it.
    let (status, headers, body) = guard.send(&[], "{}").await;
    assert_eq!(status, 429);
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:quota-exceeded");
    assert_eq!(headers["ratelimit-policy"], format!("\"day\";q={MOST};w=86400"));
    let wait = headers["retry-after"].to_str().unwrap();
    assert_eq!(headers["ratelimit"], format!("\"day\";r=0;t={wait}"));
    // Whoever sends an address of their own has none, and all those count together.
    let other = [("spin-client-addr", "192.0.2.2:1")];
    assert_eq!(guard.send(&other, "{}").await.0, 200);
    let other = [("spin-client-addr", "192.0.2.3:1")];
    let (_, headers, _) = guard.send(&other, "{}").await;
    let left = headers["ratelimit"].to_str().unwrap().to_owned();
    assert!(left.starts_with(&format!("\"day\";r={};", MOST - 2)), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_guards_share_a_limit_in_one_redis() {
    let Some(mut server) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let address = server.address();
    let store = [("limits_store", &*address)];
    let start = || Guard::start(&policy(), &behind.origin, folder.path(), &store);
    let (Some(one), Some(two)) = (start(), start()) else { return };
    let most = MOST - 2;
    let statuses = flood(&[&one, &two], most).await;
    assert_eq!(statuses, exactly(most, 0), "{:?}", one.log());

    // Without its Redis nobody is let through, and when it is there again it counts on.
    server.kill();
    let (status, _, body) = one.send(&[], "{}").await;
    assert_eq!(status, 503, "{:?}", one.log());
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:limits-unavailable");
    server.start_again();
    assert_eq!(flood(&[&one, &two], 20).await, exactly(2, 18), "{:?}", two.log());
    assert_eq!(behind.count(), MOST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_machine_counts_for_itself_while_redis_is_away_where_that_is_wanted() {
    let Some(mut server) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let address = server.address();
    let store = [("limits_store", &*address), ("limits_fallback", "sqlite")];
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &store) else {
        return;
    };
    assert_eq!(guard.status().await, 200);
    server.kill();
    assert_eq!(flood(&[&guard], MOST + 3).await, exactly(MOST, 3), "{:?}", guard.log());
    server.start_again();
    assert_eq!(flood(&[&guard], MOST).await, exactly(MOST - 1, 1), "as before it went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_who_they_are_but_the_guard() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    let forged = [
        ("portcullis-principal", "eyJmb3JnZWQiOjF9"),
        ("signature", "portcullis=:Zm9yZ2Vk:"),
        ("signature-input", "portcullis=(\"forged\")"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-kept", "kept"),
    ];
    let (status, headers, body) = guard.send(&forged, "{}").await;
    assert_eq!((status, &body[..]), (200, &b"{}"[..]), "{:?}", guard.log());
    assert!(headers.contains_key("ratelimit"));
    let asked = behind.asked.lock().unwrap().clone();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    for (_, forgery) in &forged[..4] {
        assert!(!asked.contains(&forgery.to_ascii_lowercase()), "{forgery}: {asked}");
    }
    assert!(asked.contains("x-kept: kept") && asked.contains("signature: portcullis=:"), "{asked}");
    assert!(asked.contains("x-forwarded-for: 192.0.2.1\r\n"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scam_detector_takes_its_word() {
    let Some(detector) = Detector::start(ASSERTION_KEY) else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(guard) = Guard::start(&policy(), &detector.origin, folder.path(), &[]) else { return };
    let scam = r#"{"text":"USPS: your parcel is held, pay $1.99 at http://usps-fee.top/x"}"#;
    let (status, _, body) = guard.send(&[], scam).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["label"]), (200, &json!("scam")), "{answer} {:?}", guard.log());
    // What is malformed is refused before, and an unset policy lets nobody through.
    assert_eq!(guard.send(&[], "{\"text\":\"a\",\"text\":\"b\"}").await.0, 400);
    let none = Guard::start(&json!(1), &detector.origin, folder.path(), &[]).unwrap();
    assert_eq!(none.send(&[], scam).await.0, 503);
    assert!(
        none.log().iter().any(|line| line.contains("Spin variable policy")),
        "{:?}",
        none.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_be_reached_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    assert_eq!(guard.status().await, 200);
    // A Redis that is not on the list: nothing is counted, and nobody is let through.
    let config = [("limits_store", "redis://127.0.0.1:9")];
    let refused = Guard::start(&policy(), &behind.origin, folder.path(), &config).unwrap();
    assert_eq!(refused.status().await, 503, "nobody listens there");
    assert_eq!(behind.count(), 1);
}
