//! Runs a scenario on both backends and compares their verdicts.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use portcullis_policy::{PROBLEM_TYPE_PREFIX, Reason};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::backend::{Backend, Function, Kind, Place};
use crate::client::{self, Answer, Outgoing};
use crate::encrypted::Sender;
use crate::expect;
use crate::scenario::{Action, Body, Credential, Expect, Jwt, Request, Scenario, Setup, Step};

/// The gates that scenarios run on, started when they are first needed.
pub struct Runner {
    place: Place,
    gates: BTreeMap<Setup, [Backend; 2]>,
    function: Option<Function>,
    sender: Sender,
    // Last, so that it outlives what runs on it.
    runtime: Runtime,
}

/// What encrypted requests and answers are.
const JOSE: &str = "application/jose";

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The status code, or none without an answer.
    pub status: Option<u16>,
    /// The reason, where the answer is a problem of the gate's.
    pub problem: Option<String>,
    /// The stage that refuses for this reason.
    pub stage: Option<&'static str>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("no answer")?,
        }
        match &self.problem {
            Some(problem) => write!(f, " {problem} ({})", self.stage.unwrap_or("the proxy")),
            None => Ok(()),
        }
    }
}

impl Runner {
    /// Gets ready; starts nothing yet.
    ///
    /// # Errors
    ///
    /// Something is not built yet.
    pub fn new() -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let place = Place::new(runtime.handle())?;
        let (gates, sender) = (BTreeMap::new(), Sender::new()?);
        Ok(Self { place, gates, function: None, sender, runtime })
    }

    /// Runs a scenario, called `name`.
    ///
    /// # Errors
    ///
    /// Something came out other than expected, or the backends disagree.
    pub fn run(&mut self, name: &str, scenario: &Scenario) -> Result<()> {
        if scenario
            .steps
            .iter()
            .any(|step| step.send.as_ref().is_some_and(|r| r.straight_to_function))
            && self.function.is_none()
        {
            self.function = Some(Function::start(&self.place)?);
        }
        let mut gates = match self.gates.remove(&scenario.setup) {
            Some(gates) => gates,
            None => self.start(&scenario.setup)?,
        };
        let result = self.run_on(name, scenario, &mut gates);
        // Another scenario must not find what a failed one has left behind.
        if result.is_ok() && !scenario.setup.alone {
            self.gates.insert(scenario.setup.clone(), gates);
        }
        result
    }

    fn start(&self, setup: &Setup) -> Result<[Backend; 2]> {
        let [serve, envoy] = Kind::ALL.map(|kind| Backend::start(&self.place, kind, setup));
        Ok([serve?, envoy?])
    }

    fn run_on(&self, name: &str, scenario: &Scenario, gates: &mut [Backend; 2]) -> Result<()> {
        let mut verdicts = Vec::new();
        for (kind, gate) in Kind::ALL.into_iter().zip(gates) {
            let policy = &scenario.setup.policy;
            let mut run = Run { runner: self, name, policy, kind, gate, seen: Value::Null };
            let result = run.steps(&scenario.steps).and_then(|verdicts| {
                run.no_panic()?;
                Ok(verdicts)
            });
            verdicts.push(result.with_context(|| format!("{}\non {kind}", scenario.about))?);
        }
        let [serve, envoy] = verdicts.as_slice() else { return Ok(()) };
        for (index, (serve, envoy)) in serve.iter().zip(envoy).enumerate() {
            let may_differ = scenario.steps.get(index).is_some_and(|s| s.expect_envoy.is_some());
            if serve != envoy && !may_differ {
                bail!(
                    "steps[{index}]: the verdicts differ: {serve:?} on serve, {envoy:?} on Envoy"
                );
            }
        }
        Ok(())
    }
}

/// A scenario on one backend.
struct Run<'a> {
    runner: &'a Runner,
    name: &'a str,
    policy: &'a str,
    kind: Kind,
    gate: &'a mut Backend,
    /// What the upstream saw last.
    seen: Value,
}

impl Run<'_> {
    /// The verdicts, by step and repetition.
    fn steps(&mut self, steps: &[Step]) -> Result<Vec<Vec<Verdict>>> {
        let steps = steps.iter().enumerate();
        steps
            .map(|(index, step)| {
                self.step(step).with_context(|| format!("steps[{index}]\n{}", self.last_log()))
            })
            .collect()
    }

    /// A filter that panics is started again, and whoever asks later notices nothing.
    fn no_panic(&self) -> Result<()> {
        let log = self.gate.log();
        let signs = ["panicked at", "RuntimeError", "wasm trap", "wasm backtrace"];
        match log.lines().find(|line| signs.iter().any(|sign| line.contains(sign))) {
            Some(line) => bail!("a filter has panicked: {line}"),
            None => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Vec<Verdict>> {
        let place = &self.runner.place;
        match step.action()? {
            Action::Send(request) => {
                let expect = match self.kind {
                    Kind::Envoy => step.expect_envoy.as_ref().or(step.expect.as_ref()),
                    Kind::Serve => step.expect.as_ref(),
                };
                let times = request.times.unwrap_or(1);
                return (0..times).map(|_| self.send(request, expect)).collect();
            }
            Action::Wait(milliseconds) => thread::sleep(Duration::from_millis(milliseconds)),
            Action::Upstream(action) => self.gate.upstream(action)?,
            Action::KeyServer(action) => self.gate.key_server(place, action)?,
            Action::RestartWith(policy) => self.gate.restart_with(place, policy)?,
            Action::StartRefused(refused) => self.gate.start_refused(place, refused)?,
        }
        Ok(Vec::new())
    }

    fn send(&mut self, request: &Request, expect: Option<&Expect>) -> Result<Verdict> {
        let outgoing = self.outgoing(request)?;
        let before = self.gate.upstream_requests();
        let (address, trust) = match (&self.runner.function, request.straight_to_function) {
            (Some(function), true) => (function.address(), None),
            _ if request.straight_to_jose => (self.runner.place.jose(self.policy)?.address(), None),
            _ => (self.gate.address(), (!request.plaintext).then_some(&self.runner.place.trust)),
        };
        let answer = self.runner.runtime.block_on(client::send(address, trust, &outgoing))?;
        let answer = match (answer, expect) {
            (Some(answer), Some(Expect { sealed: true, .. })) => Some(self.opened(answer)?),
            (Some(answer), Some(_)) if answer.header("content-type") == Some(JOSE) => {
                bail!("expected an answer in the clear, got an encrypted one: {}", answer.status);
            }
            (answer, _) => answer,
        };
        let verdict = verdict(answer.as_ref());
        let Some(expect) = expect else { return Ok(verdict) };

        let upstream_asked = self.gate.upstream_requests() > before;
        let body = answer.as_ref().map(|answer| serde_json::from_slice(&answer.body));
        let body = body.and_then(Result::ok).unwrap_or(Value::Null);
        expect::check(expect, &verdict, answer.as_ref(), &body, upstream_asked).with_context(
            || {
                let body = answer.as_ref().map(|answer| String::from_utf8_lossy(&answer.body));
                format!("got {verdict}: {}", body.unwrap_or_default())
            },
        )?;
        if upstream_asked {
            self.seen = body;
        }
        Ok(verdict)
    }

    /// The answer as if it had not been encrypted.
    fn opened(&self, mut answer: Answer) -> Result<Answer> {
        if answer.header("content-type") != Some(JOSE) {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("expected an encrypted answer, got {} {text}", answer.status);
        }
        let opened = self.runner.sender.read(&answer.body)?;
        answer.headers.retain(|(name, _)| name != "content-type");
        answer.headers.push(("content-type".to_owned(), opened.content_type));
        answer.body = opened.content.to_vec();
        Ok(answer)
    }

    fn body(&self, body: &Body) -> Result<Vec<u8>> {
        match body {
            Body::Jwe(message) => {
                let jose = self.runner.place.jose(self.policy)?;
                self.runner.sender.write(message, jose.key())
            }
            Body::Seen => {
                let seen = self.seen["body"].as_str();
                Ok(seen.context("seen: the upstream has seen nothing yet")?.into())
            }
            other => other.bytes(),
        }
    }

    fn outgoing(&self, request: &Request) -> Result<Outgoing> {
        let credentials = &self.runner.place.credentials;
        let body = request.body.as_ref().map(|body| self.body(body)).transpose()?;
        let mut fields = Vec::new();
        if request.replay {
            fields = self.seen_fields()?;
        }
        let content_type =
            request.content_type.as_deref().or(request.body.as_ref().map(|body| match body {
                Body::Jwe(_) => JOSE,
                _ => "application/json",
            }));
        if let Some(content_type) = content_type.filter(|text| !text.is_empty() && !request.replay)
        {
            fields.push(("content-type".to_owned(), content_type.into()));
        }
        let method = if body.is_some() { "POST" } else { "GET" };
        let method = request.method.clone().unwrap_or_else(|| method.to_owned());
        let path = request.path.clone().unwrap_or_else(|| "/echo".to_owned());
        match &request.credential {
            Credential::None => {}
            Credential::Caller => {
                let token = credentials.token(self.name, &Jwt::default())?;
                fields.push(("authorization".to_owned(), format!("Bearer {token}").into()));
            }
            Credential::Jwt(jwt) => {
                let token = credentials.token(self.name, jwt)?;
                fields.push(("authorization".to_owned(), format!("Bearer {token}").into()));
            }
            Credential::Dpop(dpop) => {
                fields.extend(credentials.dpop(self.name, dpop, &method, &path)?);
            }
            Credential::ApiKey(kind) => {
                fields.push(("x-api-key".to_owned(), credentials.api_key(*kind).into()));
            }
        }
        for field in &request.headers {
            fields.push((field.name.clone(), field.value.bytes()?));
        }
        let trailers = request.trailers.iter();
        let trailers = trailers.map(|field| Ok((field.name.clone(), field.value.bytes()?)));
        let raw = request.raw.as_ref().map(|raw| self.raw(&raw.bytes()?)).transpose()?;
        Ok(Outgoing {
            method,
            path,
            fields,
            body,
            chunked: request.chunked,
            trailers: trailers.collect::<Result<_>>()?,
            raw,
            http2: request.http == Some(2),
            source: request.source,
            disconnect_after: request.disconnect_after,
        })
    }

    /// The bytes with a good token in them.
    fn raw(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        const PLACE: &[u8] = b"${token}";

        let token = self.runner.place.credentials.token(self.name, &Jwt::default())?;
        let Some(place) = bytes.windows(PLACE.len()).position(|window| window == PLACE) else {
            return Ok(bytes.to_vec());
        };
        Ok([&bytes[..place], token.as_bytes(), &bytes[place + PLACE.len()..]].concat())
    }

    /// The header fields that the upstream saw, but for those about the connection.
    fn seen_fields(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let seen = self.seen["headers"].as_array();
        let seen = seen.context("replay: the upstream has seen nothing yet")?;
        let fields = seen.iter().filter_map(|field| Some((field[0].as_str()?, field[1].as_str()?)));
        let skipped = ["host", "content-length", "transfer-encoding", "connection"];
        Ok(fields
            .filter(|(name, _)| !skipped.contains(name))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect())
    }

    fn last_log(&self) -> String {
        let log = self.gate.log();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("the last of the gate's log:\n{}", lines.join("\n"))
    }
}

fn verdict(answer: Option<&Answer>) -> Verdict {
    let Some(answer) = answer else {
        return Verdict { status: None, problem: None, stage: None };
    };
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    let problem = is_problem
        .then(|| serde_json::from_slice::<Value>(&answer.body).ok())
        .flatten()
        .and_then(|body| {
            // The document's own status must be the response's, or it is none of ours.
            (body["status"] == answer.status).then_some(())?;
            body["type"].as_str()?.strip_prefix(PROBLEM_TYPE_PREFIX).map(str::to_owned)
        });
    let stage = problem.as_deref().and_then(Reason::from_name).map(|r| r.stage().as_str());
    Verdict { status: Some(answer.status), problem, stage }
}
