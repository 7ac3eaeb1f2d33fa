//! `portcullis token verify`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::identity::{KeySet, MAXIMUM_TOKEN_BYTES, Token};
use portcullis_policy::{Header, Policy, Reason, RequestHead, Stage, Stages, Step};
use serde_json::{Value, json};

use super::{Failure, token_text};
use crate::cli::{input_file, written};
use crate::json_lines::skip_line;
use crate::native::{NativeEnvironment, clock};
use crate::terminal::for_terminals;

/// Verify a token as the gate does
///
/// Prints the verdict as JSON; the exit code is 0 if the token is valid and 1 if not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The issuer's keys, a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,

    /// What the iss claim must be; by default whatever it is, but it must be there
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    issuer: Option<String>,

    /// What the aud claim must name; by default whatever it names, but it must name something
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audience: Option<String>,

    /// How far clocks may differ, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=300))]
    leeway: u32,

    /// Verify many tokens, one per line on standard input; prints a line of JSON for each, and ends with 0 whatever they
    /// are
    #[arg(long, requires_all = ["issuer", "audience"], conflicts_with = "token")]
    lines: bool,

    /// Verify signatures and nothing else, of many tokens (or other signed texts, JWS) as with --lines
    #[arg(long, conflicts_with_all = ["issuer", "audience", "leeway", "lines", "token"])]
    signature_only: bool,

    /// The token; by default, or if it is -, it is read from standard input, where other users cannot see it
    token: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (keys, key_set) = key_set(&self.jwks)?;
        if self.signature_only {
            return verify_lines(Signatures { keys, environment: NativeEnvironment::default() });
        }
        if let (true, Some(issuer), Some(audience)) = (self.lines, &self.issuer, &self.audience) {
            return verify_lines(Gate::new(key_set, issuer, audience, self.leeway)?);
        }
        let text = token_text(self.token)?;
        // What is not compared is what the token says.
        let claims = Token::parse(&text).map(|token| token.claims).unwrap_or_default();
        let own = |name: &str| first_text(claims.get(name)?);
        let issuer = self.issuer.as_deref().or_else(|| own("iss")).unwrap_or("any");
        let audience = self.audience.as_deref().or_else(|| own("aud")).unwrap_or("any");
        let verdict =
            Gate::new(key_set, issuer, audience, self.leeway)?.verdict(text.as_bytes())?;
        super::super::print(&for_terminals(format!("{verdict}\n")))?;
        match verdict["valid"] == true {
            true => Ok(()),
            false => Err(Failure::negative()),
        }
    }
}

/// What says whether a token is valid, and if not, why: as a line of JSON.
trait Judge {
    fn line(&mut self, token: &[u8]) -> Result<String, Failure>;
}

/// A policy of one issuer, so that the verdict is the gate's.
struct Gate {
    policy: Arc<Policy>,
    environment: NativeEnvironment,
}

impl Gate {
    fn new(key_set: String, issuer: &str, audience: &str, leeway: u32) -> Result<Self, Failure> {
        const KEYS: &str = "KEYS";
        let document = json!({ "version": 1,
            // Every line counts as it is: a field with a prefix would let blanks stand before the token.
            "identity": { "jwt": { "sources": [{ "header": FIELD }], "issuers": [{ "issuer": issuer,
                "audiences": [audience], "jwks": { "env": KEYS }, "leeway_seconds": leeway }] } },
            "routes": [{ "name": "all", "match": { "prefix": "/" } }] });
        let secrets = BTreeMap::from([(KEYS.to_owned(), key_set)]);
        let stages = Stages::of(&[Stage::Identity]);
        let policy = Policy::from_json("policy", &document.to_string(), &secrets, stages)
            .map_err(Failure::input)?;
        Ok(Self { policy: Arc::new(policy), environment: NativeEnvironment::default() })
    }

    fn verdict(&mut self, token: &[u8]) -> Result<Value, Failure> {
        let mut exchange = self.policy.begin(clock());
        let headers: [Header<'_>; 3] = [(":method", b"GET"), (":path", b"/"), (FIELD, token)];
        let head = RequestHead { headers: &headers, has_body: false };
        let step = exchange.request_head(&head, &mut self.environment);
        Ok(match (step, exchange.refused()) {
            (Step::Continue(_), None) => {
                let principal = exchange.principal();
                json!({ "valid": true, "subject": principal.subject, "tenant": principal.tenant,
                    "roles": principal.roles, "scopes": principal.scopes })
            }
            (_, Some((reason, findings))) => {
                let findings: Vec<Value> =
                    findings.iter().map(portcullis_policy::Finding::to_json).collect();
                json!({ "valid": false, "reason": reason.as_str(), "title": reason.title(),
                    "findings": findings })
            }
            (step, None) => {
                return Err(Failure::runtime(format_args!("the policy ended with {step:?}")));
            }
        })
    }
}

impl Judge for Gate {
    fn line(&mut self, token: &[u8]) -> Result<String, Failure> {
        self.verdict(token).map(|verdict| verdict.to_string())
    }
}

/// The header field in which the policy gets the token.
const FIELD: &str = "token";

/// A text, or the first of several.
fn first_text(claim: &Value) -> Option<&str> {
    let claim = match claim {
        Value::Array(several) => several.first()?,
        one => one,
    };
    claim.as_str().filter(|text| !text.is_empty())
}

fn key_set(path: &Path) -> Result<(KeySet, String), Failure> {
    let shown = path.display();
    let text = String::from_utf8(input_file(path)?)
        .map_err(|_| Failure::input(format_args!("{shown}: expected UTF-8 text")))?;
    let keys =
        KeySet::parse(&text).map_err(|error| Failure::input(format_args!("{shown}: {error}")))?;
    Ok((keys, text))
}

/// The keys alone.
struct Signatures {
    keys: KeySet,
    environment: NativeEnvironment,
}

impl Judge for Signatures {
    fn line(&mut self, token: &[u8]) -> Result<String, Failure> {
        let verified =
            std::str::from_utf8(token).map_err(|_| Reason::TokenMalformed).and_then(|text| {
                let verified = self.keys.verify_compact(text, &mut self.environment);
                verified.map_err(|refusal| refusal.reason)
            });
        Ok(match verified {
            Ok(()) => r#"{"valid":true}"#.to_owned(),
            Err(reason) => format!(r#"{{"valid":false,"reason":"{}"}}"#, reason.as_str()),
        })
    }
}

/// Answers every line of standard input, an empty one too, so that lines and verdicts stay in step.
fn verify_lines(mut judge: impl Judge) -> Result<(), Failure> {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    let unreadable = |error| Failure::input(format_args!("standard input: {error}"));
    loop {
        line.clear();
        // With room for the line's end, and a byte too many for what is too long.
        let limit = MAXIMUM_TOKEN_BYTES as u64 + 3;
        let mut limited = input.by_ref().take(limit);
        if limited.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return written(output.flush());
        }
        if line.len() as u64 == limit && line.last() != Some(&b'\n') {
            skip_line(&mut input).map_err(unreadable)?;
        }
        let token = line.strip_suffix(b"\n").unwrap_or(&line);
        let verdict = judge.line(token.strip_suffix(b"\r").unwrap_or(token))?;
        let mut result = writeln!(output, "{}", for_terminals(verdict));
        // Who sends token by token waits for the answer.
        if input.buffer().is_empty() {
            result = result.and_then(|()| output.flush());
        }
        if result.is_err() {
            return written(result);
        }
    }
}
