//! Keys that must not be loaded, by an operator or from the network.

use portcullis_policy::Reason;
use portcullis_policy::identity::{Algorithm, JwkError, JwsSignature, Key, KeySet, SignatureError};
use serde_json::{Value, json};

use crate::issuer::{Host, Issuer, decode, encode, random};

fn with(mut jwk: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn jwk(algorithm: Algorithm) -> Value {
    Issuer::new(algorithm).jwk
}

fn wrong(keys: Value) -> JwkError {
    KeySet::from_value(&json!({ "keys": keys })).unwrap_err()
}

#[test]
fn every_algorithm_has_keys_and_no_others() {
    for issuer in Issuer::all() {
        KeySet::from_value(&issuer.keys()).unwrap();
        for other in Algorithm::ALL {
            let keys = json!([with(issuer.jwk.clone(), json!({"alg": other.as_str()}))]);
            let fits = match issuer.jwk["kty"].as_str().unwrap() {
                "RSA" => other.as_str().starts_with(['R', 'P']),
                // A longer secret will do for a shorter hash.
                "oct" => other.is_symmetric() && other.as_str() <= issuer.algorithm.as_str(),
                _ => other == issuer.algorithm,
            };
            let set = KeySet::from_value(&json!({ "keys": keys }));
            assert_eq!(set.is_ok(), fits, "{:?} as {other:?}", issuer.algorithm);
        }
        for unknown in ["none", "", "RSA-OAEP", "ES256K", "dir"] {
            let error = wrong(json!([with(issuer.jwk.clone(), json!({"alg": unknown}))]));
            assert_eq!(error.field, "keys[0].alg");
        }
    }
}

#[test]
fn rsa_keys_are_strong() {
    let sound = decode(jwk(Algorithm::Rs256)["n"].as_str().unwrap());
    let n = |bytes: &[u8]| json!([{"kty": "RSA", "n": encode(bytes), "e": "AQAB"}]);
    let modulus = |length: usize| {
        let mut bytes = random(length);
        bytes[0] |= 0xc0;
        bytes[length - 1] |= 1;
        bytes
    };
    for length in [1, 64, 128, 255, 1025, 2048] {
        assert_eq!(wrong(n(&modulus(length))).field, "keys[0].n", "{length}");
    }
    let mut even = sound.clone();
    even[255] &= 0xfe;
    let mut bits_2047 = sound.clone();
    bits_2047[0] = 0x7f;
    // Infineon's (CVE-2017-15361).
    let roca = decode(
        "1Oqa4mfgnt57T3lZ2ckGpM5FbSS_S1S4J89ZvuYcq5R_UA_C6ySYlOKtT-qg3kIZ1xk-kRSASZFpx2yMrz4YeZF3KHSzJ_4MFt4apowl_PP-OMIApvAK2G28YC3GX0WkBThHPI9ivwBN5RspYDb2ZTqGlmT5pb4Q4_Hkgih_87z97MgEdhzP4gkASNSBtV5qkMLxE0T4OSLn7rb1IgP7NZjKyYfmBWz8sC6lHMQfjdm0aErV9H2JNbfJhVSALuHpZGWK9BlmgYMQdeDZ0KjAOtGRJkJzf41sW_DqLVHOo67zDFyTmT-xVy3WSnX9sMaJY9SHJH5AhRZnD1oGZmA-BQ",
    );
    for bytes in [even, bits_2047, roca, vec![], vec![0; 256], vec![0xff; 256]] {
        assert_eq!(wrong(n(&bytes)).field, "keys[0].n", "{bytes:?}");
    }
    // 1, 2, 3, 17, 65535, 65536, even, 2^33 + 1, nothing.
    for e in ["AQ", "Ag", "Aw", "EQ", "__8", "AQAA", "AQAC", "AgAAAAE", "AgAAAAAAAAAAAAAAAQ", ""] {
        let keys = json!([{"kty": "RSA", "n": encode(&sound), "e": e}]);
        assert_eq!(wrong(keys).field, "keys[0].e", "{e}");
    }
    // 65539, and 2^33 - 1.
    for e in ["AQAD", "Af____8"] {
        let keys = json!({"keys": [{"kty": "RSA", "n": encode(&sound), "e": e}]});
        KeySet::from_value(&keys).unwrap();
    }
}

#[test]
fn points_are_on_their_curve_and_in_full_length() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        let sound = jwk(algorithm);
        let x = decode(sound["x"].as_str().unwrap());
        let field = |changes: Value| wrong(json!([with(sound.clone(), changes)])).field;
        assert_eq!(field(json!({"x": encode(vec![7; x.len()])})), "keys[0].x");
        assert_eq!(
            field(json!({"x": encode(vec![0xff; x.len()])})),
            "keys[0].x",
            "above the field"
        );
        assert_eq!(
            field(json!({"x": encode(vec![0; x.len()]), "y": encode(vec![0; x.len()])})),
            "keys[0].x"
        );
        assert_eq!(field(json!({"x": encode(&x[1..])})), "keys[0].x");
        assert_eq!(field(json!({"y": encode([&[0], x.as_slice()].concat())})), "keys[0].y");
        assert_eq!(field(json!({"y": ""})), "keys[0].y");
        assert_eq!(field(json!({"y": 7})), "keys[0].y");
        for curve in ["P-256", "P-384", "P-521", "secp256k1", "p-256", ""] {
            if sound["crv"] != *curve {
                assert!(
                    KeySet::from_value(
                        &json!({"keys": [with(sound.clone(), json!({"crv": curve}))]})
                    )
                    .is_err()
                );
            }
        }
    }
    let edwards = jwk(Algorithm::EdDsa);
    // The identity, a point of order two, the identity beyond the field, no point, a byte less.
    let mut identity = vec![0; 32];
    identity[0] = 1;
    let mut order_two = vec![0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let mut beyond = order_two.clone();
    beyond[0] = 0xee;
    let mut no_point = vec![0; 32];
    no_point[0] = 2;
    for x in [identity, order_two, beyond, no_point, vec![0; 32], vec![7; 31], vec![]] {
        let error = wrong(json!([with(edwards.clone(), json!({"x": encode(&x)}))]));
        assert_eq!(error.field, "keys[0].x", "{x:?}");
    }
    for curve in ["X25519", "Ed448", "ed25519"] {
        assert_eq!(
            wrong(json!([with(edwards.clone(), json!({"crv": curve}))])).field,
            "keys[0].crv"
        );
    }
}

#[test]
fn secrets_are_long_enough_and_secret() {
    for (name, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let oct = |bytes: &[u8]| json!([{"kty": "oct", "alg": name, "k": encode(bytes)}]);
        assert!(KeySet::from_value(&json!({"keys": oct(&random(length))})).is_ok());
        assert_eq!(wrong(oct(&random(length - 1))).field, "keys[0].k");
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
        for public in [pem.to_owned(), format!("  {pem}"), jwk(Algorithm::Rs256).to_string()] {
            assert_eq!(wrong(oct(public.as_bytes())).field, "keys[0].k", "{public}");
        }
    }
    let silent = json!([{"kty": "oct", "k": encode(random(64))}]);
    assert_eq!(wrong(silent).field, "keys[0].alg");
}

#[test]
fn what_a_key_says_of_itself_is_respected() {
    for issuer in Issuer::all() {
        let jwk = &issuer.jwk;
        let accepted = |changes: Value| {
            KeySet::from_value(&json!({"keys": [with(jwk.clone(), changes.clone())]})).unwrap();
        };
        accepted(json!({"use": "sig"}));
        accepted(json!({"key_ops": ["verify"]}));
        accepted(json!({"key_ops": ["sign", "verify"], "use": "sig"}));
        accepted(json!({"x5t": "AA", "x5u": "https://issuer.example", "custom": {"a": 1}}));
        for (changes, field) in [
            (json!({"use": "enc"}), "keys"),
            (json!({"use": "SIG"}), "keys[0].use"),
            (json!({"use": ["sig"]}), "keys[0].use"),
            (json!({"key_ops": []}), "keys[0].key_ops"),
            (json!({"key_ops": "verify"}), "keys[0].key_ops"),
            (json!({"key_ops": ["sign"]}), "keys[0].key_ops"),
            (json!({"key_ops": ["verify", "verify"]}), "keys[0].key_ops"),
            (json!({"key_ops": ["verify", "encrypt"]}), "keys[0].key_ops"),
            (json!({"key_ops": ["verify", 1]}), "keys[0].key_ops"),
            (json!({"key_ops": ["verify"], "use": "enc"}), "keys[0].key_ops"),
            (json!({"key_ops": ["encrypt"], "use": "sig"}), "keys[0].key_ops"),
            (json!({"key_ops": ["encrypt"]}), "keys"),
            (json!({"kid": 1}), "keys[0].kid"),
            (json!({"alg": 1}), "keys[0].alg"),
            (json!({"kty": "rsa"}), "keys[0].kty"),
            (json!({"kty": null}), "keys[0].kty"),
        ] {
            assert_eq!(
                wrong(json!([with(jwk.clone(), changes.clone())])).field,
                field,
                "{changes}"
            );
        }
        if !issuer.algorithm.is_symmetric() {
            for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                let keys = json!([with(jwk.clone(), json!({name: "AA"}))]);
                assert_eq!(wrong(keys).field, format!("keys[0].{name}"));
            }
        }
    }
}

#[test]
fn sets_are_unambiguous_and_of_one_kind() {
    let (one, other) = (jwk(Algorithm::Es256), jwk(Algorithm::Es384));
    assert_eq!(wrong(json!([one, other])).field, "keys[1].kid");
    let renamed = with(other, json!({"kid": "o"}));
    assert!(KeySet::from_value(&json!({"keys": [one, renamed]})).is_ok());
    let secret = with(jwk(Algorithm::Hs256), json!({"kid": "s"}));
    assert_eq!(wrong(json!([one, secret])).field, "keys");
    assert_eq!(wrong(json!([])).field, "keys");
    assert_eq!(wrong(json!({})).field, "keys");
    assert_eq!(wrong(json!([7])).field, "keys[0]");
    let many: Vec<Value> =
        (0..65).map(|index| with(one.clone(), json!({"kid": index.to_string()}))).collect();
    assert_eq!(wrong(json!(many)).field, "keys");
    assert!(KeySet::from_value(&json!({"keys": many[..64]})).is_ok());
    for text in ["", "[]", "null", "{", r#"{"keys":[],"keys":[]}"#, &" ".repeat(65_537)] {
        assert!(KeySet::parse(text).is_err());
    }
}

#[test]
fn of_a_served_set_the_good_keys_are_taken() {
    let good = jwk(Algorithm::Es256);
    let kid = |jwk: Value, kid: &str| with(jwk, json!({ "kid": kid }));
    let set = json!({"keys": [
        good,
        kid(json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}), "new kind"),
        kid(json!({"kty": "OKP", "crv": "Ed448", "x": "AA"}), "new curve"),
        kid(with(jwk(Algorithm::Es256), json!({"alg": "ESP256"})), "new algorithm"),
        kid(with(jwk(Algorithm::Es256), json!({"use": "enc"})), "for encryption"),
        kid(json!({"kty": "RSA", "n": encode(random(128)), "e": "AQAB"}), "weak"),
        kid(with(jwk(Algorithm::Rs256), json!({"d": "AQ"})), "private"),
        kid(jwk(Algorithm::Es384), "twice"),
        kid(jwk(Algorithm::EdDsa), "twice"),
        kid(jwk(Algorithm::Ps256), "other"),
    ]});
    let (keys, left_out) = KeySet::parse_remote(set.to_string().as_bytes()).unwrap();
    assert_eq!(keys.key_ids().collect::<Vec<_>>(), ["k", "other"]);
    let fields: Vec<&str> = left_out.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["keys[5].n", "keys[6].d", "keys[7].kid", "keys[8].kid"]);
    // An operator who writes the same is told of the first.
    assert_eq!(KeySet::from_value(&set).unwrap_err().field, "keys[1].kty");
}

#[test]
fn a_served_set_has_no_secrets_and_something_to_use() {
    let parse = |keys: Value| KeySet::parse_remote(json!({ "keys": keys }).to_string().as_bytes());
    let good = jwk(Algorithm::Es256);
    let secret = with(jwk(Algorithm::Hs256), json!({"kid": "s"}));
    for keys in [
        json!([secret]),
        json!([good, secret]),
        json!([good, with(secret.clone(), json!({"use": "enc"}))]),
    ] {
        assert!(parse(keys).unwrap_err().field.ends_with(".kty"));
    }
    assert_eq!(parse(json!([])).unwrap_err().field, "keys");
    assert_eq!(parse(json!([{"kty": "AKP"}])).unwrap_err().field, "keys");
    assert_eq!(parse(json!([good, good])).unwrap_err().field, "keys[0].kid");
    assert_eq!(parse(json!([with(good, json!({"crv": 1}))])).unwrap_err().field, "keys[0].crv");
    for bytes in [b"".as_slice(), b"<html>", b"\xff", b"[]", b"{\"keys\":{}}", &[b' '; 65_537]] {
        assert!(KeySet::parse_remote(bytes).is_err());
    }
}

/// As a proof of possession carries it (RFC 9449 section 4.2).
#[test]
fn a_key_alone_verifies_what_it_signed() {
    for issuer in Issuer::all() {
        let key = Key::from_public_jwk(&issuer.jwk);
        if issuer.algorithm.is_symmetric() {
            assert_eq!(key.unwrap_err().field, "kty");
            continue;
        }
        let key = key.unwrap();
        assert_eq!(key.algorithms(), [issuer.algorithm]);
        let signature = issuer.sign(b"message");
        let verify = |algorithm: &str, message: &[u8]| {
            let jws = JwsSignature {
                key_id: None,
                algorithm,
                signing_input: message,
                signature: &signature,
            };
            key.verify_signature(&jws, &mut Host::default())
        };
        assert_eq!(verify(issuer.algorithm.as_str(), b"message"), Ok(()));
        let invalid = Err(SignatureError::Invalid);
        assert_eq!(verify(issuer.algorithm.as_str(), b"massage"), invalid);
        let expected = vec![issuer.algorithm];
        assert_eq!(verify("none", b"message"), Err(SignatureError::WrongAlgorithm { expected }));
    }
}

/// A key of which nothing is accepted is still known: its tokens are no reason to ask the issuer for new keys.
#[test]
fn keys_that_are_not_accepted_stay_known() {
    let issuer = Issuer::new(Algorithm::Es256);
    let other = Issuer::new(Algorithm::Es384);
    let keys = json!({"keys": [issuer.jwk, with(other.jwk, json!({"kid": "o"}))]});
    let keys = KeySet::from_value(&keys).unwrap().restricted_to(&[Algorithm::Es384]).unwrap();
    let token = issuer.token(&json!({}));
    let refusal =
        keys.verify_compact(crate::issuer::parse(&token).text, &mut Host::gullible()).unwrap_err();
    assert_eq!(refusal.reason, Reason::TokenUnsupported);
}
