//! Token signatures: every algorithm, and the attacks on choosing it and on what it signs.

mod attacks;
mod cookbook;
#[path = "../common/issuer.rs"]
mod issuer;
mod keys;
mod malformed;

use issuer::{Host, Issuer, RSA_PEM, decode, encode, verify, verify_on, with_signature};
use jwt_simple::prelude::*;
use portcullis_policy::Reason;
use portcullis_policy::identity::{Algorithm, KeySet};
use serde_json::{Value, json};

#[test]
fn every_algorithm_accepts_its_own_and_nothing_else() {
    let issuers: Vec<Issuer> = Issuer::all().collect();
    let tokens: Vec<String> = issuers.iter().map(|issuer| issuer.token(&json!({}))).collect();
    for (index, issuer) in issuers.iter().enumerate() {
        for (other, token) in tokens.iter().enumerate() {
            let verdict = verify(&issuer.keys(), token);
            if index == other {
                assert_eq!(verdict, Ok(()), "{:?}", issuer.algorithm);
            } else {
                // Also RS256 with a key for PS256: the key is the same.
                assert_eq!(verdict, Err(Reason::TokenUnsupported), "{index} {other}");
            }
        }
    }
}

/// jwt-simple is another implementation than ring, and all but P-521 is in it.
#[test]
fn tokens_of_another_library_are_accepted() {
    let claims = || Claims::create(Duration::from_mins(5)).with_subject("alice");
    let rsa = |algorithm| Issuer::new(algorithm).jwk;
    let point = |bytes: &[u8], curve: &str| {
        let (x, y) = bytes[1..].split_at(bytes.len() / 2);
        json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
    };
    let oct = |name: &str, bytes: &[u8]| json!({"kty": "oct", "alg": name, "k": encode(bytes)});
    let es256 = ES256KeyPair::generate();
    let es384 = ES384KeyPair::generate();
    let edwards = Ed25519KeyPair::generate();
    // Those that it generates are all of 32 bytes.
    let hs256 = HS256Key::from_bytes(&issuer::random(32));
    let hs384 = HS384Key::from_bytes(&issuer::random(48));
    let hs512 = HS512Key::from_bytes(&issuer::random(64));
    let tokens: Vec<(Value, String)> = vec![
        (rsa(Algorithm::Rs256), RS256KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (rsa(Algorithm::Rs384), RS384KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (rsa(Algorithm::Rs512), RS512KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (rsa(Algorithm::Ps256), PS256KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (rsa(Algorithm::Ps384), PS384KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (rsa(Algorithm::Ps512), PS512KeyPair::from_pem(RSA_PEM).unwrap().sign(claims()).unwrap()),
        (
            point(&es256.public_key().public_key().to_bytes_uncompressed(), "P-256"),
            es256.sign(claims()).unwrap(),
        ),
        (
            point(&es384.public_key().public_key().to_bytes_uncompressed(), "P-384"),
            es384.sign(claims()).unwrap(),
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode(edwards.public_key().to_bytes())}),
            edwards.sign(claims()).unwrap(),
        ),
        (oct("HS256", &hs256.to_bytes()), hs256.authenticate(claims()).unwrap()),
        (oct("HS384", &hs384.to_bytes()), hs384.authenticate(claims()).unwrap()),
        (oct("HS512", &hs512.to_bytes()), hs512.authenticate(claims()).unwrap()),
    ];
    for (jwk, token) in tokens {
        assert_eq!(verify(&json!({"keys": [jwk]}), &token), Ok(()), "{jwk}");
    }
}

#[test]
fn one_bit_changed_anywhere_ends_it() {
    for issuer in Issuer::all() {
        let (keys, token) = (issuer.keys(), issuer.token(&json!({})));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature);
        for byte in [0, 1, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[byte] ^= 1;
            let verdict = verify(&keys, &with_signature(signed, &changed));
            assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{:?}", issuer.algorithm);
        }
        let (header, _) = signed.split_once('.').unwrap();
        let other = format!("{header}.{}", encode(r#"{"sub":"admin"}"#));
        let verdict = verify(&keys, &with_signature(&other, &signature));
        assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{:?}", issuer.algorithm);
    }
}

/// RFC 9864 has another name for EdDSA on the one curve.
#[test]
fn ed25519_is_eddsa() {
    let mut issuer = Issuer::new(Algorithm::EdDsa);
    for declared in ["EdDSA", "Ed25519"] {
        issuer.jwk["alg"] = declared.into();
        for named in ["EdDSA", "Ed25519"] {
            assert_eq!(verify(&issuer.keys(), &issuer.token(&json!({"alg": named}))), Ok(()));
        }
        let token = issuer.token(&json!({"alg": "Ed448"}));
        assert_eq!(verify(&issuer.keys(), &token), Err(Reason::TokenUnsupported));
    }
}

#[test]
fn an_rsa_key_that_names_no_algorithm_is_for_rs256_unless_others_are_accepted() {
    let mut tokens = Vec::new();
    let mut keys = json!(null);
    for algorithm in [Algorithm::Rs256, Algorithm::Rs512, Algorithm::Ps256] {
        let mut issuer = Issuer::new(algorithm);
        tokens.push(issuer.token(&json!({})));
        issuer.jwk.as_object_mut().unwrap().remove("alg");
        keys = issuer.keys();
    }
    let verdicts = |keys: &KeySet| -> Vec<bool> {
        let tokens = tokens.iter().map(|token| issuer::parse(token));
        tokens.map(|token| keys.verify_compact(token.text, &mut Host::default()).is_ok()).collect()
    };
    let set = KeySet::from_value(&keys).unwrap();
    assert_eq!(verdicts(&set), [true, false, false]);
    let accepted = [Algorithm::Ps256, Algorithm::Rs512, Algorithm::EdDsa];
    assert_eq!(verdicts(&set.clone().restricted_to(&accepted).unwrap()), [false, true, true]);
    assert_eq!(set.restricted_to(&[Algorithm::Es256]).unwrap_err().field, "keys");
}

#[test]
fn the_host_is_asked_first_and_believed() {
    for (algorithm, hash) in [
        (Algorithm::Rs256, "sha256"),
        (Algorithm::Rs384, "sha384"),
        (Algorithm::Rs512, "sha512"),
        (Algorithm::Es256, "sha256"),
        (Algorithm::Es384, "sha384"),
    ] {
        let issuer = Issuer::new(algorithm);
        let token = issuer.token(&json!({}));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut wrong = decode(signature);
        wrong[40] ^= 1;
        let mut yes = Host::gullible();
        let forged = with_signature(signed, &wrong);
        assert_eq!(verify_on(&issuer.keys(), &forged, &mut yes), Ok(()), "{algorithm:?}");
        let (asked, public_key, native) = &yes.asked[0];
        assert_eq!(asked, hash);
        assert_eq!(public_key[0], 0x30, "the host takes an envelope in DER");
        if matches!(algorithm, Algorithm::Es256 | Algorithm::Es384) {
            assert_eq!(native[0], 0x30, "the host takes ECDSA signatures in DER");
        } else {
            assert_eq!(*native, wrong);
        }
        let mut no = Host { answer: Some(false), ..Host::default() };
        let verdict = verify_on(&issuer.keys(), &token, &mut no);
        assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{algorithm:?}");
    }
}

#[test]
fn the_host_is_not_asked_for_what_it_cannot_do() {
    for issuer in Issuer::all() {
        use Algorithm as A;
        if matches!(issuer.algorithm, A::Rs256 | A::Rs384 | A::Rs512 | A::Es256 | A::Es384) {
            continue;
        }
        let mut host = Host { answer: Some(false), ..Host::default() };
        let token = issuer.token(&json!({}));
        assert_eq!(verify_on(&issuer.keys(), &token, &mut host), Ok(()), "{:?}", issuer.algorithm);
        assert!(host.asked.is_empty());
    }
}

/// An envelope that jwt-simple makes of the same key.
#[test]
fn envelopes_are_those_of_another_library() {
    let asked = |issuer: &Issuer| {
        let mut host = Host::gullible();
        verify_on(&issuer.keys(), &issuer.token(&json!({})), &mut host).unwrap();
        host.asked.remove(0).1
    };
    let rsa = RS256KeyPair::from_pem(RSA_PEM).unwrap().public_key().to_der().unwrap();
    assert_eq!(asked(&Issuer::new(Algorithm::Rs256)), rsa);
    let point = |issuer: &Issuer| {
        let member = |name: &str| decode(issuer.jwk[name].as_str().unwrap());
        [vec![4], member("x"), member("y")].concat()
    };
    let issuer = Issuer::new(Algorithm::Es256);
    let key = ES256PublicKey::from_bytes(&point(&issuer)).unwrap();
    assert_eq!(asked(&issuer), key.to_der().unwrap());
    let issuer = Issuer::new(Algorithm::Es384);
    let key = ES384PublicKey::from_bytes(&point(&issuer)).unwrap();
    assert_eq!(asked(&issuer), key.to_der().unwrap());
}

#[test]
fn keys_are_found_by_id() {
    let issuer = Issuer::new(Algorithm::Es256);
    for id in ["x", "../../dev/null", "k\0", "' or 1=1 --", "", "K"] {
        let token = issuer.token(&json!({"kid": id}));
        assert_eq!(verify(&issuer.keys(), &token), Err(Reason::TokenKeyUnknown), "{id:?}");
    }
    // Without an id the only key of a set is meant, and of several none.
    let signed = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode("{}"));
    let anonymous = with_signature(&signed, &issuer.sign(signed.as_bytes()));
    assert_eq!(verify(&issuer.keys(), &anonymous), Ok(()));
    let mut other = Issuer::new(Algorithm::Es384).jwk;
    other["kid"] = "o".into();
    let both = json!({"keys": [issuer.jwk, other]});
    assert_eq!(verify(&both, &anonymous), Err(Reason::TokenKeyUnknown));
    assert_eq!(verify(&both, &issuer.token(&json!({}))), Ok(()));
}

/// What the claims say must not change what is said of the signature, or a host with native cryptography would decide
/// otherwise than one without.
#[test]
fn odd_claims_do_not_change_what_is_said_of_the_signature() {
    let issuer = Issuer::new(Algorithm::Hs256);
    for claims in [
        r#"{"exp":1}"#,
        r#"{"exp":1,"iat":5,"nbf":9}"#,
        r#"{"iat":99999999999}"#,
        r#"{"exp":"never"}"#,
        "{}",
        r#"{"aud":[],"roles":{"a":[1]}}"#,
    ] {
        let signed = format!("{}.{}", encode(issuer.header(&json!({}))), encode(claims));
        let token = with_signature(&signed, &issuer.sign(signed.as_bytes()));
        assert_eq!(verify(&issuer.keys(), &token), Ok(()), "{claims}");
    }
}
