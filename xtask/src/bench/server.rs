//! One program under measurement.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::START_TIMEOUT;
use super::program::Program;
use crate::workspace::Workspace;

/// Dropped, the program ends.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
}

/// Two cores that this process may use: for what is measured, for the load.
pub(super) fn cores() -> Result<(usize, usize)> {
    let allowed = sched_getaffinity(None).context("asking which cores may be used")?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    match (cores.next(), cores.next()) {
        (Some(first), Some(second)) => Ok((first, second)),
        _ => bail!("expected two cores, one for what is measured and one for the load, found one"),
    }
}

/// Pins this thread, and the processes it starts from now on, to one core.
pub(super) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pinning to core {core}"))
}

impl Server {
    pub(super) fn start(workspace: &Workspace, program: &Program) -> Result<Self> {
        // The port is free for the moment between here and the program's own bind.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = workspace.bench();
        fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{}.log", program.file_name()));
        // What is read there after a failure is of this run.
        fs::write(&log, "").with_context(|| format!("writing {}", log.display()))?;
        let child = program
            .command(workspace, &folder, &log, address.port())?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", program.name()))?;
        let mut server = Self { child, address };
        server
            .wait_until_ready()
            .with_context(|| format!("{}, see {}", program.name(), log.display()))?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status})");
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("it was not ready after {} s", START_TIMEOUT.as_secs())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn cpu_time(&self) -> Result<Duration> {
        cpu_time(self.child.id())
    }
}

/// The time that all threads of a process have spent on a processor.
pub(super) fn cpu_time(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = text.split_ascii_whitespace().next().unwrap_or_default();
        nanoseconds += first.parse::<u64>().context("reading schedstat")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

impl Server {
    /// The memory that is resident, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = kibibytes.and_then(|text| text.split_ascii_whitespace().next());
        let kibibytes: u64 =
            kibibytes.context("reading VmRSS")?.parse().context("reading VmRSS")?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
