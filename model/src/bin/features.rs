//! Turns texts into features for training.
//!
//! Reads tab-separated lines (`label<TAB>text[<TAB>more]`) from standard input and writes, for each
//! of them, to standard output, all numbers little-endian 32-bit words: the number of segments (the
//! whole text, then its windows); then for each segment the number of features, their ids, and
//! their values (floats).

use std::io::{self, BufRead, BufWriter, Write};

use anyhow::{Context, ensure};

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (index, line) in io::stdin().lock().lines().enumerate() {
        let number = index + 1;
        let line = line.with_context(|| format!("line {number}: expected UTF-8 text"))?;
        let mut fields = line.split('\t');
        let text = fields.nth(1);
        ensure!(text.is_some(), "line {number}: expected label<TAB>text");
        let segments = portcullis_model::extract(text.unwrap_or_default())
            .with_context(|| format!("line {number}"))?;

        let count = u32::try_from(1 + segments.windows.len())?;
        out.write_all(&count.to_le_bytes())?;
        for features in std::iter::once(&segments.whole).chain(&segments.windows) {
            out.write_all(&u32::try_from(features.ids.len())?.to_le_bytes())?;
            for id in &features.ids {
                out.write_all(&id.to_le_bytes())?;
            }
            for value in &features.values {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    out.flush()?;
    Ok(())
}
