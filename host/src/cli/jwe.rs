//! `portcullis jwe`: encrypted requests, and the answers to them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use portcullis_function::jwe::{BODY_LIMIT, Caller, JweError};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Failure, input_file};

/// Encrypt requests so that only the function can read them, and read its answers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Seal(SealArgs),
    Open(OpenArgs),
}

/// Encrypt a request (JSON Web Encryption, compact serialisation)
///
/// Reads the content from standard input and prints the message, to be sent as application/jose. It is encrypted to the first
/// key of --keys that is for that: the set that the gate has at /.well-known/jwks.json.
#[derive(Debug, clap::Args)]
struct SealArgs {
    /// The function's public keys, a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,

    /// Your own key, to which the answer is to be encrypted; it is made, readable by you alone, where the file does not exist
    #[arg(long, value_name = "FILE")]
    own: PathBuf,

    /// What the content is
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,

    /// Who you are to the gate, the subject of your token: nobody else can then send this message in their own name
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,

    /// And the issuer of that token
    #[arg(long, value_name = "ISSUER", requires = "subject")]
    issuer: Option<String>,
}

/// Decrypt an answer
///
/// Reads it from standard input and prints its content. What is not encrypted, such as a refusal by the gate, which has not
/// read the request either, is shown as an error.
#[derive(Debug, clap::Args)]
struct OpenArgs {
    /// Your own key, which the request brought along
    #[arg(long, value_name = "FILE")]
    own: PathBuf,
}

impl Args {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// A file or standard input is bad, or an answer is not for this key.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Seal(args) => args.run(),
            Command::Open(args) => args.run(),
        }
    }
}

impl SealArgs {
    fn run(self) -> Result<(), Failure> {
        let set = input_file(&self.keys)?;
        let shown = self.keys.display();
        let key = recipient(&set).map_err(|expected| {
            Failure::input(format_args!(
                "{shown}: expected {expected}, as the gate has it at /.well-known/jwks.json"
            ))
        })?;
        // Before there is a key of one's own: a bad set leaves nothing behind.
        let content = standard_input(BODY_LIMIT.bytes)?;
        let message = match own(&self.own)? {
            Some(caller) => caller,
            None => made(&self.own)?,
        }
        .encrypt(&key, &content, &self.content_type, &self.sender())
        .map_err(|error| match error {
            JweError::Random(error) => Failure::runtime(error),
            error => Failure::input(format_args!("{shown}: {error}")),
        })?;
        if message.len() > BODY_LIMIT.bytes {
            return Err(Failure::input(format_args!(
                "standard input: expected less: the message would have {} bytes, and may have {}",
                message.len(),
                BODY_LIMIT.bytes
            )));
        }
        super::print(&message)
    }
}

impl SealArgs {
    /// RFC 7519 §5.3; what is not said is left out.
    fn sender(&self) -> Value {
        let named = [("sub", &self.subject), ("iss", &self.issuer)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        named.map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>().into()
    }
}

impl OpenArgs {
    fn run(self) -> Result<(), Failure> {
        let shown = self.own.display();
        let missing = || {
            Failure::input(format_args!(
                "{shown}: expected the key that `portcullis jwe seal` was given"
            ))
        };
        // First the answer: in a pipeline, `seal` has made the key by then.
        let answer = standard_input(ANSWER_BYTES)?;
        let caller = own(&self.own)?.ok_or_else(missing)?;
        let answer = answer.trim_ascii();
        if !is_message(answer) {
            let text = String::from_utf8_lossy(answer);
            return Err(Failure::runtime(format_args!("the answer is not encrypted: {text}")));
        }
        let opened = caller.decrypt(answer).map_err(|_| {
            Failure::runtime(format_args!(
                "the answer is not encrypted to the key in {shown}, or has been changed"
            ))
        })?;
        super::print(&Zeroizing::new(format!("{}\n", String::from_utf8_lossy(&opened.content))))
    }
}

/// More than the function's longest answer, encrypted.
const ANSWER_BYTES: usize = 2 << 20;

/// The first key of a set that requests are encrypted to. The error is what was expected.
fn recipient(set: &[u8]) -> Result<Value, &'static str> {
    let set: Value = serde_json::from_slice(set).map_err(|_| "a JSON Web Key Set")?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("a JSON Web Key Set")?;
    let is_for_this = |key: &&Value| {
        let is = |name: &str, expected: &str| key.get(name).is_none_or(|value| value == expected);
        let is_named = key.get("kid").is_some_and(Value::is_string);
        let fits = match key.get("kty").and_then(Value::as_str) {
            Some("EC") => is("crv", "P-256") && is("alg", "ECDH-ES+A256KW"),
            Some("RSA") => is("alg", "RSA-OAEP-256"),
            _ => false,
        };
        fits && is_named && is("use", "enc")
    };
    let key = keys.iter().find(is_for_this);
    key.cloned().ok_or("a key with a kid for encryption: kty EC with crv P-256, or RSA")
}

/// One's own key, if the file is there.
fn own(path: &Path) -> Result<Option<Caller>, Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let text = Zeroizing::new(input_file(path)?);
    let caller = serde_json::from_slice(&text).ok().and_then(|jwk: Value| Caller::from_jwk(&jwk));
    // What is in it is not shown.
    let expected = "expected a private JSON Web Key of kty EC, crv P-256";
    caller.map(Some).ok_or_else(|| Failure::input(format_args!("{}: {expected}", path.display())))
}

/// A new one, written whole or not at all, and never over another file.
fn made(path: &Path) -> Result<Caller, Failure> {
    use std::io::Write as _;

    let caller = Caller::new().map_err(Failure::runtime)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || -> std::io::Result<()> {
        // Readable by its owner alone from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(caller.to_jwk().as_bytes())?;
        file.persist_noclobber(path)?;
        Ok(())
    };
    write().map_err(|error| Failure::runtime(format_args!("{}: {error}", path.display())))?;
    Ok(caller)
}

fn standard_input(most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut content = Zeroizing::new(Vec::new());
    std::io::stdin()
        .lock()
        .take(most as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| Failure::input(format_args!("standard input: {error}")))?;
    match content.len() <= most {
        true => Ok(content),
        false => Err(Failure::input(format_args!("standard input: more than {most} bytes"))),
    }
}

/// Whether a text has the form of a JWE: five parts of base64url.
fn is_message(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    text.iter().all(plain) && text.iter().filter(|byte| **byte == b'.').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_is_for_encryption_is_taken() {
        let key =
            |kty: &str, purpose: &str, id: &str| json!({ "kty": kty, "use": purpose, "kid": id });
        let set = json!({ "keys": [
            key("EC", "sig", "a"), key("oct", "enc", "b"),
            { "kty": "EC", "crv": "P-384", "kid": "c" }, { "kty": "EC", "crv": "P-256" },
            { "kty": "RSA", "alg": "RS256", "kid": "d" }, key("RSA", "enc", "e"), key("EC", "enc", "f"),
        ]});
        assert_eq!(recipient(set.to_string().as_bytes()).unwrap()["kid"], "e");
        for bad in ["", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[1]}"] {
            assert!(recipient(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_s_own_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.json");
        assert!(own(&path).unwrap().is_none());
        let caller = made(&path).unwrap();
        assert_eq!(own(&path).unwrap().unwrap().public_jwk(), caller.public_jwk());
        assert!(made(&path).is_err(), "never over another");
        assert_eq!(own(&path).unwrap().unwrap().public_jwk(), caller.public_jwk());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
        std::fs::write(&path, "{\"kty\":\"EC\",\"d\":\"hunter2\"}").unwrap();
        let failure = own(&path).map(drop).unwrap_err().to_string();
        assert!(
            failure.contains("own.json: expected") && !failure.contains("hunter2"),
            "{failure}"
        );
    }

    #[test]
    fn what_is_in_the_clear_is_no_message() {
        assert!(is_message(b"a.b.c.d.e") && is_message(b"eyJ._-.c.d.e"));
        for clear in ["", "{\"type\":\"a.b.c.d.e\"}", "a.b.c", "a.b.c.d.e.f", "a.b. .d.e"] {
            assert!(!is_message(clear.as_bytes()), "{clear}");
        }
    }
}
