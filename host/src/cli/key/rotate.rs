//! `portcullis key rotate`.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_policy::document::ApiKeyEntry;
use time::OffsetDateTime;

use super::attributes::{check, expiry};
use super::file::KeyFile;
use super::list::State;
use super::pepper::PepperArgs;
use super::time::{When, read, span, written};
use crate::cli::Failure;

/// Make an API key in place of another
///
/// It has a new id and gives the same. The old one is good for a while yet, so that its holder can change over. The line on
/// standard output is the new key, which is shown this once.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of the old key
    id: String,

    /// The file of keys
    #[arg(long, value_name = "FILE")]
    file: PathBuf,

    /// How long the old key is good yet, such as 30m, 24h or 7d; never longer than it was
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span)]
    overlap: Duration,

    /// When the new key ceases to be good: a date and time (RFC 3339), or a span from now such as 90d; by default when
    /// the old one would have
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    expires: Option<When>,

    /// The public part of the new key: 4 to 32 lower-case letters and digits; by default random
    #[arg(long = "new-id", value_name = "ID")]
    new_id: Option<String>,

    #[command(flatten)]
    pepper: PepperArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let pepper = self.pepper.load()?;
        let mut file = KeyFile::open(&self.file)?;
        let now = super::time::now();
        let key = super::make_key(self.new_id.as_deref(), &file.content)?;
        let old = file.entry(&self.id)?;
        let refused = |why: &str| Err(Failure::input(format_args!("{}: {why}", self.id)));
        match State::of(old, now) {
            State::Revoked => return refused("the key is revoked: make a new one"),
            State::NotYet => {
                return refused("the key is not good yet: revoke it and make a new one");
            }
            State::Expired if self.expires.is_none() => {
                return refused(
                    "the key has expired: say with --expires how long a new one is good",
                );
            }
            State::Expired | State::Active => {}
        }
        let entry = ApiKeyEntry {
            id: key.id().to_owned(),
            digest: key.digest(&pepper),
            not_before: None,
            expires: expiry(self.expires, now)?.or_else(|| old.expires.clone()),
            ..old.clone()
        };
        check(&entry)?;
        let until = self.end(old, now);
        old.expires = Some(until.clone());
        let new_until = entry.expires.clone();
        file.content.keys.push(entry);
        file.save()?;
        eprintln!(
            "{}: added {} ({}) in place of {}, which is good until {until}. The key is shown this \
             once, keep it safe.",
            self.file.display(),
            key.id(),
            new_until.map_or_else(|| "never expires".to_owned(), |time| format!("expires {time}")),
            self.id,
        );
        super::show(&key)
    }

    /// When the old key ceases to be good: after the overlap, or when it would have anyway.
    fn end(&self, old: &ApiKeyEntry, now: OffsetDateTime) -> String {
        let end = now + self.overlap;
        match (read(old.expires.as_deref()), &old.expires) {
            (Some(earlier), Some(text)) if earlier <= end => text.clone(),
            _ => written(end),
        }
    }
}
