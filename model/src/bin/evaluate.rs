//! Measures the model on labelled texts.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use portcullis_model::Detector;
use portcullis_model::metrics::{Scored, measure};
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
        let scored = content
            .lines()
            .enumerate()
            .map(|(index, line)| {
                score(&detector, line).with_context(|| format!("{}:{}", file.display(), index + 1))
            })
            .collect::<anyhow::Result<Vec<Scored>>>()?;
        let figures = measure(&scored, detector.card().threshold);
        println!("{}", json!({ "file": file.display().to_string(), "figures": figures }));
    }
    Ok(())
}

fn score(detector: &Detector, line: &str) -> anyhow::Result<Scored> {
    let mut fields = line.split('\t');
    let label = fields.next().unwrap_or_default();
    let is_scam = match label {
        "scam" => true,
        "ham" | "promo" => false,
        _ => bail!("label: expected scam, ham or promo, found {label:?}"),
    };
    let text = fields.next().context("expected a tab and the text after the label")?;
    Ok((is_scam, detector.assess(text)?.probability))
}
