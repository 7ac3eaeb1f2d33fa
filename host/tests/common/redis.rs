//! A real Redis, which PORTCULLIS_REDIS names.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server of one test on a port of its own, which remembers what it has answered.
pub struct Redis {
    server: Child,
    folder: TempDir,
    port: u16,
    /// A certificate and its key, in PEM, where it speaks TLS.
    tls: Option<[PathBuf; 2]>,
}

impl Redis {
    /// None where no program is known: then the test says that it was left out.
    pub fn start() -> Option<Self> {
        Self::start_as(None)
    }

    /// One that speaks nothing but TLS.
    pub fn start_tls(certificate: PathBuf, key: PathBuf) -> Option<Self> {
        Self::start_as(Some([certificate, key]))
    }

    fn start_as(tls: Option<[PathBuf; 2]>) -> Option<Self> {
        if std::env::var_os("PORTCULLIS_REDIS").is_none() {
            static SAID: OnceLock<()> = OnceLock::new();
            SAID.get_or_init(|| {
                eprintln!("\nLEFT OUT: Redis. Set PORTCULLIS_REDIS to a redis-server.\n");
            });
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self::spawn(port, &folder, tls.as_ref());
        Some(Self { server, folder, port, tls })
    }

    fn spawn(port: u16, folder: &TempDir, tls: Option<&[PathBuf; 2]>) -> Child {
        let mut command = Command::new(std::env::var_os("PORTCULLIS_REDIS").unwrap());
        let port_text = port.to_string();
        match tls {
            None => command.args(["--port", &port_text]),
            Some([certificate, key]) => {
                command.args(["--port", "0", "--tls-port", &port_text, "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key)
            }
        };
        command.args(["--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
        let server = command.arg(folder.path()).stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no redis-server on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the server as a crash does.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again after that.
    pub fn start_again(&mut self) {
        self.server = Self::spawn(self.port, &self.folder, self.tls.as_ref());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
