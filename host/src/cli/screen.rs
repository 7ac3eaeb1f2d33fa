//! `portcullis screen`.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::PathBuf;

use portcullis_policy::screening::{Decision, Found, Owner, Profile, Screening};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Failure;
use crate::bundle::Bundle;
use crate::secrets::SecretArgs;

/// Say what a policy finds in texts, and what would come of it
///
/// Reads lines of JSON from standard input, {"id": …, "text": "…"}, and prints one for each, in the same order:
///
///   {"id": …, "decision": "allow" | "flag" | "deny",
///    "findings": [{"kind": …, "rule": …, "start": …, "end": …, "score": …, "decision": …}]}
///
/// Offsets count Unicode scalar values of the text. The engine and the verdicts are those of the gate. A line that cannot be read is
/// told on standard error, the others are answered all the same, and the exit code is 2.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// What the texts are
    #[arg(long, value_enum, default_value_t)]
    profile: ProfileName,

    /// The route whose `input` section holds; without it, the document's own
    #[arg(long, value_name = "NAME")]
    route: Option<String>,

    #[command(flatten)]
    secrets: SecretArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum ProfileName {
    /// Prose for a model
    #[default]
    Prompt,
    /// What a program will read
    Argument,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    text: String,
}

/// The longest line, in bytes: more than any body may have, escaped.
const MAXIMUM_LINE_BYTES: u64 = 16 << 20;

impl Args {
    /// Answers every line.
    ///
    /// # Errors
    ///
    /// The policy is bad, or some line is.
    pub fn run(self) -> Result<(), Failure> {
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        let section = bundle.document().input_of(self.route.as_deref()).ok_or_else(|| {
            let name = self.route.as_deref().unwrap_or_default();
            Failure::input(format_args!("--route: the policy has no route {name}"))
        })?;
        let secrets = self.secrets.load()?;
        let key = bundle.document().redaction_key(&secrets).map_err(Failure::input)?;
        let screening =
            Screening::compile(&section, key.as_ref(), "input").map_err(Failure::input)?;
        let profile = match self.profile {
            ProfileName::Prompt => Profile::Prompt,
            ProfileName::Argument => Profile::Argument,
        };

        let mut input = std::io::BufReader::new(std::io::stdin().lock());
        let mut output = std::io::BufWriter::new(std::io::stdout().lock());
        let (mut number, mut bad) = (0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input
                .by_ref()
                .take(MAXIMUM_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|error| Failure::runtime(format_args!("standard input: {error}")))?;
            if read == 0 {
                break;
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line { id, text }) => {
                    let answer = answer(&screening, profile, &id, &text);
                    let mut written = writeln!(output, "{answer}");
                    // Who sends text by text waits for the answer.
                    if input.buffer().is_empty() {
                        written = written.and_then(|()| output.flush());
                    }
                    if let Err(error) = written {
                        return gone(&error);
                    }
                }
                Err(error) => {
                    bad += 1;
                    eprintln!("line {number}: expected {{\"id\": …, \"text\": \"…\"}}: {error}");
                }
            }
        }
        if let Err(error) = output.flush() {
            return gone(&error);
        }
        match bad {
            0 => Ok(()),
            bad => Err(Failure::input(format_args!("{bad} of {number} lines could not be read"))),
        }
    }
}

/// A reader that has gone away is no failure.
fn gone(error: &std::io::Error) -> Result<(), Failure> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::runtime(format_args!("standard output: {error}"))),
    }
}

fn answer(screening: &Screening, profile: Profile, id: &Value, text: &str) -> Value {
    let (decision, findings) = match screening.screen(profile, text, &Owner::nobody()) {
        Ok(screened) => {
            let findings = screened.found.iter().map(|found| finding(found, text)).collect();
            (screened.decision(), findings)
        }
        Err(unfit) => {
            let kind = unfit.reason.as_str().replace('-', "_");
            let (start, end) = (unfit.character, unfit.character.saturating_add(1));
            let finding = json!({ "kind": kind, "rule": "text", "start": start, "end": end,
                "score": 1.0, "decision": Decision::Deny });
            (Decision::Deny, vec![finding])
        }
    };
    json!({ "id": id, "decision": decision, "findings": findings })
}

fn finding(found: &Found, text: &str) -> Value {
    let detection = &found.detection;
    let characters = |bytes: usize| text.get(..bytes).map_or(0, |before| before.chars().count());
    json!({
        "kind": detection.kind,
        "rule": detection.rule,
        "start": characters(detection.range.start),
        "end": characters(detection.range.end),
        // Four digits: more would pretend to be measured.
        "score": (f64::from(detection.score) * 10_000.0).round() / 10_000.0,
        "decision": found.decision,
    })
}
