//! Limits that whoever drives an exchange counts in a store, through whole exchanges: what is asked, what clients are told, what is
//! settled. That stores count as the policy does is tested where they are.

mod common;

use std::sync::Arc;

use common::Runtime;
use portcullis_policy::{
    Document, Exchange, Header, LimitAnswer, LimitCount, LimitSettlement, LimitTake, Policy,
    Reason, Reply, RequestHead, Stages, Step, Unavailable,
};
use serde_json::{Value, json};

const SECRET: [u8; 16] = [3; 16];

struct Gate {
    policy: Arc<Policy>,
    runtime: Runtime,
    body: Option<Vec<u8>>,
}

impl Gate {
    fn new(limits: Value, more: &Value) -> Self {
        let mut document = json!({
            "version": 1,
            "limits": limits,
            "authorisation": { "require": "anonymous" },
            "routes": [{ "name": "all", "match": { "prefix": "/" }, "input": {} }],
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        let document = Document::from_json("policy", &document.to_string()).unwrap();
        let secrets = std::collections::BTreeMap::<String, String>::new();
        let policy = Policy::compile(&document, &secrets, Stages::ALL).unwrap();
        Self { policy: Arc::new(policy), runtime: Runtime::new(), body: None }
    }

    fn elsewhere(&self) -> Exchange {
        let mut exchange = self.policy.begin(self.runtime.now());
        exchange.count_elsewhere(SECRET);
        exchange
    }

    fn head(&self, path: &str, then: impl FnOnce(&RequestHead<'_>) -> Step) -> Step {
        let method: &[u8] = if self.body.is_some() { b"POST" } else { b"GET" };
        let headers: [Header<'_>; 4] = [
            (":method", method),
            (":path", path.as_bytes()),
            (":authority", b"gate"),
            ("content-type", b"application/json"),
        ];
        let headers = if self.body.is_some() { &headers[..] } else { &headers[..3] };
        then(&RequestHead { headers, has_body: self.body.is_some() })
    }

    /// Brings an exchange through, with these answers to what is asked, one list after the other; and what was asked.
    fn drive(
        &mut self,
        exchange: &mut Exchange,
        path: &str,
        answers: &[Result<&[LimitAnswer], Unavailable>],
    ) -> (Step, Vec<LimitTake>) {
        let mut answers = answers.iter().map(|said| said.map(<[LimitAnswer]>::to_vec));
        let mut asked = Vec::new();
        let mut runtime = std::mem::replace(&mut self.runtime, Runtime::new());
        let mut step = self.head(path, |head| exchange.request_head(head, &mut runtime));
        while step == Step::Wait {
            assert!(!exchange.takes().is_empty());
            asked.extend_from_slice(exchange.takes());
            let said = answers.next().expect("asked once too often");
            step = self.head(path, |head| exchange.request_head_counted(said, head, &mut runtime));
        }
        if let (Step::NeedBody, Some(body)) = (&step, &self.body) {
            step = exchange.request_body(body, &mut runtime);
            while step == Step::Wait {
                asked.extend_from_slice(exchange.takes());
                let said = answers.next().expect("asked once too often");
                step = exchange.request_body_counted(said, body, &mut runtime);
            }
        }
        self.runtime = runtime;
        assert!(answers.next().is_none(), "nobody has asked");
        assert!(exchange.takes().is_empty());
        (step, asked)
    }

    fn finish(&mut self, mut exchange: Exchange) -> Vec<LimitSettlement> {
        exchange.finish(&mut self.runtime);
        let settlements = exchange.settlements();
        assert!(exchange.settlements().is_empty(), "handed out once");
        settlements
    }
}

fn yes(remaining: u64) -> LimitAnswer {
    LimitAnswer { is_admitted: true, remaining, wait: Some(0) }
}

fn no(remaining: u64, wait: Option<u64>) -> LimitAnswer {
    LimitAnswer { is_admitted: false, remaining, wait }
}

fn reply(step: Step) -> Reply {
    match step {
        Step::Respond(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn field(exchange: &mut Exchange, name: &str) -> Option<String> {
    let edits = exchange.response_head(&[(":status", b"200")]);
    edits.into_iter().find_map(|edit| match edit {
        portcullis_policy::HeaderEdit::Set(found, value) if found == name => Some(value),
        _ => None,
    })
}

#[test]
fn what_is_counted_is_told_and_settled() {
    let limits = json!([
        { "name": "rate", "key": "address", "requests": 10, "per_seconds": 5, "burst": 20 },
        { "name": "day", "key": "route", "requests": 100, "per": "day" },
        { "name": "places", "key": "address", "concurrent": 3, "lost_after_seconds": 60 },
        { "name": "trial", "key": "address", "requests": 1, "per_seconds": 1, "enforced": false },
    ]);
    let mut gate = Gate::new(limits, &json!({}));
    let mut exchange = gate.elsewhere();
    let said = [yes(19), yes(7), yes(2), no(0, Some(5))];
    let (step, asked) = gate.drive(&mut exchange, "/v1", &[Ok(&said)]);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    let counts: Vec<LimitCount> = asked.iter().map(|take| take.count).collect();
    let day = 86_400;
    let today = 1_700_000_000 / day * day;
    assert_eq!(
        counts[..3],
        [
            LimitCount::Bucket {
                interval: 500_000_000,
                capacity: 10_000_000_000,
                longest: 10_000_000_000
            },
            LimitCount::Quota { amount: 100, ends: [today, today + day, today + 2 * day] },
            LimitCount::Concurrency { most: 3, span_seconds: 60 },
        ]
    );
    let told: Vec<_> = asked
        .iter()
        .map(|take| (&*take.limit, take.units, take.is_proved, take.is_enforced))
        .collect();
    let expected = [
        ("rate", 1, false, true),
        ("day", 1, true, true),
        ("places", 1, false, true),
        ("trial", 1, false, false),
    ];
    assert_eq!(told, expected);
    assert_eq!(exchange.shadowed(), ["trial"]);
    // The tightest.
    assert_eq!(field(&mut exchange, "ratelimit").unwrap(), "\"places\";r=2;t=0");
    assert_eq!(gate.finish(exchange), [LimitSettlement::Release(2)]);

    // Another caller has other keys, but for what is counted of all.
    gate.runtime.source = "192.0.2.2".parse().ok();
    let mut exchange = gate.elsewhere();
    let (_, other) = gate.drive(&mut exchange, "/v1", &[Ok(&said)]);
    assert_ne!(other[0].digest, asked[0].digest);
    assert_eq!(other[1].digest, asked[1].digest);
}

#[test]
fn a_refusal_is_the_one_of_the_policys_own_limits() {
    let limits = json!([{ "name": "rate", "key": "address", "requests": 1, "per_seconds": 60 }]);
    let mut gate = Gate::new(limits, &json!({}));
    let mut own = || {
        let mut exchange = gate.policy.begin(gate.runtime.now());
        let mut runtime = std::mem::replace(&mut gate.runtime, Runtime::new());
        let step = gate.head("/v1", |head| exchange.request_head(head, &mut runtime));
        gate.runtime = runtime;
        assert!(exchange.takes().is_empty());
        step
    };
    assert!(matches!(own(), Step::Continue(_)));
    let own = reply(own());
    let mut exchange = gate.elsewhere();
    let said = [no(0, Some(60_000_000_000))];
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Ok(&said)]);
    assert_eq!(reply(step), own);
    assert_eq!(own.status, 429);
    assert_eq!(gate.finish(exchange), []);
}

#[test]
fn what_no_store_has_taken_is_not_given_back() {
    let limits = json!([
        { "name": "places", "key": "address", "concurrent": 3 },
        { "name": "rate", "key": "address", "requests": 9, "per_seconds": 60 },
        { "name": "day", "key": "address", "requests": 9, "per": "day" },
    ]);
    let mut gate = Gate::new(limits, &json!({}));
    let mut exchange = gate.elsewhere();
    let said = [yes(2), yes(8), no(0, Some(1))];
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Ok(&said)]);
    assert_eq!(reply(step).status, 429);
    assert_eq!(exchange.refused().unwrap().0, Reason::QuotaExceeded);
    assert_eq!(gate.finish(exchange), []);
}

#[test]
fn who_cannot_be_asked_lets_nobody_through() {
    let rate = json!({ "name": "rate", "key": "address", "requests": 1, "per_seconds": 60 });
    let mut gate = Gate::new(json!([rate]), &json!({}));
    for said in [Err(Unavailable), Ok(&[][..]), Ok(&[yes(1), yes(1)])] {
        let mut exchange = gate.elsewhere();
        let (step, _) = gate.drive(&mut exchange, "/v1", &[said]);
        assert_eq!(reply(step).status, 503);
        assert_eq!(exchange.refused().unwrap().0, Reason::LimitsUnavailable);
        assert_eq!(gate.finish(exchange), []);
    }
    let mut rate = rate;
    rate["enforced"] = false.into();
    let mut gate = Gate::new(json!([rate]), &json!({}));
    let mut exchange = gate.elsewhere();
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Err(Unavailable)]);
    assert!(matches!(step, Step::Continue(_)));
    assert_eq!(exchange.shadowed(), ["rate"]);
}

#[test]
fn a_source_is_asked_for_at_the_door() {
    let rate = json!([{ "name": "rate", "key": "address", "requests": 9, "per_seconds": 60 }]);
    let penalty = json!({ "penalty": { "strikes": 3, "per_seconds": 60, "first_seconds": 30, "statuses": [403, 429] } });
    let mut gate = Gate::new(rate.clone(), &penalty);
    let mut exchange = gate.elsewhere();
    let (step, asked) =
        gate.drive(&mut exchange, "/v1", &[Ok(&[yes(0)]), Ok(&[no(0, Some(1_000_000_000))])]);
    assert_eq!(reply(step).status, 429);
    assert_eq!(asked.iter().map(|take| &*take.limit).collect::<Vec<_>>(), ["penalty", "rate"]);
    assert!(matches!(asked[0].count, LimitCount::Penalty { strikes: 3, first_seconds: 30, .. }));
    assert_eq!(gate.finish(exchange), [LimitSettlement::Strike(asked[0].clone())]);

    // Shut out: nothing else is asked, and it is no further strike.
    let mut exchange = gate.elsewhere();
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Ok(&[no(0, Some(7_500_000_000))])]);
    assert_eq!(exchange.refused().unwrap().0, Reason::ShutOut);
    let retry = reply(step).headers.iter().find(|(name, _)| *name == "retry-after").cloned();
    assert_eq!(retry.unwrap().1, "8");
    assert_eq!(gate.finish(exchange), []);

    let mut exchange = gate.elsewhere();
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Err(Unavailable)]);
    assert_eq!(reply(step).status, 503);
    // Whose address is not known cannot be shut out.
    gate.runtime.source = None;
    let mut exchange = gate.elsewhere();
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Ok(&[yes(8)])]);
    assert!(matches!(step, Step::Continue(_)));
}

#[test]
fn what_a_body_is_refused_for_gives_back_what_its_head_has_taken() {
    let limits = json!([
        { "name": "places", "key": "address", "concurrent": 3 },
        { "name": "bytes", "key": "address", "requests": 10, "per_seconds": 1, "cost": "body_bytes" },
        { "name": "rate", "key": "address", "requests": 9, "per_seconds": 1 },
    ]);
    let mut gate = Gate::new(limits, &json!({}));
    gate.body = Some(b"{\"a\": 1}".to_vec());
    let mut exchange = gate.elsewhere();
    let (step, asked) =
        gate.drive(&mut exchange, "/v1", &[Ok(&[yes(2), yes(8)]), Ok(&[no(1, Some(1))])]);
    assert_eq!(reply(step).status, 429);
    let told: Vec<_> = asked.iter().map(|take| (&*take.limit, take.units)).collect();
    assert_eq!(told, [("places", 1), ("rate", 1), ("bytes", 8)]);
    let settled = [LimitSettlement::Release(0), LimitSettlement::GiveBack(1, 1)];
    assert_eq!(gate.finish(exchange), settled);

    let mut exchange = gate.elsewhere();
    let (step, _) = gate.drive(&mut exchange, "/v1", &[Ok(&[yes(2), yes(8)]), Ok(&[yes(2)])]);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    assert_eq!(gate.finish(exchange), [LimitSettlement::Release(0)]);
}

#[test]
fn a_response_says_what_was_taken() {
    let cost = json!({ "response_value": { "pointer": "/used", "cap": 100, "reserve": 10 } });
    let limits = json!([
        { "name": "tokens", "key": "address", "requests": 1000, "per_seconds": 60, "cost": cost },
    ]);
    let mut gate = Gate::new(limits, &json!({}));
    for (used, settlement) in [
        (4, Some(LimitSettlement::GiveBack(0, 6))),
        (10, None),
        (
            30,
            Some(LimitSettlement::Charge(
                0,
                20,
                LimitCount::Bucket {
                    interval: 60_000_000,
                    capacity: 60_000_000_000,
                    longest: 540_000_000_000,
                },
            )),
        ),
    ] {
        let mut exchange = gate.elsewhere();
        let (step, asked) = gate.drive(&mut exchange, "/v1", &[Ok(&[yes(990)])]);
        assert!(matches!(step, Step::Continue(_)), "{step:?}");
        assert_eq!(asked[0].units, 10);
        let head: [Header<'_>; 2] = [(":status", b"200"), ("content-type", b"application/json")];
        exchange.response_head(&head);
        assert!(exchange.wants_response_body());
        exchange.response_body(format!("{{\"used\": {used}}}").as_bytes(), true);
        assert_eq!(gate.finish(exchange), settlement.into_iter().collect::<Vec<_>>());
    }
}
