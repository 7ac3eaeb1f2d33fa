//! What is known only afterwards: usage, ends of all kinds, refusals that count.

use portcullis_policy::{GrpcStatus, HeaderEdit, Reason};
use serde_json::json;

use crate::world::{Ask, SECOND, Worker, workers};

fn tokens(reserve: serde_json::Value) -> Worker {
    let limits = json!([{"name": "tokens", "key": "principal", "requests": 1000, "per_seconds": 60, "burst": 1000,
        "cost": {"response_value": {"pointer": "/usage/total_tokens", "reserve": reserve, "cap": 800}}}]);
    workers(1, limits, json!({})).remove(0)
}

type Fields = &'static [(&'static str, &'static str)];

const OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];

/// How many tokens are left, by what a request of one token is told.
fn left(gate: &Worker) -> u64 {
    let asked = gate.begin(&Ask::of("alice"), &mut || ());
    let Ok(_) = asked.outcome else { return 0 };
    let (edits, _) = gate.answer(asked, &OK, &[br#"{"usage": {"total_tokens": 0}}"#]);
    let field = edits.iter().find_map(|edit| match edit {
        HeaderEdit::Set(name, value) if name == "ratelimit" => Some(value.clone()),
        _ => None,
    });
    let field = field.expect("a RateLimit field");
    let left = field.split(";r=").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    left.parse::<u64>().unwrap() + 1
}

#[test]
fn limits_are_told_with_all_responses_or_with_refusals_alone() {
    let limits = json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 60}]);
    for (which, told) in [("all", true), ("refused", false)] {
        let more = json!({ "limits_fields": which });
        let gate = workers(1, limits.clone(), more).remove(0);
        let asked = gate.begin(&Ask::of("alice"), &mut || ());
        let (edits, _) = gate.answer(asked, &OK, &[]);
        let names = edits.iter().map(|edit| match edit {
            HeaderEdit::Set(name, _) | HeaderEdit::Remove(name) => name.as_str(),
        });
        assert_eq!(names.filter(|name| name.starts_with("ratelimit")).count() == 2, told);
        let refused = gate.begin(&Ask::of("alice"), &mut || ()).outcome.unwrap_err();
        for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
            assert!(refused.headers.iter().any(|(other, _)| *other == name), "{which}: {name}");
        }
    }
}

#[test]
fn what_was_reserved_and_not_used_is_given_back() {
    let gate = tokens(json!(1));
    let reserving = tokens(json!(300));
    let asked = reserving.begin(&Ask::of("alice"), &mut || ());
    let edits = asked.outcome.clone().unwrap();
    let plain = HeaderEdit::Set("accept-encoding".to_owned(), "identity".to_owned());
    assert!(edits.contains(&plain), "a compressed response cannot be read: {edits:?}");
    reserving.answer(asked, &OK, &[b"{\"usage\": {\"total_", b"tokens\": 40}}"]);
    for expected in [660, 660] {
        // Asking reserves 300 as well.
        assert_eq!(left(&reserving) - 1, expected, "given back once");
    }
    assert_eq!(left(&gate), 1000);
}

#[test]
fn what_was_used_and_not_reserved_is_owed() {
    let gate = tokens(json!(1));
    let ends: [(Fields, &[&[u8]], u64); 9] = [
        (&OK, &[br#"{"usage": {"total_tokens": 250}}"#], 250),
        (&OK, &[br#"{"usage": {"total_tokens": 99999999999}}"#], 800),
        (&OK, &[br#"{"usage": {"total_tokens": -5}}"#], 800),
        (&OK, &[br#"{"usage": {}}"#], 800),
        (&OK, &[br#"{"usage": {"total_tok"#], 800),
        (
            &[
                (":status", "200"),
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            &[b"\x1f\x8b"],
            800,
        ),
        (&[(":status", "500"), ("content-type", "text/plain")], &[b"failed"], 1),
        (&[(":status", "204")], &[], 1),
        (
            &[(":status", "200"), ("content-type", "text/event-stream")],
            &[
                b"data: {\"usage\": {\"total_tokens\": 10}}\n\ndata: {\"usage\": {\"total_to",
                b"kens\": 77}}\n\ndata: [DONE]\n\n",
            ],
            77,
        ),
    ];
    for (headers, parts, used) in ends {
        gate.advance(1000 * SECOND);
        assert_eq!(left(&gate), 1000);
        let asked = gate.begin(&Ask::of("alice"), &mut || ());
        assert!(asked.is_admitted());
        gate.answer(asked, headers, parts);
        assert_eq!(left(&gate), 1000 - used, "{headers:?}");
    }
}

#[test]
fn who_goes_away_before_the_end_pays_for_all() {
    let gate = tokens(json!(1));
    let asked = gate.begin(&Ask::of("alice"), &mut || ());
    gate.finish(asked);
    assert_eq!(left(&gate), 200);
}

#[test]
fn what_cannot_be_afforded_is_refused_before_it_costs() {
    let gate = tokens(json!(600));
    let first = gate.begin(&Ask::of("alice"), &mut || ());
    let second = gate.begin(&Ask::of("alice"), &mut || ());
    assert!(first.is_admitted());
    assert_eq!(second.refused(), Some(Reason::RateExceeded));
    gate.answer(first, &OK, &[br#"{"usage": {"total_tokens": 10}}"#]);
    gate.finish(second);
    assert!(gate.begin(&Ask::of("alice"), &mut || ()).is_admitted());
}

#[test]
fn a_body_is_counted_by_what_is_in_it() {
    for (cost, body, expected) in [
        (json!("body_bytes"), "0123456789".repeat(6), 60),
        (
            json!("text_tokens"),
            format!("{{\"messages\": [{{\"content\": \"{}\"}}]}}", "word".repeat(60)),
            60,
        ),
        (
            json!({"request_value": {"pointer": "/max_tokens", "cap": 90}}),
            r#"{"max_tokens": 60}"#.to_owned(),
            60,
        ),
        (
            json!({"request_value": {"pointer": "/max_tokens", "cap": 90}}),
            r#"{"max_tokens": 1e99}"#.to_owned(),
            90,
        ),
        (
            json!({"request_value": {"pointer": "/max_tokens", "default": 7, "cap": 90}}),
            "{}".to_owned(),
            7,
        ),
    ] {
        let limits = json!([{"name": "test", "key": "principal", "requests": 100, "per": "day", "cost": cost}]);
        let gate = workers(1, limits, json!({})).remove(0);
        let asked = gate.begin(&Ask::of("alice").with_body(&body), &mut || ());
        let (edits, _) = gate.answer(asked, &OK, &[]);
        let field = edits.iter().any(|edit| match edit {
            HeaderEdit::Set(name, value) => {
                name == "ratelimit" && value.starts_with(&format!("\"test\";r={};", 100 - expected))
            }
            HeaderEdit::Remove(_) => false,
        });
        assert!(field, "{cost}: {edits:?}");
    }
}

#[test]
fn a_body_that_is_too_large_for_the_limit_is_told_so() {
    let limits = json!([
        {"name": "rate", "key": "principal", "requests": 5, "per_seconds": 60},
        {"name": "bytes", "key": "principal", "requests": 100, "per_seconds": 60, "cost": "body_bytes"},
    ]);
    let gate = workers(1, limits, json!({})).remove(0);
    for _ in 0..20 {
        let asked = gate.begin(&Ask::of("alice").with_body(&"x".repeat(101)), &mut || ());
        let Err(reply) = &asked.outcome else { panic!("admitted") };
        assert!(
            !reply.headers.iter().any(|(name, _)| *name == "retry-after"),
            "waiting does not help"
        );
        assert!(String::from_utf8_lossy(&reply.body).contains("101 bytes"));
        gate.finish(asked);
    }
    // And has cost nothing of the other limit.
    assert_eq!((0..20).filter(|_| gate.admits(&Ask::of("alice").with_body("x"))).count(), 5);
}

#[test]
fn grpc_clients_are_told_in_their_own_way() {
    let limits = json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 60}]);
    let gate = workers(1, limits, json!({})).remove(0);
    let ask = Ask { content_type: "application/grpc+proto", ..Ask::of("alice") };
    assert!(gate.admits(&ask));
    let asked = gate.begin(&ask, &mut || ());
    let Err(reply) = asked.outcome else { panic!("admitted") };
    let field = |name: &str| {
        reply.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    };
    assert_eq!((reply.status, reply.grpc_status), (200, Some(GrpcStatus::ResourceExhausted)));
    assert!(reply.body.starts_with(b"Too many requests."));
    assert_eq!(field("content-type"), None, "that is for the runtime to say");
    assert_eq!(field("retry-after"), Some("60"));
}

#[test]
fn places_come_back_after_every_end() {
    let limits =
        json!([{"name": "test", "key": "principal", "concurrent": 1, "lost_after_seconds": 60}]);
    let gate = workers(1, limits, json!({})).remove(0);
    let begin = || gate.begin(&Ask::of("alice"), &mut || ());
    // Answered; reset before the response; answered with an error; never ended.
    gate.answer(begin(), &OK, &[]);
    gate.finish(begin());
    gate.answer(begin(), &[(":status", "504")], &[]);
    let lost = begin();
    assert!(lost.is_admitted());
    assert_eq!(begin().refused(), Some(Reason::ConcurrencyExceeded));
    drop(lost);
    gate.advance(59 * SECOND);
    assert_eq!(begin().refused(), Some(Reason::ConcurrencyExceeded));
    gate.advance(61 * SECOND);
    assert!(begin().is_admitted());
}

#[test]
fn what_is_not_enforced_is_in_the_record() {
    let limits = json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 60, "enforced": false}]);
    let gate = workers(1, limits, json!({"audit": {"record": "refused"}})).remove(0);
    assert_eq!(gate.finish(gate.begin(&Ask::of("alice"), &mut || ())), "");
    let record = gate.finish(gate.begin(&Ask::of("alice"), &mut || ()));
    assert!(record.contains("\"shadowed\":[\"test\"]"), "{record}");
}

#[test]
fn who_is_refused_again_and_again_is_shut_out_and_nobody_else() {
    let more = json!({"penalty": {"strikes": 3, "per_seconds": 60, "first_seconds": 30, "exempt": ["10.0.0.0/8"]}});
    let machine = workers(2, json!([]), more);
    let fail = |worker: usize, source: &str| {
        let asked = machine[worker].begin(&Ask::from(source.parse().unwrap()), &mut || ());
        let refused = asked.refused();
        machine[worker].answer(asked, &[(":status", "401")], &[]);
        refused
    };
    for _ in 0..3 {
        assert_eq!(fail(0, "192.0.2.1"), None);
    }
    assert_eq!(fail(0, "192.0.2.1"), Some(Reason::ShutOut));
    assert_eq!(fail(1, "192.0.2.1"), Some(Reason::ShutOut), "at the other worker as well");
    assert_eq!(fail(0, "192.0.2.2"), None);
    for _ in 0..20 {
        assert_eq!(fail(0, "10.1.1.1"), None, "exempt");
    }
    machine[0].advance(31 * SECOND);
    assert_eq!(fail(0, "192.0.2.1"), None, "what was sent while shut out has made it no longer");
    // Unknown addresses would be everybody.
    for _ in 0..20 {
        let asked = machine[0].begin(&Ask { source: None, ..Ask::of("") }, &mut || ());
        assert!(asked.is_admitted());
        machine[0].answer(asked, &[(":status", "401")], &[]);
    }
}
