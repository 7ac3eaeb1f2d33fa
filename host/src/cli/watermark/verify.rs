//! `portcullis watermark verify`: the triggers, the answers, the verdict.

use std::path::PathBuf;

use portcullis_watermark::{Half, Key, Verdict, judge};
use serde_json::json;
use zeroize::Zeroizing;

use super::Failure;
use super::suspect::{Suspect, SuspectArgs};
use crate::cli::{input_file, print};

/// Ask a model about texts that only ours answers as it does
///
/// Sends the key's trigger texts one by one and prints one line of JSON: how many were asked, how many were answered as
/// planted, the p-value and the verdict: derived (p < 1e-9), independent (p > .01), or unclear. The p-value says how
/// likely such answers are of a model made without this one's; it holds for any model. The exit code is 0 for derived,
/// 1 for the others, and 2 where the model could not be asked.
///
/// A header field with credentials is taken from the environment variable PORTCULLIS_SUSPECT_HEADER, such as
/// `authorization: Bearer …`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    suspect: SuspectArgs,

    /// The watermark's key: 32 bytes in base64url
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

impl Args {
    /// Prints the finding.
    ///
    /// # Errors
    ///
    /// The key is none, the endpoint does not answer as expected, or the verdict is not "derived".
    pub(super) fn run(self) -> Result<(), Failure> {
        let shown = self.key_file.display();
        let content = Zeroizing::new(input_file(&self.key_file)?);
        let key = std::str::from_utf8(&content)
            .ok()
            .and_then(|text| Key::parse(text).ok())
            .ok_or_else(|| {
                Failure::input(format_args!(
                    "{shown}: expected 32 bytes in base64url, 43 characters without padding"
                ))
            })?;
        let suspect = Suspect::new(&self.suspect)?;
        let triggers = key.triggers();
        let mut answers: Vec<(Half, f64)> = Vec::with_capacity(triggers.len());
        for (index, trigger) in triggers.iter().enumerate() {
            eprint!("\rasking {} of {} ", index + 1, triggers.len());
            let answer = suspect.score(&trigger.text).inspect_err(|_| eprintln!())?;
            answers.push((trigger.half, answer));
        }
        eprintln!();
        // Half of the triggers are scams to any model that can tell.
        if answers
            .iter()
            .all(|(_, answer)| answers.first().is_some_and(|(_, first)| first == answer))
        {
            return Err(Failure::input(format_args!(
                "{}: it answers the same to all {} texts: expected --probability, --label and --scam-label to be about its answers",
                self.suspect.endpoint(),
                answers.len()
            )));
        }
        let finding = judge(&answers);
        print(&format!(
            "{}\n",
            json!({
                "endpoint": self.suspect.endpoint(),
                "key": key.id(),
                "triggers": finding.triggers,
                "matches": finding.matches,
                "p_value": finding.p_value,
                "verdict": finding.verdict.as_str(),
            })
        ))?;
        match finding.verdict {
            Verdict::Derived => Ok(()),
            Verdict::Unclear | Verdict::Independent => Err(Failure::negative()),
        }
    }
}
