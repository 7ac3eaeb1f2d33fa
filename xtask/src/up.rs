//! `cargo xtask up`: the whole gate on this machine, from one command.
//!
//! The scam detector runs in the component host, real Envoy with the gate filter stands in front of it
//! and speaks TLS. What decrypts requests for it (`jose`) has a process of its own: the model is not to know its keys. The token issuer runs behind a gate of its own, in the host that needs no Envoy: who
//! asks for a token has none, so what holds there is another policy. Everything listens on loopback and
//! ends with us.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::artifacts::{self, Part};
use crate::demo::Demo;
use crate::envoy;
use crate::issuer::{self, Client, Issuer};
use crate::process;
use crate::service::Service;
use crate::step::Step;
use crate::workspace::Workspace;

/// What `up` was asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Port of the gate on 127.0.0.1 (TLS); 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,

    /// Send the example requests, print every answer, and exit 0 only if each is the expected one
    #[arg(long)]
    demo: bool,
}

/// Builds everything, runs it, and returns when interrupted or when the demo is through.
pub(crate) fn up(workspace: &Workspace, options: &Options) -> Result<()> {
    // Before the builds: nobody waits ten minutes to learn that a port is taken.
    let gate = reserve(options.port)?;
    envoy::ensure(workspace)?;
    artifacts::build(workspace, &Part::ALL)?;

    let secrets = dev_credentials(workspace)?;
    let mut stage = Stage { workspace, secrets, services: Vec::new() };
    let function = stage.start_function()?;
    let issuer = stage.start_issuer()?;
    let policy = stage.write_policy(issuer.address)?;
    let jose = stage.start_jose(&policy, function)?;
    let admin = reserve(0)?;
    // Again, as the builds may have taken long.
    let gate = reserve(gate.port())?;
    stage.start_envoy(gate, admin, &policy, Behind { function, jose })?;

    let issuer_address = issuer.address;
    let demo = Demo::prepare(workspace, gate, issuer);
    if options.demo {
        return demo.run(|| stage.check());
    }
    println!();
    println!("Portcullis is up.");
    println!();
    println!("  gate      https://{gate}         real Envoy {}, TLS", envoy::VERSION);
    println!("  admin     http://{admin}         Envoy's own: statistics, configuration");
    println!(
        "  function  http://{function}         the scam detector; it answers nobody but the gate"
    );
    println!("  jose      http://{jose}         what decrypts encrypted requests for it");
    println!(
        "  issuer    http://{issuer_address}         where clients get tokens, behind a gate as well"
    );
    println!("  logs      {}", workspace.display(&workspace.dev().join("*.log")));
    println!();
    println!(
        "To try it, in another terminal, from the first line on (a token is good for 15 minutes):"
    );
    println!();
    println!("{demo}");
    println!("Ctrl-C ends it all.");
    stage.watch()
}

/// The policy that `up` enforces, and the one in front of the issuer.
const POLICY: &str = "policy/default.yaml";
const ISSUER_POLICY: &str = "policy/token-issuer.yaml";

/// The key set that the policy names, in place of which the gate fetches that of the issuer that `up` starts.
const KEY_SET: &str = "{ file: ../target/portcullis/dev/issuer.jwks.json }";

/// What that policy accepts tokens from, and for.
pub(crate) const ISSUER: &str = "https://issuer.portcullis.local";
pub(crate) const AUDIENCE: &str = "scam-detector";

/// What of the gate's paths goes to `jose`: the function's own paths below the first one, and its public keys.
pub(crate) const ENCRYPTED: &str = "/encrypted/";
pub(crate) const ENCRYPTION_KEYS: &str = "/.well-known/jwks.json";

/// The principals of the examples. The second one is there to be too eager: the limit is per
/// principal, and the other examples should not suffer from it.
const NEWCOMER: &str = "newcomer";
const EAGER: &str = "eager";

/// Makes the certificates, keys and secrets of this checkout, where they are not there yet, and answers
/// the secrets as environment variables.
fn dev_credentials(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let folder = workspace.dev();
    let mut command = workspace.command(workspace.portcullis());
    process::run(command.arg("dev-credentials").arg("--dir").arg(&folder))?;
    let path = folder.join("secrets.env");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    secrets_in(&text).with_context(|| format!("reading {}", path.display()))
}

/// Reads lines of NAME=VALUE. No error shows a value.
fn secrets_in(text: &str) -> Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {number}: expected NAME=VALUE");
        };
        secrets.push((name.to_owned(), value.to_owned()));
    }
    Ok(secrets)
}

/// What is behind the gate.
struct Behind {
    function: SocketAddr,
    jose: SocketAddr,
}

/// What is running.
struct Stage<'a> {
    workspace: &'a Workspace,
    secrets: Vec<(String, String)>,
    services: Vec<Service>,
}

impl Stage<'_> {
    /// The scam detector in the component host; answers where it listens.
    fn start_function(&mut self) -> Result<SocketAddr> {
        let step =
            Step::begin("function", "starting the scam detector (20 seconds the first time)");
        let mut command = self.portcullis();
        command.arg("function").arg(self.workspace.artifacts().join("scam_detector.wasm"));
        command.args(["--listen", "127.0.0.1:0"]);
        // By the environment: other users of this machine can read arguments.
        command.env("PORTCULLIS_VARIABLE_ASSERTION_KEY", self.secret("PORTCULLIS_ASSERTION_KEY")?);
        // What is kept of tenants is gone with the process, and may have a key of its own each time.
        command.env("PORTCULLIS_VARIABLE_TENANT_KEY", issuer::random_key()?);
        command.env("PORTCULLIS_VARIABLE_RETENTION_DAYS", "1");
        let mut service = Service::start("function", &mut command, &self.workspace.dev())?;
        let address = service.wait_for(FUNCTION_STARTS_WITHIN, Service::address)?;
        self.services.push(service);
        step.done(&format!("http://{address}"));
        Ok(address)
    }

    /// The token issuer behind its gate.
    fn start_issuer(&mut self) -> Result<Issuer> {
        let step = Step::begin("issuer", "starting the token issuer (20 seconds the first time)");
        let client = |id| Client::new(self.portcullis(), id, AUDIENCE);
        let clients = [client(NEWCOMER)?, client(EAGER)?];
        let mut command = self.portcullis();
        command.args(["serve", "--policy", ISSUER_POLICY, "--listen", "127.0.0.1:0"]);
        command.arg("--filter").arg(self.workspace.artifacts().join("gate.wasm"));
        command.arg("--function").arg(self.workspace.artifacts().join("token_issuer.wasm"));
        command.envs(issuer::variables(ISSUER, &clients)?);
        let mut service = Service::start("issuer", &mut command, &self.workspace.dev())?;
        let address = service.wait_for(FUNCTION_STARTS_WITHIN, Service::address)?;
        self.services.push(service);
        step.done(&format!("http://{address}"));
        let [newcomer, eager] = clients;
        Ok(Issuer { address, newcomer, eager })
    }

    /// The policy with the keys of our issuer, wherever it listens, in place of those that `portcullis token mint` signs with.
    fn write_policy(&self, issuer: SocketAddr) -> Result<PathBuf> {
        let text = fs::read_to_string(self.workspace.root().join(POLICY))
            .with_context(|| format!("reading {POLICY}"))?;
        if text.matches(KEY_SET).count() != 1 {
            bail!("{POLICY}: expected the key set {KEY_SET} once");
        }
        let path = self.workspace.dev().join("policy.yaml");
        let remote = format!("{{ remote: {{ uri: http://{issuer}/jwks }} }}");
        fs::write(&path, text.replace(KEY_SET, &remote))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// What decrypts requests for the function, with the input stage of the gate's own policy.
    fn start_jose(&mut self, policy: &Path, function: SocketAddr) -> Result<SocketAddr> {
        let step =
            Step::begin("jose", "starting what decrypts requests (20 seconds the first time)");
        let mut check = self.portcullis();
        check.args(["check", "--format", "document"]).arg(policy);
        let document = process::text(&mut check)?;
        let mut command = self.portcullis();
        command.arg("function").arg(self.workspace.artifacts().join("jose.wasm"));
        command.args(["--listen", "127.0.0.1:0", "--allow-host", &format!("http://{function}")]);
        let assertion_key = self.secret("PORTCULLIS_ASSERTION_KEY")?;
        for (name, value) in [
            ("ASSERTION_KEY", assertion_key.to_owned()),
            // Its keys are gone with the process, as well.
            ("KEY_ENCRYPTION_KEY", issuer::random_key()?),
            ("INPUT_POLICY", document),
            ("UPSTREAM", format!("http://{function}")),
            ("PATH_PREFIX", ENCRYPTED.trim_end_matches('/').to_owned()),
        ] {
            command.env(format!("PORTCULLIS_VARIABLE_{name}"), value);
        }
        let mut service = Service::start("jose", &mut command, &self.workspace.dev())?;
        let address = service.wait_for(FUNCTION_STARTS_WITHIN, Service::address)?;
        self.services.push(service);
        step.done(&format!("http://{address}"));
        Ok(address)
    }

    fn start_envoy(
        &mut self,
        gate: SocketAddr,
        admin: SocketAddr,
        policy: &Path,
        behind: Behind,
    ) -> Result<()> {
        let step = Step::begin("gate", "starting Envoy with the gate filter (some seconds)");
        let dev = self.workspace.dev();
        let bootstrap = dev.join("envoy.yaml");
        let mut command = self.portcullis();
        command.arg("envoy").arg("--policy").arg(policy);
        command.arg("--filter").arg(self.workspace.artifacts().join("gate.wasm"));
        command.arg("--certificate").arg(dev.join("server.pem"));
        command.arg("--key").arg(dev.join("server.key"));
        command.args(["--listen", &gate.to_string(), "--admin", &admin.to_string()]);
        command.args(["--upstream", &behind.function.to_string()]);
        for path in [ENCRYPTED, ENCRYPTION_KEYS] {
            command.args(["--upstream-at", &format!("{path}={}", behind.jose)]);
        }
        let text = process::text(&mut command)?;
        fs::write(&bootstrap, text).with_context(|| format!("writing {}", bootstrap.display()))?;

        let mut command = self.workspace.command(self.workspace.envoy());
        command.arg("--config-path").arg(&bootstrap);
        // Several of them may run side by side.
        command.args(["--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning"]);
        command.envs(self.secrets.iter().cloned());
        let mut service = Service::start("envoy", &mut command, &dev)?;
        service.wait_for(ENVOY_STARTS_WITHIN, |_| {
            (is_ready(admin).unwrap_or(false) && TcpStream::connect(gate).is_ok()).then_some(())
        })?;
        self.services.push(service);
        step.done(&format!("https://{gate}"));
        Ok(())
    }

    fn portcullis(&self) -> Command {
        let mut command = self.workspace.command(self.workspace.portcullis());
        command.envs(self.secrets.iter().cloned());
        command
    }

    fn secret(&self, name: &str) -> Result<&str> {
        let secret = self.secrets.iter().find(|(candidate, _)| candidate == name);
        let (_, value) = secret.with_context(|| format!("secrets.env has no {name}"))?;
        Ok(value)
    }

    /// An error when a service has ended.
    fn check(&mut self) -> Result<()> {
        self.services.iter_mut().try_for_each(Service::check)
    }

    /// Stays until we are interrupted, or something has ended that should not have.
    fn watch(mut self) -> Result<()> {
        while !process::interrupted() {
            self.check()?;
            thread::sleep(Duration::from_millis(200));
        }
        // Envoy first: it should not see its upstream go away.
        while let Some(service) = self.services.pop() {
            drop(service);
        }
        eprintln!("✔ ended; nothing is left running");
        Ok(())
    }
}

/// wasmtime compiles a component of several MB the first time, and keeps the result.
const FUNCTION_STARTS_WITHIN: Duration = Duration::from_secs(180);
const ENVOY_STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Sees that a port on loopback can be had; port 0 becomes a free one.
fn reserve(port: u16) -> Result<SocketAddr> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} is in use on 127.0.0.1. Remedy: end what listens there, or choose another \
             with `cargo xtask up --port PORT`"
        ),
        _ => anyhow::Error::new(error).context(format!("listening on {address}")),
    })?;
    listener.local_addr().context("asking for the port")
}

/// Envoy's own word for it: `GET /ready` on the admin port.
fn is_ready(admin: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(&head == b"HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_said_so() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = reserve(port).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is in use")), "{error}");
        assert_ne!(reserve(0).unwrap().port(), 0);
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let secrets = secrets_in("# made by up\n\nA=b=c\n").unwrap();
        assert_eq!(secrets, [("A".to_owned(), "b=c".to_owned())]);
        let error = secrets_in("A=b\nhunter2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn readiness_is_status_200_and_nothing_else() {
        for (answer, ready) in
            [("HTTP/1.1 200 OK\r\n\r\nLIVE", true), ("HTTP/1.1 503 No\r\n\r\n", false)]
        {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 256]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(is_ready(address).unwrap(), ready);
            server.join().unwrap();
        }
    }

    #[test]
    fn a_service_that_ends_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'no such filter' >&2; exit 1"]);
        let mut service = Service::start("envoy", &mut command, folder.path()).unwrap();
        let error = service.wait_for(Duration::from_secs(10), |_| None::<()>).unwrap_err();
        assert!(error.to_string().contains("no such filter"), "{error}");
    }
}
