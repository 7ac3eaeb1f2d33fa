//! The service by itself, before a Redis that is ended and started again.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tonic::transport::Channel;
use tonic::{Code as GrpcCode, Status};

/// Ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis(port: u16, folder: &Path) -> Process {
    let program =
        env::var_os("PORTCULLIS_REDIS").expect("PORTCULLIS_REDIS: cargo xtask test sets it");
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    // What it has said it has counted it still knows after it was killed.
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(folder);
    let process = Process(command.stdout(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "the Redis does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

async fn ask(
    client: &mut RateLimitServiceClient<Channel>,
    limit: &str,
    key: &str,
    hits_addend: u32,
) -> Result<RateLimitResponse, Status> {
    let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
    let entries = vec![entry("limit", limit), entry("key", key)];
    let descriptors = vec![RateLimitDescriptor { entries, ..Default::default() }];
    let request = RateLimitRequest { domain: "portcullis".into(), descriptors, hits_addend };
    client.should_rate_limit(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn what_is_counted_stays_counted() {
    let folder = tempfile::tempdir().unwrap();
    let limits = folder.path().join("limits.json");
    let rule = r#"[{ "namespace": "portcullis", "max_value": 10, "seconds": 60,
        "conditions": ["descriptors[0]['limit'] == 'shared'"], "variables": ["descriptors[0]['key']"] }]"#;
    std::fs::write(&limits, rule).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let redis_server = redis(port, folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_rate-limit-service"));
    command.arg("--redis").arg(format!("redis://127.0.0.1:{port}")).arg("--limits").arg(&limits);
    let mut service = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut address = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address = format!("http://{}", address.trim());
    let mut client = RateLimitServiceClient::connect(address).await.unwrap();

    let answer = ask(&mut client, "shared", "a", 7).await.unwrap();
    assert_eq!((answer.overall_code(), answer.statuses[0].limit_remaining), (Code::Ok, 3));
    let reset = answer.statuses[0].duration_until_reset.unwrap();
    assert!((58..=60).contains(&reset.seconds), "{reset:?}");
    // All hits or none.
    let answer = ask(&mut client, "shared", "a", 4).await.unwrap();
    assert_eq!((answer.overall_code(), answer.statuses[0].limit_remaining), (Code::OverLimit, 3));
    assert_eq!(ask(&mut client, "shared", "b", 10).await.unwrap().overall_code(), Code::Ok);
    assert_eq!(ask(&mut client, "other", "a", 1).await.unwrap_err().code(), GrpcCode::NotFound);

    drop(redis_server);
    let error = ask(&mut client, "shared", "a", 1).await.unwrap_err();
    assert_eq!(error.code(), GrpcCode::Unavailable);
    let _redis_server = redis(port, folder.path());
    let deadline = Instant::now() + Duration::from_secs(5);
    let answer = loop {
        match ask(&mut client, "shared", "a", 3).await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((answer.overall_code(), answer.statuses[0].limit_remaining), (Code::Ok, 0));
    assert_eq!(ask(&mut client, "shared", "a", 1).await.unwrap().overall_code(), Code::OverLimit);
}
