//! A real rate limit service for several gates, its counters in a real Redis, and many requests at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::task::JoinSet;

use crate::backend::Place;
use crate::client::Connection;
use crate::process::Process;

/// A Redis that still knows what it has said it has counted after it was killed.
pub struct Redis {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    /// Starts one on a port that was free.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub fn start(place: &Place) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let directory = place.directory().join(format!("redis-{port}"));
        std::fs::create_dir(&directory)?;
        let program = place.tools.redis.clone();
        let mut redis = Self { program, directory, port, process: None };
        redis.resume()?;
        Ok(redis)
    }

    /// Kills it, without a chance to save anything.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, on the same port and with what it had written.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub fn resume(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]);
        let mut process = Process::start("Redis", command.arg(&self.directory))?;
        process.wait_for(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok())?;
        self.process = Some(process);
        Ok(())
    }
}

/// A rate limit service.
pub struct RateLimitService {
    address: SocketAddr,
    _process: Process,
}

impl RateLimitService {
    /// Starts one that lets each key of the limit `shared` have so many hits in so many seconds.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub fn start(place: &Place, redis: &Redis, hits: u32, seconds: u32) -> Result<Self> {
        let limits = json!([{
            "namespace": "portcullis", "max_value": hits, "seconds": seconds,
            "conditions": ["descriptors[0]['limit'] == 'shared'"],
            "variables": ["descriptors[0]['key']"],
        }]);
        let path = redis.directory.join("limits.json");
        std::fs::write(&path, limits.to_string()).with_context(|| path.display().to_string())?;
        let mut command = Command::new(&place.tools.rate_limit_service);
        command.arg("--redis").arg(format!("redis://127.0.0.1:{}", redis.port));
        let mut process =
            Process::start("the rate limit service", command.arg("--limits").arg(path))?;
        let address = process.wait_for(|output| output.lines().next()?.trim().parse().ok())?;
        Ok(Self { address, _process: process })
    }

    /// Where it listens.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// What came of many requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many answers of each status, and when after the start.
    pub answers: BTreeMap<u16, Vec<Duration>>,
    /// Requests that were not answered.
    pub lost: Vec<String>,
}

impl Tally {
    /// How many answers of a status.
    #[must_use]
    pub fn count(&self, status: u16) -> usize {
        self.answers.get(&status).map_or(0, Vec::len)
    }

    /// How many of them came after that time.
    #[must_use]
    pub fn count_after(&self, status: u16, time: Duration) -> usize {
        let times = self.answers.get(&status).into_iter().flatten();
        times.filter(|at| **at >= time).count()
    }
}

/// Requests to all gates for so long: at each, so many at a time, with a pause of some milliseconds behind each answer.
///
/// # Errors
///
/// There is no connection to a gate.
pub async fn load(
    gates: &[SocketAddr],
    place: &Place,
    path: &'static str,
    at_a_time: usize,
    duration: Duration,
) -> Result<Tally> {
    const PAUSE: Duration = Duration::from_millis(4);

    let mut connections = Vec::new();
    for gate in gates {
        connections.push(Connection::open(*gate, &place.trust).await?);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in connections {
        for _ in 0..at_a_time {
            let mut connection = connection.clone();
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while begun.elapsed() < duration {
                    let answer = connection.status(path).await;
                    answers.push((answer.map_err(|error| format!("{error:#}")), begun.elapsed()));
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            });
        }
    }
    let mut tally = Tally::default();
    while let Some(answers) = tasks.join_next().await {
        for (answer, at) in answers? {
            match answer {
                Ok(status) => tally.answers.entry(status).or_default().push(at),
                Err(error) => tally.lost.push(error),
            }
        }
    }
    Ok(tally)
}
