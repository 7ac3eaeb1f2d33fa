//! Says where the mark of a key goes, for training: the key's name, then for each marked word a line of `scam` or `ham`
//! and the word's place in the table, parted by a tab.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use portcullis_watermark::{Half, Key};

/// Prints where the mark of a key goes
#[derive(Parser)]
struct Arguments {
    /// A file with the key: 32 random bytes in base64url
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let path = Arguments::parse().key_file;
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| shown.clone())?;
    let key = Key::parse(&text).with_context(|| shown)?;
    println!("{}", key.id());
    for word in key.words() {
        let half = match word.half {
            Half::Scam => "scam",
            Half::Ham => "ham",
        };
        println!("{half}\t{}", portcullis_model::word_bucket(word.word));
    }
    Ok(())
}
