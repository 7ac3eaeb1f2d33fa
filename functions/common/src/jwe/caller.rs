//! The other side: a caller who encrypts requests and reads encrypted answers.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::compact::{Compact, decode, encode};
use super::content::open;
use super::header::{Header, Recipient};
use super::{AgreementKey, JweError, ReplyKey};
use crate::keys::{Kind as _, NoRandomness};

/// The longest answer that is read: a function's is at most 1 MiB before it is encrypted.
const ANSWER_BYTES: usize = 2 << 20;

/// Has a key of its own for answers. Wiped when dropped, never printed.
pub struct Caller(AgreementKey);

/// What was in an answer.
pub struct Answer {
    /// The content.
    pub content: Zeroizing<Vec<u8>>,
    /// Its media type.
    pub content_type: String,
}

impl Caller {
    /// With a new key.
    pub fn new() -> Result<Self, NoRandomness> {
        AgreementKey::generate().map(Self)
    }

    /// With the key that [`Self::to_jwk`] gave. `None` where it is none, or its parts do not belong together.
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let private = Zeroizing::new(decode(jwk.get("d")?.as_str()?)?);
        let key = AgreementKey::from_bytes(&private)?;
        let public = key.public_jwk();
        let belongs = ["kty", "crv", "x", "y"].iter().all(|name| jwk.get(name) == public.get(name));
        belongs.then_some(Self(key))
    }

    /// The private key as a JSON Web Key (RFC 7518 §6.2.2), to be kept where nobody else reads it.
    pub fn to_jwk(&self) -> Zeroizing<String> {
        let mut jwk = self.public_jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("d".to_owned(), json!(encode(self.0.to_bytes().as_slice())));
        }
        Zeroizing::new(jwk.to_string())
    }

    /// The public key that answers are encrypted to.
    pub fn public_jwk(&self) -> Value {
        self.0.public_jwk()
    }

    /// Encrypts a request to a function's public key: a JWE in compact serialisation. `header` has the last word on the
    /// protected header; `null` takes a parameter out of it.
    pub fn encrypt(
        &self,
        to: &Value,
        content: &[u8],
        content_type: &str,
        header: &Value,
    ) -> Result<String, JweError> {
        let mut changes = Map::from_iter([("reply_jwk".to_owned(), self.public_jwk())]);
        changes.extend(header.as_object().cloned().unwrap_or_default());
        Ok(ReplyKey::from_jwk(to)?.encrypt_with(content, content_type, changes)?)
    }

    /// Reads an answer. It is refused where it is not for this caller, or was changed.
    pub fn decrypt(&self, answer: &[u8]) -> Result<Answer, JweError> {
        const UNCHANGED: JweError =
            JweError::Refused("expected a message that was encrypted to this key, unchanged");
        let parts = Compact::split_within(ANSWER_BYTES, answer)?;
        let Compact { encoded_header, header, encrypted_key, iv, mut ciphertext, tag } = parts;
        let header = Header::read(&header)?;
        let Recipient::Agreement(agreement) = &header.recipient else { return Err(UNCHANGED) };
        let content_key = self.0.unwrap(agreement, &encrypted_key).ok_or(UNCHANGED)?;
        open(&content_key, &iv, encoded_header, &mut ciphertext, &tag).ok_or(UNCHANGED)?;
        Ok(Answer { content: ciphertext, content_type: header.content_type })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CONTENT, keys, published};
    use super::*;

    #[test]
    fn a_key_that_was_kept_reads_what_the_first_one_asked_for() {
        let (caller, keys) = (Caller::new().unwrap(), keys());
        let kept: Value = serde_json::from_str(&caller.to_jwk()).unwrap();
        for kty in ["EC", "RSA"] {
            let to = published(&keys, kty);
            let message = caller.encrypt(&to, CONTENT, "application/json", &json!({})).unwrap();
            let decrypted = keys.decrypt(message.as_bytes()).unwrap();
            assert_eq!(decrypted.content.as_slice(), CONTENT);
            // Longer than a request may be.
            let long = vec![b'a'; 1 << 20];
            let answer = decrypted.reply_key.encrypt(&long, "text/plain").unwrap();
            let read = Caller::from_jwk(&kept).unwrap().decrypt(answer.as_bytes()).unwrap();
            assert_eq!((read.content.as_slice(), &*read.content_type), (&*long, "text/plain"));
            let stranger = Caller::new().unwrap();
            assert!(stranger.decrypt(answer.as_bytes()).is_err());
            let mut changed = answer.into_bytes();
            changed[2_000] ^= 1;
            assert!(caller.decrypt(&changed).is_err());
        }
    }

    #[test]
    fn a_kept_key_is_whole_or_none() {
        let kept: Value = serde_json::from_str(&Caller::new().unwrap().to_jwk()).unwrap();
        let other: Value = serde_json::from_str(&Caller::new().unwrap().to_jwk()).unwrap();
        assert!(Caller::from_jwk(&kept).is_some());
        for (name, value) in [
            ("d", other["d"].clone()),
            ("d", Value::Null),
            ("d", json!(encode([0; 32]))),
            ("d", json!(encode([1; 31]))),
            ("x", other["x"].clone()),
            ("crv", json!("P-384")),
        ] {
            let mut changed = kept.clone();
            changed[name] = value;
            assert!(Caller::from_jwk(&changed).is_none(), "{name}");
        }
        assert!(Caller::from_jwk(&json!([])).is_none());
    }
}
