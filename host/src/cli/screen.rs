//! `portcullis screen`.

use std::io::Write as _;
use std::path::PathBuf;

use portcullis_policy::screening::{Decision, Found, Owner, Profile, Screening};
use serde_json::{Value, json};

use super::texts::{TextLine, TextLines};
use super::{Failure, written};
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

        let mut lines = TextLines::new(std::io::stdin().lock());
        let mut output = std::io::BufWriter::new(std::io::stdout().lock());
        while let Some(TextLine { id, text }) = lines.next()? {
            let mut result = writeln!(output, "{}", answer(&screening, profile, &id, &text));
            if lines.must_wait() {
                result = result.and_then(|()| output.flush());
            }
            if result.is_err() {
                return written(result);
            }
        }
        written(output.flush())?;
        match lines.unreadable() {
            0 => Ok(()),
            lines => Err(Failure::input(format_args!("{lines} lines could not be read"))),
        }
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
