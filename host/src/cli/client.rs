//! `portcullis client`: clients of the token issuer.

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Failure;

/// Make clients for the token issuer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(NewArgs),
}

/// Make a client
///
/// The first line on standard output is the client's secret, which is shown this once and stored nowhere; the second
/// is the entry for the issuer's variable `clients`, a JSON array, which holds a hash only. To give a client a new
/// secret without a gap, make a second one for the same --subject, and remove the first when nobody uses it any more.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The client's id: letters, digits and - . _ ~; by default random
    #[arg(long)]
    id: Option<String>,

    /// Whom its tokens are for, their sub claim; by default the client's id
    #[arg(long)]
    subject: Option<String>,

    /// The tenant it belongs to
    #[arg(long)]
    tenant: Option<String>,

    /// A role its tokens give; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// A scope it may ask for; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// A service it may have tokens for, a name or a URI; may be repeated
    #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,

    /// How long its tokens are good for; by default 900
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(60..=3600))]
    token_lifetime: Option<u64>,
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// An argument is not one that the issuer takes.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::New(args) => args.run(),
        }
    }
}

impl NewArgs {
    fn run(self) -> Result<(), Failure> {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(super::random::<32>()?.as_slice()));
        let entry = self.entry(&secret)?;
        eprintln!(
            "The first line is the client's secret: it is shown this once, keep it safe. The second belongs into the \
             array that is the issuer's variable `clients`."
        );
        super::print(&Zeroizing::new(format!("{}\n{entry}\n", secret.as_str())))
    }

    /// The entry of the registry. The issuer's own rules, so that it takes what is printed.
    fn entry(self, secret: &str) -> Result<Value, Failure> {
        let id = match self.id {
            Some(id) => id,
            None => super::random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(1..=128).contains(&id.len()) || !id.bytes().all(plain) {
            let expected = "expected 1 to 128 of the characters A-Z a-z 0-9 - . _ ~";
            return Err(Failure::input(format_args!("--id {id:?}: {expected}")));
        }
        let text =
            |text: &str| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
        let scope = |word: &str| {
            text(word) && word.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
        };
        let texts = "expected a text of 1 to 256 bytes without control characters";
        let scopes =
            "expected 1 to 256 printable ASCII characters without blanks, quotes and backslashes";
        all("--subject", self.subject.as_slice(), text, texts)?;
        all("--tenant", self.tenant.as_slice(), text, texts)?;
        all("--role", &self.roles, text, texts)?;
        all("--scope", &self.scopes, scope, scopes)?;
        all("--audience", &self.audiences, text, texts)?;

        let mut entry = Map::new();
        let mut set = |name: &str, value: Value| entry.insert(name.to_owned(), value);
        set("id", id.into());
        set("secret_hash", hash(secret)?.into());
        for (name, value) in [("subject", self.subject), ("tenant", self.tenant)] {
            if let Some(value) = value {
                set(name, value.into());
            }
        }
        for (name, words) in [("roles", self.roles), ("scopes", self.scopes)] {
            if !words.is_empty() {
                set(name, words.into());
            }
        }
        set("audiences", self.audiences.into());
        if let Some(seconds) = self.token_lifetime {
            set("token_lifetime_seconds", seconds.into());
        }
        Ok(Value::Object(entry))
    }
}

/// Checks that the values of an argument are fit, few enough and different.
fn all(
    argument: &str,
    values: &[String],
    is_fit: impl Fn(&str) -> bool,
    expected: &str,
) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for value in values {
        if !is_fit(value) {
            return Err(Failure::input(format_args!("{argument} {value:?}: {expected}")));
        }
        if !seen.insert(value) {
            return Err(Failure::input(format_args!("{argument} {value:?}: expected it once")));
        }
    }
    match values.len() <= 64 {
        true => Ok(()),
        false => Err(Failure::input(format_args!("{argument}: expected at most 64"))),
    }
}

/// Argon2id at the cost that OWASP recommends: 19 MiB, two passes, one lane.
fn hash(secret: &str) -> Result<String, Failure> {
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let salt = super::random::<16>()?;
    let hash: PasswordHash = hasher
        .hash_password_with_salt(secret.as_bytes(), salt.as_slice())
        .map_err(|error| Failure::runtime(format_args!("the secret cannot be hashed: {error}")))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier as _;

    use super::*;

    fn args(id: Option<&str>, scopes: &[&str]) -> NewArgs {
        NewArgs {
            id: id.map(str::to_owned),
            subject: Some("alice \"x\"".to_owned()),
            tenant: None,
            roles: vec!["caller".to_owned()],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            audiences: vec!["scam-detector".to_owned()],
            token_lifetime: None,
        }
    }

    #[test]
    fn the_entry_has_a_hash_of_the_secret_and_no_more() {
        let entry = args(None, &["predict"]).entry("hunter2").unwrap();
        let hash = entry["secret_hash"].as_str().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let parsed = PasswordHash::new(hash).unwrap();
        assert!(Argon2::default().verify_password(b"hunter2", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"hunter3", &parsed).is_err());
        assert_eq!(entry["id"].as_str().unwrap().len(), 16);
        assert_eq!(entry["subject"], "alice \"x\"");
        assert_eq!(entry.get("tenant"), None);
        assert!(!entry.to_string().contains("hunter2"));
        assert_ne!(args(None, &[]).entry("hunter2").unwrap()["secret_hash"], hash);
    }

    #[test]
    fn what_the_issuer_would_not_take_is_not_printed() {
        for (id, scopes) in [
            (Some(""), &[][..]),
            (Some("a:b"), &[]),
            (Some("a b"), &[]),
            (Some("é"), &[]),
            (None, &["a b"]),
            (None, &["\""]),
            (None, &[""]),
            (None, &["a", "a"]),
        ] {
            let failure = args(id, scopes).entry("secret").unwrap_err().to_string();
            assert!(failure.contains("expected"), "{id:?} {scopes:?}: {failure}");
        }
    }
}
