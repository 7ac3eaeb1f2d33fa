//! A caller who encrypts requests and reads encrypted answers, for the tests of functions.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "only tests use this")]

use serde_json::{Map, Value};

use super::compact::Compact;
use super::content::open;
use super::header::{Header, Recipient};
use super::{AgreementKey, ReplyKey};
use crate::keys::Kind as _;

/// Has a key of its own for answers.
pub struct Caller(AgreementKey);

impl Caller {
    /// With a new key.
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(AgreementKey::generate().unwrap())
    }

    /// The public key that answers are encrypted to.
    pub fn public_jwk(&self) -> Value {
        self.0.public_jwk()
    }

    /// A request to a function's public key. `header` has the last word on the protected header: `null` takes a parameter
    /// out of it.
    pub fn encrypt(&self, to: &Value, content: &[u8], header: &Value) -> String {
        let mut changes = Map::from_iter([("reply_jwk".to_owned(), self.public_jwk())]);
        changes.extend(header.as_object().cloned().unwrap_or_default());
        let to = ReplyKey::from_jwk(to).unwrap();
        to.encrypt_with(content, "application/json", changes).unwrap()
    }

    /// The content of an answer and its media type; `None` where it is not for this caller.
    pub fn decrypt(&self, answer: &[u8]) -> Option<(Vec<u8>, String)> {
        let Compact { encoded_header, header, encrypted_key, iv, mut ciphertext, tag } =
            Compact::split(answer).ok()?;
        let header = Header::read(&header).ok()?;
        let Recipient::Agreement(agreement) = &header.recipient else { return None };
        let content_key = self.0.unwrap(agreement, &encrypted_key)?;
        open(&content_key, &iv, encoded_header, &mut ciphertext, &tag)?;
        Some((ciphertext.to_vec(), header.content_type))
    }
}
