//! The pepper under which digests of keys are made.

use portcullis_policy::{Secret, Secrets as _};

use crate::cli::Failure;
use crate::secrets::SecretArgs;

/// Where the pepper is.
#[derive(Debug, clap::Args)]
pub(super) struct PepperArgs {
    /// The secret that is the policy's pepper
    #[arg(long, value_name = "NAME", default_value = "PORTCULLIS_API_KEY_PEPPER")]
    pepper_env: String,

    #[command(flatten)]
    secrets: SecretArgs,
}

impl PepperArgs {
    pub(super) fn load(&self) -> Result<Secret, Failure> {
        let name = &self.pepper_env;
        let pepper = self.secrets.load()?.secret(name).ok_or_else(|| {
            Failure::input(format_args!(
                "the pepper {name} is not set: set it in the environment, or give a file that has \
                 it with --secrets (`portcullis dev-credentials` makes one)"
            ))
        })?;
        Secret::from_base64url(&pepper).map_err(|error| {
            Failure::input(format_args!("the pepper {name} is not usable: {error}"))
        })
    }
}
