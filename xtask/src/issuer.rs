//! The token issuer of `cargo xtask up`: its clients, and tokens from it.
//!
//! Nothing of it is kept: each `up` has clients, keys and secrets of its own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

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
fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Fetches the issuer's public keys and writes them where the gate's policy finds them.
pub(crate) fn save_key_set(issuer: SocketAddr, path: &Path) -> Result<()> {
    let answer = get(issuer, "/jwks").with_context(|| format!("asking http://{issuer}/jwks"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let set: Value = serde_json::from_str(body).unwrap_or_default();
    if head.split(' ').nth(1) != Some("200") || !set["keys"].is_array() {
        bail!("http://{issuer}/jwks: expected a key set, found {:?}", head.lines().next());
    }
    std::fs::write(path, set.to_string()).with_context(|| format!("writing {}", path.display()))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // HTTP/1.0: the body ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    Ok(answer)
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
    use std::net::TcpListener;
    use std::thread;

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
    fn only_a_key_set_is_taken_for_one() {
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\n\r\n{\"keys\":[]}", true),
            ("HTTP/1.1 503 No\r\n\r\n{\"keys\":[]}", false),
            ("HTTP/1.1 200 OK\r\n\r\n{}", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 256]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("set.json");
            assert_eq!(save_key_set(address, &path).is_ok(), good, "{answer}");
            assert_eq!(path.exists(), good);
            server.join().unwrap();
        }
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
