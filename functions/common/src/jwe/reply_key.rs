//! The caller's key, and answers that only the caller can read.

use p256::PublicKey;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::compact::encode;
use super::content::{IV_BYTES, seal};
use super::{Algorithm, CONTENT_ENCRYPTION, JweError, MEDIA_TYPE, agreement, oaep};
use crate::keys::{NoRandomness, random};
use crate::{Reply, UNAVAILABLE};

/// The longest `kid`, which comes back with the answer.
const MAXIMUM_ID_BYTES: usize = 256;

/// The public key of a caller.
#[derive(Debug)]
pub struct ReplyKey {
    key: Key,
    id: Option<String>,
}

#[derive(Debug)]
enum Key {
    Rsa(Box<rsa::PublicKey>),
    Agreement(PublicKey),
}

impl ReplyKey {
    /// Reads a JSON Web Key. The error says what the caller has to change.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JweError> {
        const MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        let jwk = jwk.as_object().ok_or(MISSING)?;
        if MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            // It has been in a message, even if an encrypted one.
            return Err(JweError::ReplyKey(
                "reply_jwk is a private key: replace that key, and send its public part.",
            ));
        }
        let is_for_encryption = jwk.get("use").is_none_or(|purpose| purpose == "enc")
            && jwk.get("key_ops").is_none_or(allows_encryption);
        if !is_for_encryption {
            return Err(JweError::ReplyKey("Send a reply_jwk that is for encryption: use enc."));
        }
        let (algorithm, key) = match jwk.get("kty").and_then(Value::as_str) {
            Some("EC") => (
                Algorithm::EcdhEsA256Kw,
                agreement::public_key(jwk).map(Key::Agreement).ok_or(JweError::ReplyKey(
                    "Send a reply_jwk of kty EC with crv P-256 and a point x, y on that curve.",
                ))?,
            ),
            Some("RSA") => (
                Algorithm::RsaOaep256,
                oaep::public_key(jwk).map(|key| Key::Rsa(Box::new(key))).ok_or(
                    JweError::ReplyKey(
                        "Send a reply_jwk of kty RSA with 2048 to 4096 bits and the exponent AQAB.",
                    ),
                )?,
            ),
            _ => return Err(MISSING),
        };
        if !jwk.get("alg").is_none_or(|name| name == algorithm.as_str()) {
            return Err(JweError::ReplyKey(
                "Send a reply_jwk with the alg RSA-OAEP-256 (kty RSA) or ECDH-ES+A256KW (kty EC), or without one.",
            ));
        }
        Ok(Self { key, id: id(jwk)? })
    }

    /// Encrypts an answer: a JWE in compact serialisation, with the key's `kid` if it has one.
    pub fn encrypt(&self, content: &[u8], content_type: &str) -> Result<String, NoRandomness> {
        self.encrypt_with(content, content_type, Map::new())
    }

    /// `changes` are made to the header in the end; `null` takes a parameter out of it.
    pub(super) fn encrypt_with(
        &self,
        content: &[u8],
        content_type: &str,
        changes: Map<String, Value>,
    ) -> Result<String, NoRandomness> {
        let content_key = random::<32>()?;
        let iv = random::<IV_BYTES>()?;
        let mut header = Map::new();
        let encrypted_key = match &self.key {
            Key::Rsa(key) => {
                header.insert("alg".to_owned(), Algorithm::RsaOaep256.as_str().into());
                oaep::wrap(&content_key, key)?
            }
            Key::Agreement(key) => {
                let (epk, wrapped) = agreement::wrap(&content_key, key)?;
                header.insert("alg".to_owned(), Algorithm::EcdhEsA256Kw.as_str().into());
                header.insert("epk".to_owned(), epk);
                wrapped
            }
        };
        header.insert("enc".to_owned(), CONTENT_ENCRYPTION.into());
        header.insert("cty".to_owned(), short(content_type).into());
        if let Some(id) = &self.id {
            header.insert("kid".to_owned(), json!(id));
        }
        header.extend(changes);
        header.retain(|_, value| !value.is_null());
        let header = encode(Value::Object(header).to_string());
        let mut content = Zeroizing::new(content.to_vec());
        // The only reason to fail is a content of gigabytes.
        let tag = seal(&content_key, &iv, &header, &mut content).ok_or(NoRandomness)?;
        let [key, iv, content, tag] =
            [&encrypted_key, iv.as_slice(), &content, tag.as_slice()].map(encode);
        Ok([header, key, iv, content, tag].join("."))
    }

    /// The same reply, encrypted: its status stays, its content and the content's type can no longer be seen. Also for
    /// refusals of what was decrypted, which may name parts of it.
    pub fn seal(&self, mut reply: Reply) -> Reply {
        let content_type = reply.headers.iter().find(|(name, _)| *name == "content-type");
        let content_type = content_type.map_or("application/octet-stream", |(_, value)| *value);
        match self.encrypt(&reply.body, content_type) {
            Ok(message) => {
                reply.body = message.into_bytes();
                reply.with_header("content-type", MEDIA_TYPE)
            }
            Err(_) => UNAVAILABLE.reply(),
        }
    }
}

/// Whether the operations that a key is said to be for are those of encryption. Browsers write none for the public key of
/// an agreement.
fn allows_encryption(operations: &Value) -> bool {
    const OPERATIONS: [&str; 4] = ["encrypt", "wrapKey", "deriveKey", "deriveBits"];
    let known = |operation: &Value| OPERATIONS.iter().any(|known| operation == known);
    operations
        .as_array()
        .is_some_and(|operations| operations.is_empty() || operations.iter().any(known))
}

fn id(jwk: &Map<String, Value>) -> Result<Option<String>, JweError> {
    let Some(id) = jwk.get("kid") else { return Ok(None) };
    let id =
        id.as_str().filter(|id| id.len() <= MAXIMUM_ID_BYTES && !id.contains(char::is_control));
    let id = id.ok_or(JweError::ReplyKey(
        "Send a reply_jwk with a kid of at most 256 bytes, or without one.",
    ))?;
    Ok(Some(id.to_owned()))
}

/// A media type as a `cty` has it (RFC 7515 §4.1.10).
fn short(content_type: &str) -> &str {
    let subtype = content_type.strip_prefix("application/");
    subtype.filter(|subtype| !subtype.contains('/')).unwrap_or(content_type)
}

/// There is no key, or none that is known.
pub(super) const MISSING: JweError = JweError::ReplyKey(
    "Send the public key that the answer is to be encrypted to, a JSON Web Key of kty EC (P-256) or RSA, in the \
     protected header: reply_jwk.",
);
