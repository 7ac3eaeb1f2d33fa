//! `cargo xtask`: how Portcullis is built, tested and tried out.

mod artifacts;
mod debian;
mod process;
mod step;
mod strip_exports;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use artifacts::Part;
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
    /// Build the filters and functions (target/portcullis/*.wasm) and the `portcullis` command
    Build {
        /// Build only these
        #[arg(value_enum)]
        parts: Vec<Part>,
    },
}

impl Task {
    fn run(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Build { parts } => {
                let _lock = workspace.lock()?;
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
    if error.is::<process::Interrupted>() {
        eprintln!("✘ interrupted");
        return ExitCode::from(130);
    }
    eprintln!("✘ {error:#}");
    ExitCode::FAILURE
}
