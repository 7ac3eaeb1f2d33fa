//! `portcullis serve` whose log nobody reads.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Many more than the lines of which fit into a pipe.
const REQUESTS: usize = 600;

#[test]
fn a_log_that_nobody_reads_stops_no_request_and_is_written_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let filter = directory.path().join("pass.wasm");
    let configuration = directory.path().join("pass.json");
    std::fs::write(&filter, wat::parse_str(super::common::PASS).unwrap()).unwrap();
    std::fs::write(&configuration, "{}").unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("serve")
        .args(["--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"])
        .arg("--filter")
        .arg(filter)
        .arg("--configuration")
        .arg(configuration)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();

    for number in 0..REQUESTS {
        let mut socket = TcpStream::connect(&address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        socket.write_all(request).unwrap();
        let mut response = String::new();
        let read = socket.read_to_string(&mut response);
        assert!(read.is_ok() && response.starts_with("HTTP/1.1 503 "), "{number}: {response}");
    }

    let pid = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut rest = String::new();
    let errors = std::thread::spawn(move || errors.read_to_string(&mut rest).map(|_| rest));
    let mut log = String::new();
    server.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log.lines().count(), REQUESTS);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(server.wait().unwrap().success());
    let errors = errors.join().unwrap().unwrap();
    assert_eq!(errors.lines().count(), REQUESTS, "{errors:.400}");
}
