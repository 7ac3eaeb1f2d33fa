//! The protected header (RFC 7516 §4), read strictly.

use portcullis_policy::Principal;
use serde_json::{Map, Value};

use super::agreement::{Agreement, public_key};
use super::compact::decode;
use super::json::object;
use super::{Algorithm, CONTENT_ENCRYPTION, JweError};

/// The parameter in which a caller brings the public key that the answer is encrypted to: a JSON Web Key. It is
/// Portcullis's own; `jwk`, which is registered, is the recipient's key (RFC 7516 §4.1.5).
const REPLY_KEY: &str = "reply_jwk";

/// Parameters that change what a message means in ways that are not offered, whether or not `crit` names them: `p2s`,
/// `p2c`, `iv` and `tag` belong to algorithms that are not.
const REFUSED: [&str; 7] = ["zip", "crit", "b64", "p2s", "p2c", "iv", "tag"];

/// The longest `apu` or `apv`.
const MAXIMUM_PARTY_BYTES: usize = 256;

/// The longest `cty`.
const MAXIMUM_TYPE_BYTES: usize = 127;

/// What a header says. Other parameters than these are ignored, as they have to be.
pub(super) struct Header {
    pub(super) recipient: Recipient,
    pub(super) key_id: String,
    /// The media type of the content.
    pub(super) content_type: String,
    /// The key for the answer, not looked at yet.
    pub(super) reply_jwk: Option<Value>,
    pub(super) sender: Sender,
}

/// Who a message says it is from: `sub` and `iss` in the header (RFC 7519 §5.3), as far as they are there. Who has seen a message
/// cannot send it in another name then.
#[derive(Default)]
pub struct Sender {
    subject: Option<String>,
    issuer: Option<String>,
}

impl Sender {
    fn read(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| match members.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        Some(Self { subject: text("sub")?, issuer: text("iss")? })
    }

    /// Whether the message may come from whom the gate has named.
    pub fn may_be(&self, principal: &Principal) -> bool {
        let is_subject = self.subject.as_ref().is_none_or(|subject| *subject == principal.subject);
        is_subject && (self.issuer.is_none() || self.issuer == principal.issuer)
    }
}

/// How the content's key is to be had.
pub(super) enum Recipient {
    Rsa,
    Agreement(Box<Agreement>),
}

impl Header {
    pub(super) fn read(text: &[u8]) -> Result<Self, JweError> {
        let mut members = object(text).ok_or(JweError::Refused(
            "expected a header that is a JSON object, each member once",
        ))?;
        if REFUSED.iter().any(|name| members.contains_key(*name)) {
            return Err(JweError::Refused("expected no zip, crit, b64, p2s, p2c, iv or tag"));
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let algorithm = text("alg")
            .and_then(Algorithm::from_name)
            .ok_or(JweError::Refused("expected an alg of RSA-OAEP-256 or ECDH-ES+A256KW"))?;
        if text("enc") != Some(CONTENT_ENCRYPTION) {
            return Err(JweError::Refused("expected an enc of A256GCM"));
        }
        let key_id = text("kid").ok_or(JweError::Refused("expected a kid"))?.to_owned();
        let content_type = content_type(members.get("cty"))
            .ok_or(JweError::Refused("expected a cty that is a media type, and no JWE or JWS"))?;
        let recipient = match algorithm {
            Algorithm::RsaOaep256 => Recipient::Rsa,
            Algorithm::EcdhEsA256Kw => Recipient::Agreement(Box::new(agreement(&members)?)),
        };
        let sender = Sender::read(&members)
            .ok_or(JweError::Refused("expected a sub and an iss that are text, or none"))?;
        let reply_jwk = members.remove(REPLY_KEY);
        Ok(Self { recipient, key_id, content_type, reply_jwk, sender })
    }
}

fn agreement(members: &Map<String, Value>) -> Result<Agreement, JweError> {
    let party = |name: &str| {
        let bytes = match members.get(name) {
            None => Some(Vec::new()),
            Some(value) => value.as_str().and_then(decode),
        };
        bytes.filter(|bytes| bytes.len() <= MAXIMUM_PARTY_BYTES).ok_or(JweError::Refused(
            "expected an apu and an apv of at most 256 bytes in base64url",
        ))
    };
    let epk = members.get("epk").and_then(Value::as_object).and_then(public_key);
    Ok(Agreement {
        ephemeral: epk.ok_or(JweError::Refused("expected an epk that is a public key on P-256"))?,
        apu: party("apu")?,
        apv: party("apv")?,
    })
}

/// The media type that `cty` says; without one, JSON. A message within the message is refused: it would get by whatever
/// looks at the content.
fn content_type(cty: Option<&Value>) -> Option<String> {
    let Some(cty) = cty else { return Some("application/json".to_owned()) };
    let cty = cty.as_str().filter(|cty| (1..=MAXIMUM_TYPE_BYTES).contains(&cty.len()))?;
    if !cty.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return None;
    }
    // RFC 7515 §4.1.10.
    let name = if cty.contains('/') { cty.to_owned() } else { format!("application/{cty}") };
    let essence = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_nested = ["application/jose", "application/jose+json", "application/jwt"];
    (!is_nested.contains(&essence.as_str())).then_some(name)
}
