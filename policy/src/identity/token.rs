//! A JSON Web Token taken apart, before any of it is believed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::header::{self, JoseHeader};
use super::json::{Json, Members};
use super::signature::JwsSignature;
use crate::input::JsonLimits;
use crate::problem::{Reason, Refusal};

/// The longest token that is looked at.
pub const MAXIMUM_TOKEN_BYTES: usize = 16 * 1024;

/// Tokens are flat; whatever nests deeper is not one.
const LIMITS: JsonLimits = JsonLimits { max_depth: 8, max_values: 1000 };

/// A JWS in compact serialisation (RFC 7515 §3.1) whose header and claims are JSON objects. Nothing has been
/// verified yet.
#[derive(Debug, Clone)]
pub struct Token<'a> {
    /// The whole token.
    pub text: &'a str,
    /// What the signature is over: header, dot, claims.
    pub signed: &'a str,
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes a token apart. Refuses everything that two implementations could read differently.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        Self::read(text, false)
    }

    /// Takes apart a proof (RFC 9449 §4.2): a token with a key in its header, which is for the caller to judge.
    pub(super) fn parse_proof(text: &'a str) -> Result<Self, Refusal> {
        Self::read(text, true)
    }

    fn read(text: &'a str, takes_key: bool) -> Result<Self, Refusal> {
        let mut buffer = Buffer::default();
        let parts = Parts::of(text)?;
        let (header, room) = parts.header(buffer.room_for(text))?;
        header::check(&header, takes_key)?;
        let (signature, room) = parts.signature(room)?;
        let claims = parts.claims(room)?;
        let signature = signature.to_vec();
        Ok(Self {
            text,
            signed: parts.signed,
            header: header.to_map(),
            claims: claims.to_map(),
            signature,
        })
    }

    /// The `alg` header parameter.
    pub fn algorithm(&self) -> &str {
        self.header.get("alg").and_then(Value::as_str).unwrap_or_default()
    }

    /// The `kid` header parameter.
    pub fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }
}

/// The same, as it stands in the text and in a [`Buffer`]: for who looks at it once.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    parts: Parts<'a>,
    pub(super) header: Arc<JoseHeader>,
    pub(super) claims: Members<'a>,
    signature: &'a [u8],
}

/// Where the parts of a token are decoded.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    fn room_for(&mut self, text: &str) -> &mut [u8] {
        // Decoded, a text is shorter.
        self.0.resize(text.len(), 0);
        &mut self.0
    }
}

impl<'a> Jws<'a> {
    /// Takes one apart. A header that is known is not read again.
    pub(super) fn parse(
        text: &'a str,
        known: impl FnOnce(&str) -> Option<Arc<JoseHeader>>,
        buffer: &'a mut Buffer,
    ) -> Result<Self, Refusal> {
        let parts = Parts::of(text)?;
        let room = buffer.room_for(text);
        let (header, room) = match known(parts.header) {
            Some(header) => (header, room),
            None => {
                let (header, room) = parts.header(room)?;
                (Arc::new(JoseHeader::of(&header)?), room)
            }
        };
        let (signature, room) = parts.signature(room)?;
        Ok(Self { header, claims: parts.claims(room)?, signature, parts })
    }

    /// The signature, and what it says of itself.
    pub(super) fn signature(&self) -> JwsSignature<'_> {
        self.parts.signed_with(&self.header, self.signature)
    }

    /// The header as it is written, base64url.
    pub(super) fn encoded_header(&self) -> &'a str {
        self.parts.header
    }

    /// The claims as they were signed, base64url.
    pub(super) fn payload(&self) -> &'a str {
        self.parts.payload
    }
}

/// Verifies a JWS in compact serialisation, whatever is signed: `verify` is handed the signature.
pub(super) fn verify_compact(
    text: &str,
    verify: impl FnOnce(&JwsSignature<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut buffer = Buffer::default();
    let parts = Parts::of(text)?;
    let (header, room) = parts.header(buffer.room_for(text))?;
    let header = JoseHeader::of(&header)?;
    let (signature, room) = parts.signature(room)?;
    decoded(parts.payload, room, "payload")?;
    verify(&parts.signed_with(&header, signature))
}

/// The parts of a JWS in compact serialisation as they are written.
#[derive(Debug)]
struct Parts<'a> {
    /// What the signature is over: header, dot, payload.
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAXIMUM_TOKEN_BYTES {
            return Err(malformed("a token of at most 16384 bytes"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, payload) = signed.split_once('.').ok_or_else(not_compact)?;
        match payload.contains('.') {
            true => Err(not_compact()),
            false => Ok(Self { signed, header, payload, signature }),
        }
    }

    /// The header, of which nothing has been checked, and the rest of the room.
    fn header<'b>(&self, room: &'b mut [u8]) -> Result<(Members<'b>, &'b mut [u8]), Refusal> {
        let (header, rest) = decoded(self.header, room, "header")?;
        Ok((object(header, "header")?, rest))
    }

    fn signature<'b>(&self, room: &'b mut [u8]) -> Result<(&'b [u8], &'b mut [u8]), Refusal> {
        let (signature, rest) =
            decode(self.signature, room).ok_or_else(|| malformed("a signature in base64url"))?;
        match signature.is_empty() {
            true => Err(malformed("a signature that is not empty")),
            false => Ok((signature, rest)),
        }
    }

    fn claims<'b>(&self, room: &'b mut [u8]) -> Result<Members<'b>, Refusal> {
        let (claims, _) = decoded(self.payload, room, "claims")?;
        object(claims, "claims")
    }

    fn signed_with<'b>(&'b self, header: &'b JoseHeader, signature: &'b [u8]) -> JwsSignature<'b> {
        JwsSignature {
            key_id: header.key_id.as_deref(),
            algorithm: &header.algorithm,
            signing_input: self.signed.as_bytes(),
            signature,
        }
    }
}

/// A type without what may be left out of it (RFC 7515 §4.1.9), in lower case.
pub(super) fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix(APPLICATION).unwrap_or(&name).to_owned()
}

/// Whether a type is `known`, which is as [`media_type`] has it.
pub(super) fn is_media_type(name: &str, known: &str) -> bool {
    let rest = name.split_at_checked(APPLICATION.len());
    let rest = rest.filter(|(begins, _)| begins.eq_ignore_ascii_case(APPLICATION));
    rest.map_or(name, |(_, rest)| rest).eq_ignore_ascii_case(known)
}

/// What may be left out.
const APPLICATION: &str = "application/";

fn object<'a>(bytes: &'a [u8], part: &str) -> Result<Members<'a>, Refusal> {
    match Json::read(bytes, LIMITS) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(malformed(&format!("a JSON object as {part}"))),
        Err(error) => Err(malformed(&format!("a {part} with {error}"))),
    }
}

fn decoded<'a>(
    encoded: &str,
    to: &'a mut [u8],
    part: &str,
) -> Result<(&'a [u8], &'a mut [u8]), Refusal> {
    decode(encoded, to).ok_or_else(|| malformed(&format!("a {part} in base64url")))
}

/// RFC 7515 §2: base64url without padding; also without stray bits at the end, which would let one token be
/// written in several ways. Answers what was decoded, and the rest of the room for it.
fn decode<'a>(encoded: &str, to: &'a mut [u8]) -> Option<(&'a [u8], &'a mut [u8])> {
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, to).ok()?;
    let (decoded, rest) = to.split_at_mut_checked(length)?;
    Some((decoded, rest))
}

fn not_compact() -> Refusal {
    malformed("three parts with dots between them (RFC 7515 §3.1)")
}

pub(super) fn malformed(expected: &str) -> Refusal {
    Refusal::new(Reason::TokenMalformed, "Present the token as its issuer made it.")
        .finding("authorization", expected)
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
