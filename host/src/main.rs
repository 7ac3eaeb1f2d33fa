//! The `portcullis` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    portcullis::cli::Cli::parse().run()
}
