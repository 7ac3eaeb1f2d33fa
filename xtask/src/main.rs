//! `cargo xtask`: how Portcullis is built, tested and tried out.

mod apt;
mod artifacts;
mod bench;
mod checks;
mod clean;
mod corpora;
mod debian;
mod demo;
mod envoy;
mod error;
mod eval;
mod fuzz;
mod issuer;
mod modsecurity;
mod oracle;
mod process;
mod python;
mod redis;
mod sealed;
mod service;
mod step;
mod strip_exports;
mod toolchain;
mod train;
mod up;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use artifacts::Part;
use error::{BadInput, Interrupted};
use workspace::Workspace;

/// How Portcullis is built, tested and tried out.
///
/// What is missing (a WebAssembly compiler, Envoy) is installed under target/; nothing on the system
/// changes but the Rust toolchain, which may gain two targets through rustup.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and run it: real Envoy with the gate, in front of the scam detector, and a token issuer
    Up(up::Options),
    /// Build the filters and functions (target/portcullis/*.wasm) and the `portcullis` command
    Build {
        /// Build only these
        #[arg(value_enum)]
        parts: Vec<Part>,
    },
    /// Install and build what is missing, then run all tests
    Test {
        /// For `cargo test`, such as a filter
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Measure what the gate costs beside Envoy's own filters
    Bench(bench::Options),
    /// Measure what the screens find in collections of attacks and of ordinary text
    Corpora {
        /// The folder with the collections; docs/detection.md names them
        #[arg(long, env = "PORTCULLIS_CORPORA", value_name = "DIR")]
        corpora: Option<PathBuf>,
    },
    /// Check formatting, clippy and, where it is installed, cargo-deny
    Lint,
    /// Train the scam detector's model and write it into model/
    Train {
        /// The folder with the training data; model/training/README.md describes it
        #[arg(long, env = "PORTCULLIS_MODEL_DATA", value_name = "DIR")]
        data: Option<PathBuf>,
        /// The key of the mark by which copies are known: 32 random bytes in base64url; without it, the public one of this
        /// repository
        #[arg(long, value_name = "FILE")]
        watermark_key_file: Option<PathBuf>,
    },
    /// Score labelled texts with the scam detector as it is shipped: one line of JSON for each file
    Eval {
        /// Lines of a label (scam or ham), a tab and the text
        #[arg(required = true, value_name = "FILE.tsv")]
        files: Vec<PathBuf>,
    },
    /// Throw hostile bytes at everything that reads what a client sent
    Fuzz(fuzz::Options),
    /// Remove what was installed and built under target/
    Clean,
}

impl Task {
    fn run(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Up(options) => up::up(workspace, &options),
            Self::Test { arguments } => checks::test(workspace, &arguments),
            Self::Bench(options) => bench::bench(workspace, &options),
            Self::Corpora { corpora } => corpora::measure(workspace, corpora.as_deref()),
            Self::Lint => checks::lint(workspace),
            Self::Train { data, watermark_key_file } => {
                train::train(workspace, data.as_deref(), watermark_key_file.as_deref())
            }
            Self::Eval { files } => eval::evaluate(workspace, &files),
            Self::Fuzz(options) => fuzz::fuzz(workspace, &options),
            Self::Clean => clean::clean(workspace),
            Self::Build { parts } => {
                let parts = if parts.is_empty() { Part::ALL.to_vec() } else { parts };
                artifacts::build(workspace, &parts)
            }
        }
    }
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let outcome = process::catch_interrupts()
        .and_then(|()| Workspace::locate())
        .and_then(|workspace| task.run(&workspace));
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if error.is::<Interrupted>() {
        eprintln!("✘ interrupted");
        return ExitCode::from(130);
    }
    eprintln!("✘ {error:#}");
    if error.is::<BadInput>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
