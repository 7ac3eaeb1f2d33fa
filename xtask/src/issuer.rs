//! The token issuer of `cargo xtask up`: its clients, and tokens from it.
//!
//! Nothing of it is kept: each `up` has clients, keys and secrets of its own.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::demo::HTTP_VERSION;
use crate::process;

/// Who may have tokens.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// For the issuer's registry.
    entry: Value,
}

impl Client {
    /// Makes a client with `portcullis client new`; `portcullis` is the command without arguments.
    pub(crate) fn new(mut portcullis: Command, id: &str, audience: &str) -> Result<Self> {
        portcullis.args(["client", "new", "--id", id, "--role", "caller", "--audience", audience]);
        let printed = process::text(&mut portcullis)?;
        let (secret, entry) = printed
            .split_once('\n')
            .context("`portcullis client new` did not print a secret and an entry")?;
        // The error would quote the entry, the secret is not in it.
        let entry = serde_json::from_str(entry).context("reading the entry of a client")?;
        Ok(Self { id: id.to_owned(), secret: secret.to_owned(), entry })
    }
}

/// The variables of the issuer, as the environment of `portcullis serve`.
pub(crate) fn variables(issuer: &str, clients: &[Client]) -> Result<Vec<(&'static str, String)>> {
    let entries: Value = clients.iter().map(|client| client.entry.clone()).collect();
    Ok(vec![
        ("PORTCULLIS_VARIABLE_ISSUER", issuer.to_owned()),
        ("PORTCULLIS_VARIABLE_CLIENTS", entries.to_string()),
        ("PORTCULLIS_VARIABLE_KEY_ENCRYPTION_KEY", random_key()?),
    ])
}

/// 256 random bits as text that is base64url (each hexadecimal digit counts as six bits, four of them random).
pub(crate) fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The issuer, for those who want tokens.
pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    pub(crate) newcomer: Client,
    pub(crate) eager: Client,
}

impl Issuer {
    /// A token by the client credentials grant, over HTTP and through the issuer's own gate.
    pub(crate) fn token(&self, client: &Client) -> Result<String> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
        command.args(self.arguments(client));
        let answer = process::text(&mut command)?;
        let document: Value = serde_json::from_str(&answer).unwrap_or_default();
        match document["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => bail!("the issuer gave {} no token: {answer}", client.id),
        }
    }

    /// The same as a line for a shell: prints the token.
    pub(crate) fn line(&self, client: &Client) -> String {
        let arguments = self.arguments(client).join(" ");
        format!(r#"curl -sS {arguments} | sed -E 's/.*"access_token":"([^"]*)".*/\1/'"#)
    }

    /// curl's arguments, none of which a shell would read differently.
    fn arguments(&self, client: &Client) -> [String; 6] {
        [
            HTTP_VERSION.to_owned(),
            "-u".to_owned(),
            format!("{}:{}", client.id, client.secret),
            "-d".to_owned(),
            "grant_type=client_credentials".to_owned(),
            format!("http://{}/token", self.address),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(id: &str) -> Client {
        Client { id: id.to_owned(), secret: "s3cret".to_owned(), entry: json!({ "id": id }) }
    }

    #[test]
    fn each_up_has_its_own_keys_and_all_its_clients() {
        let variables = |_| variables("https://issuer.example", &[client("a"), client("b")]);
        let [one, other] = [0, 1].map(|n| variables(n).unwrap());
        assert_eq!(one[1].1, r#"[{"id":"a"},{"id":"b"}]"#);
        assert_eq!(one[2].1.len(), 64);
        assert_ne!(one[2].1, other[2].1);
    }

    #[test]
    fn the_line_asks_as_we_do() {
        let issuer = Issuer {
            address: "127.0.0.1:1".parse().unwrap(),
            newcomer: client("newcomer"),
            eager: client("eager"),
        };
        let line = issuer.line(&issuer.newcomer);
        assert!(line.starts_with("curl -sS --http1.1 -u newcomer:s3cret -d grant_type=client_credentials http://127.0.0.1:1/token | "));
        let filter = line.split_once(" | ").unwrap().1;
        let shell =
            format!(r#"echo '{{"access_token":"a.b.c","token_type":"Bearer"}}' | {filter}"#);
        assert_eq!(process::text(Command::new("sh").args(["-c", &shell])).unwrap(), "a.b.c");
    }
}
