//! `serve` is told by a signal that its files have changed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Begins a filter that answers every request with this status.
fn answering(status: u16) -> Vec<u8> {
    let module = format!(
        r#"(module
          (import "env" "proxy_send_local_response"
            (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "_initialize"))
          (func (export "proxy_on_context_create") (param i32 i32))
          (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
          (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $reply (i32.const {status}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0) (i32.const -1)))
            (i32.const 1))
          (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
          (func (export "proxy_on_log") (param i32))
          (func (export "proxy_on_delete") (param i32)))"#
    );
    wat::parse_str(module).unwrap()
}

struct Serving {
    process: Child,
    address: String,
    log: Receiver<String>,
}

impl Serving {
    fn start(folder: &Path, more: &[&str]) -> Self {
        fs::write(folder.join("configuration"), "{}").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(folder).args(["serve", "--configuration", "configuration"]);
        command.args(["--filter", "filter.wasm", "--upstream", "http://127.0.0.1:9"]);
        command.args(["--listen", "127.0.0.1:0", "--workers", "1"]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut serving = Self { process, address: String::new(), log };
        let line = serving.line("listening on ");
        serving.address = line.rsplit("//").next().unwrap().trim_end_matches('/').to_owned();
        serving
    }

    /// The next line that has this in it.
    fn line(&self, part: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("the line that is waited for");
            if line.contains(part) {
                return line;
            }
        }
    }

    fn hang_up(&self) {
        let process = self.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    }

    fn status(&self) -> String {
        let mut client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_has_changed_is_read_again_and_what_is_wrong_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let filter = folder.path().join("filter.wasm");
    fs::write(&filter, answering(401)).unwrap();
    let serving = Serving::start(folder.path(), &[]);
    assert_eq!(serving.status(), "401");
    fs::write(&filter, answering(403)).unwrap();
    assert_eq!(serving.status(), "401", "before anybody has said so");
    serving.hang_up();
    serving.line("reloaded: ");
    assert_eq!(serving.status(), "403");
    fs::write(&filter, "no filter").unwrap();
    serving.hang_up();
    let line = serving.line("not reloaded, all stays as it was: ");
    assert!(line.contains("filter.wasm"), "{line}");
    assert_eq!(serving.status(), "403");
    // And once more: whoever waits for signals is still there.
    fs::write(&filter, answering(404)).unwrap();
    serving.hang_up();
    serving.line("reloaded: ");
    assert_eq!(serving.status(), "404");
}

/// The certificate that a server shows.
fn certificate(serving: &Serving, authority: &Path) -> Option<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    for root in portcullis::tls::certificates(authority).unwrap() {
        roots.add(root).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(&serving.address).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut socket).ok()?;
    }
    client.peer_certificates().map(|chain| chain[0].to_vec())
}

#[test]
fn certificates_that_were_renewed_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("filter.wasm"), answering(401)).unwrap();
    let renew = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("dev-credentials").arg("--dir").arg(folder.path().join(name));
        assert!(command.output().unwrap().status.success());
        for file in ["server.pem", "server.key"] {
            fs::copy(folder.path().join(name).join(file), folder.path().join(file)).unwrap();
        }
        folder.path().join(name).join("ca.pem")
    };
    let first = renew("first");
    let tls = ["--certificate", "server.pem", "--key", "server.key"];
    let serving = Serving::start(folder.path(), &tls);
    assert!(certificate(&serving, &first).is_some());
    let second = renew("second");
    serving.hang_up();
    serving.line("reloaded: ");
    assert!(certificate(&serving, &second).is_some());
    assert_eq!(certificate(&serving, &first), None);
    // A key that is not that of the certificate.
    fs::copy(folder.path().join("first/server.key"), folder.path().join("server.key")).unwrap();
    serving.hang_up();
    serving.line("not reloaded, all stays as it was: ");
    assert!(certificate(&serving, &second).is_some());
}
