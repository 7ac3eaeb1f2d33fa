//! Turns texts into what training needs of them.
//!
//! Reads tab-separated lines (`label<TAB>text[<TAB>more]`) from standard input.
//!
//! Without arguments it writes the features: for each line, all numbers little-endian 32-bit words,
//! the number of views; then for each view its kind (0 normalised, 1 written, 2 respelled,
//! 3 window), the number of features, their ids, and their values (floats).
//!
//! With `--model FILE.onnx`, beside which its `model.json` stands, it writes what that model says,
//! one line for each: the probability, a tab, and how the text is adversarial or `-`. With
//! `--explain` also the spans that weighed most, as JSON behind another tab.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use portcullis_model::{Detector, View, Views};

#[derive(Parser)]
struct Arguments {
    /// Assess the texts with this model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Say what weighed most.
    #[arg(long, requires = "model")]
    explain: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let detector = arguments.model.as_ref().map(load).transpose()?;
    let mut out = BufWriter::new(io::stdout().lock());
    for (index, line) in io::stdin().lock().lines().enumerate() {
        let number = index + 1;
        let line = line.with_context(|| format!("line {number}: expected UTF-8 text"))?;
        let mut fields = line.split('\t');
        let text = fields.nth(1);
        ensure!(text.is_some(), "line {number}: expected label<TAB>text");
        let text = text.unwrap_or_default();
        let place = || format!("line {number}");
        match &detector {
            None => {
                write_features(&portcullis_model::extract(text).with_context(place)?, &mut out)?;
            }
            Some(detector) => {
                write_assessment(detector, text, arguments.explain, &mut out)
                    .with_context(place)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn load(path: &PathBuf) -> anyhow::Result<Detector> {
    let card = path.with_file_name("model.json");
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("{}: expected a readable file", path.display()))
    };
    Detector::new(&read(path)?, &read(&card)?).with_context(|| path.display().to_string())
}

fn write_features(views: &Views, out: &mut impl Write) -> anyhow::Result<()> {
    out.write_all(&u32::try_from(views.all.len())?.to_le_bytes())?;
    for (view, features) in &views.all {
        let kind: u32 = match view {
            View::Normalised => 0,
            View::Written => 1,
            View::Respelled => 2,
            View::Window => 3,
        };
        out.write_all(&kind.to_le_bytes())?;
        out.write_all(&u32::try_from(features.ids.len())?.to_le_bytes())?;
        for id in &features.ids {
            out.write_all(&id.to_le_bytes())?;
        }
        for value in &features.values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(())
}

fn write_assessment(
    detector: &Detector,
    text: &str,
    explain: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (assessment, spans) =
        if explain { detector.explain(text)? } else { (detector.assess(text)?, Vec::new()) };
    let kind = match serde_json::to_value(assessment.adversarial)? {
        serde_json::Value::String(kind) => kind,
        _ => String::from("-"),
    };
    write!(out, "{}\t{kind}", assessment.probability)?;
    if explain {
        write!(out, "\t{}", serde_json::to_string(&spans)?)?;
    }
    writeln!(out)?;
    Ok(())
}
