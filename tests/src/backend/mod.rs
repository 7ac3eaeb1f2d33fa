//! The gate in its two runtimes, as the processes that users start.

#[cfg(feature = "chain")]
mod chain;
mod envoy;
mod jose;
mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::runtime::Handle;

pub use self::jose::Jose;
use crate::client::Trust;
use crate::credentials::{ASSERTION_KEY, Credentials, ISSUER};
use crate::key_server::{Identity, JWKS_PATH, KeyServer};
use crate::policy;
use crate::process::Process;
use crate::scenario::{Behind, Filters, KeyServerAction, Setup, StartRefused, UpstreamAction};
use crate::tools::Tools;
use crate::upstream::Echo;

/// A runtime of the filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `portcullis serve`.
    Serve,
    /// Real Envoy with the bootstrap of `portcullis envoy`.
    Envoy,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Serve, Self::Envoy];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serve => "serve",
            Self::Envoy => "Envoy",
        })
    }
}

/// What all gates of a test run share.
pub struct Place {
    pub(crate) tools: Tools,
    pub(crate) credentials: Credentials,
    pub(crate) trust: Trust,
    pub(crate) runtime: Handle,
    /// Where policies find the rate limit service, where there is one.
    pub rate_limit_service: Option<String>,
    /// How many workers an Envoy has.
    pub envoy_workers: u8,
    /// What decrypts, by the policy that it screens with.
    jose: Mutex<BTreeMap<String, Arc<Jose>>>,
    directory: TempDir,
}

impl Place {
    /// Finds the tools and makes the certificates, with `portcullis dev-credentials`.
    ///
    /// # Errors
    ///
    /// Something is not built yet, or does not work.
    pub fn new(runtime: &Handle) -> Result<Self> {
        let tools = Tools::find()?;
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(&tools.portcullis);
        command.arg("dev-credentials").arg("--dir").arg(directory.path().join("tls"));
        let output = command.output().context("portcullis dev-credentials")?;
        if !output.status.success() {
            bail!("portcullis dev-credentials: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Self {
            trust: Trust::of(&directory.path().join("tls/ca.pem"))?,
            tools,
            credentials: Credentials::default(),
            runtime: runtime.clone(),
            rate_limit_service: None,
            envoy_workers: 2,
            jose: Mutex::default(),
            directory,
        })
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("tls/server.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("tls/server.key")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The authority that vouches for the gate and for the key server.
    fn authority(&self) -> PathBuf {
        self.directory.path().join("tls/ca.pem")
    }

    fn policy(&self, name: &str, keys: &KeyServer) -> Result<PathBuf> {
        let service = self.rate_limit_service.as_deref();
        policy::write(name, &self.credentials, keys, service, self.directory.path())
    }

    fn key_server(&self) -> Result<KeyServer> {
        let (certificate, key) = (self.certificate(), self.key());
        let identity = Identity { certificate: &certificate, key: &key };
        let server = KeyServer::start(&self.runtime, Some(identity))?;
        server.set_issuer(ISSUER);
        server.put(JWKS_PATH, &self.credentials.jwks());
        Ok(server)
    }
}

/// The filters that together do what gate does, but for the signed statement: each has its own stages.
const CHAIN: [&str; 3] = ["jwt_auth", "rate_limit", "sanitize"];

/// What is behind a gate, as the gate is told.
#[derive(Debug, Clone, Copy)]
enum Upstream {
    /// A service at this address.
    Service(SocketAddr),
    /// The function, in the gate's own process.
    Function,
    /// A function at the first address, and at the second one what decrypts for it.
    Jose(SocketAddr, SocketAddr),
}

/// A running gate.
pub struct Backend {
    kind: Kind,
    setup: Setup,
    echo: Option<Echo>,
    function: Option<Function>,
    jose: Option<Arc<Jose>>,
    keys: KeyServer,
    gate: Gate,
}

/// What requests come to.
struct Gate {
    address: SocketAddr,
    running: Running,
}

enum Running {
    Process(Process),
    #[cfg(feature = "chain")]
    Here(chain::Chain),
}

impl Backend {
    /// Starts a gate, and what is behind it.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub fn start(place: &Place, kind: Kind, setup: &Setup) -> Result<Self> {
        let echo = match setup.behind {
            Behind::Echo => {
                let is_http2 = kind == Kind::Envoy && setup.upstream_http2;
                let key = place.credentials.assertion_key();
                Some(Echo::start(&place.runtime, key, is_http2)?)
            }
            Behind::Function | Behind::Jose => None,
        };
        let jose = match setup.behind {
            Behind::Jose => Some(place.jose(&setup.policy)?),
            Behind::Echo | Behind::Function => None,
        };
        let function = match (setup.behind, kind) {
            (Behind::Function, Kind::Envoy) => Some(Function::start(place)?),
            _ => None,
        };
        let keys = place.key_server()?;
        let policy = place.policy(&setup.policy, &keys)?;
        let upstream = upstream(&echo, &function, &jose);
        let gate = Self::gate(place, kind, setup, &policy, upstream)?;
        Ok(Self { kind, setup: setup.clone(), echo, function, jose, keys, gate })
    }

    fn gate(
        place: &Place,
        kind: Kind,
        setup: &Setup,
        policy: &Path,
        upstream: Upstream,
    ) -> Result<Gate> {
        let secrets = place.credentials.secrets();
        match (kind, setup.filters) {
            (Kind::Serve, Filters::Gate) => serve::start(place, policy, upstream, &secrets),
            #[cfg(feature = "chain")]
            (Kind::Serve, Filters::Chain) => chain::start(place, policy, upstream, secrets),
            #[cfg(not(feature = "chain"))]
            (Kind::Serve, Filters::Chain) => bail!("needs the feature `chain`"),
            (Kind::Envoy, _) => envoy::start(place, policy, setup, upstream, &secrets),
        }
        .with_context(|| format!("starting {kind}"))
    }

    /// Where requests go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.gate.address
    }

    /// How many requests the upstream has seen; none is counted by functions.
    #[must_use]
    pub fn upstream_requests(&self) -> usize {
        self.echo.as_ref().map_or(0, Echo::requests)
    }

    /// Stops or starts the upstream.
    ///
    /// # Errors
    ///
    /// There is none to stop, or its port is gone.
    pub fn upstream(&mut self, action: UpstreamAction) -> Result<()> {
        let echo = self.echo.as_mut().context("only an echo can be stopped and started")?;
        match action {
            UpstreamAction::Stop => {
                echo.stop();
                Ok(())
            }
            UpstreamAction::Start => echo.resume(),
        }
    }

    /// Changes the key server, or looks at what has been asked of it.
    ///
    /// # Errors
    ///
    /// Its port is gone, or it has been asked more or less often than it should have been.
    pub fn key_server(&mut self, place: &Place, action: &KeyServerAction) -> Result<()> {
        match action {
            KeyServerAction::Behave(behaviour) => self.keys.behave(*behaviour),
            KeyServerAction::Keys(keys) => {
                self.keys.put(JWKS_PATH, &place.credentials.jwks_of(keys));
            }
            KeyServerAction::Put { path, json } if json.is_null() => self.keys.remove(path),
            KeyServerAction::Put { path, json } => self.keys.put(path, json),
            KeyServerAction::Disappear => self.keys.disappear(),
            KeyServerAction::Appear => self.keys.appear()?,
            KeyServerAction::Asked { path, at_least, at_most } => {
                let asked = self.keys.requests(path);
                if asked < *at_least || asked > *at_most {
                    bail!("expected {at_least} to {at_most} requests for {path}, got {asked}");
                }
            }
        }
        Ok(())
    }

    /// Stops the gate and starts one with another policy in its place.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn restart_with(&mut self, place: &Place, policy: &str) -> Result<()> {
        let upstream = upstream(&self.echo, &self.function, &self.jose);
        let policy = place.policy(policy, &self.keys)?;
        self.gate = Self::gate(place, self.kind, &self.setup, &policy, upstream)?;
        Ok(())
    }

    /// Starts another gate, which must refuse to: with exit code 2 where it is ours, any but 0 where it is Envoy.
    ///
    /// # Errors
    ///
    /// It starts all the same, or does not say why not.
    pub fn start_refused(&self, place: &Place, refused: &StartRefused) -> Result<()> {
        let policy = place.policy(&refused.policy, &self.keys)?;
        let mut secrets = place.credentials.secrets();
        if let Some(name) = &refused.without_secret {
            secrets.remove(name).with_context(|| format!("there is no secret {name}"))?;
        }
        let upstream = upstream(&self.echo, &self.function, &self.jose);
        let mut process = match self.kind {
            Kind::Serve => serve::spawn(place, &policy, upstream, &secrets)?,
            Kind::Envoy => {
                let setup = Setup { filters: Filters::Gate, ..self.setup.clone() };
                match envoy::bootstrap(place, &policy, &setup, upstream) {
                    Ok(bootstrap) => envoy::spawn(place, &bootstrap, &secrets)?,
                    Err(error) => return says(&format!("{error:#}"), &refused.log),
                }
            }
        };
        let status = process.wait()?;
        if status.success() || (self.kind == Kind::Serve && status.code() != Some(2)) {
            bail!("expected a refusal to start, got {status}:\n{}", process.output());
        }
        says(&process.output(), &refused.log)
    }

    /// What the gate has said, for who looks for an error.
    #[must_use]
    pub fn log(&self) -> String {
        match &self.gate.running {
            Running::Process(process) => process.output(),
            #[cfg(feature = "chain")]
            Running::Here(chain) => chain.log(),
        }
    }
}

fn says(log: &str, expected: &str) -> Result<()> {
    if !log.contains(expected) {
        bail!("expected a log with {expected:?}, got:\n{log}");
    }
    Ok(())
}

fn upstream(
    echo: &Option<Echo>,
    function: &Option<Function>,
    jose: &Option<Arc<Jose>>,
) -> Upstream {
    match (echo, function, jose) {
        (Some(echo), ..) => Upstream::Service(echo.address()),
        (None, Some(function), _) => Upstream::Service(function.address()),
        (None, None, Some(jose)) => Upstream::Jose(jose.function(), jose.address()),
        (None, None, None) => Upstream::Function,
    }
}

/// A function without a gate: `portcullis function`.
pub struct Function {
    address: SocketAddr,
    _process: Process,
}

impl Function {
    /// Starts the scam detector.
    ///
    /// # Errors
    ///
    /// It does not start; the error has its log.
    pub fn start(place: &Place) -> Result<Self> {
        let mut command = Command::new(&place.tools.portcullis);
        command.arg("function").arg(place.tools.artifact("scam_detector"));
        command.args(["--listen", "127.0.0.1:0"]);
        function_variable(&mut command, &place.credentials.secrets());
        let mut process = Process::start("portcullis function", &mut command)?;
        let address = process.wait_for(|output| listening(output, "http://"))?;
        Ok(Self { address, _process: process })
    }

    /// Where it listens, without TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Gives a function its key, the gate's, in a way that other users of the machine do not see.
fn function_variable(command: &mut Command, secrets: &BTreeMap<String, String>) {
    if let Some(key) = secrets.get(ASSERTION_KEY) {
        command.env("PORTCULLIS_VARIABLE_ASSERTION_KEY", key);
    }
}

/// The address in the line `listening on https://127.0.0.1:12345`.
fn listening(output: &str, scheme: &str) -> Option<SocketAddr> {
    let prefix = format!("listening on {scheme}");
    output.lines().find_map(|line| line.strip_prefix(&prefix)?.trim_end_matches('/').parse().ok())
}
