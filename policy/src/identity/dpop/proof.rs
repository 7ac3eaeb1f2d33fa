//! One proof: a JSON Web Token about a request, signed with the key in its header (RFC 9449 §4.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::uri::TargetUri;
use super::{Digest, FIELD};
use crate::Environment;
use crate::identity::jwk::{Algorithm, Key};
use crate::identity::signature::JwsSignature;
use crate::identity::token::Token;
use crate::problem::{Reason, Refusal};

/// The longest proof that is looked at, in bytes: one with an RSA key of 4096 bits has some 2000.
const MAXIMUM_PROOF_BYTES: usize = 8 * 1024;

/// The longest `jti`, in bytes. RFC 9449 §4.2 wants 96 bits at least.
const MAXIMUM_ID_BYTES: usize = 256;

/// A proof taken apart. What it says is not believed before [`Self::verify_signature`].
#[derive(Debug)]
pub(super) struct Proof<'a> {
    token: Token<'a>,
    key: Key,
}

impl<'a> Proof<'a> {
    /// Takes a proof apart: its form and its header, in which stands a public key that is strong enough.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAXIMUM_PROOF_BYTES {
            return Err(invalid(&format!("a proof of at most {MAXIMUM_PROOF_BYTES} bytes")));
        }
        let token = Token::parse_proof(text).map_err(|refusal| {
            let expected = refusal.findings.into_iter().next().map(|finding| finding.expected);
            invalid(&expected.unwrap_or_else(|| "a JSON Web Token".to_owned()))
        })?;
        // Exactly so (RFC 9449 §4.3): nothing else that was signed with this key is a proof.
        if token.header.get("typ").and_then(Value::as_str) != Some("dpop+jwt") {
            return Err(invalid("typ dpop+jwt"));
        }
        let jwk = token.header.get("jwk").ok_or_else(|| invalid("a jwk in the header"))?;
        let key = Key::from_public_jwk(jwk).map_err(|error| {
            let separator = if error.field.is_empty() { "" } else { "." };
            invalid(&format!("jwk{separator}{}: {}", error.field, error.expected))
        })?;
        let algorithms: Vec<Algorithm> = algorithms().collect();
        Ok(Self { token, key: key.restricted_to(&algorithms) })
    }

    /// Whether the key is the one with this thumbprint (RFC 7638). Both are public: no secret is compared.
    pub(super) fn is_by(&self, thumbprint: &Digest) -> bool {
        self.key.thumbprint().is_some_and(|own| own == URL_SAFE_NO_PAD.encode(thumbprint))
    }

    pub(super) fn verify_signature(
        &self,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        let signature = JwsSignature {
            key_id: None,
            algorithm: self.token.algorithm(),
            signing_input: self.token.signed.as_bytes(),
            signature: &self.token.signature,
        };
        self.key
            .verify_signature(&signature, environment)
            .map_err(|error| invalid(&error.to_string()))
    }

    /// `htm`: the method, with its case.
    pub(super) fn check_method(&self, method: &str) -> Result<(), Refusal> {
        match self.text("htm") == Some(method) {
            true => Ok(()),
            false => Err(invalid(&format!("htm {method}"))),
        }
    }

    /// `htu`: the URI without query and fragment.
    pub(super) fn check_uri(&self, uri: &TargetUri) -> Result<(), Refusal> {
        match self.text("htu").and_then(TargetUri::parse).is_some_and(|htu| htu == *uri) {
            true => Ok(()),
            false => Err(invalid(&format!("htu {uri}"))),
        }
    }

    /// `ath`: the digest of the token that it comes with.
    pub(super) fn check_token(&self, token: &str) -> Result<(), Refusal> {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        match self.text("ath") == Some(digest.as_str()) {
            true => Ok(()),
            false => Err(invalid("ath, the SHA-256 of this token in base64url")),
        }
    }

    pub(super) fn nonce(&self) -> Option<&str> {
        self.text("nonce")
    }

    /// `iat`, in seconds.
    pub(super) fn issued_at(&self) -> Result<u64, Refusal> {
        let issued_at = self.token.claims.get("iat").and_then(Value::as_u64);
        issued_at.ok_or_else(|| invalid("a whole number of seconds as iat"))
    }

    /// `jti`.
    pub(super) fn id(&self) -> Result<&str, Refusal> {
        let id = self.text("jti").filter(|id| (1..=MAXIMUM_ID_BYTES).contains(&id.len()));
        id.ok_or_else(|| invalid(&format!("a jti of 1 to {MAXIMUM_ID_BYTES} bytes")))
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.token.claims.get(claim)?.as_str()
    }
}

/// What proofs may be signed with: everything that only the key's holder can do.
fn algorithms() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric())
}

/// Their names with spaces between them, for challenges (RFC 9449 §7.1).
pub(in crate::identity) fn algorithm_names() -> String {
    algorithms().map(Algorithm::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn invalid(expected: &str) -> Refusal {
    let detail = "Make a new proof for this request, as RFC 9449 §4.2 has it.";
    let expected = expected.strip_prefix("expected ").unwrap_or(expected);
    Refusal::new(Reason::DpopProofInvalid, detail).finding(FIELD, expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::TestEnvironment;

    /// RFC 9449 §7.1, figure 12.
    const RFC: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
        oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
        WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
        c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
        OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

    const RFC_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

    fn header(changes: &[(&str, Value)]) -> String {
        let proof = Token::parse_proof(RFC).unwrap();
        let mut header = proof.header.clone();
        for (name, value) in changes {
            header.insert((*name).to_owned(), value.clone());
        }
        let rest = RFC.split_once('.').unwrap().1;
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()))
    }

    fn expected(text: &str) -> String {
        let refusal = Proof::parse(text).unwrap_err();
        assert_eq!((refusal.reason, refusal.findings.len()), (Reason::DpopProofInvalid, 1));
        refusal.findings[0].expected.clone()
    }

    #[test]
    fn the_proof_of_the_rfc_holds() {
        let proof = Proof::parse(RFC).unwrap();
        let thumbprint =
            URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
        assert!(proof.is_by(&thumbprint.try_into().unwrap()) && !proof.is_by(&[7; 32]));
        proof.verify_signature(&mut TestEnvironment::new()).unwrap();
        proof.check_method("GET").unwrap();
        proof
            .check_uri(&TargetUri::parse("https://resource.example.org/protectedresource").unwrap())
            .unwrap();
        proof.check_token(RFC_TOKEN).unwrap();
        assert_eq!(proof.issued_at().unwrap(), 1_562_262_618);
        assert_eq!((proof.id().unwrap(), proof.nonce()), ("e1j3V_bKic8-LAEB", None));
        for method in ["get", "POST", ""] {
            assert!(proof.check_method(method).is_err(), "{method}");
        }
        assert!(proof.check_token("another").is_err() && proof.check_token("").is_err());
    }

    #[test]
    fn headers_are_those_of_a_proof() {
        let jwk = |changes: Value| {
            let mut jwk = Token::parse_proof(RFC).unwrap().header["jwk"].clone();
            for (name, value) in changes.as_object().unwrap() {
                jwk[name] = value.clone();
            }
            ("jwk", jwk)
        };
        assert!(
            Proof::parse(&header(&[("kid", "a".into()), ("x5c", serde_json::json!(["AA"]))]))
                .is_ok()
        );
        for typ in ["jwt", "JWT", "DPoP+JWT", "application/dpop+jwt", "at+jwt", ""] {
            assert_eq!(expected(&header(&[("typ", typ.into())])), "typ dpop+jwt", "{typ}");
        }
        for name in ["crit", "b64", "enc", "zip"] {
            assert!(expected(&header(&[(name, Value::Null)])).contains(name), "{name}");
        }
        assert_eq!(
            expected(&header(&[jwk(serde_json::json!({"d": "AA"}))])),
            "jwk.d: expected a public key, found a private one"
        );
        for bad in [
            serde_json::json!({"kty": "oct", "alg": "HS256", "k": "A".repeat(43)}),
            serde_json::json!({"crv": "secp256k1"}),
            serde_json::json!({"y": "A".repeat(43)}),
            serde_json::json!({"alg": "ES384"}),
            serde_json::json!({"use": "enc"}),
        ] {
            assert!(expected(&header(&[jwk(bad.clone())])).starts_with("jwk."), "{bad}");
        }
        assert!(expected(&header(&[("jwk", Value::Null)])).starts_with("jwk:"));
        assert!(expected(&"a".repeat(MAXIMUM_PROOF_BYTES + 1)).contains("8192"));
    }

    #[test]
    fn the_algorithm_is_the_keys() {
        for algorithm in ["none", "HS256", "ES384", "RS256", "EdDSA", "es256", ""] {
            let text = header(&[("alg", algorithm.into())]);
            let verified =
                Proof::parse(&text).unwrap().verify_signature(&mut TestEnvironment::new());
            assert_eq!(verified.unwrap_err().findings[0].expected, "alg ES256", "{algorithm}");
        }
        assert_eq!(
            algorithm_names(),
            "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,200}", header in "\\PC{0,80}", claims in "\\PC{0,80}") {
            let _ = Proof::parse(&text);
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let _ = Proof::parse(&format!("{}.{}.AA", encode(&header), encode(&claims)));
        }
    }
}
