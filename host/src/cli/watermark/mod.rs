//! `portcullis watermark`.

mod suspect;
mod verify;

use super::Failure;

/// Find out whether somebody's model was copied from this one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Args),
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    ///
    /// See the subcommand.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Verify(args) => args.run(),
        }
    }
}
