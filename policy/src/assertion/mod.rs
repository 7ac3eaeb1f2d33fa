//! A short-lived, signed statement to the upstream of who is calling and with what.
//!
//! It is an HTTP message signature (RFC 9421) with HMAC-SHA-256 over the method, the path, the query, the digest of
//! the body (RFC 9530) and the `Portcullis-Principal` field. An upstream that verifies it cannot be reached around the
//! gate, and a captured request can be neither changed nor used for long.
//!
//! The gate [signs](Signer); the function [verifies](Verifier).

mod base;
mod sign;
mod verify;

pub use sign::Signer;
pub use verify::{AssertionError, Received, Verifier};

/// The field that carries the principal.
pub const PRINCIPAL_FIELD: &str = "portcullis-principal";
/// RFC 9421 §4.1.
pub const SIGNATURE_INPUT_FIELD: &str = "signature-input";
/// RFC 9421 §4.2.
pub const SIGNATURE_FIELD: &str = "signature";
/// RFC 9530 §2.
pub const CONTENT_DIGEST_FIELD: &str = "content-digest";

/// The label of the gate's signature in the two dictionaries.
const LABEL: &str = "portcullis";
/// RFC 9421 §2.3: says what the signature is for, so that one made for another purpose is of no use here.
const TAG: &str = "portcullis";
/// RFC 9421 §3.3.3.
const ALGORITHM: &str = "hmac-sha256";

/// The longest life of an assertion, in seconds: what a verifier accepts whatever the signer wrote.
pub const MAXIMUM_LIFETIME_SECONDS: u32 = 300;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::{CredentialKind, Principal, Secret};

    const NOW: u64 = 1_700_000_000;

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes(Zeroizing::new(vec![byte; 32])).unwrap()
    }

    fn principal() -> Principal {
        Principal {
            subject: "alice".into(),
            tenant: Some("acme".into()),
            roles: vec!["caller".into()],
            scopes: vec!["predict".into()],
            via: CredentialKind::Jwt,
            ..Principal::anonymous()
        }
    }

    fn signed(body: &[u8]) -> Vec<(String, Vec<u8>)> {
        Signer::new("k1", secret(1), 30)
            .sign(&principal().to_field(), "POST", "/v1/predict", Some("a=1"), body, NOW, &[7; 16])
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect()
    }

    fn verify(
        headers: &[(String, Vec<u8>)],
        change: impl FnOnce(&mut Received<'_>),
    ) -> Result<Principal, AssertionError> {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let mut received = Received {
            method: "POST",
            path: "/v1/predict",
            query: Some("a=1"),
            headers: &headers,
            body: b"{}",
            now: NOW + 1,
        };
        change(&mut received);
        Verifier::new([("k1".to_owned(), secret(1)), ("k2".to_owned(), secret(2))])
            .verify(&received)
    }

    #[test]
    fn a_signed_request_names_its_principal() {
        assert_eq!(verify(&signed(b"{}"), |_| ()), Ok(principal()));
    }

    /// Much of it is written without a serialiser, and must be what one writes (RFC 9651 §4.1).
    #[test]
    fn fields_are_structured_fields() {
        let key_id = "a \"key\" \\ of 2026";
        let fields =
            Signer::new(key_id, secret(1), 30).sign("sub=a", "GET", "/", None, b"", NOW, &[7; 16]);
        for name in [SIGNATURE_INPUT_FIELD, SIGNATURE_FIELD, CONTENT_DIGEST_FIELD] {
            let (_, value) = fields.iter().find(|(field, _)| *field == name).unwrap();
            let read: sfv::Dictionary = sfv::Parser::new(value).parse().unwrap();
            let mut serializer = sfv::DictSerializer::new();
            serializer.members(&read);
            assert_eq!(serializer.finish().as_ref(), Some(value), "{name}");
        }
        let input = &fields[0].1;
        let expected = r#"portcullis=("@method" "@path" "@query" "content-digest" "portcullis-principal");created=1700000000;expires=1700000030;nonce="BwcHBwcHBwcHBwcHBwcHBw";alg="hmac-sha256";keyid="a \"key\" \\ of 2026";tag="portcullis""#;
        assert_eq!(input, expected);
    }

    #[test]
    fn nothing_that_is_covered_can_be_changed() {
        let headers = signed(b"{}");
        let bad = Err(AssertionError::SignatureMismatch);
        assert_eq!(verify(&headers, |r| r.method = "PUT"), bad);
        assert_eq!(verify(&headers, |r| r.path = "/v1/model"), bad);
        assert_eq!(verify(&headers, |r| r.query = None), bad);
        assert_eq!(verify(&headers, |r| r.query = Some("a=2")), bad);
        assert_eq!(verify(&headers, |r| r.body = b"[]"), Err(AssertionError::BodyMismatch));
    }

    #[test]
    fn a_forged_principal_or_digest_is_refused() {
        for (field, from, to) in [
            (PRINCIPAL_FIELD, "alice", "admin"),
            (CONTENT_DIGEST_FIELD, "sha-256", "sha-512"),
            (SIGNATURE_INPUT_FIELD, "expires=17000000", "expires=18000000"),
            (SIGNATURE_INPUT_FIELD, "created=1700000000", "created=1700000001"),
            (SIGNATURE_INPUT_FIELD, "k1", "k2"),
            (SIGNATURE_INPUT_FIELD, "\"@path\" ", ""),
            (SIGNATURE_INPUT_FIELD, "hmac-sha256", "rsa-pss-sha512"),
            (SIGNATURE_INPUT_FIELD, "tag=\"portcullis\"", "tag=\"other\""),
        ] {
            let mut headers = signed(b"{}");
            for (name, value) in &mut headers {
                if name == field {
                    let text = String::from_utf8(value.clone()).unwrap();
                    assert!(text.contains(from), "{field}: {text}");
                    *value = text.replace(from, to).into_bytes();
                }
            }
            assert!(verify(&headers, |_| ()).is_err(), "{field}: {from} -> {to}");
        }
    }

    #[test]
    fn an_assertion_lives_only_so_long() {
        let headers = signed(b"{}");
        assert!(verify(&headers, |r| r.now = NOW + 29).is_ok());
        assert_eq!(verify(&headers, |r| r.now = NOW + 30), Err(AssertionError::Expired));
        assert_eq!(verify(&headers, |r| r.now = NOW - 60), Err(AssertionError::NotYetValid));
        let eternal: Vec<_> = Signer::new("k1", secret(1), 3600)
            .sign(&principal().to_field(), "POST", "/v1/predict", Some("a=1"), b"{}", NOW, &[7; 16])
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect();
        assert_eq!(verify(&eternal, |_| ()), Err(AssertionError::LifetimeTooLong));
    }

    #[test]
    fn each_field_must_be_there_exactly_once() {
        let headers = signed(b"{}");
        for index in 0..headers.len() {
            let mut fewer = headers.clone();
            let (name, _) = fewer.remove(index);
            assert!(verify(&fewer, |_| ()).is_err(), "without {name}");
            let mut doubled = headers.clone();
            doubled.push(headers[index].clone());
            assert!(verify(&doubled, |_| ()).is_err(), "with two {name}");
        }
        assert_eq!(
            verify(&[], |_| ()),
            Err(AssertionError::Missing { field: SIGNATURE_INPUT_FIELD })
        );
    }

    #[test]
    fn a_verifier_without_keys_accepts_nothing() {
        let headers = signed(b"{}");
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let received = Received {
            method: "POST",
            path: "/v1/predict",
            query: Some("a=1"),
            headers: &headers,
            body: b"{}",
            now: NOW,
        };
        assert_eq!(Verifier::new([]).verify(&received), Err(AssertionError::UnknownKey));
    }
}
