//! Measures the model on labelled texts.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use portcullis_model::{Detector, Label};
use serde_json::json;

/// Measures the model on files of labelled texts and prints one JSON line for each file.
#[derive(Parser)]
struct Arguments {
    /// Lines of label<TAB>text[<TAB>more]; the label is scam, or ham or promo.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Another model than the built-in one; its model.json stands beside it.
    #[arg(long)]
    model: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let detector = match &arguments.model {
        None => Detector::embedded()?,
        Some(path) => {
            let card = path.with_file_name("model.json");
            let read = |path: &PathBuf| {
                fs::read(path)
                    .with_context(|| format!("{}: expected a readable file", path.display()))
            };
            Detector::new(&read(path)?, &read(&card)?)
                .with_context(|| path.display().to_string())?
        }
    };
    for file in &arguments.files {
        let content = fs::read_to_string(file)
            .with_context(|| format!("{}: expected UTF-8 text", file.display()))?;
        let mut results = Results::default();
        for (index, line) in content.lines().enumerate() {
            results
                .add(&detector, line)
                .with_context(|| format!("{}:{}", file.display(), index + 1))?;
        }
        println!("{}", results.line(&file.display().to_string()));
    }
    Ok(())
}

/// What came out for each text of one file.
#[derive(Default)]
struct Results {
    scam_scores: Vec<f32>,
    other_scores: Vec<f32>,
    hits: usize,
    false_alarms: usize,
}

impl Results {
    fn add(&mut self, detector: &Detector, line: &str) -> anyhow::Result<()> {
        let mut fields = line.split('\t');
        let label = fields.next().unwrap_or_default();
        let is_scam = match label {
            "scam" => true,
            "ham" | "promo" => false,
            _ => bail!("label: expected scam, ham or promo, found {label:?}"),
        };
        let text = fields.next().context("expected a tab and the text after the label")?;

        let assessment = detector.assess(text)?;
        let flagged = usize::from(assessment.label == Label::Scam);
        if is_scam {
            self.scam_scores.push(assessment.score);
            self.hits += flagged;
        } else {
            self.other_scores.push(assessment.score);
            self.false_alarms += flagged;
        }
        Ok(())
    }

    fn line(&self, file: &str) -> serde_json::Value {
        let (scams, others) = (self.scam_scores.len(), self.other_scores.len());
        let correct = self.hits + others - self.false_alarms;
        let recall = ratio(self.hits, scams);
        let precision = ratio(self.hits, self.hits + self.false_alarms);
        let f1 = ratio(2 * self.hits, self.hits + self.false_alarms + scams);
        json!({
            "file": file, "n": scams + others, "scam": scams, "ham": others,
            "accuracy": ratio(correct, scams + others), "precision": precision, "recall": recall,
            "f1": f1, "fpr": ratio(self.false_alarms, others), "auc": self.auc(),
        })
    }

    /// The share of (scam, other) pairs that the scores put in the right order; ties count half.
    fn auc(&self) -> Option<f64> {
        let mut others = self.other_scores.clone();
        others.sort_by(f32::total_cmp);
        let twice_in_order: usize = self
            .scam_scores
            .iter()
            .map(|score| {
                others.partition_point(|other| other < score)
                    + others.partition_point(|other| other <= score)
            })
            .sum();
        ratio(twice_in_order, 2 * self.scam_scores.len() * others.len())
    }
}

/// `None` where there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of lines and pairs, printed as ratios")]
fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
