//! `portcullis key`: API keys.

use portcullis_policy::identity::ApiKey;
use portcullis_policy::{Secret, Secrets as _};

use super::Failure;
use crate::secrets::SecretArgs;

/// Make API keys
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(NewArgs),
}

/// Make an API key
///
/// The first line on standard output is the key, which is shown this once and stored nowhere; the rest is the entry
/// for `identity.api_keys.keys` of the policy, which holds a digest only.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Who holds the key: the subject of requests made with it
    #[arg(long)]
    owner: String,

    /// The tenant it belongs to
    #[arg(long)]
    tenant: Option<String>,

    /// A role it gives; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// A scope it gives; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// The public part of the key: 4 to 32 lower-case letters and digits; by default random
    #[arg(long)]
    id: Option<String>,

    /// The secret that is the policy's pepper
    #[arg(long, value_name = "NAME", default_value = "PORTCULLIS_API_KEY_PEPPER")]
    pepper_env: String,

    #[command(flatten)]
    secrets: SecretArgs,
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// The pepper is missing, or an argument is bad.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::New(args) => args.run(),
        }
    }
}

impl NewArgs {
    fn run(self) -> Result<(), Failure> {
        if self.owner.is_empty() {
            return Err(Failure::input("--owner: expected a text that is not empty"));
        }
        let name = &self.pepper_env;
        let pepper = self.secrets.load()?.secret(name).ok_or_else(|| {
            Failure::input(format_args!(
                "the pepper {name} is not set: set it in the environment, or give a file that has \
                 it with --secrets (`portcullis dev-credentials` makes one)"
            ))
        })?;
        let pepper = Secret::from_base64url(&pepper).map_err(|error| {
            Failure::input(format_args!("the pepper {name} is not usable: {error}"))
        })?;
        let id = match &self.id {
            Some(id) => id.clone(),
            None => random_id()?,
        };
        let secret = super::random::<32>()?;
        let key = ApiKey::new(&id, &secret).map_err(|_| {
            Failure::input(format_args!(
                "--id {id}: expected 4 to 32 lower-case letters and digits"
            ))
        })?;
        eprintln!(
            "The first line is the key: it is shown this once, keep it safe. The rest belongs under \
             identity.api_keys.keys in the policy."
        );
        let text =
            zeroize::Zeroizing::new(format!("{}\n{}", key.expose(), self.entry(&key, &pepper)));
        super::print(&text)
    }

    /// The entry as YAML; texts are written as JSON strings, which YAML takes as they are.
    fn entry(&self, key: &ApiKey, pepper: &Secret) -> String {
        let json = |value: serde_json::Value| value.to_string();
        let mut entry = format!(
            "- id: {}\n  digest: {}\n  owner: {}\n",
            json(key.id().into()),
            json(key.digest(pepper).into()),
            json(self.owner.as_str().into()),
        );
        if let Some(tenant) = &self.tenant {
            entry.push_str(&format!("  tenant: {}\n", json(tenant.as_str().into())));
        }
        for (name, words) in [("roles", &self.roles), ("scopes", &self.scopes)] {
            if !words.is_empty() {
                entry.push_str(&format!("  {name}: {}\n", json(words.as_slice().into())));
            }
        }
        entry
    }
}

fn random_id() -> Result<String, Failure> {
    Ok(super::random::<6>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
