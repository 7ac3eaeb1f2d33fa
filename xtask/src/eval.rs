//! `cargo xtask eval`: the scam detector on labelled texts, scored by the component that is shipped.

#[path = "../../model/src/metrics.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the model's own measure, which its training uses too"
)]
mod metrics;

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::artifacts::{self, Part};
use crate::error::BadInput;
use crate::workspace::Workspace;
use metrics::{Scored, measure};

/// Scores the files and prints one line of JSON for each, in the order given.
pub(crate) fn evaluate(workspace: &Workspace, files: &[PathBuf]) -> Result<()> {
    let read: Vec<Labelled> =
        files.iter().map(|file| Labelled::read(file)).collect::<Result<_>>()?;
    artifacts::build(workspace, &[Part::Native, Part::Functions])?;
    for (file, labelled) in files.iter().zip(&read) {
        let answers =
            ask(workspace, labelled).with_context(|| format!("scoring {}", file.display()))?;
        let line = Line {
            file: &file.display().to_string(),
            figures: measure(&answers.scored, answers.threshold),
            refused: answers.refused,
        };
        match writeln!(std::io::stdout(), "{}", serde_json::to_string(&line)?) {
            // Who read it has read enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written.context("standard output")?,
        }
    }
    Ok(())
}

/// What is printed of a file.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    figures: metrics::Metrics,
    /// Texts that are too long: they are in no figure.
    refused: usize,
}

/// The texts of one file.
struct Labelled {
    texts: Vec<String>,
    scams: Vec<bool>,
}

impl Labelled {
    /// Reads `label<TAB>text` by the line. More columns are not read: the training data name a source there.
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let content = fs::read(path).map_err(|error| BadInput(format!("{shown}: {error}")))?;
        let content = std::str::from_utf8(&content).map_err(|error| {
            let before = content.iter().take(error.valid_up_to());
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            BadInput(format!("{shown}:{line}: expected UTF-8 text"))
        })?;
        // Some editors begin a file with a byte order mark.
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let (mut texts, mut scams) = (Vec::new(), Vec::new());
        for (index, line) in content.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let place = || format!("{shown}:{}", index + 1);
            let mut fields = line.split('\t');
            let scam = match fields.next() {
                Some("scam") => true,
                // Advertising is no scam.
                Some("ham" | "promo") => false,
                other => {
                    let found = other.unwrap_or_default();
                    return Err(BadInput(format!(
                        "{}: label: expected scam or ham, found {found:?}",
                        place()
                    ))
                    .into());
                }
            };
            let Some(text) = fields.next() else {
                return Err(BadInput(format!(
                    "{}: expected a tab and the text after the label",
                    place()
                ))
                .into());
            };
            texts.push(text.to_owned());
            scams.push(scam);
        }
        Ok(Self { texts, scams })
    }
}

#[derive(Default)]
struct Answers {
    scored: Vec<Scored>,
    threshold: f32,
    refused: usize,
}

/// What the component says of each text.
fn ask(workspace: &Workspace, labelled: &Labelled) -> Result<Answers> {
    let mut command = workspace.command(workspace.portcullis());
    command.arg("predict").arg(workspace.artifacts().join("scam_detector.wasm"));
    // More digits than callers get: ties would blur the figures.
    command.args(["--variable", "probability_decimals=6"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting `portcullis predict`")?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("`portcullis predict` has no standard input and output");
    };

    let (mut answers, mut answered) = (Answers::default(), 0);
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(move || -> std::io::Result<()> {
            let mut input = BufWriter::new(input);
            for (id, text) in labelled.texts.iter().enumerate() {
                writeln!(input, "{}", json!({ "id": id, "text": text }))?;
            }
            input.flush()
        });
        for (line, &scam) in BufReader::new(output).lines().zip(&labelled.scams) {
            let answer: Value = serde_json::from_str(&line?).context("an answer")?;
            answered += 1;
            if answer.get("error").is_some() {
                answers.refused += 1;
                continue;
            }
            let Answer { probability, threshold } = serde_json::from_value(answer)?;
            answers.scored.push((scam, probability));
            answers.threshold = threshold;
        }
        match writer.join() {
            Ok(written) => written.context("writing to `portcullis predict`"),
            Err(_) => bail!("writing to `portcullis predict` failed"),
        }
    })?;
    let status = child.wait()?;
    if answered != labelled.texts.len() || (!status.success() && answers.refused == 0) {
        bail!(
            "`portcullis predict` answered {answered} of {} texts ({status})",
            labelled.texts.len()
        );
    }
    Ok(answers)
}

/// Of an answer, what is measured.
#[derive(Deserialize)]
struct Answer {
    probability: f32,
    threshold: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: impl AsRef<[u8]>) -> Result<Labelled> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("texts.tsv");
        fs::write(&file, content).unwrap();
        Labelled::read(&file)
    }

    #[test]
    fn labels_and_texts() {
        let labelled = read("scam\tpay now\r\nham\thello\tsource\npromo\tsale\n\nham\t\n").unwrap();
        assert_eq!(labelled.texts, ["pay now", "hello", "sale", ""]);
        assert_eq!(labelled.scams, [true, false, false, false]);
        assert_eq!(read("\u{feff}scam\tpay now").unwrap().scams, [true]);
        let error = read(b"ham\ta\nham\t\xff\n").err().unwrap().to_string();
        assert!(error.ends_with("texts.tsv:2: expected UTF-8 text"), "{error}");
    }

    #[test]
    fn bad_lines_are_named() {
        for (content, expected) in [
            ("ham\ta\nspam\tb\n", "texts.tsv:2: label: expected scam or ham, found \"spam\""),
            ("scam\n", "texts.tsv:1: expected a tab"),
        ] {
            let error = read(content).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
