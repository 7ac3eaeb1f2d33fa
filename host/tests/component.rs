//! The component host: what a function can do, and what it cannot.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::Artifact;
use components::artifact;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use portcullis::compile_cache::CompileCache;
use portcullis::component::{
    Function, FunctionBody, FunctionConfig, HandleError, Limits, LoadError, Variables,
};
use zeroize::Zeroizing;

mod common;
#[path = "common/components.rs"]
#[allow(dead_code, reason = "a detector in a process of its own is for other tests")]
mod components;

fn config() -> FunctionConfig {
    FunctionConfig { cache: CompileCache::Off, ..FunctionConfig::default() }
}

fn load(config: FunctionConfig) -> Function {
    Function::load(&common::probe().path, config).unwrap()
}

async fn get(function: &Function, path: &str) -> Result<Response<FunctionBody>, HandleError> {
    let request = Request::get(path).header("host", "test").body(Empty::<Bytes>::new()).unwrap();
    function.handle(request).await
}

async fn status(function: &Function, path: &str) -> u16 {
    get(function, path).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn every_request_has_an_instance_of_its_own() {
    let function = load(config());
    assert_eq!(status(&function, "/").await, 200);
    assert_eq!(status(&function, "/count").await, 201);
    assert_eq!(status(&function, "/count").await, 201);
}

#[tokio::test]
async fn variables_are_those_that_were_given() {
    let mut variables = Variables::default();
    variables.insert("greeting", Zeroizing::new("hello".into())).unwrap();
    let function = load(FunctionConfig { variables, ..config() });
    assert_eq!(status(&function, "/variable").await, 205);
    assert_eq!(status(&load(config()), "/variable").await, 404);
}

#[tokio::test]
async fn memory_is_bounded() {
    assert_eq!(status(&load(config()), "/memory").await, 507);
    let limits = Limits { memory: 1 << 30, ..Limits::default() };
    assert_eq!(status(&load(FunctionConfig { limits, ..config() }), "/memory").await, 200);
}

#[tokio::test]
async fn a_trap_is_one_requests_alone() {
    let function = load(config());
    let error = get(&function, "/trap").await.map(drop).unwrap_err();
    assert!(
        matches!(&error, HandleError::Failed(reason) if reason.contains("unreachable")),
        "{error}"
    );
    let error = get(&function, "/nothing").await.map(drop).unwrap_err();
    assert!(matches!(error, HandleError::Failed(_)), "{error}");
    assert_eq!(status(&function, "/").await, 200);
}

#[tokio::test]
async fn a_loop_is_stopped_in_time_and_gives_its_place_back() {
    let limits =
        Limits { request_timeout: Duration::from_millis(200), concurrency: 1, ..Limits::default() };
    let function = load(FunctionConfig { limits, ..config() });
    let begun = Instant::now();
    let error = get(&function, "/loop").await.map(drop).unwrap_err();
    assert!(matches!(error, HandleError::Timeout), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(status(&function, "/").await, 200);
}

#[tokio::test(flavor = "current_thread")]
async fn loops_do_not_stop_the_others_of_their_thread() {
    let limits = Limits { request_timeout: Duration::from_secs(2), ..Limits::default() };
    let function = load(FunctionConfig { limits, ..config() });
    let looping = get(&function, "/loop");
    let other = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        assert_eq!(status(&function, "/").await, 200);
        begun.elapsed()
    };
    let (looped, waited) = tokio::join!(looping, other);
    assert!(matches!(looped, Err(HandleError::Timeout)));
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_instance_along() {
    let limits = Limits {
        request_timeout: Duration::from_secs(60),
        queue_timeout: Duration::from_secs(5),
        concurrency: 1,
        ..Limits::default()
    };
    let function = load(FunctionConfig { limits, ..config() });
    let gone = tokio::time::timeout(Duration::from_millis(100), get(&function, "/loop")).await;
    assert!(gone.is_err());
    assert_eq!(status(&function, "/").await, 200);
}

#[tokio::test]
async fn requests_at_a_time_are_bounded() {
    let limits = Limits {
        request_timeout: Duration::from_secs(1),
        queue_timeout: Duration::from_millis(100),
        concurrency: 1,
        ..Limits::default()
    };
    let function = load(FunctionConfig { limits, ..config() });
    let second = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        get(&function, "/").await.map(drop)
    };
    let (first, second) = tokio::join!(get(&function, "/loop"), second);
    assert!(matches!(first, Err(HandleError::Timeout)));
    assert!(matches!(second, Err(HandleError::Overloaded)), "{second:?}");
}

/// A request whose body comes after so long, or never.
fn slow(after: Duration) -> Request<impl Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let part = async move {
        tokio::time::sleep(after).await;
        Ok(Frame::data(Bytes::from("late")))
    };
    let body = StreamBody::new(futures_util::stream::once(part));
    Request::post("/").header("host", "test").body(body).unwrap()
}

#[tokio::test]
async fn a_body_that_is_on_its_way_takes_no_turn() {
    let limits =
        Limits { queue_timeout: Duration::from_millis(100), concurrency: 1, ..Limits::default() };
    let function = load(FunctionConfig { limits, ..config() });
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        status(&function, "/").await
    };
    let late = function.handle(slow(Duration::from_secs(1)));
    let (late, meanwhile) = tokio::join!(late, meanwhile);
    assert_eq!(meanwhile, 200);
    assert_eq!(late.unwrap().status(), 200);
}

#[tokio::test]
async fn bodies_that_do_not_come_are_waited_for_in_bounds() {
    let limits = Limits {
        queue_timeout: Duration::from_millis(100),
        upload_idle: Duration::from_millis(500),
        uploads: 1,
        upload_memory: 5,
        ..Limits::default()
    };
    let function = load(FunctionConfig { limits, ..config() });
    let first = function.handle(slow(Duration::from_secs(60)));
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Without a body there is nothing to wait for.
        assert_eq!(status(&function, "/").await, 200);
        function.handle(slow(Duration::ZERO)).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(matches!(first.map(drop), Err(HandleError::BodyTimeout)));
    assert!(matches!(second.map(drop), Err(HandleError::Overloaded)));
    let large = || Request::post("/").body(Full::new(Bytes::from("123456"))).unwrap();
    let refused = function.handle(large()).await.map(drop);
    assert!(matches!(refused, Err(HandleError::Overloaded)), "{refused:?}");
    // What was counted is given back.
    for _ in 0..3 {
        let response = function.handle(slow(Duration::ZERO)).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let limits = Limits { request_body: 10, ..Limits::default() };
    let function = load(FunctionConfig { limits, ..config() });
    let request = Request::post("/").header("content-length", "11");
    let request = request.body(Full::new(Bytes::from("01234567890"))).unwrap();
    let error = function.handle(request).await.map(drop).unwrap_err();
    assert!(matches!(error, HandleError::RequestTooLarge(10)), "{error}");
    // Nor is it believed that it is shorter.
    let request = Request::post("/").body(Full::new(Bytes::from("01234567890"))).unwrap();
    let error = function.handle(request).await.map(drop).unwrap_err();
    assert!(matches!(error, HandleError::RequestTooLarge(10)), "{error}");
}

/// `portcullis function` in a process of its own, and what it answers to bytes.
#[test]
fn a_function_alone_refuses_what_can_be_read_in_two_ways() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::process::{Command, Stdio};

    let probe = common::probe();
    let mut process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("function")
        .arg(&probe.path)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").unwrap();
    let answers: Vec<String> = [
        "host: a\r\n",
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\ntransfer-encoding: gzip, chunked\r\n",
    ]
    .map(|fields| {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!("POST / HTTP/1.1\r\n{fields}connection: close\r\n\r\n0\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // It may close before it has read everything.
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).chars().take(12).collect()
    })
    .into();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(answers, ["HTTP/1.1 200", "HTTP/1.1 400", "HTTP/1.1 400", "HTTP/1.1 400"]);
}

#[test]
fn what_is_no_function_is_refused_by_name() {
    fn refused(content: &[u8]) -> String {
        let artifact = Artifact::new(content);
        let error = Function::load(&artifact.path, config()).map(drop).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("artifact.wasm"), "{message}");
        message
    }

    assert!(refused(b"junk").contains("found something that is not WebAssembly"));
    assert!(refused(b"").contains("found something that is not WebAssembly"));
    assert!(refused(&wat::parse_str("(module)").unwrap()).contains("found a core module"));
    assert!(refused(b"\0asm\x0d\0\x01\0junk").contains("not a valid component"));
    assert!(refused(&wat::parse_str("(component)").unwrap()).contains("not an HTTP function"));

    let llm = wat::parse_str(
        r#"(component
             (import "fermyon:spin/llm@2.0.0" (instance (export "infer" (func)))))"#,
    )
    .unwrap();
    assert!(refused(&llm).contains("imports \"fermyon:spin/llm@2.0.0\""));

    let missing = Function::load("no/such/file.wasm", config()).map(drop).unwrap_err();
    assert!(matches!(&missing, LoadError::Read { .. }));
    assert!(missing.to_string().starts_with("no/such/file.wasm: "), "{missing}");
}

#[test]
fn the_second_load_comes_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let cache = CompileCache::Directory(directory.path().to_owned());
    load(FunctionConfig { cache: cache.clone(), ..config() });
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_some());
    load(FunctionConfig { cache, ..config() });
}

/// The real function, when it has been built: a WASI 0.3 handler made with Spin's SDK.
#[tokio::test]
async fn the_scam_detector_runs() {
    let Some((function, log)) = scam_detector(&[("assertion_key", KEY)]) else { return };
    let response = get(&function, "/healthz").await.unwrap();
    assert_eq!(response.status(), 200, "{:?}", log.lock().unwrap());

    // Without an assertion nobody gets a prediction, and the answer comes whole.
    assert_eq!(predict(&function).await.0, 401);
}

/// What is wrong stands in the log, and the function goes on and says that it is not set up. (A C library whose `write` had been
/// put out of the way once made a trap of each line for the operator.)
#[tokio::test]
async fn the_scam_detector_tells_its_operator_what_is_wrong() {
    for (name, unfit, expected) in [
        ("assertion_key", "hunter2", "Spin variable assertion_key: expected base64url"),
        ("probability_decimals", "x", "Spin variable probability_decimals: expected 0 to 6"),
        ("tenant_key", "hunter2", "tenant_key"),
    ] {
        let variables: Vec<(&str, &str)> =
            [("assertion_key", KEY)].into_iter().filter(|(other, _)| *other != name).collect();
        let variables = [variables, vec![(name, unfit)]].concat();
        let Some((function, log)) = scam_detector(&variables) else { return };
        assert_eq!(status(&function, "/healthz").await, 200, "{name}");
        let (status, problem) = predict(&function).await;
        assert!([401, 503].contains(&status), "{name}: {status}");
        assert!(problem["type"].is_string(), "{name}: {problem}");
        let lines = log.lock().unwrap();
        assert!(lines.iter().any(|line| line.contains(expected)), "{name}: {lines:?}");
    }
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The function with these variables, and what it writes into its log. `None` where it has not been built.
fn scam_detector(variables: &[(&str, &str)]) -> Option<(Function, Arc<Mutex<Vec<String>>>)> {
    let path = artifact("scam_detector.wasm")?;
    let mut given = Variables::default();
    for (name, value) in variables {
        given.insert(name, Zeroizing::new((*value).into())).unwrap();
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let config = FunctionConfig {
        variables: given,
        log: Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())),
        ..FunctionConfig::default()
    };
    Some((Function::load(path, config).unwrap(), lines))
}

/// Asks without an assertion: the status, and the problem.
async fn predict(function: &Function) -> (u16, serde_json::Value) {
    let request = Request::post("/v1/predict")
        .header("host", "test")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(r#"{"text":"hello"}"#)))
        .unwrap();
    let response = function.handle(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
