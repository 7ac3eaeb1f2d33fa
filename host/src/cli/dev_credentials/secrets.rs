//! The secrets of the gate, as an environment file.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{Failure, Group, NewFile, random, read, unusable};

const FILE: &str = "secrets.env";
const NAMES: [&str; 2] = ["PORTCULLIS_API_KEY_PEPPER", "PORTCULLIS_ASSERTION_KEY"];
/// The least that a secret must have, in bytes.
const LENGTH: usize = 32;

pub(super) const GROUP: Group = Group { files: &[FILE], make, check };

fn make() -> Result<Vec<NewFile>, Failure> {
    let mut content = Zeroizing::new(String::new());
    for name in NAMES {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<LENGTH>()?.as_slice()));
        for part in [name, "=", &secret, "\n"] {
            content.push_str(part);
        }
    }
    Ok(vec![NewFile { name: FILE, content, secret: true }])
}

fn check(directory: &Path) -> Result<(), Failure> {
    let path = directory.join(FILE);
    let text = read(&path)?;
    for name in NAMES {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let Some(value) = values.next() else {
            return Err(unusable(&path, format_args!("expected a line {name}=…")));
        };
        let decoded = URL_SAFE_NO_PAD.decode(value.trim()).map(Zeroizing::new);
        if decoded.is_ok_and(|secret| secret.len() >= LENGTH) {
            continue;
        }
        let expected = format!("{name}: expected at least {LENGTH} bytes in base64url");
        return Err(unusable(&path, expected));
    }
    Ok(())
}
