//! `portcullis explain`: why a request is allowed or refused.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::{Principal, Reason, Stages, Step, TraceEntry};
use serde_json::{Value, json};

use super::Failure;
use super::fetched::FetchedArgs;
use crate::bundle::Bundle;
use crate::native::NativeEnvironment;
use crate::replay::{Driven, FoundIssue, Request, Verdict, drive};
use crate::secrets::SecretArgs;
use crate::terminal::{for_terminals, printable};

/// The longest request that is read, in bytes.
const MAXIMUM_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Say why a request is allowed or refused
///
/// Decides about one request as the gate would, and prints stage by stage what was found, which line of the policy it was
/// judged by and, where it is refused, what would have to change. The request is a JSON object as `portcullis replay` takes them; id
/// is not needed, and without time it comes now. Limits are those of a caller who has not come before. The exit code is 0
/// if it is allowed, 1 if it is refused, 2 if the policy or the request cannot be read. What is printed holds no credentials.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    #[command(flatten)]
    secrets: SecretArgs,

    #[command(flatten)]
    fetched: FetchedArgs,

    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// The request, a JSON object; - is standard input
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Lines to read
    #[default]
    Text,
    /// One JSON object
    Json,
}

impl Args {
    /// Prints the explanation.
    ///
    /// # Errors
    ///
    /// The policy or the request is bad, or the request is refused.
    pub fn run(self) -> Result<(), Failure> {
        let secrets = self.secrets.load()?;
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        let fetched = self.fetched.load(bundle.document())?;
        let policy = Arc::new(bundle.compile(&secrets, Stages::ALL).map_err(Failure::input)?);
        let request = self.read_request()?;

        let mut environment = NativeEnvironment::traced();
        let Driven { step, exchange, answered } =
            drive(&policy, &request, &fetched, &mut environment);
        let trace = environment.trace.take().unwrap_or_default();
        let verdict = match (&step, exchange.refused()) {
            (Step::Continue(_) | Step::Rewrite(..), _) => Verdict::allow(),
            (_, Some((reason, findings))) => {
                Verdict::deny(reason, findings.iter().map(FoundIssue::from).collect())
            }
            (step, None) => {
                return Err(Failure::runtime(format_args!("the policy ended with {step:?}")));
            }
        };
        let unavailable = matches!(exchange.refused(), Some((Reason::IdentityUnavailable, _)));
        let explanation = Explanation {
            request: &request,
            verdict: &verdict,
            principal: exchange.principal(),
            steps: trace.entries().iter().map(|entry| Explained::of(entry, &bundle)).collect(),
            warnings: answered.warnings,
            missing: if unavailable { answered.missing } else { Vec::new() },
        };
        super::print(&match self.format {
            Format::Text => explanation.to_text(),
            Format::Json => for_terminals(format!("{:#}\n", explanation.to_json())),
        })?;
        match step {
            Step::Continue(_) | Step::Rewrite(..) => Ok(()),
            _ => Err(Failure::negative()),
        }
    }

    fn read_request(&self) -> Result<Request, Failure> {
        let name = self.request.display().to_string();
        let text = match self.request == Path::new("-") {
            false => super::input_file(&self.request)?,
            true => {
                let mut text = Vec::new();
                let limited = std::io::stdin().take(MAXIMUM_REQUEST_BYTES as u64 + 1);
                let read = { limited }.read_to_end(&mut text);
                read.map_err(|error| Failure::input(format_args!("{name}: {error}")))?;
                text
            }
        };
        if text.len() > MAXIMUM_REQUEST_BYTES {
            let expected = format_args!("{name}: expected at most {MAXIMUM_REQUEST_BYTES} bytes");
            return Err(Failure::input(expected));
        }
        Request::read(&name, &text).map_err(Failure::input)
    }
}

/// Everything that is told.
struct Explanation<'a> {
    request: &'a Request,
    verdict: &'a Verdict,
    principal: &'a Principal,
    steps: Vec<Explained<'a>>,
    /// What was wrong with files in place of what is fetched.
    warnings: Vec<String>,
    /// What would have had to be fetched.
    missing: Vec<String>,
}

/// One thing that a stage looked at, and where the policy speaks of it.
struct Explained<'a> {
    entry: &'a TraceEntry,
    place: Option<FieldPlace<'a>>,
}

struct FieldPlace<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    field: String,
    is_written: bool,
}

impl<'a> Explained<'a> {
    fn of(entry: &'a TraceEntry, bundle: &'a Bundle) -> Self {
        let place = entry.field.as_ref().map(|field| {
            let located = field.locate(bundle.document());
            let (file, line, column) = bundle.place(&located.path);
            let is_written = located.is_written;
            FieldPlace { file, line, column, field: located.path, is_written }
        });
        Self { entry, place }
    }

    fn change(&self) -> Option<&str> {
        self.entry.refused.as_ref().map(|(_, change)| change.as_str())
    }

    fn to_json(&self) -> Value {
        let mut step = json!({
            "stage": self.entry.stage.as_str(),
            "outcome": if self.entry.refused.is_some() { "refused" } else { "ok" },
            "found": self.entry.found,
        });
        if let Some(place) = &self.place {
            step["policy"] = place.to_json();
        }
        step
    }
}

impl FieldPlace<'_> {
    fn to_json(&self) -> Value {
        let Self { file, line, column, field, is_written } = self;
        json!({ "file": file, "line": line, "column": column, "field": field, "default": !is_written })
    }
}

impl std::fmt::Display for FieldPlace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_written {
            true => write!(f, "{}:{} {}", self.file, self.line, self.field),
            false => write!(f, "default of {}", self.field),
        }
    }
}

impl Explanation<'_> {
    /// What would have to be otherwise.
    fn changes(&self) -> Vec<String> {
        let refusal = self.steps.last().and_then(Explained::change);
        let files = self
            .missing
            .iter()
            .map(|uri| format!("give what {uri} answers, with --fetched {uri}=FILE"));
        refusal.map(str::to_owned).into_iter().chain(files).collect()
    }

    /// The step that refused.
    fn decisive(&self) -> Option<&Explained<'_>> {
        self.steps.last().filter(|step| step.entry.refused.is_some())
    }

    fn to_text(&self) -> String {
        let Self { request, verdict, .. } = self;
        let path = request.path.split('?').next().unwrap_or_default();
        let mut text =
            format!("{} {} from {}\n", printable(&request.method), printable(path), request.source);
        let mut stage = None;
        for step in &self.steps {
            let mut line = |arguments: std::fmt::Arguments<'_>| {
                // Writing to a string cannot fail.
                let _ = text.write_fmt(arguments);
            };
            if stage.replace(step.entry.stage) != Some(step.entry.stage) {
                line(format_args!("\n{}\n", step.entry.stage.as_str()));
            }
            let outcome = if step.entry.refused.is_some() { "refused" } else { "ok" };
            line(format_args!("  {outcome:<8} {}\n", printable(&step.entry.found)));
            if let Some(place) = &step.place {
                line(format_args!("           by {}\n", printable(&place.to_string())));
            }
        }
        text.push('\n');
        match (&verdict.reason, self.decisive()) {
            (Some(reason), decisive) => {
                text.push_str(&format!("refused: {} {reason}", verdict.status));
                match decisive.and_then(|step| step.place.as_ref()) {
                    Some(place) => {
                        text.push_str(&format!(", by {}\n", printable(&place.to_string())));
                    }
                    None => text.push_str(", by a rule that holds under every policy\n"),
                }
            }
            (None, _) => text.push_str("allowed\n"),
        }
        for change in self.changes() {
            text.push_str(&format!("to change: {}\n", printable(&change)));
        }
        for warning in &self.warnings {
            text.push_str(&format!("note: {}\n", printable(warning)));
        }
        text
    }

    fn to_json(&self) -> Value {
        let Principal { issuer, subject, tenant, plan, roles, scopes, via, credential_id } =
            self.principal;
        json!({
            "id": self.request.id,
            "decision": self.verdict.decision,
            "status": self.verdict.status,
            "stage": self.verdict.stage,
            "reason": self.verdict.reason,
            "findings": self.verdict.findings,
            "decided_by": self.decisive().and_then(|step| step.place.as_ref()).map(FieldPlace::to_json),
            "change": self.changes(),
            "principal": {
                "issuer": issuer, "subject": subject, "tenant": tenant, "plan": plan, "roles": roles,
                "scopes": scopes, "via": via.as_str(), "credential_id": credential_id,
            },
            "steps": self.steps.iter().map(Explained::to_json).collect::<Value>(),
            "notes": self.warnings,
        })
    }
}
