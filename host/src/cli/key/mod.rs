//! `portcullis key`: API keys, and the file that holds what is kept of them.

mod attributes;
mod file;
mod list;
mod new;
mod pepper;
mod revoke;
mod rotate;
mod time;

use portcullis_policy::document::ApiKeyFile;
use portcullis_policy::identity::ApiKey;

use super::Failure;

/// Make API keys, and edit the file of those that there are
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(Box<new::Args>),
    List(list::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// The pepper is missing, an argument is bad, or the file of keys is not right or cannot be written. The file is then as
    /// it was.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::New(args) => args.run(),
            Command::List(args) => args.run(),
            Command::Rotate(args) => args.run(),
            Command::Revoke(args) => args.run(),
        }
    }
}

/// Makes a key of an id that no key in the file has, a random one where none is wished for.
fn make_key(id: Option<&str>, file: &ApiKeyFile) -> Result<ApiKey, Failure> {
    let is_taken = |id: &str| file.keys.iter().any(|entry| entry.id == id);
    let id = match id {
        Some(id) if is_taken(id) => {
            let message = "expected an id that no key in the file has, also no revoked one";
            return Err(Failure::input(format_args!("id {id}: {message}")));
        }
        Some(id) => {
            check_id(id)?;
            id.to_owned()
        }
        None => {
            let mut id = random_id()?;
            while is_taken(&id) {
                id = random_id()?;
            }
            id
        }
    };
    let secret = super::random::<32>()?;
    ApiKey::new(&id, &secret)
        .map_err(|_| Failure::input("id: expected 4 to 32 lower-case letters and digits"))
}

fn random_id() -> Result<String, Failure> {
    Ok(super::random::<6>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Shows a key, this once. What stands in the file is of no use without it, so it matters whether it was shown.
fn show(key: &ApiKey) -> Result<(), Failure> {
    use std::io::Write as _;

    let mut output = std::io::stdout().lock();
    let shown = output
        .write_all(key.expose().as_bytes())
        .and_then(|()| output.write_all(b"\n"))
        .and_then(|()| output.flush());
    shown.map_err(|error| {
        Failure::runtime(format_args!(
            "standard output: {error}: the key {} is in the file and nobody has seen it: revoke it",
            key.id()
        ))
    })
}

/// Refuses a whole key in place of an id, and does not repeat it.
fn check_id(id: &str) -> Result<(), Failure> {
    match id.starts_with("pcl_") {
        true => Err(Failure::input(
            "expected the id alone: what stands between pcl_ and the next underscore",
        )),
        false => Ok(()),
    }
}
