//! A JSON Web Token taken apart, before any of it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

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
        let Jws { header, claims, signature, .. } = Jws::read(text, takes_key, &mut buffer)?;
        let (header, claims) = (header.to_map(), claims.to_map());
        let signed = text.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self { text, signed, header, claims, signature: signature.to_vec() })
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
    /// What the signature is over.
    pub(super) signed: &'a str,
    pub(super) header: Members<'a>,
    pub(super) claims: Members<'a>,
    pub(super) signature: &'a [u8],
}

/// Where the parts of a token are decoded.
#[derive(Debug, Default)]
pub(super) struct Buffer(Vec<u8>);

impl<'a> Jws<'a> {
    pub(super) fn parse(text: &'a str, buffer: &'a mut Buffer) -> Result<Self, Refusal> {
        Self::read(text, false, buffer)
    }

    fn read(text: &'a str, takes_key: bool, buffer: &'a mut Buffer) -> Result<Self, Refusal> {
        let (envelope, rest) = Envelope::read(text, takes_key, buffer)?;
        let Envelope { signed, header, payload, signature } = envelope;
        let (claims, _) = decoded(payload, rest, "claims")?;
        Ok(Self { signed, header, claims: object(claims, "claims")?, signature })
    }

    /// The signature, and what it says of itself.
    pub(super) fn signature(&self) -> JwsSignature<'_> {
        signature(self.signed, &self.header, self.signature)
    }

    /// What kind of token it says it is, `jwt` where it does not say; to be compared by [`is_media_type`].
    pub(super) fn token_type(&self) -> &str {
        self.header.text("typ").unwrap_or("jwt")
    }

    /// The claims as they were signed, base64url.
    pub(super) fn payload(&self) -> &'a str {
        self.signed.split_once('.').map_or("", |(_, payload)| payload)
    }

    /// The `kid` header parameter.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.text("kid")
    }
}

/// A JWS in compact serialisation, whatever is signed.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    signed: &'a str,
    header: Members<'a>,
    /// What is signed, base64url.
    payload: &'a str,
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes one apart whose payload may be anything.
    pub(super) fn parse(text: &'a str, buffer: &'a mut Buffer) -> Result<Self, Refusal> {
        let (envelope, rest) = Self::read(text, false, buffer)?;
        decoded(envelope.payload, rest, "payload")?;
        Ok(envelope)
    }

    /// The signature, and what it says of itself.
    pub(super) fn signature(&self) -> JwsSignature<'_> {
        signature(self.signed, &self.header, self.signature)
    }

    /// And the rest of the room.
    fn read(
        text: &'a str,
        takes_key: bool,
        buffer: &'a mut Buffer,
    ) -> Result<(Self, &'a mut [u8]), Refusal> {
        if text.len() > MAXIMUM_TOKEN_BYTES {
            return Err(malformed("a token of at most 16384 bytes"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, payload) = signed.split_once('.').ok_or_else(not_compact)?;
        if payload.contains('.') {
            return Err(not_compact());
        }
        // Decoded, a text is shorter.
        buffer.0.resize(text.len(), 0);
        let (header, rest) = decoded(header, &mut buffer.0, "header")?;
        let header = object(header, "header")?;
        check_header(&header, takes_key)?;
        let (signature, rest) =
            decode(signature, rest).ok_or_else(|| malformed("a signature in base64url"))?;
        if signature.is_empty() {
            return Err(malformed("a signature that is not empty"));
        }
        Ok((Self { signed, header, payload, signature }, rest))
    }
}

fn signature<'a>(
    signed: &'a str,
    header: &'a Members<'_>,
    signature: &'a [u8],
) -> JwsSignature<'a> {
    JwsSignature {
        key_id: header.text("kid"),
        algorithm: header.text("alg").unwrap_or_default(),
        signing_input: signed.as_bytes(),
        signature,
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

/// RFC 7515 §4.1 and RFC 8725 §3: what the header may say.
fn check_header(header: &Members<'_>, takes_key: bool) -> Result<(), Refusal> {
    let unsupported = |expected: &str| {
        Err(Refusal::new(Reason::TokenUnsupported, "Use a plain signed token.")
            .finding("authorization", expected))
    };
    for name in ["alg", "kid", "typ", "cty", "jku", "x5u", "x5t", "x5t#S256"] {
        if header.get(name).is_some_and(|value| !value.is_string()) {
            return Err(malformed(&format!("a string as header parameter {name}")));
        }
    }
    if header.get("alg").is_none() {
        return Err(malformed("an alg header parameter"));
    }
    if header.text("kid").is_some_and(|kid| kid.len() > 256) {
        return Err(malformed("a kid of at most 256 bytes"));
    }
    // Extensions that must be understood are not (RFC 7515 §4.1.11); what is signed is the text as it stands (RFC 7797); a
    // nested or encrypted token is not what the signature says; keys are never taken from a token (RFC 8725 §3.10).
    for name in ["crit", "b64", "enc", "zip", "jwk", "salt"] {
        if header.get(name).is_some() && !(takes_key && name == "jwk") {
            return unsupported(&format!("no header parameter {name}"));
        }
    }
    if header.text("cty").is_some_and(|cty| cty.eq_ignore_ascii_case("jwt")) {
        return unsupported("no nested token");
    }
    let chain_is_well_formed = match header.get("x5c") {
        None => true,
        Some(Json::Array(chain)) => chain.iter().all(Json::is_string),
        Some(_) => false,
    };
    if !chain_is_well_formed {
        return Err(malformed("an array of strings as header parameter x5c"));
    }
    Ok(())
}

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
