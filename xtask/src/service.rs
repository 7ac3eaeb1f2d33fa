//! The servers that `cargo xtask up` starts.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::error::Interrupted;
use crate::process::{self, Group};

/// A server that we started, with its log.
pub(crate) struct Service {
    name: &'static str,
    group: Group,
    log: PathBuf,
}

impl Service {
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let twin = file.try_clone().with_context(|| format!("opening {}", log.display()))?;
        let command = command.stdin(Stdio::null()).stdout(file).stderr(twin);
        Ok(Self { name, group: Group::spawn(command)?, log })
    }

    /// Where it listens, once it has said so.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let line = log.lines().find_map(|line| line.strip_prefix("listening on http://"));
        line.and_then(|address| address.trim().trim_end_matches('/').parse().ok())
    }

    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.group.ended()? else { return Ok(()) };
        let log = fs::read(&self.log).unwrap_or_default();
        bail!(
            "{} ended ({status}): {} (more in {})",
            self.name,
            process::last_words(&log),
            self.log.display()
        )
    }

    /// Asks until there is an answer.
    pub(crate) fn wait_for<T>(
        &mut self,
        patience: Duration,
        mut ask: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(answer) = ask(self) {
                return Ok(answer);
            }
            self.check()?;
            if process::interrupted() {
                bail!(Interrupted);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} is not ready after {} s; see {}",
                    self.name,
                    patience.as_secs(),
                    self.log.display()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
