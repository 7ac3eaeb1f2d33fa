//! Child processes: started, listened to, and ended with whoever holds them.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Compiling a function takes a while where nothing is cached yet.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is kept of a child's output, in lines.
const KEPT_LINES: usize = 400;

/// A child and what it has said so far. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    output: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(command);
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(follow(stdout, &output));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(follow(stderr, &output));
        }
        Ok(Self { child, name: name.to_owned(), output, readers })
    }

    /// Everything kept of its output, one line below the other.
    pub(crate) fn output(&self) -> String {
        lock(&self.output).join("\n")
    }

    /// Asks `ready` until it gives something.
    pub(crate) fn wait_for<T>(&mut self, mut ready: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = ready(&self.output()) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                self.finish_reading();
                bail!("{} has ended ({status}):\n{}", self.name, self.output());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} is not ready after {PATIENCE:?}:\n{}", self.name, self.output());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                self.finish_reading();
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} has not ended after {PATIENCE:?}:\n{}", self.name, self.output());
    }

    fn finish_reading(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has nothing more to tell.
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; nothing of it is to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the child never waits for us.
fn follow(stream: impl Read + Send + 'static, output: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut lines = lock(&output);
            if lines.len() == KEPT_LINES {
                lines.remove(0);
            }
            lines.push(String::from_utf8_lossy(&line).chars().take(4096).collect());
        }
    })
}

fn lock(output: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the child end when the thread that starts it does, even by a signal that nobody can catch.
#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    let ask = || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(Into::into)
    };
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe; nothing is allocated and no lock
    // is taken.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
