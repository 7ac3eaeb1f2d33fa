//! What decrypts requests for the function: `portcullis function jose.wasm`, with the function behind it.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::envoy::ask;
use super::{Function, Place, function_variable, listening};
use crate::process::Process;

/// What of the gate's paths goes there.
const ENCRYPTED: &str = "/encrypted/";
const KEYS: &str = "/.well-known/jwks.json";

/// A running one.
pub struct Jose {
    address: SocketAddr,
    function: Function,
    /// The public key that requests are encrypted to.
    key: Value,
    _process: Process,
}

impl Jose {
    /// Where it listens, without TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the function behind it listens.
    pub(super) fn function(&self) -> SocketAddr {
        self.function.address()
    }

    /// The public key that requests are encrypted to.
    #[must_use]
    pub fn key(&self) -> &Value {
        &self.key
    }

    /// The arguments of `portcullis serve` and `portcullis envoy`.
    pub(super) fn arguments(address: &impl std::fmt::Display) -> [String; 4] {
        let option = || "--upstream-at".to_owned();
        [option(), format!("{ENCRYPTED}={address}"), option(), format!("{KEYS}={address}")]
    }

    /// Starts it, and a function of its own, with a policy of the tests.
    fn start(place: &Place, policy: &str) -> Result<Self> {
        let function = Function::start(place)?;
        let origin = format!("http://{}", function.address());
        let policy = place.policy(policy, &place.key_server()?)?;
        let document = fs::read_to_string(&policy).with_context(|| policy.display().to_string())?;
        let mut command = Command::new(&place.tools.portcullis);
        command.arg("function").arg(place.tools.artifact("jose"));
        command.args(["--listen", "127.0.0.1:0", "--allow-host", &origin]);
        function_variable(&mut command, &place.credentials.secrets());
        for (name, value) in [
            // Any will do: it protects nothing.
            ("KEY_ENCRYPTION_KEY", &*"am9zZSBvZiB0aGUgdGVzdHMh".repeat(2)),
            ("INPUT_POLICY", &document),
            ("UPSTREAM", &origin),
            ("PATH_PREFIX", ENCRYPTED.trim_end_matches('/')),
        ] {
            command.env(format!("PORTCULLIS_VARIABLE_{name}"), value);
        }
        let mut process = Process::start("portcullis function jose", &mut command)?;
        let address = process.wait_for(|output| listening(output, "http://"))?;
        let key = key(address).with_context(|| format!("no public key:\n{}", process.output()))?;
        Ok(Self { address, function, key, _process: process })
    }
}

impl Place {
    /// What decrypts with a policy, started when it is first needed. All gates share it.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn jose(&self, policy: &str) -> Result<Arc<Jose>> {
        let mut running = self.jose.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jose) = running.get(policy) {
            return Ok(Arc::clone(jose));
        }
        let jose = Arc::new(Jose::start(self, policy)?);
        running.insert(policy.to_owned(), Arc::clone(&jose));
        Ok(jose)
    }
}

fn key(address: SocketAddr) -> Option<Value> {
    let answer = ask(address, KEYS)?;
    let body = answer.get(answer.find('{')?..=answer.rfind('}')?)?;
    let set: Value = serde_json::from_str(body).ok()?;
    set.pointer("/keys/0").cloned()
}
