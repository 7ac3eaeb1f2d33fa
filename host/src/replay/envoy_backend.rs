//! Requests judged by a real Envoy, as clients would send them.
//!
//! Envoy's own codec refuses some requests before the filter sees them. Where the problem document that it then sends
//! (see [`crate::envoy`]) has a type of the policy's, the verdict is that; else the stage is `proxy` and there is
//! no reason.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_policy::{PROBLEM_TYPE_PREFIX, Reason};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Backend, Decision, Request, Verdict, VerdictFinding};
use crate::bundle::Bundle;
use crate::cli::Failure;
use crate::envoy::wire::{Answer, Connection, WireError};
use crate::envoy::{Bootstrap, Envoy, Sizes, Upstream};

/// A real Envoy with the gate filter and nothing behind it.
#[derive(Debug)]
pub struct EnvoyBackend {
    envoy: Envoy,
    clock_header: String,
    connection: Option<Connection>,
}

/// How long Envoy may take to write the record of a request that it has answered.
const RECORD_WITHIN: Duration = Duration::from_secs(5);

impl EnvoyBackend {
    /// Starts `binary` with `filter`, and ends it when dropped. Call it on the thread that stays longest.
    ///
    /// # Errors
    ///
    /// Envoy does not start, or the filter refuses the policy.
    pub fn start(
        binary: &Path,
        filter: &Path,
        bundle: &Bundle,
        secrets: &[(String, Zeroizing<String>)],
    ) -> Result<Self, Failure> {
        // Nobody who wrote the requests can know its name, so none of them has it.
        let clock_header = format!("x-clock-{}", uuid::Uuid::new_v4().simple());
        let anywhere = "127.0.0.1:0".parse().map_err(Failure::runtime)?;
        let filter = std::path::absolute(filter).map_err(Failure::runtime)?;
        let bootstrap = Bootstrap {
            policy: bundle.json(),
            secrets: bundle.secret_names(),
            sizes: Sizes::of(bundle.document()),
            filter,
            listen: anywhere,
            tls: None,
            // The source of a request comes from the header that we add; there is nobody else.
            trusted_hops: 1,
            upstream: Upstream::Nothing,
            admin: Some(anywhere),
            access_log: None,
            replay_clock_header: Some(clock_header.clone()),
        };
        let envoy = Envoy::start(binary, &bootstrap, secrets).map_err(Failure::runtime)?;
        Ok(Self { envoy, clock_header, connection: None })
    }

    fn exchange(&mut self, wire: &Wire) -> Result<Answer, WireError> {
        let to_head = wire.to_head;
        // A kept connection may have been closed meanwhile; that is found out by using it, and tried once more. A
        // request that a fresh connection did not answer is not.
        if let Some(mut connection) = self.connection.take()
            && let Ok(answer) = connection.exchange(&wire.bytes, wire.is_last, to_head)
        {
            self.keep(connection, wire, &answer);
            return Ok(answer);
        }
        let mut connection = Connection::open(self.envoy.address())?;
        let answer = connection.exchange(&wire.bytes, wire.is_last, to_head)?;
        self.keep(connection, wire, &answer);
        Ok(answer)
    }

    fn keep(&mut self, connection: Connection, wire: &Wire, answer: &Answer) {
        let closes = answer.header("connection").is_some_and(|value| value == b"close");
        self.connection = (!closes && !wire.is_last).then_some(connection);
    }

    /// What the problem document of a response to HEAD would have said: the filter's record has it too.
    fn recorded(&self, answer: &Answer) -> Option<Value> {
        let id = std::str::from_utf8(answer.header("x-request-id")?).ok()?;
        let deadline = Instant::now() + RECORD_WITHIN;
        loop {
            let patience = deadline.checked_duration_since(Instant::now())?;
            let line = self.envoy.filter_line(patience)?;
            let Some(record) = line.find('{').and_then(|begin| line.get(begin..)) else { continue };
            let Ok(record) = serde_json::from_str::<Value>(record) else { continue };
            if record["http"]["request"]["id"] != id {
                continue;
            }
            let reason = Reason::from_name(record["event"]["reason"].as_str()?)?;
            let errors = record["portcullis"]["findings"].clone();
            return Some(serde_json::json!({ "type": reason.problem_type(), "errors": errors }));
        }
    }
}

impl Backend for EnvoyBackend {
    fn decide(&mut self, request: &Request) -> Result<Verdict, Failure> {
        let Some(wire) = Wire::new(request, &self.clock_header) else {
            // A line break in a field would be another request.
            return Ok(by_proxy(400));
        };
        let answer = match self.exchange(&wire) {
            Ok(answer) => answer,
            // It hung up without a word, as it does where the framing is broken.
            Err(WireError::Closed) => return Ok(by_proxy(400)),
            Err(WireError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return Ok(by_proxy(400));
            }
            Err(error) => {
                return Err(Failure::runtime(format_args!("request {}: Envoy: {error}", request.id)));
            }
        };
        if answer.status == 200 {
            return Ok(Verdict::allow());
        }
        let problem = match wire.to_head {
            true => self.recorded(&answer),
            false => serde_json::from_slice(&answer.body).ok(),
        };
        Ok(verdict(answer.status, &problem.unwrap_or_default()))
    }
}
