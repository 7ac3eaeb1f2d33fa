//! Encrypts and decrypts as a function does, for other implementations to be tried against: a line of JSON for each line of
//! JSON, from standard input to standard output.
//!
//!     {"keys": true}             the public keys
//!     {"rotate": 3700}           so many seconds later, with a new key; the public keys
//!     {"decrypt": "…"}           {"content": "…", "content_type": "…", "answer": "…"},
//!                                or {"refused": "…", "problem": {…}}
//!
//! The content is in base64url; the answer is the same content, encrypted to the key that the message brings. The first
//! argument names a file with RSA keys (PKCS #8, PEM). Keys are kept nowhere.

use std::io::{BufRead as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_function::jwe::{DecryptionKeys, JweSettings};
use portcullis_function::keys::testing::{MemoryStore, NOW, run};
use serde_json::{Value, json};
use zeroize::Zeroizing;

fn main() -> std::io::Result<()> {
    let pem = std::env::args().nth(1).map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let settings = JweSettings::read(|name| match name {
        // Whatever it is, it goes when this process does.
        "key_encryption_key" => Some(Zeroizing::new("A".repeat(43))),
        "decryption_keys" => Some(Zeroizing::new(pem.clone())),
        _ => None,
    });
    let settings = settings.map_err(std::io::Error::other)?;
    let settings = settings.ok_or_else(|| std::io::Error::other("expected keys"))?;
    let (store, mut now) = (MemoryStore::default(), NOW);
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let open =
            |now| run(DecryptionKeys::open(&settings, &store, now)).map_err(std::io::Error::other);
        let mut keys = open(now)?;
        let answer = if let Some(message) = command["decrypt"].as_str() {
            decrypt(&keys, message)
        } else if let Some(seconds) = command["rotate"].as_u64() {
            run(keys.rotate(&store)).map_err(std::io::Error::other)?;
            now += seconds;
            open(now)?.public_set()
        } else {
            keys.public_set()
        };
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}

fn decrypt(keys: &DecryptionKeys<'_>, message: &str) -> Value {
    let decrypted = match keys.decrypt(message.as_bytes()) {
        Ok(decrypted) => decrypted,
        Err(error) => {
            let problem: Value =
                serde_json::from_slice(&error.problem().reply().body).unwrap_or_default();
            return json!({ "refused": error.to_string(), "problem": problem });
        }
    };
    let answer = decrypted.reply_key.encrypt(&decrypted.content, &decrypted.content_type);
    json!({
        "content": URL_SAFE_NO_PAD.encode(decrypted.content.as_slice()),
        "content_type": decrypted.content_type,
        "answer": answer.ok(),
    })
}
