//! `portcullis completions`.

use clap::CommandFactory as _;

use super::{Cli, Failure};

/// Print a script that completes portcullis's arguments in a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

impl Args {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "portcullis", &mut script);
        super::print(&String::from_utf8_lossy(&script))
    }
}
