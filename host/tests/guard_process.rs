//! The guard as `portcullis function` runs it: clients that leave, and a Redis behind TLS.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use components::artifact;
use redis_server::Redis;
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "common/components.rs"]
#[allow(dead_code, reason = "the function behind is another one here")]
mod components;
#[path = "common/redis.rs"]
mod redis_server;

const PATIENCE: Duration = Duration::from_secs(20);

/// A guard in a process of its own.
struct Guard {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Guard {
    /// None where it has not been built.
    fn start(
        policy: &Value,
        upstream: &str,
        store: &str,
        authority: Option<&Path>,
    ) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("function").arg(artifact("guard.wasm")?).args(["--listen", "127.0.0.1:0"]);
        command.args(["--allow-host", upstream]);
        if store.starts_with("redis") {
            command.args(["--allow-host", store]);
        } else {
            command.arg("--sqlite-directory").arg(folder.path());
        }
        command.env("PORTCULLIS_VARIABLE_POLICY", policy.to_string());
        command.env("PORTCULLIS_VARIABLE_UPSTREAM", upstream);
        command.env("PORTCULLIS_VARIABLE_LIMITS_STORE", store);
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        command.env("PORTCULLIS_VARIABLE_PORTCULLIS_ASSERTION_KEY", key);
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", authority);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        // What it says later must be read, lest it waits.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        let address = address.trim_end_matches('/').to_owned();
        Some(Self { process, address, _folder: folder })
    }

    /// A client that has sent its request, of which so much is announced.
    fn client(&self, fields: &str, body: &str, announced: usize) -> TcpStream {
        let mut client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/ask HTTP/1.1\r\nhost: guard\r\ncontent-type: application/json\r\n\
             connection: close\r\n{fields}content-length: {announced}\r\n\r\n{body}"
        );
        client.write_all(head.as_bytes()).unwrap();
        client
    }

    /// The status, and what is left of the limit.
    fn ask(&self) -> (u16, i64) {
        let mut answer = String::new();
        self.client("", "{}", 2).read_to_string(&mut answer).unwrap();
        let status = answer[9..12].parse().unwrap();
        let left = answer.lines().find_map(|line| line.strip_prefix("ratelimit: "));
        let left = left.and_then(|left| left.split(";r=").nth(1)?.split(';').next()?.parse().ok());
        (status, left.unwrap_or(-1))
    }

    /// Asks until what is said is as it should be.
    fn ask_until(&self, is_it: impl Fn(u16, i64) -> bool) -> usize {
        let begun = Instant::now();
        for asked in 1.. {
            let (status, left) = self.ask();
            if is_it(status, left) {
                return asked;
            }
            assert!(begun.elapsed() < PATIENCE, "it stays at {status} and {left}");
            std::thread::sleep(Duration::from_millis(50));
        }
        unreachable!()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A function behind that says that each request has taken [`USED`]. Those that say so it holds until it is told.
struct Behind {
    origin: String,
    /// A request is held.
    held: Receiver<()>,
    /// It is answered, whole or not.
    go: Sender<bool>,
}

const USED: i64 = 7;

impl Behind {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let ((hold, held), (go, gone)) = (channel(), channel());
        std::thread::spawn(move || {
            // One held request at a time; the others go by meanwhile.
            let (waiting, held) = channel::<TcpStream>();
            std::thread::spawn(move || {
                for connection in held {
                    hold.send(()).unwrap();
                    let is_whole = gone.recv().unwrap();
                    answer(connection, is_whole);
                }
            });
            for connection in listener.incoming() {
                let (mut connection, mut request) = (connection.unwrap(), Vec::new());
                while !request.windows(6).any(|window| window == b"\r\n\r\n{}") {
                    let mut part = [0; 4096];
                    let length = connection.read(&mut part).unwrap_or(0);
                    if length == 0 {
                        break;
                    }
                    request.extend_from_slice(&part[..length]);
                }
                match String::from_utf8_lossy(&request).contains("x-hold: 1") {
                    true => waiting.send(connection).unwrap(),
                    false => answer(connection, true),
                }
            }
        });
        Self { origin, held, go }
    }
}

fn answer(mut connection: TcpStream, is_whole: bool) {
    let body = format!("{{\"used\":{USED}}}");
    let announced = if is_whole { body.len() } else { body.len() + 10 };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\
         connection: close\r\n\r\n{body}"
    );
    let _ = connection.write_all(answer.as_bytes());
}

fn policy(limits: Value) -> Value {
    let mut policy = json!({
        "version": 1,
        "authorisation": { "require": "anonymous" },
        "assertion": { "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis" },
        "routes": [{ "name": "ask", "match": { "path": "/v1/ask", "methods": ["POST"] }, "input": {} }],
    });
    policy["limits"] = json!([limits]);
    policy
}

/// SQLite, and a Redis if there is one.
fn on_each_store(test: impl Fn(&str)) {
    test("sqlite");
    if let Some(redis) = Redis::start() {
        test(&redis.address());
    }
}

const HOLD: &str = "x-hold: 1\r\n";

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    on_each_store(|store| {
        let behind = Behind::start();
        let limit = json!({
            "name": "places", "key": "address", "concurrent": 1, "lost_after_seconds": 3600,
        });
        let guard = Guard::start(&policy(limit), &behind.origin, store, None);
        let Some(guard) = guard else { return };
        assert_eq!(guard.ask().0, 200, "{store}");
        let client = guard.client(HOLD, "{}", 2);
        behind.held.recv_timeout(PATIENCE).unwrap();
        assert_eq!(guard.ask().0, 429, "{store}: one is under way");
        drop(client);
        // The function behind works on: what it does counts as long as it does it.
        assert_eq!(guard.ask().0, 429, "{store}: one is under way yet");
        behind.go.send(true).unwrap();
        guard.ask_until(|status, _| status == 200);

        // In the middle of its request, of which nothing has gone on.
        drop(guard.client("", "{", 2));
        guard.ask_until(|status, _| status == 200);
    });
}

#[test]
fn a_client_that_leaves_pays_what_others_pay() {
    const MOST: i64 = 100_000;
    const RESERVED: i64 = 10;
    const CAP: i64 = 500;
    on_each_store(|store| {
        let behind = Behind::start();
        let cost = json!({ "pointer": "/used", "cap": CAP, "reserve": RESERVED });
        let limit = json!({
            "name": "tokens", "key": "address", "requests": MOST, "per": "day",
            "cost": { "response_value": cost },
        });
        let guard = Guard::start(&policy(limit), &behind.origin, store, None);
        let Some(guard) = guard else { return };
        let mut left = MOST;
        // Each costs what it says; and until it says so, what is reserved.
        let settled = |left: &mut i64| {
            let asked = std::cell::Cell::new(0);
            guard.ask_until(|status, said| {
                let is_settled = said == *left - asked.get() * USED - RESERVED;
                asked.set(asked.get() + 1);
                assert_eq!(status, 200, "{store}");
                is_settled
            });
            *left -= asked.get() * USED;
        };
        settled(&mut left);
        for (is_whole, cost) in [(true, USED), (false, CAP)] {
            let client = guard.client(HOLD, "{}", 2);
            behind.held.recv_timeout(PATIENCE).unwrap();
            drop(client);
            std::thread::sleep(Duration::from_millis(100));
            behind.go.send(is_whole).unwrap();
            left -= cost;
            settled(&mut left);
        }
        // What never went on costs nothing.
        drop(guard.client("", "{", 2));
        settled(&mut left);
    });
}

#[test]
fn a_redis_behind_tls_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut credentials = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    credentials.arg("dev-credentials").arg("--dir").arg(folder.path());
    assert!(credentials.output().unwrap().status.success());
    let path = |name: &str| folder.path().join(name);
    let Some(redis) = Redis::start_tls(path("server.pem"), path("server.key")) else { return };
    let behind = Behind::start();
    let limit = json!({ "name": "day", "key": "address", "requests": 3, "per": "day" });
    let store = format!("rediss://localhost:{}", redis.port());
    let start = |authority: Option<&Path>| {
        Guard::start(&policy(limit.clone()), &behind.origin, &store, authority)
    };
    let (Some(one), Some(two)) = (start(Some(&path("ca.pem"))), start(Some(&path("ca.pem"))))
    else {
        return;
    };
    assert_eq!([one.ask(), two.ask(), one.ask()], [(200, 2), (200, 1), (200, 0)]);
    assert_eq!(two.ask(), (429, 0));
    // Whoever does not trust the authority asks it nothing, and lets nobody through.
    let stranger = start(None).unwrap();
    assert_eq!(stranger.ask().0, 503);
}
