//! `portcullis key new`.

use std::path::PathBuf;

use portcullis_policy::document::{ApiKeyEntry, ApiKeyFile};
use serde_json::Value;
use zeroize::Zeroizing;

use super::attributes::Attributes;
use super::file::KeyFile;
use super::pepper::PepperArgs;
use crate::cli::Failure;

/// Make an API key
///
/// The first line on standard output is the key, which is shown this once and stored nowhere. Without --file the rest is the
/// entry for `identity.api_keys.keys` of the policy, which holds a digest only; with it the entry is added to the file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    attributes: Attributes,

    /// The public part of the key: 4 to 32 lower-case letters and digits; by default random
    #[arg(long)]
    id: Option<String>,

    /// The file of keys to add it to; it is made, for this user only, if it does not exist
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    pepper: PepperArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let pepper = self.pepper.load()?;
        let now = super::time::now();
        let Some(path) = &self.file else {
            let key = super::make_key(self.id.as_deref(), &ApiKeyFile::default())?;
            let entry = self.attributes.entry(key.id(), key.digest(&pepper), now)?;
            eprintln!(
                "The first line is the key: it is shown this once, keep it safe. The rest belongs \
                 under identity.api_keys.keys in the policy."
            );
            let text = Zeroizing::new(format!("{}\n{}", key.expose(), yaml(&entry)));
            return crate::cli::print(&text);
        };
        let mut file = KeyFile::open_or_create(path)?;
        let key = super::make_key(self.id.as_deref(), &file.content)?;
        let entry = self.attributes.entry(key.id(), key.digest(&pepper), now)?;
        file.content.keys.push(entry);
        file.save()?;
        eprintln!(
            "{}: added {}. The key is shown this once, keep it safe.",
            path.display(),
            key.id()
        );
        super::show(&key)
    }
}

/// The entry as YAML; values are written as JSON, which YAML takes as it is.
fn yaml(entry: &ApiKeyEntry) -> String {
    let ApiKeyEntry {
        id,
        digest,
        owner,
        tenant,
        roles,
        scopes,
        plan,
        not_before,
        expires,
        networks,
        routes,
        revoked: _,
    } = entry;
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    let text = |text: &String| Some(Value::from(text.as_str()));
    let list = |list: &[String]| (!list.is_empty()).then(|| Value::from(list));
    let members = [
        ("id", text(id)),
        ("digest", text(digest)),
        ("owner", text(owner)),
        ("tenant", tenant.as_ref().and_then(text)),
        ("roles", list(roles)),
        ("scopes", list(scopes)),
        ("plan", plan.as_ref().and_then(text)),
        ("not_before", not_before.as_ref().and_then(text)),
        ("expires", expires.as_ref().and_then(text)),
        ("networks", list(&networks)),
        ("routes", list(routes)),
    ];
    let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let lines = members.enumerate().map(|(index, (name, value))| {
        let indent = if index == 0 { "- " } else { "  " };
        format!("{indent}{name}: {value}\n")
    });
    lines.collect()
}
