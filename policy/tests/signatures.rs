//! Token signatures: every algorithm, and the attacks on choosing it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jwt_simple::prelude::*;
use portcullis_policy::identity::{KeySet, Token};
use portcullis_policy::{
    Environment, NativeSignature, Reason, Swap, Timestamp, Unavailable, Version,
};
use serde_json::{Value, json};
use sha2::Sha256;

/// A host that verifies natively, or does not, and remembers what it was asked.
#[derive(Default)]
struct Host {
    answer: Option<bool>,
    asked: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Environment for Host {
    fn now(&mut self) -> Timestamp {
        Timestamp(1_700_000_000_000_000_000)
    }

    fn random(&mut self, _: &mut [u8]) -> Result<(), Unavailable> {
        Err(Unavailable)
    }

    fn load(&mut self, _: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Err(Unavailable)
    }

    fn compare_and_swap(
        &mut self,
        _: &str,
        _: Option<Version>,
        _: &[u8],
    ) -> Result<Swap, Unavailable> {
        Err(Unavailable)
    }

    fn verify_signature(&mut self, signature: &NativeSignature<'_>) -> Option<bool> {
        self.asked.push((signature.public_key.to_vec(), signature.signature.to_vec()));
        self.answer
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn verify(keys: &Value, token: &str) -> Result<(), Reason> {
    verify_on(keys, token, &mut Host::default())
}

fn verify_on(keys: &Value, token: &str, host: &mut Host) -> Result<(), Reason> {
    let keys = KeySet::from_value(keys).unwrap();
    let token = Token::parse(token).map_err(|refusal| refusal.reason)?;
    keys.verify(&token, host).map_err(|refusal| refusal.reason)
}

fn rsa() -> (RS256KeyPair, Value) {
    let pair = RS256KeyPair::generate(2048).unwrap().with_key_id("r");
    let parts = pair.public_key().to_components();
    (
        pair,
        json!({"keys": [{"kty": "RSA", "kid": "r", "n": encode(parts.n), "e": encode(parts.e)}]}),
    )
}

fn ec() -> (ES256KeyPair, Value) {
    let pair = ES256KeyPair::generate().with_key_id("e");
    let point = pair.public_key().public_key().to_bytes_uncompressed();
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "e",
        "x": encode(&point[1..33]), "y": encode(&point[33..])});
    (pair, json!({ "keys": [jwk] }))
}

fn okp() -> (Ed25519KeyPair, Value) {
    let pair = Ed25519KeyPair::generate().with_key_id("o");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "o", "x": encode(pair.public_key().to_bytes())});
    (pair, json!({ "keys": [jwk] }))
}

fn oct() -> (HS256Key, Value) {
    let key = HS256Key::generate().with_key_id("s");
    let jwk = json!({"kty": "oct", "alg": "HS256", "kid": "s", "k": encode(key.to_bytes())});
    (key, json!({ "keys": [jwk] }))
}

fn claims() -> JWTClaims<NoCustomClaims> {
    Claims::create(Duration::from_mins(5)).with_subject("alice")
}

/// The same token with one bit of its signature changed.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[10] ^= 1;
    format!("{signed}.{}", encode(bytes))
}

/// A token by HMAC under any key.
fn hs256(key: &[u8], header: &Value) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(r#"{"sub":"admin"}"#));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(mac.finalize().into_bytes()))
}

#[test]
fn every_algorithm_accepts_its_own_and_nothing_else() {
    let (rsa, rsa_keys) = rsa();
    let (ec, ec_keys) = ec();
    let (okp, okp_keys) = okp();
    let (oct, oct_keys) = oct();
    let tokens = [
        rsa.sign(claims()).unwrap(),
        ec.sign(claims()).unwrap(),
        okp.sign(claims()).unwrap(),
        oct.authenticate(claims()).unwrap(),
    ];
    let sets = [rsa_keys, ec_keys, okp_keys, oct_keys];
    for (index, keys) in sets.iter().enumerate() {
        for (other, token) in tokens.iter().enumerate() {
            assert_eq!(verify(keys, token).is_ok(), index == other, "keys {index}, token {other}");
        }
        assert_eq!(verify(keys, &tampered(&tokens[index])), Err(Reason::TokenSignatureInvalid));
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let (pair, keys) = rsa();
    let public = pair.public_key();
    let pem = public.to_pem().unwrap();
    let header = json!({"alg": "HS256", "kid": "r"});
    for secret in [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        format!(" {pem}").into_bytes(),
        public.to_der().unwrap(),
        keys["keys"][0].to_string().into_bytes(),
        Vec::new(),
    ] {
        assert_eq!(verify(&keys, &hs256(&secret, &header)), Err(Reason::TokenUnsupported));
    }
}

#[test]
fn none_is_no_algorithm() {
    let (_, keys) = ec();
    for name in ["none", "None", "nOnE", "NONE", "none ", "", "es256", "ES256 "] {
        let header = encode(json!({"alg": name, "kid": "e"}).to_string());
        let claims = encode("{}");
        assert!(verify(&keys, &format!("{header}.{claims}.")).is_err(), "{name:?}");
        assert!(verify(&keys, &format!("{header}.{claims}.AA")).is_err(), "{name:?}");
    }
}

#[test]
fn degenerate_ecdsa_signatures_never_reach_the_host() {
    let (pair, keys) = ec();
    let token = pair.sign(claims()).unwrap();
    let (signed, good) = token.rsplit_once('.').unwrap();
    let good = URL_SAFE_NO_PAD.decode(good).unwrap();
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let der = p256::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec();
    let (r, s) = (&good[..32], &good[32..]);
    for signature in [
        vec![0; 64],
        [r, &[0; 32]].concat(),
        [&[0; 32], s].concat(),
        [&order, s].concat(),
        [r, &order].concat(),
        [0xff; 64].to_vec(),
        der,
        good[..63].to_vec(),
        [good.as_slice(), &[0]].concat(),
    ] {
        // Even a host that would say yes to anything is not asked.
        let mut host = Host { answer: Some(true), ..Host::default() };
        let token = format!("{signed}.{}", encode(&signature));
        assert_eq!(verify_on(&keys, &token, &mut host), Err(Reason::TokenSignatureInvalid));
        assert!(host.asked.is_empty());
    }
}

#[test]
fn the_host_is_asked_first_and_believed() {
    let (pair, keys) = ec();
    let token = pair.sign(claims()).unwrap();
    let mut yes = Host { answer: Some(true), ..Host::default() };
    assert_eq!(verify_on(&keys, &tampered(&token), &mut yes), Ok(()));
    let (public_key, signature) = &yes.asked[0];
    assert_eq!(*public_key, pair.public_key().to_der().unwrap());
    assert_eq!(signature[0], 0x30, "the host takes DER");
    let mut no = Host { answer: Some(false), ..Host::default() };
    assert_eq!(verify_on(&keys, &token, &mut no), Err(Reason::TokenSignatureInvalid));
}

#[test]
fn keys_are_found_by_id() {
    let (pair, keys) = ec();
    let stranger = ES256KeyPair::generate().with_key_id("x");
    assert_eq!(verify(&keys, &stranger.sign(claims()).unwrap()), Err(Reason::TokenKeyUnknown));
    for id in ["../../dev/null", "e\0", "' or 1=1 --", ""] {
        let token = ES256KeyPair::from_bytes(&pair.to_bytes()).unwrap().with_key_id(id);
        assert_eq!(verify(&keys, &token.sign(claims()).unwrap()), Err(Reason::TokenKeyUnknown));
    }
    // Without an id the only key of a set is meant.
    let anonymous = ES256KeyPair::from_bytes(&pair.to_bytes()).unwrap();
    assert_eq!(verify(&keys, &anonymous.sign(claims()).unwrap()), Ok(()));
}

/// jwt-simple checks claims of its own; whatever it thinks of them must not change what is said of the signature, or
/// a host with native cryptography would decide otherwise than one without.
#[test]
fn odd_claims_do_not_change_what_is_said_of_the_signature() {
    let (key, keys) = oct();
    for claims in [
        r#"{"exp":1}"#,
        r#"{"exp":1,"iat":5,"nbf":9}"#,
        r#"{"iat":99999999999}"#,
        r#"{"nbf":99999999999}"#,
        r#"{"exp":0}"#,
        "{}",
        r#"{"aud":[],"roles":{"a":[1]}}"#,
    ] {
        let header = encode(json!({"alg": "HS256", "kid": "s"}).to_string());
        let signed = format!("{header}.{}", encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.to_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let token = format!("{signed}.{}", encode(mac.finalize().into_bytes()));
        assert_eq!(verify(&keys, &token), Ok(()), "{claims}");
    }
}
