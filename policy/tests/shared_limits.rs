//! Limits that a rate limit service counts for many gates, through whole exchanges.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::Runtime;
use portcullis_policy::{
    Document, Exchange, Header, Policy, Reason, RequestHead, ServiceAnswer, ServiceCall, Stages,
    Step,
};
use serde_json::{Value, json};

/// A RateLimitResponse with nothing but an overall code, in its gRPC frame.
const OK: &[u8] = b"\0\0\0\0\x02\x08\x01";
const OVER_LIMIT: &[u8] = b"\0\0\0\0\x02\x08\x02";

struct Gate {
    policy: Arc<Policy>,
    runtime: Runtime,
}

fn document(on_failure: &str) -> Value {
    json!({
        "version": 1,
        "rate_limit_service": {
            "uri": "http://127.0.0.1:8081", "domain": "portcullis", "on_failure": on_failure,
        },
        "limits": [{ "name": "all", "key": "address", "requests": 3, "per_seconds": 60, "shared": true }],
        "authorisation": { "require": "anonymous" },
        "routes": [{ "name": "all", "match": { "prefix": "/" } }],
    })
}

fn compile(document: &Value) -> Result<Policy, String> {
    let document = Document::from_json("policy", &document.to_string());
    let document = document.map_err(|error| error.to_string())?;
    let secrets = std::collections::BTreeMap::<String, String>::new();
    Policy::compile(&document, &secrets, Stages::ALL).map_err(|error| error.to_string())
}

impl Gate {
    fn new(document: &Value) -> Self {
        Self { policy: Arc::new(compile(document).unwrap()), runtime: Runtime::new() }
    }

    fn begin(&mut self) -> Exchange {
        self.policy.begin(self.runtime.now())
    }

    fn step(&mut self, exchange: &mut Exchange) -> Step {
        let headers: [Header<'_>; 2] = [(":method", b"GET"), (":path", b"/")];
        let head = RequestHead { headers: &headers, has_body: false };
        exchange.request_head(&head, &mut self.runtime)
    }

    fn calls(&mut self) -> Vec<ServiceCall> {
        self.policy.upkeep(&mut self.runtime).calls
    }

    fn answer(&mut self, call: &ServiceCall, body: Option<&[u8]>) -> Option<String> {
        let answer = body.map(|body| ServiceAnswer { status: 200, grpc_status: Some(0), body });
        self.policy.service_answered(call, answer, &mut self.runtime).warning
    }
}

#[test]
fn a_request_waits_for_the_service_and_passes() {
    let mut gate = Gate::new(&document("refuse"));
    let mut exchange = gate.begin();
    assert_eq!(gate.step(&mut exchange), Step::Wait);
    assert!(gate.policy.has_errands());
    let calls = gate.calls();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(call.cluster, "portcullis_http_127.0.0.1_8081_grpc");
    assert_eq!((call.scheme, call.authority.as_str()), ("http", "127.0.0.1:8081"));
    assert_eq!(call.path, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
    assert_eq!(call.timeout, Duration::from_millis(250));
    assert!(call.body.windows(10).any(|window| window == b"portcullis"));
    // The address stays here: what goes over the wire and into the service's memory is a digest.
    assert!(!call.body.windows(9).any(|window| window == b"192.0.2.1"));
    assert_eq!(gate.answer(call, Some(OK)), None);
    assert!(matches!(gate.step(&mut exchange), Step::Continue(_)));
}

#[test]
fn the_service_refuses_for_all_and_the_gate_for_itself() {
    let mut gate = Gate::new(&document("refuse"));
    let mut exchange = gate.begin();
    assert_eq!(gate.step(&mut exchange), Step::Wait);
    let calls = gate.calls();
    gate.answer(&calls[0], Some(OVER_LIMIT));
    let Step::Respond(reply) = gate.step(&mut exchange) else { panic!() };
    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains(&("retry-after", "1".to_owned())), "{reply:?}");
    assert_eq!(exchange.refused().unwrap().0, Reason::RateExceeded);

    // However much the service grants, one gate admits no more than its own bucket has; and what the bucket refuses is not
    // asked for again and again.
    let mut gate = Gate::new(&document("refuse"));
    let (mut admitted, mut calls) = (0, 0);
    for _ in 0..100 {
        let mut exchange = gate.begin();
        let mut step = gate.step(&mut exchange);
        for call in gate.calls() {
            calls += 1;
            gate.answer(&call, Some(OK));
        }
        if step == Step::Wait {
            step = gate.step(&mut exchange);
        }
        match step {
            Step::Continue(_) => admitted += 1,
            Step::Respond(reply) => assert_eq!(reply.status, 429),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 3);
    assert!(calls <= 4, "{calls} calls");
}

#[test]
fn what_its_body_cannot_afford_takes_no_granted_hit() {
    let mut document = document("refuse");
    let bytes = json!({
        "name": "bytes", "key": "address", "requests": 10, "per_seconds": 60, "cost": "body_bytes",
    });
    document["limits"][0]["requests"] = json!(100);
    document["limits"].as_array_mut().unwrap().push(bytes);
    document["routes"][0]["input"] = json!({});
    let mut gate = Gate::new(&document);
    let headers: [Header<'_>; 4] = [
        (":method", b"POST"),
        (":path", b"/"),
        (":authority", b"gate"),
        ("content-type", b"application/json"),
    ];
    let head = RequestHead { headers: &headers, has_body: true };
    let mut exchange = gate.begin();
    assert_eq!(exchange.request_head(&head, &mut gate.runtime), Step::Wait);
    let calls = gate.calls();
    // One hit, and no more.
    gate.answer(&calls[0], Some(OK));
    assert_eq!(exchange.request_head(&head, &mut gate.runtime), Step::NeedBody);
    let step = exchange.request_body(b"\"eleven bytes\"", &mut gate.runtime);
    assert!(matches!(step, Step::Respond(reply) if reply.status == 429));
    exchange.finish(&mut gate.runtime);

    let mut exchange = gate.begin();
    assert_eq!(exchange.request_head(&head, &mut gate.runtime), Step::NeedBody, "it is there yet");
    let step = exchange.request_body(b"1", &mut gate.runtime);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    exchange.finish(&mut gate.runtime);
    // That one has used it.
    assert_eq!(gate.begin().request_head(&head, &mut gate.runtime), Step::Wait);

    // What the input stage refuses has been counted, by the service as by the gate itself: what was granted is used up.
    let calls = gate.calls();
    gate.answer(&calls[0], Some(OK));
    let refused = (0..100).take_while(|_| {
        let mut exchange = gate.begin();
        if exchange.request_head(&head, &mut gate.runtime) == Step::Wait {
            return false;
        }
        let step = exchange.request_body(b"{", &mut gate.runtime);
        assert!(matches!(step, Step::Respond(reply) if reply.status == 400));
        exchange.finish(&mut gate.runtime);
        true
    });
    assert!((1..10).contains(&refused.count()));
}

#[test]
fn without_an_answer_it_goes_as_the_policy_says() {
    for (on_failure, admitted) in [("refuse", 0), ("local", 3)] {
        let mut gate = Gate::new(&document(on_failure));
        let mut exchange = gate.begin();
        assert_eq!(gate.step(&mut exchange), Step::Wait);
        let calls = gate.calls();
        assert!(gate.answer(&calls[0], None).unwrap().contains("127.0.0.1:8081: no answer"));
        let mut found = 0;
        for number in 0..10 {
            let step = gate.step(&mut exchange);
            match step {
                Step::Continue(_) => found += 1,
                Step::Respond(reply) if on_failure == "refuse" => assert_eq!(reply.status, 503),
                // Alone it goes by its own bucket, and no further.
                Step::Respond(reply) => assert_eq!(reply.status, 429),
                other => panic!("{number}: {other:?}"),
            }
            exchange = gate.begin();
        }
        assert_eq!(found, admitted, "{on_failure}");
    }
    // And where there is no room to wait.
    let mut gate = Gate::new(&document("refuse"));
    let mut exchange = gate.begin();
    exchange.cannot_wait();
    let Step::Respond(reply) = gate.step(&mut exchange) else { panic!() };
    assert_eq!(reply.status, 503);
    assert_eq!(exchange.refused().unwrap().0, Reason::LimitsUnavailable);
}

#[test]
fn a_document_that_cannot_be_is_refused() {
    let with = |field: &str, value: Value| {
        let mut document = document("refuse");
        document["rate_limit_service"][field] = value;
        compile(&document).map(drop).unwrap_err()
    };
    for (field, value, expected) in [
        ("uri", json!("http://limits.example:8081"), "rate_limit_service.uri: expected https"),
        ("uri", json!("https://limits.example/path"), "without a path"),
        ("uri", json!("limits.example:8081"), "rate_limit_service.uri: expected a URI"),
        ("domain", json!(""), "rate_limit_service.domain: expected 1 to 128"),
        ("domain", json!("a b"), "rate_limit_service.domain: expected 1 to 128"),
        ("timeout_milliseconds", json!(9), "expected 10 to 5000"),
        ("batch", json!(0), "rate_limit_service.batch: expected 1 to 10000"),
        ("on_failure", json!("allow"), "unknown variant `allow`"),
        ("burst", json!(1), "unknown field `burst`"),
    ] {
        let error = with(field, value);
        assert!(error.contains(expected), "{error}");
    }
    let mut document = document("refuse");
    document.as_object_mut().unwrap().remove("rate_limit_service");
    let error = compile(&document).map(drop).unwrap_err();
    assert_eq!(error, "rate_limit_service: expected it: the limit `all` is shared");
}
