//! A JSON Web Token taken apart, before any of it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::input::{JsonLimits, parse_json};
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
        if text.len() > MAXIMUM_TOKEN_BYTES {
            return Err(malformed("a token of at most 16384 bytes"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_compact)?;
        if claims.contains('.') {
            return Err(not_compact());
        }
        let header = object(header, "header")?;
        check_header(&header, takes_key)?;
        let signature = decode(signature).ok_or_else(|| malformed("a signature in base64url"))?;
        if signature.is_empty() {
            return Err(malformed("a signature that is not empty"));
        }
        Ok(Self { text, signed, header, claims: object(claims, "claims")?, signature })
    }

    /// What kind of token it says it is: `typ` in lower case and without `application/` (RFC 7515 §4.1.9); `jwt` where it
    /// does not say.
    pub(super) fn token_type(&self) -> String {
        media_type(self.header.get("typ").and_then(Value::as_str).unwrap_or("jwt"))
    }

    /// The claims as they were signed, base64url.
    pub(super) fn payload(&self) -> &'a str {
        self.signed.split_once('.').map_or("", |(_, payload)| payload)
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

/// A type without what may be left out of it.
pub(super) fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").unwrap_or(&name).to_owned()
}

/// RFC 7515 §4.1 and RFC 8725 §3: what the header may say.
fn check_header(header: &Map<String, Value>, takes_key: bool) -> Result<(), Refusal> {
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
    if header.get("kid").and_then(Value::as_str).is_some_and(|kid| kid.len() > 256) {
        return Err(malformed("a kid of at most 256 bytes"));
    }
    // Extensions that must be understood are not (RFC 7515 §4.1.11); what is signed is the text as it stands (RFC 7797); a
    // nested or encrypted token is not what the signature says; keys are never taken from a token (RFC 8725 §3.10).
    for name in ["crit", "b64", "enc", "zip", "jwk", "salt"] {
        if header.contains_key(name) && !(takes_key && name == "jwk") {
            return unsupported(&format!("no header parameter {name}"));
        }
    }
    if header.get("cty").and_then(Value::as_str).is_some_and(|cty| cty.eq_ignore_ascii_case("jwt"))
    {
        return unsupported("no nested token");
    }
    let chain_is_well_formed = match header.get("x5c") {
        None => true,
        Some(Value::Array(chain)) => chain.iter().all(Value::is_string),
        Some(_) => false,
    };
    if !chain_is_well_formed {
        return Err(malformed("an array of strings as header parameter x5c"));
    }
    Ok(())
}

fn object(encoded: &str, part: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = decode(encoded).ok_or_else(|| malformed(&format!("a {part} in base64url")))?;
    match parse_json(&bytes, LIMITS) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(malformed(&format!("a JSON object as {part}"))),
        Err(error) => Err(malformed(&format!("a {part} with {error}"))),
    }
}

/// RFC 7515 §2: base64url without padding; also without stray bits at the end, which would let one token be
/// written in several ways.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(encoded).ok()
}

fn not_compact() -> Refusal {
    malformed("three parts with dots between them (RFC 7515 §3.1)")
}

pub(super) fn malformed(expected: &str) -> Refusal {
    Refusal::new(Reason::TokenMalformed, "Present the token as its issuer made it.")
        .finding("authorization", expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
    }

    fn reason(text: &str) -> Reason {
        Token::parse(text).unwrap_err().reason
    }

    #[test]
    fn takes_tokens_apart() {
        let text = token(r#"{"alg":"ES256","kid":"k"}"#, r#"{"sub":"a"}"#);
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.algorithm(), token.key_id()), ("ES256", Some("k")));
        assert_eq!(token.signature, b"signature");
    }

    #[test]
    fn refuses_what_is_not_compact_jws() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        assert!(Token::parse(&good).is_ok());
        let (rest, _) = good.rsplit_once('.').unwrap();
        for text in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            rest.to_owned(),
            format!("{rest}."),
            format!("{good}.x"),
            format!("{good}="),
            format!("{good}.."),
            format!(" {good}"),
            good.replace('.', ".."),
            ".".repeat(10_000),
            "a".repeat(MAXIMUM_TOKEN_BYTES + 1),
            r#"{"payload":"","signatures":[]}"#.to_owned(),
        ] {
            assert_eq!(reason(&text), Reason::TokenMalformed, "{text:.60}");
        }
        // "eyJ9" with a stray last bit is another spelling of the same bytes.
        assert!(decode("QQ").is_some() && decode("QR").is_none());
        assert!(decode("Q+").is_none() && decode("Q/").is_none() && decode("QQ==").is_none());
    }

    #[test]
    fn refuses_hostile_headers() {
        for header in [
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":null}"#,
            r#"{}"#,
            r#"{"alg":"ES256","kid":1}"#,
            r#"{"alg":"ES256","alg":"none"}"#,
            r#"{"alg":"ES256","\u0061lg":"none"}"#,
            r#"{"alg":"ES256"}x"#,
            "\u{feff}{\"alg\":\"ES256\"}",
            "[]",
            r#"{"alg":"ES256","x5c":"a"}"#,
        ] {
            assert_eq!(reason(&token(header, "{}")), Reason::TokenMalformed, "{header}");
        }
        for header in [
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"ES256","b64":false}"#,
            r#"{"alg":"ES256","jwk":{}}"#,
            r#"{"alg":"ES256","zip":"DEF"}"#,
            r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
            r#"{"alg":"ES256","cty":"JWT"}"#,
        ] {
            assert_eq!(reason(&token(header, "{}")), Reason::TokenUnsupported, "{header}");
        }
        assert_eq!(reason(&token(r#"{"alg":"ES256"}"#, "[]")), Reason::TokenMalformed);
        assert_eq!(
            reason(&token(r#"{"alg":"ES256"}"#, r#"{"a":1,"a":2}"#)),
            Reason::TokenMalformed
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = Token::parse(&text);
        }
    }
}
