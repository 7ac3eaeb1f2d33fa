//! What is refused, and what of that is told to whom.

use portcullis_function::Body;
use portcullis_function::jwe::{BODY_LIMIT, Caller};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::*;
use crate::upstream::{ANSWER_LIMIT, Incoming, UpstreamError};

#[test]
fn only_the_gate_is_believed() {
    let world = World::new();
    let encrypted = world.encrypted(QUESTION);
    let without = Case { headers: vec![], ..world.encrypted(QUESTION) };
    world.refused(&without.header("content-type", "application/jose"), 401, "assertion-invalid");
    let other = world.encrypted(QUESTION).signed_over(QUESTION, ASSERTION_KEY);
    world.refused(&other, 401, "assertion-invalid");
    let Body::Whole(body) = encrypted.body.clone() else { panic!() };
    world.refused(&encrypted.signed_over(&body, THIRD_KEY), 401, "assertion-invalid");
    let elsewhere = Case { path: "/other", ..world.encrypted(QUESTION) };
    world.refused(&elsewhere, 401, "assertion-invalid");
}

#[test]
fn what_is_not_encrypted_is_refused() {
    let world = World::new();
    for content_type in ["application/json", "text/plain", "application/jose+json", ""] {
        let case = Case::new("POST", PATH, QUESTION).header("content-type", content_type).signed();
        let reply = world.refused(&case, 415, "unsupported-media-type");
        assert!(reply.headers.contains(&("accept", "application/jose")), "{content_type}");
    }
}

#[test]
fn what_is_wrong_with_the_encryption_is_not_told() {
    let world = World::new();
    let stranger = Caller::new().unwrap().public_jwk();
    let mut relabelled = stranger.clone();
    relabelled["kid"] = world.published()["kid"].clone();
    let message =
        |jwk: &Value| world.caller.encrypt(jwk, QUESTION, "application/json", &json!({})).unwrap();
    let to = |jwk: &Value| Case::jose(message(jwk).as_bytes());
    let mut changed = message(&world.published()).into_bytes();
    let middle = changed.len() - 30;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let cases = [
        ("another key", to(&stranger)),
        ("another key under our kid", to(&relabelled)),
        ("no kid", world.encrypted_with(QUESTION, &json!({ "kid": null }))),
        ("zip", world.encrypted_with(QUESTION, &json!({ "zip": "DEF" }))),
        ("crit", world.encrypted_with(QUESTION, &json!({ "crit": ["exp"] }))),
        ("nested", world.encrypted_with(QUESTION, &json!({ "cty": "jose" }))),
        ("changed", Case::jose(&changed)),
        ("not a message", Case::jose(b"a.b.c.d.e")),
        ("clear", Case::jose(QUESTION)),
        ("nothing", Case::jose(b"")),
    ];
    let first = world.refused(&cases[0].1, 400, "jwe-refused");
    for (name, case) in &cases {
        assert_eq!(world.refused(case, 400, "jwe-refused"), first, "{name}");
    }
}

#[test]
fn what_was_encrypted_is_screened_and_refusals_are_sealed() {
    let world = World::new();
    for (content, status, reason) in [
        (r#"{"text":"a","source":"1' OR '1'='1' -- "}"#, 422, "attack-suspected"),
        (r#"{"text":"a","source":"<script>alert(1)</script>"}"#, 422, "attack-suspected"),
        (r#"{"text":1}"#, 422, "schema-violated"),
        (r#"{"text":"a","text":"b"}"#, 400, "json-invalid"),
        ("", 400, "body-missing"),
        (&format!(r#"{{"text":"{}"}}"#, "a".repeat(1000)), 413, "body-too-large"),
    ] {
        world.refused_sealed(&world.encrypted(content.as_bytes()), status, reason);
    }
    let text = world.encrypted_with(b"hello", &json!({ "cty": "text/plain" }));
    world.refused_sealed(&text, 415, "content-type-unsupported");
    assert!(world.function.asked.borrow().is_empty());
}

#[test]
fn only_routes_of_the_policy_are_there() {
    let world = World::new();
    for path in ["/", "/v1/predict/", "/v1/model", "/other"] {
        let case = world.encrypted(QUESTION).at(path, None);
        world.refused_sealed(&case, 403, "route-unknown");
    }
    // Judged as /v1/predict, they would be sent on as something else.
    for path in ["//v1/predict", "/other/../v1/predict", "/v1/%70redict"] {
        world.refused_sealed(&world.encrypted(QUESTION).at(path, None), 400, "path-invalid");
    }
    assert!(world.function.asked.borrow().is_empty());
    let case = world.encrypted(QUESTION).at("/other", None).header("host", "b.example");
    assert_eq!(world.sealed(&case).0, 200);
    let mut case = case;
    case.headers.push(("host".to_owned(), b"a.example".to_vec()));
    world.refused_sealed(&case, 403, "route-unknown");
}

#[test]
fn a_function_that_does_not_answer_is_told_sealed() {
    let unreachable = || Err(UpstreamError::Unreachable("refused".to_owned()));
    let world = World::new().answering(unreachable);
    world.refused_sealed(&world.encrypted(QUESTION), 502, "upstream-unreachable");
    let world = World::new().answering(|| Err(UpstreamError::Timeout));
    world.refused_sealed(&world.encrypted(QUESTION), 504, "upstream-timeout");
    for body in [Body::TooLarge(ANSWER_LIMIT.detail), Body::Broken] {
        let world = World::new()
            .answering(move || Ok(Incoming { body: body.clone(), ..json_answer(200, b"") }));
        world.refused_sealed(&world.encrypted(QUESTION), 502, "upstream-answer-unfit");
    }
    let world = World::new().answering(|| Ok(json_answer(307, ANSWER)));
    world.refused_sealed(&world.encrypted(QUESTION), 502, "upstream-answer-unfit");
    let world = World::new().answering(|| Ok(json_answer(401, b"{}")));
    world.refused_sealed(&world.encrypted(QUESTION), 503, "function-unavailable");
}

#[test]
fn without_keys_policy_or_upstream_nothing_is_decrypted() {
    for name in ["key_encryption_key", "input_policy", "upstream"] {
        let mut variables = variables();
        variables.remove(name);
        let world = World::with(&variables);
        let case = Case::jose(b"a.b.c.d.e");
        let reply = world.refused(&case, 415, "unsupported-media-type");
        assert!(reply.headers.contains(&("accept", "application/json")), "{name}");
        world.refused(&Case::new("GET", "/.well-known/jwks.json", b""), 404, "not-found");
        world.refused(&Case::new("GET", "/healthz", b""), 503, "function-unavailable");
    }
    let world = World { settings: None, ..World::new() };
    for case in [
        Case::jose(b"a.b.c.d.e"),
        Case::new("GET", "/.well-known/jwks.json", b""),
        Case::new("GET", "/healthz", b""),
    ] {
        world.refused(&case, 503, "function-unavailable");
    }
    let world = World::new();
    let case = world.encrypted(QUESTION);
    *world.store.broken.borrow_mut() = true;
    world.refused(&case, 503, "function-unavailable");
    world.refused(&Case::new("GET", "/healthz", b""), 503, "function-unavailable");
}

#[test]
fn bodies_are_whole_or_refused() {
    let world = World::new();
    let with = |body| Case { body, ..Case::new("POST", PATH, b"") };
    world.refused(&with(Body::TooLarge(BODY_LIMIT.detail)), 413, "body-too-large");
    world.refused(&with(Body::Broken), 400, "body-incomplete");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_get_by(body in prop::collection::vec(any::<u8>(), 0..400)) {
        thread_local!(static WORLD: World = World::new());
        WORLD.with(|world| {
            world.refused(&Case::jose(&body), 400, "jwe-refused");
        });
    }

    /// Whatever is in a message, what is answered is sealed, and what the function gets is what the gate would let through.
    #[test]
    fn no_content_gets_by(content in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "\\PC{0,100}".prop_map(|text| json!({ "text": text }).to_string().into_bytes()),
        "[{}\\[\\]\",:a-z0-9]{0,40}".prop_map(String::into_bytes),
    ]) {
        thread_local!(static WORLD: World = World::new());
        WORLD.with(|world| {
            let (status, ..) = world.sealed(&world.encrypted(&content));
            let asked = world.function.asked.take();
            assert_eq!(asked.len(), usize::from(status == 200));
            for request in asked {
                let question: Value = serde_json::from_slice(&request.body).unwrap();
                assert!(question["text"].is_string());
            }
        });
    }
}
