//! `portcullis key list`.

use std::path::PathBuf;

use portcullis_policy::document::ApiKeyEntry;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::file;
use super::time::{now, read};
use crate::cli::Failure;
use crate::terminal::for_terminals;

/// Say which API keys a file has, whose they are, and which are good now
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file of keys
    #[arg(long, value_name = "FILE")]
    file: PathBuf,

    /// What to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns to read
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// What a key is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    NotYet,
    Expired,
    Revoked,
}

impl State {
    pub(super) fn of(entry: &ApiKeyEntry, now: OffsetDateTime) -> Self {
        if entry.revoked {
            return Self::Revoked;
        }
        if read(entry.expires.as_deref()).is_some_and(|time| now >= time) {
            return Self::Expired;
        }
        match read(entry.not_before.as_deref()).is_some_and(|time| now < time) {
            true => Self::NotYet,
            false => Self::Active,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NotYet => "not yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = file::read(&self.file)?;
        let now = now();
        let text = match self.format {
            Format::Table => table(&file.keys, now),
            Format::Json => {
                let keys: Vec<Value> = file.keys.iter().map(|entry| object(entry, now)).collect();
                for_terminals(format!("{:#}\n", json!({ "keys": keys })))
            }
        };
        crate::cli::print(&text)
    }
}

fn object(entry: &ApiKeyEntry, now: OffsetDateTime) -> Value {
    let networks: Vec<String> = entry.networks.iter().map(ToString::to_string).collect();
    json!({
        "id": entry.id,
        "owner": entry.owner,
        "tenant": entry.tenant,
        "roles": entry.roles,
        "scopes": entry.scopes,
        "plan": entry.plan,
        "not_before": entry.not_before,
        "expires": entry.expires,
        "networks": networks,
        "routes": entry.routes,
        "state": State::of(entry, now).as_str(),
    })
}

const HEADINGS: [&str; 8] =
    ["ID", "OWNER", "TENANT", "ROLES", "PLAN", "NOT BEFORE", "EXPIRES", "STATE"];

fn table(entries: &[ApiKeyEntry], now: OffsetDateTime) -> String {
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = entries.iter().map(|entry| {
        let roles = if entry.roles.is_empty() { "-".to_owned() } else { entry.roles.join(",") };
        [
            entry.id.clone(),
            entry.owner.clone(),
            optional(&entry.tenant),
            roles,
            optional(&entry.plan),
            optional(&entry.not_before),
            optional(&entry.expires),
            State::of(entry, now).as_str().to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    });
    lines.collect()
}
