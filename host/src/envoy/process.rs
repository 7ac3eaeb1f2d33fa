//! A real Envoy as a child process, on loopback, for as long as its owner lives.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::Bootstrap;

/// An Envoy that is ready for requests. It ends when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    address: SocketAddr,
    /// The lines that filters log, in their order.
    filter_log: mpsc::Receiver<String>,
    /// Holds the bootstrap.
    _directory: tempfile::TempDir,
}

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// It could not be started at all.
    #[error("{}: {error}", path.display())]
    Start {
        /// The binary.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("Envoy ended before it was ready: {0}")]
    Ended(String),
    /// It is neither ready nor dead.
    #[error("Envoy is not ready after {seconds} s: {0}", seconds = READY_WITHIN.as_secs())]
    NotReady(String),
}

/// V8 compiles the filter for some seconds, and for longer on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The longest line of a log that is kept, in bytes.
const MAXIMUM_LINE: u64 = 64 * 1024;

/// The last words of an Envoy that ends, in lines.
const KEPT_LINES: usize = 20;

/// Lines of filters that nobody has taken yet; further ones are dropped.
const MAXIMUM_PENDING_LINES: usize = 1024;

impl Envoy {
    /// Starts `binary` with one worker and waits until it is ready. The bootstrap's `listen` and `admin` should have
    /// port 0. The environment is `secrets` and nothing else. On Linux the child also ends when the *thread* that called
    /// this ends, so that it outlives nothing, not even a killed parent.
    ///
    /// # Errors
    ///
    /// The binary cannot be started, or it refuses the bootstrap or the filter its configuration.
    pub fn start(
        binary: &Path,
        bootstrap: &Bootstrap,
        secrets: &[(String, Zeroizing<String>)],
    ) -> Result<Self, EnvoyError> {
        let unstartable = |error| EnvoyError::Start { path: binary.to_owned(), error };
        let directory = tempfile::tempdir().map_err(unstartable)?;
        let config = directory.path().join("bootstrap.yaml");
        let admin_file = directory.path().join("admin");
        std::fs::write(&config, bootstrap.to_yaml()).map_err(unstartable)?;

        let mut command = Command::new(binary);
        command.arg("--config-path").arg(&config).arg("--admin-address-path").arg(&admin_file);
        command.args(["--concurrency", "1", "--disable-hot-restart"]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
        command.args(["--log-format", "%n %l %v"]);
        command.env_clear();
        for (name, value) in secrets {
            command.env(name, value.as_str());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let mut child = command.spawn().map_err(unstartable)?;

        let (lines, filter_log) = mpsc::sync_channel(MAXIMUM_PENDING_LINES);
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let last_words = Arc::clone(&last_words);
            std::thread::spawn(move || follow(stderr, &lines, &last_words));
        }
        let starting = Starting { child, admin_file, last_words };
        let (child, address) = starting.ready()?;
        Ok(Self { child, address, filter_log, _directory: directory })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets go of all lines that filters have logged.
    pub fn skip_filter_lines(&self) {
        while self.filter_log.try_recv().is_ok() {}
    }

    /// The next line that a filter logs, or none within `patience`.
    #[must_use]
    pub fn filter_line(&self, patience: Duration) -> Option<String> {
        self.filter_log.recv_timeout(patience).ok()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // Nothing of it is to be saved.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    let ask = || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(Into::into)
    };
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe; nothing is
    // allocated and no lock is taken.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}

/// Reads the log to its end, so that Envoy never waits for us.
fn follow(
    stderr: impl Read,
    lines: &mpsc::SyncSender<String>,
    last_words: &Mutex<VecDeque<String>>,
) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(MAXIMUM_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        // `wasm log gate portcullis: …`, at level info: a filter's own line.
        if let Some(line) = line.strip_prefix("wasm info ") {
            let _ = lines.try_send(line.to_owned());
            continue;
        }
        let mut last_words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if last_words.len() == KEPT_LINES {
            last_words.pop_front();
        }
        last_words.push_back(line.to_owned());
    }
}

/// An Envoy that is not ready yet; it ends with the attempt to wait for it.
struct Starting {
    child: Child,
    admin_file: PathBuf,
    last_words: Arc<Mutex<VecDeque<String>>>,
}

impl Starting {
    fn ready(mut self) -> Result<(Child, SocketAddr), EnvoyError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(address) = self.listener() {
                return Ok((self.child, address));
            }
            if self.child.try_wait().ok().flatten().is_some() {
                // Its last lines may still be on their way.
                std::thread::sleep(Duration::from_millis(100));
                return Err(EnvoyError::Ended(self.reason()));
            }
            if Instant::now() > deadline {
                end(&mut self.child);
                return Err(EnvoyError::NotReady(self.reason()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The listener's address, once everything is ready.
    fn listener(&self) -> Option<SocketAddr> {
        let admin = std::fs::read_to_string(&self.admin_file).ok()?.trim().parse().ok()?;
        if !ask(admin, "/ready")?.starts_with("HTTP/1.1 200") {
            return None;
        }
        let answer = ask(admin, "/listeners?format=json")?;
        // It may come in one chunk, whose length is around it.
        let body = answer.get(answer.find('{')?..=answer.rfind('}')?)?;
        let listeners: serde_json::Value = serde_json::from_str(body).ok()?;
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
        Some(SocketAddr::new(address["address"].as_str()?.parse().ok()?, port))
    }

    /// What the log says of it: the filter's reason, else the last critical line, else the last.
    fn reason(&self) -> String {
        let last_words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |prefix: &str| last_words.iter().find_map(|line| line.strip_prefix(prefix));
        let reason = of("wasm critical ")
            .or_else(|| of("main critical "))
            .or_else(|| of("config critical "));
        let last = || last_words.back().map(String::as_str);
        reason.or_else(last).unwrap_or("it said nothing").to_owned()
    }
}

/// One request to Envoy's administration.
fn ask(admin: SocketAddr, path: &str) -> Option<String> {
    const LIMIT: u64 = 1 << 20;
    let patience = Duration::from_secs(2);

    let mut stream = TcpStream::connect_timeout(&admin, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(LIMIT).read_to_string(&mut answer).ok()?;
    Some(answer)
}
