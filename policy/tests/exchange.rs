//! Whole exchanges, as a runtime drives them.

mod common;

use common::{Fixture, Request};
use portcullis_policy::{Reason, Step};

#[test]
fn a_good_token_gets_through_with_an_assertion_in_place_of_the_token() {
    let mut fixture = Fixture::new();
    let edits = fixture.run(&Request::predict(&fixture.token("caller"))).unwrap();
    let set: Vec<&str> = edits.set.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["signature", "signature-input", "content-digest", "portcullis-principal"] {
        assert!(set.contains(&name), "{name} is not set");
    }
    assert!(edits.removed.contains(&"authorization".to_owned()));
    assert_eq!(fixture.verify_assertion(&edits), "alice");
}

#[test]
fn the_upstream_is_told_of_the_body_that_it_gets() {
    let mut fixture = Fixture::stripping();
    let request = Request::predict(&fixture.token("caller"))
        .with("content-digest", "sha-256=:AA==:")
        .body("{\"text\":\"zero\u{200B}width\"}".as_bytes());
    let edits = fixture.run(&request).unwrap();
    assert!(edits.set.contains(&("content-length".to_owned(), "20".to_owned())));
    assert!(edits.removed.contains(&"content-digest".to_owned()));
    assert_eq!(fixture.verify_assertion(&edits), "alice");
}

#[test]
fn an_api_key_gets_through() {
    let mut fixture = Fixture::new();
    let request =
        Request::predict("").without("authorization").with("x-api-key", fixture.api_key());
    let edits = fixture.run(&request).unwrap();
    assert_eq!(fixture.verify_assertion(&edits), "batch");
}

#[test]
fn what_a_client_says_of_itself_is_removed_first() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller"))
        .with("portcullis-principal", "sub=\"admin\"")
        .with("portcullis_principal", "sub=\"admin\"")
        .with("signature", "x=:AA==:");
    let edits = fixture.run(&request).unwrap();
    for name in ["portcullis-principal", "portcullis_principal", "signature"] {
        assert!(edits.removed.contains(&name.to_owned()), "{name}");
    }
    assert_eq!(fixture.verify_assertion(&edits), "alice");
    assert!(fixture.audit().contains("\"stripped\":[\"portcullis-principal\""));
}

#[test]
fn refusals_have_their_reason_and_status() {
    let fixture = Fixture::new();
    let good = fixture.token("caller");
    let cases = [
        (Request::predict("").without("authorization"), Reason::CredentialMissing),
        (Request::predict("garbage"), Reason::TokenMalformed),
        (Request::predict(&fixture.token("guest")), Reason::RoleMissing),
        (Request::predict(&fixture.expired()), Reason::TokenExpired),
        (Request::predict(&fixture.for_audience("other")), Reason::TokenAudienceMismatch),
        (Request::predict(&fixture.by_stranger()), Reason::TokenSignatureInvalid),
        (Request::predict(&fixture.unsigned()), Reason::TokenUnsupported),
        (Request::predict(&good).with("x-api-key", fixture.api_key()), Reason::CredentialConflict),
        (Request::predict(&good).with("authorization", "Bearer x"), Reason::HeaderConflict),
        (Request::predict(&good).to("/v1/none"), Reason::RouteUnknown),
        (Request::predict("").without("authorization").to("/v1/none"), Reason::CredentialMissing),
        (Request::predict(&good).to("/openapi.yaml").method("GET"), Reason::RoleMissing),
        (Request::predict(&good).method("GET"), Reason::RouteUnknown),
        (Request::predict(&good).body(b"{}"), Reason::SchemaViolated),
        (Request::predict(&good).body(b"no json"), Reason::JsonInvalid),
        (Request::predict(&good).body(&vec![b' '; 70_000]), Reason::BodyTooLarge),
        (Request::predict(&good).without("content-type"), Reason::ContentTypeUnsupported),
        (Request::predict(&good).to("/v1%2fpredict"), Reason::PathInvalid),
    ];
    for (request, reason) in cases {
        let mut fixture = Fixture::with_keys_of(&fixture);
        let reply = fixture.run(&request).unwrap_err();
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let name = problem["type"].as_str().unwrap();
        assert_eq!(name, reason.problem_type(), "{request:?}");
        assert_eq!(reply.status, reason.status());
        let challenged = reply.headers.iter().any(|(name, _)| *name == "www-authenticate");
        assert_eq!(challenged, reply.status == 401, "{name}");
        let record = fixture.audit();
        assert!(record.contains(reason.as_str()), "{record}");
        assert!(!record.contains(&good), "a record holds a token");
    }
}

#[test]
fn one_too_many_is_told_when_to_come_again() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller"));
    for _ in 0..20 {
        fixture.run(&request).unwrap();
    }
    let reply = fixture.run(&request).unwrap_err();
    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains(&("retry-after", "1".to_owned())));
    assert!(reply.headers.contains(&(
        "ratelimit-policy",
        "\"per-caller\";q=120;w=60, \"per-tenant\";q=1200;w=60".to_owned()
    )));
    fixture.advance_seconds(1);
    fixture.run(&request).unwrap();
}

#[test]
fn a_request_that_cannot_be_signed_is_refused() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller"));
    fixture.break_random();
    let reply = fixture.run(&request).unwrap_err();
    assert_eq!(reply.status, 503);
}

#[test]
fn a_path_is_rewritten_to_what_was_judged() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller")).to("/x/..//v1/./predict?a=1");
    let edits = fixture.run(&request).unwrap();
    assert!(edits.set.contains(&(":path".to_owned(), "/v1/predict?a=1".to_owned())));
}

#[test]
fn responses_lose_what_they_should_not_tell() {
    let fixture = Fixture::new();
    let mut exchange = fixture.begin();
    let head = [(":status", "200"), ("server", "x"), ("portcullis-a", "b")]
        .map(|(name, value)| (name, value.as_bytes()));
    let edits = common::Edits::from(exchange.response_head(&head));
    assert_eq!(edits.removed, ["server", "portcullis-a"]);
    assert!(edits.set.contains(&("x-content-type-options".to_owned(), "nosniff".to_owned())));
}

#[test]
fn anonymous_routes_need_no_credential_but_refuse_bad_ones() {
    let mut fixture = Fixture::new();
    let health =
        Request::predict("").to("/healthz").method("GET").without("content-type").body(b"");
    assert_eq!(fixture.run(&health.clone()).unwrap_err().status, 401);
    let health = health.without("authorization");
    assert!(fixture.run(&health).is_ok());
    assert_eq!(fixture.run(&health.with("x-api-key", "pcl_x")).unwrap_err().status, 401);
}

#[test]
fn what_ends_undecided_is_not_recorded_as_allowed() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller"));
    fixture.run(&request).unwrap();
    assert!(fixture.audit().contains(r#""action":"allowed""#));
    // The client goes away while its body is awaited.
    let record = fixture.abandon(&request);
    assert!(record.contains(r#""action":"aborted""#), "{record}");
    assert!(record.contains(r#""outcome":"unknown""#), "{record}");
}

#[test]
fn bodies_are_asked_for_before_anything_goes_upstream() {
    let mut fixture = Fixture::new();
    let request = Request::predict(&fixture.token("caller"));
    assert_eq!(fixture.head_only(&request), Step::NeedBody);
}
