//! `portcullis jwe`.

use portcullis_function::jwe::Caller;
use serde_json::{Value, json};

use crate::Desk;

const SEAL: [&str; 6] = ["jwe", "seal", "--keys", "keys.json", "--own", "own.json"];
const OPEN: [&str; 4] = ["jwe", "open", "--own", "own.json"];

#[test]
fn a_request_is_for_the_function_alone_and_its_answer_for_who_asked() {
    let desk = Desk::new();
    let function = Caller::new().unwrap();
    desk.write("keys.json", &json!({ "keys": [function.public_jwk()] }).to_string());
    let missing = desk.run(&OPEN, "a.b.c.d.e");
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("own.json: expected the key"), "{}", missing.stderr);

    let mut keys = Vec::new();
    for text in [r#"{"text":"a"}"#, r#"{"text":"b"}"#] {
        let sealed = desk.run(&SEAL, text);
        assert_eq!(sealed.code, 0, "{}", sealed.stderr);
        let request = function.decrypt(sealed.stdout.as_bytes()).unwrap();
        assert_eq!(request.content.as_slice(), text.as_bytes());
        keys.push(std::fs::read_to_string(desk.path("own.json")).unwrap());
    }
    assert_eq!(keys[0], keys[1], "it is made once");

    let own: Value = serde_json::from_str(&keys[0]).unwrap();
    let own = Caller::from_jwk(&own).unwrap().public_jwk();
    let answer = function.encrypt(&own, br#"{"label":"ham"}"#, "application/json", &json!({}));
    let opened = desk.run(&OPEN, &format!("{}\n", answer.unwrap()));
    assert_eq!((opened.code, &*opened.stdout), (0, "{\"label\":\"ham\"}\n"), "{}", opened.stderr);

    let stranger = Caller::new().unwrap().public_jwk();
    let other = function.encrypt(&stranger, b"{}", "application/json", &json!({})).unwrap();
    let refused = desk.run(&OPEN, &other);
    assert_eq!((refused.code, &*refused.stdout), (1, ""));
    let clear = desk.run(&OPEN, r#"{"title":"A credential is required"}"#);
    assert_eq!(clear.code, 1);
    assert!(clear.stderr.contains("not encrypted: {\"title\":\"A credential"), "{}", clear.stderr);
}

#[test]
fn what_cannot_be_sealed_is_said_so_and_makes_no_key() {
    let desk = Desk::new();
    for (set, expected) in [
        ("", "expected a JSON Web Key Set"),
        (r#"{"keys":[{"kty":"EC","use":"sig","kid":"a"}]}"#, "expected a key with a kid"),
    ] {
        desk.write("keys.json", set);
        let refused = desk.run(&SEAL, "{}");
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    let key = Caller::new().unwrap().public_jwk();
    desk.write("keys.json", &json!({ "keys": [key] }).to_string());
    let long = desk.run(&SEAL, &"a".repeat(100_000));
    assert_eq!(long.code, 2);
    assert!(long.stderr.contains("more than 98304 bytes"), "{}", long.stderr);
    assert!(!desk.path("own.json").exists());
}
