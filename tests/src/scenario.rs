//! Scenarios as they are written: one YAML file each, strict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::encrypted::Message;
use crate::key_server::Behaviour;

/// What happens and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What holds, in a sentence.
    pub about: String,
    /// What the gate runs with. Scenarios of one setup share one gate.
    #[serde(default)]
    pub setup: Setup,
    /// In their order.
    pub steps: Vec<Step>,
}

/// What a gate runs with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// A file of `tests/policies/` without its extension, or `default`: the repository's own.
    pub policy: String,
    /// The filters that requests pass.
    pub filters: Filters,
    /// What is behind them.
    pub behind: Behind,
    /// Envoy speaks HTTP/2 to what is behind it, in which responses may have trailers; by HTTP/1.1 it drops them. `serve` speaks
    /// HTTP/1.1 all the same, and drops none.
    pub upstream_http2: bool,
    /// Its own gate, for scenarios that restart it.
    pub alone: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: "main".to_owned(),
            filters: Filters::default(),
            behind: Behind::default(),
            upstream_http2: false,
            alone: false,
        }
    }
}

/// The filters that requests pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filters {
    /// All stages in one.
    #[default]
    Gate,
    /// jwt-auth, rate-limit and sanitize in a row.
    Chain,
}

/// What is behind the filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behind {
    /// A service that answers with what it saw.
    #[default]
    Echo,
    /// The scam detector.
    Function,
    /// The scam detector, and for encrypted requests what decrypts them for it.
    Jose,
}

/// One thing that happens: exactly one of `send`, `wait_ms`, `upstream`, `key_server`, `restart_with` and `start_refused`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// A request, and with it `expect`.
    pub send: Option<Request>,
    /// What must come back.
    pub expect: Option<Expect>,
    /// What must come back from Envoy, where it differs: say why in a comment.
    pub expect_envoy: Option<Expect>,
    /// Time passes.
    pub wait_ms: Option<u64>,
    /// The upstream goes away or comes back.
    pub upstream: Option<UpstreamAction>,
    /// The key server behaves otherwise, or has been asked so often.
    pub key_server: Option<KeyServerAction>,
    /// The gate is stopped and started again with this policy.
    pub restart_with: Option<String>,
    /// Another gate is started and must refuse to. The running one is left alone.
    pub start_refused: Option<StartRefused>,
}

/// What is done to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamAction {
    /// Its port is closed, and so are its connections.
    Stop,
    /// It answers again, on the same port.
    Start,
}

/// What is done to the key server, or must have been asked of it. Each gate has one of its own, whose keys are the issuer's
/// at first; policies call it `${key_server}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyServerAction {
    /// It answers in this way from now on.
    Behave(Behaviour),
    /// Its key set has these keys from now on.
    Keys(Vec<PublishedKey>),
    /// This document stands at this path from now on; null takes it away.
    Put {
        /// Such as `/api-keys.json`.
        path: String,
        /// What stands there.
        json: Value,
    },
    /// Its port is closed, and so are its connections.
    Disappear,
    /// It is there again, on the same port.
    Appear,
    /// So many requests for a path have come since the gate was started.
    Asked {
        /// Such as `/jwks.json`.
        path: String,
        /// No fewer.
        #[serde(default)]
        at_least: usize,
        /// No more.
        #[serde(default = "any_number")]
        at_most: usize,
    },
}

fn any_number() -> usize {
    usize::MAX
}

/// A key in a key server's set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedKey {
    /// The issuer's, with the `kid` of good tokens.
    Issuer,
    /// The stranger's, with the `kid` `tests-2`: what the issuer rotates to.
    Stranger,
}

/// A start that must fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRefused {
    /// The policy that it is started with.
    pub policy: String,
    /// A secret that is not in its environment.
    #[serde(default)]
    pub without_secret: Option<String>,
    /// What its log must say.
    pub log: String,
}

/// A request, good or bad.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// By default POST with a body and GET without.
    pub method: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// Header fields besides host, length, content type and credential.
    pub headers: Vec<Field>,
    /// Who asks.
    pub credential: Credential,
    /// What is sent.
    pub body: Option<Body>,
    /// `application/json` by default, where there is a body; `application/jose`, where it is encrypted.
    pub content_type: Option<String>,
    /// In chunks of a few bytes rather than with a length. HTTP/1.1 only.
    pub chunked: bool,
    /// Behind the body.
    pub trailers: Vec<Field>,
    /// 1 (the default) or 2.
    pub http: Option<u8>,
    /// In place of everything above: these bytes, in which `${token}` stands for a good token. HTTP/1.1 only.
    pub raw: Option<Content>,
    /// Without TLS although the gate wants it.
    pub plaintext: bool,
    /// The client's address, one of 127.0.0.0/8.
    pub source: Option<std::net::Ipv4Addr>,
    /// The client goes away after so many bytes of the request. Nothing is expected then.
    pub disconnect_after: Option<usize>,
    /// How often it is sent, one after the other. Each must come out as expected.
    pub times: Option<usize>,
    /// Past the gate, straight to a function of its own.
    pub straight_to_function: bool,
    /// Past the gate, straight to what decrypts with the gate's policy.
    pub straight_to_jose: bool,
    /// With the header fields that the upstream saw in the last answer, the gate's assertion among them.
    pub replay: bool,
}

/// A header or trailer field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name, sent as it is.
    pub name: String,
    /// Its value.
    pub value: Content,
}

/// Bytes: exactly one of `text` and `base64`, repeated `times`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// UTF-8.
    pub text: Option<String>,
    /// Any bytes.
    pub base64: Option<String>,
    /// How often.
    pub times: Option<usize>,
}

/// A body: exactly one of its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// JSON.
    Json(Value),
    /// Text as it stands.
    Text(String),
    /// Any bytes.
    Base64(String),
    /// `{"text": "aaa…"}` of so many bytes in all.
    JsonOfBytes(usize),
    /// An encrypted message, to the key of what decrypts with the gate's policy.
    Jwe(Message),
    /// What the upstream saw in the last answer, byte for byte.
    Seen,
}

/// Who asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// Nobody.
    #[default]
    None,
    /// Somebody with the role `caller` and a good token.
    Caller,
    /// A token to one's liking.
    Jwt(Jwt),
    /// A good token that is bound to a key of the client's, with a proof (RFC 9449).
    Dpop(Dpop),
    /// An API key.
    ApiKey(ApiKeyKind),
}

/// Which API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyKind {
    /// One that the policy knows.
    Good,
    /// The same id and another secret.
    WrongSecret,
    /// An id that nobody has.
    UnknownId,
    /// Something else altogether.
    Malformed,
}

/// A token; what is not said is as in a good one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Claims in place of the good ones; null removes one. `exp`, `nbf` and `iat` count seconds from now.
    pub claims: Map<String, Value>,
    /// Header parameters, likewise.
    pub header: Map<String, Value>,
    /// Who signs.
    pub signed_by: Signer,
}

/// A proof, and how it comes; what is not said is as in a good one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dpop {
    /// Claims in place of the good ones; null removes one. `iat` counts seconds from now.
    pub claims: Map<String, Value>,
    /// Header parameters, likewise.
    pub header: Map<String, Value>,
    /// Somebody signs who has the token and not its key.
    pub stolen: bool,
    /// The token comes as a bearer token.
    pub as_bearer: bool,
    /// How many proofs there are, one field each. By default 1.
    pub proofs: Option<usize>,
}

/// Who signs a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signer {
    /// The issuer whom the policy trusts, by ES256.
    #[default]
    Issuer,
    /// Somebody else, who uses the issuer's key id.
    Stranger,
    /// Somebody who takes the issuer's public key for an HMAC secret.
    PublicKeyAsSecret,
    /// Nobody: the signature is empty.
    Nobody,
}

/// What must come back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The status code.
    pub status: Option<u16>,
    /// The reason in the problem's type; without it the answer must not be a problem.
    pub problem: Option<String>,
    /// The answer is encrypted; all that is said of its body is of what is in it. Without it, the answer is in the clear.
    pub sealed: bool,
    /// Nothing comes back: the connection is closed, or the stream reset.
    pub no_answer: bool,
    /// Header fields; `*` at the end of a value stands for anything.
    pub headers: BTreeMap<String, String>,
    /// Header fields that must not be there.
    pub absent: Vec<String>,
    /// JSON pointers into the body.
    pub body: BTreeMap<String, Value>,
    /// The body as text.
    pub text: Option<String>,
    /// What must not be in the body, as text.
    pub lacks: Vec<String>,
    /// What the upstream saw. A refused request must not have reached it, which needs no saying.
    pub upstream: Option<Seen>,
}

/// What the upstream saw.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seen {
    /// The method.
    pub method: Option<String>,
    /// Path and query.
    pub path: Option<String>,
    /// Header fields; `*` at the end of a value stands for anything.
    pub headers: BTreeMap<String, String>,
    /// Header fields that must not have been there.
    pub absent: Vec<String>,
    /// The body as text.
    pub body: Option<String>,
    /// How long the body was, in bytes.
    pub body_bytes: Option<usize>,
    /// Trailer fields.
    pub trailers: BTreeMap<String, String>,
    /// Trailer fields that must not have been there.
    pub absent_trailers: Vec<String>,
    /// Members of the principal in the gate's signed statement, which must be good.
    pub principal: BTreeMap<String, Value>,
    /// That there was no such statement, for filters that make none.
    pub no_assertion: bool,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action<'a> {
    /// Send a request.
    Send(&'a Request),
    /// Let time pass, in milliseconds.
    Wait(u64),
    /// Stop or start the upstream.
    Upstream(UpstreamAction),
    /// Change the key server, or look at it.
    KeyServer(&'a KeyServerAction),
    /// Start the gate anew with another policy.
    RestartWith(&'a str),
    /// Start another one, in vain.
    StartRefused(&'a StartRefused),
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not a scenario: the error has the file and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let scenario = Self::parse(&text).with_context(|| path.display().to_string())?;
        Ok(scenario)
    }

    /// Reads a scenario from text.
    ///
    /// # Errors
    ///
    /// It is not a scenario.
    pub fn parse(text: &str) -> Result<Self> {
        let scenario: Self =
            serde_saphyr::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        if scenario.about.is_empty() || scenario.steps.is_empty() {
            bail!("expected `about` and at least one step");
        }
        for (index, step) in scenario.steps.iter().enumerate() {
            step.action().with_context(|| format!("steps[{index}]"))?;
        }
        Ok(scenario)
    }
}

impl Step {
    /// What it does.
    ///
    /// # Errors
    ///
    /// It does nothing, several things, or expects what cannot come.
    pub fn action(&self) -> Result<Action<'_>> {
        let actions: Vec<Action<'_>> = [
            self.send.as_ref().map(Action::Send),
            self.wait_ms.map(Action::Wait),
            self.upstream.map(Action::Upstream),
            self.key_server.as_ref().map(Action::KeyServer),
            self.restart_with.as_deref().map(Action::RestartWith),
            self.start_refused.as_ref().map(Action::StartRefused),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [action] = actions.as_slice() else {
            bail!(
                "expected one of send, wait_ms, upstream, key_server, restart_with, start_refused"
            );
        };
        let leaves = self.send.as_ref().is_some_and(|request| request.disconnect_after.is_some());
        let answers = self.send.is_some() && !leaves;
        if answers != self.expect.is_some() || (self.expect_envoy.is_some() && !answers) {
            bail!("expected `expect` with `send`, and with nothing else");
        }
        for expect in self.expect.iter().chain(&self.expect_envoy) {
            if expect.status.is_some() == expect.no_answer {
                bail!("expected either `status` or `no_answer`");
            }
        }
        Ok(action.clone())
    }
}

impl Content {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// It is not one of `text` and `base64`, or not base64.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let once = match (&self.text, &self.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => decode(base64)?,
            _ => bail!("expected either `text` or `base64`"),
        };
        Ok(once.repeat(self.times.unwrap_or(1)))
    }
}

impl Body {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// It is not base64, too short for what it is, or not to be known from here.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Jwe(_) | Self::Seen => bail!("is written by whoever sends it"),
            Self::Json(value) => Ok(value.to_string().into_bytes()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => decode(text),
            Self::JsonOfBytes(bytes) => {
                const AROUND: usize = r#"{"text":""}"#.len();
                let length =
                    bytes.checked_sub(AROUND).context("json_of_bytes: expected 11 or more")?;
                Ok(format!(r#"{{"text":"{}"}}"#, "a".repeat(length)).into_bytes())
            }
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).context("expected base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Scenario::parse(text).unwrap_err())
    }

    #[test]
    fn unknown_fields_are_refused_with_their_line() {
        let error = error("about: a\nsteps:\n  - send: {}\n    expekt: { status: 200 }\n");
        assert!(error.contains("expekt") && error.contains('4'), "{error}");
    }

    #[test]
    fn a_step_does_one_thing() {
        assert!(error("about: a\nsteps: [{}]").contains("steps[0]"));
        assert!(error("about: a\nsteps: [{ wait_ms: 1, upstream: stop }]").contains("one of"));
        assert!(error("about: a\nsteps: [{ send: {} }]").contains("`expect`"));
        assert!(error("about: a\nsteps: [{ send: {}, expect: {} }]").contains("no_answer"));
    }
}
