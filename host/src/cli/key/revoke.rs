//! `portcullis key revoke`.

use std::path::PathBuf;

use super::file::KeyFile;
use crate::cli::Failure;

/// Take API keys back
///
/// They stay in the file, marked, so that their ids are not given out again. A gate that fetches the file refuses them within
/// its refresh interval; one that reads it as `identity.api_keys.file`, when it is started next.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the key; several are taken back together or not at all
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// The file of keys
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut file = KeyFile::open(&self.file)?;
        let mut reports = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let entry = file.entry(id)?;
            let was_revoked = std::mem::replace(&mut entry.revoked, true);
            reports.push(format!("{} {id}", if was_revoked { "was revoked" } else { "revoked" }));
        }
        file.save()?;
        for report in reports {
            eprintln!("{}: {report}", self.file.display());
        }
        eprintln!(
            "Gates that fetch this file refuse from their next refresh on, others from their next start."
        );
        Ok(())
    }
}
