//! Which keys an answer can be encrypted to.

use serde_json::{Value, json};

use super::compact::{decode, encode};
use super::testing::*;
use super::*;

#[test]
fn an_answer_needs_a_key_that_is_fit_for_it() {
    let keys = keys();
    let key = published(&keys, "EC");
    let detail = |message: &Message| {
        let error = keys.decrypt(message.write().as_bytes()).unwrap_err();
        let JweError::ReplyKey(detail) = error else { panic!("{error}") };
        let reply = error.problem().reply();
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, &problem["detail"]), (400, &json!(detail)));
        assert_eq!(problem["type"], "urn:portcullis:problem:reply-key-unfit");
        detail
    };
    let with = |jwk: Value| detail(&Message::to(&key).header("reply_jwk", jwk));
    assert!(detail(&Message::to(&key).without("reply_jwk")).contains("reply_jwk"));
    let good = caller().1;
    let changed = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    for jwk in [
        json!(null),
        json!("x"),
        json!([]),
        json!({}),
        json!({ "kty": "oct", "x": "AQAB" }),
        changed("kty", "OKP".into()),
    ] {
        assert!(with(jwk).starts_with("Send the public key"));
    }
    for (name, value) in [("d", encode([1; 32])), ("k", encode([1; 32])), ("p", "AQAB".to_owned())]
    {
        assert!(with(changed(name, value.into())).contains("private key"));
    }
    assert!(with(changed("use", "sig".into())).contains("for encryption"));
    for operations in [json!(["verify"]), json!("encrypt"), json!([1])] {
        assert!(with(changed("key_ops", operations)).contains("for encryption"));
    }
    for algorithm in ["RSA-OAEP-256", "ECDH-ES", "dir", "ES256"] {
        assert!(with(changed("alg", algorithm.into())).contains("with the alg"));
    }
    assert!(with(changed("x", encode([1; 32]).into())).contains("on that curve"));
    assert!(with(changed("crv", "P-384".into())).contains("on that curve"));
    for kid in [json!(1), json!("a\nb"), json!("a".repeat(257))] {
        assert!(with(changed("kid", kid)).contains("kid"));
    }
    let rsa = published(&keys, "RSA");
    let modulus = decode(rsa["n"].as_str().unwrap()).unwrap();
    let even: Vec<u8> = modulus[..modulus.len() - 1].iter().copied().chain([2]).collect();
    for (name, value) in [
        ("e", "Aw".to_owned()),
        ("e", "AAEAAQ".to_owned()),
        ("e", String::new()),
        ("n", encode([0xff; 128])),
        ("n", encode([0xff; 513])),
        ("n", encode([0xff; 4000])),
        ("n", encode([[0].as_slice(), &modulus].concat())),
        ("n", encode(even)),
        ("n", String::new()),
        ("n", format!("{}=", rsa["n"].as_str().unwrap())),
    ] {
        let mut jwk = rsa.clone();
        jwk[name] = value.clone().into();
        assert!(with(jwk).contains("2048 to 4096 bits"), "{name} {value}");
    }
    // As browsers write them.
    for jwk in
        [changed("key_ops", json!([])), changed("ext", true.into()), changed("use", "enc".into())]
    {
        let message = Message::to(&key).header("reply_jwk", jwk).write();
        assert!(keys.decrypt(message.as_bytes()).is_ok());
    }
}

/// That there is no key for the answer is told to who could encrypt, and to nobody who only changed a message.
#[test]
fn nothing_is_said_of_a_reply_key_before_the_message_has_been_decrypted() {
    let keys = keys();
    let key = published(&keys, "EC");
    let message = Message { content_key: [4; 32].into(), ..Message::to(&key).without("reply_jwk") };
    assert_eq!(
        refused(&keys, &message.write()),
        "expected a message that was encrypted to this key, unchanged"
    );
}
