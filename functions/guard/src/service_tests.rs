//! The policy in front of a function, with limits in a real SQLite: the same as the gate says, and nothing that it would not let on.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_function::{Body, Gatekeeper, Request};
use portcullis_policy::document::ApiKeyEntry;
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{
    CredentialKind, Environment, MemoryStore, NativeSignature, Policy, RequestHead, Secret, Stages,
    Step, Swap, Timestamp, Unavailable, Version,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::message::{Answer, Fields, Incoming, UpstreamError};
use crate::service::{Answered, Service};
use crate::settings::Settings;
use crate::store::tests::connections::{Sqlite, sqlite};
use crate::store::tests::now;
use crate::store::{LimitStore, Settlement, SqliteStore, StoreError, Take};
use crate::testing::{ASSERTION_KEY, Function, NoArchive, There, policy, request, variables};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

struct Guard<S> {
    settings: Settings,
    store: S,
    time: u64,
}

fn guard(more: &Value) -> Guard<SqliteStore<Sqlite>> {
    let mut store = sqlite(1000);
    store.set_time(START);
    with_store(more, store)
}

fn document(more: &Value) -> Value {
    let mut policy = policy();
    for (name, value) in more.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

fn with_store<S>(more: &Value, store: S) -> Guard<S> {
    let variables = variables(&document(more));
    let variable = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
    Guard { settings: Settings::read(variable).unwrap(), store, time: START }
}

impl<S: LimitStore> Guard<S> {
    fn answered(&self, incoming: &Incoming, body: &str, function: &Function) -> Answered {
        let service = Service {
            policy: &self.settings.policy,
            secret: self.settings.secret,
            store: &self.store,
            upstream: function,
            archive: &NoArchive,
            now: Some(Timestamp(self.time)),
        };
        now(service.answer(incoming, There(body.as_bytes().to_vec())))
    }

    fn ask(&self, function: &Function) -> Answer {
        self.answered(&request("/v1/a", &[]), "{}", function).answer
    }
}

impl Guard<SqliteStore<Sqlite>> {
    fn set_time(&mut self, time: u64) {
        self.time = time;
        self.store.set_time(time);
    }
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let (_, value) = fields.iter().find(|(field, _)| field == name)?;
    std::str::from_utf8(value).ok()
}

/// A gate on the same machine.
#[derive(Default)]
struct Machine {
    now: u64,
    store: MemoryStore,
}

impl Environment for Machine {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.now)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(1);
        Ok(())
    }

    fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
        Ok(self.store.load(key))
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
    ) -> Result<Swap, Unavailable> {
        Ok(self.store.compare_and_swap(key, expected, value))
    }

    fn source(&mut self) -> Option<std::net::IpAddr> {
        "192.0.2.1".parse().ok()
    }

    fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
        None
    }
}

/// What a gate with its own table answers.
fn of_gate(document: &Value, machine: &mut Machine, body: &str) -> (u16, Fields, Vec<u8>) {
    let secrets: BTreeMap<String, String> =
        [("PORTCULLIS_ASSERTION_KEY".to_owned(), ASSERTION_KEY.to_owned())].into();
    // As the first request of a worker, of which nothing is leased in advance.
    let policy = Policy::from_json("policy", &document.to_string(), &secrets, Stages::ALL);
    let mut exchange = Arc::new(policy.unwrap()).begin(Timestamp(machine.now));
    let headers = request("/v1/a", &[]).judged("00000000-0000-4000-8000-000000000000").unwrap();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let head = RequestHead { headers: &headers, has_body: true };
    let mut step = exchange.request_head(&head, machine);
    if step == Step::NeedBody {
        step = exchange.request_body(body.as_bytes(), machine);
    }
    let mut answer = match step {
        Step::Respond(reply) => {
            let fields = reply.headers.into_iter();
            let fields = fields.map(|(name, value)| (name.to_owned(), value.into_bytes()));
            Answer { status: reply.status, fields: fields.collect(), body: reply.body }
        }
        Step::Continue(_) => Function::answering(200, "{}").answer.unwrap(),
        other => panic!("{other:?}"),
    };
    let judged = answer.judged();
    let judged: Vec<_> = judged.iter().map(|(name, value)| (&**name, &**value)).collect();
    let edits = exchange.response_head(&judged);
    answer.edit(edits);
    exchange.finish(machine);
    (answer.status, answer.fields, answer.body)
}

#[test]
fn clients_are_told_what_the_gate_tells_them() {
    let more = json!({
        "limits": [
            { "name": "rate", "key": "address", "requests": 2, "per_seconds": 3, "burst": 5 },
            { "name": "day", "key": "address", "requests": 14, "per": "day" },
            { "name": "bytes", "key": "route", "requests": 60, "per_seconds": 60, "cost": "body_bytes" },
            { "name": "places", "key": "address", "concurrent": 1 },
            { "name": "trial", "key": "address", "requests": 1, "per_seconds": 60, "enforced": false },
        ],
        "penalty": { "strikes": 9, "per_seconds": 60, "first_seconds": 20, "statuses": [429] },
    });
    let mut guard = guard(&more);
    let mut machine = Machine { now: START, ..Machine::default() };
    let function = Function::answering(200, "{}");
    let mut statuses = BTreeMap::<(u16, String), usize>::new();
    for step in 0..60_u64 {
        let time = START + step * 700_000_000 + (step / 20) * 40 * SECOND;
        guard.set_time(time);
        machine.now = time;
        let body = if step % 7 == 3 { "{\"a\": \"0123456789012345\"}" } else { "{}" };
        let incoming = request("/v1/a", &[]);
        let Answered { answer, .. } = guard.answered(&incoming, body, &function);
        let (status, fields, own_body) = of_gate(&document(&more), &mut machine, body);
        let named = |fields: &Fields| {
            ["ratelimit", "ratelimit-policy", "retry-after", "content-type"]
                .map(|name| field(fields, name).map(str::to_owned))
        };
        assert_eq!((answer.status, named(&answer.fields)), (status, named(&fields)), "{step}");
        let problem = |body: &[u8]| {
            let mut problem: Value = serde_json::from_slice(body).unwrap();
            problem.as_object_mut().unwrap().remove("instance");
            problem
        };
        assert_eq!(problem(&answer.body), problem(&own_body), "{step}");
        let kind = problem(&own_body)["type"].as_str().unwrap_or_default().to_owned();
        *statuses.entry((status, kind)).or_default() += 1;
    }
    // All of it has happened.
    let kinds: Vec<&str> = statuses.keys().map(|(_, kind)| &**kind).collect();
    for kind in ["", "rate-exceeded", "quota-exceeded", "shut-out"] {
        let kind =
            if kind.is_empty() { String::new() } else { format!("urn:portcullis:problem:{kind}") };
        assert!(kinds.contains(&&*kind), "{kind}: {statuses:?}");
    }
}

#[test]
fn nobody_says_who_they_are_but_the_guard() {
    let guard = guard(&json!({}));
    let function = Function::answering(200, "{}");
    let forged = [
        ("portcullis-principal", "eyJzdWIiOiJyb290In0"),
        ("signature", "portcullis=:AAAA:"),
        ("signature-input", "portcullis=()"),
        ("x-request-id", "mine"),
        ("x-kept", "kept"),
    ];
    let incoming = request("/v1/ask?b=c", &forged);
    let Answered { answer, record, .. } = guard.answered(&incoming, "{\"a\":1}", &function);
    assert_eq!((answer.status, record.is_some()), (200, true));
    let asked = function.asked.borrow();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((&*asked.path, field(&asked.fields, "x-kept")), ("/v1/ask?b=c", Some("kept")));
    assert_ne!(field(&asked.fields, "x-request-id"), Some("mine"));
    for (name, value) in &forged[..3] {
        let values: Vec<_> = asked.fields.iter().filter(|(field, _)| field == name).collect();
        assert!(values.iter().all(|(_, found)| found != value.as_bytes()), "{values:?}");
        assert!(values.len() <= 1);
    }
    let headers: Vec<(&str, &[u8])> =
        asked.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let received = Request {
        method: &asked.method,
        path: "/v1/ask",
        query: Some("b=c"),
        headers: &headers,
        body: Body::Whole(asked.body.clone().into()),
        now: START / SECOND,
    };
    let gatekeeper = Gatekeeper::new(ASSERTION_KEY.to_owned()).unwrap();
    let principal = gatekeeper.principal(&received, &asked.body).unwrap();
    assert_eq!(principal.via, CredentialKind::Anonymous);
}

#[test]
fn callers_are_known_by_their_keys_which_go_no_further() {
    let pepper = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
    let key = ApiKey::new("batch1", &[9; 32]).unwrap();
    let digest = key.digest(&Secret::from_base64url(pepper).unwrap());
    let entry = serde_json::to_value(ApiKeyEntry::new(key.id(), digest, "batch")).unwrap();
    let document = document(&json!({
        "identity": { "api_keys": {
            "sources": [{ "header": "x-api-key" }], "pepper": { "env": "PEPPER" }, "keys": [entry],
        } },
        "authorisation": { "require": "authenticated" },
        "limits": [{ "name": "rate", "key": "principal", "requests": 1, "per_seconds": 60 }],
    }));
    let mut variables = variables(&document);
    variables.insert("pepper".to_owned(), pepper.to_owned());
    let variable = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
    let mut store = sqlite(1000);
    store.set_time(START);
    let guard = Guard { settings: Settings::read(variable).unwrap(), store, time: START };
    let function = Function::answering(200, "{}");
    let status = |fields: &[(&str, &str)]| {
        guard.answered(&request("/v1/a", fields), "{}", &function).answer.status
    };
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("x-api-key", &key.expose().replace('a', "b"))]), 401);
    assert_eq!(status(&[("x-api-key", key.expose())]), 200);
    assert_eq!(status(&[("x-api-key", key.expose())]), 429);
    let asked = function.asked.borrow();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert!(asked.fields.iter().all(|(name, _)| name != "x-api-key"), "{asked:?}");
}

/// A store that never answers.
struct Away;

impl LimitStore for Away {
    async fn take(&self, _: &[Take]) -> Result<Vec<crate::store::Answer>, StoreError> {
        Err(StoreError::Unavailable("away".to_owned()))
    }

    async fn settle(&self, _: &[Settlement]) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("away".to_owned()))
    }
}

#[test]
fn without_a_store_nobody_is_let_through() {
    let limits = json!([{ "name": "rate", "key": "address", "requests": 9, "per_seconds": 1 }]);
    let guard = with_store(&json!({ "limits": limits }), Away);
    let function = Function::answering(200, "{}");
    let answer = guard.ask(&function);
    assert_eq!(answer.status, 503);
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:limits-unavailable");
    assert!(function.asked.borrow().is_empty());
    // Who has nothing to count needs no store.
    assert_eq!(with_store(&json!({}), Away).ask(&function).status, 200);
}

#[test]
fn places_are_free_again_however_it_ended() {
    let limits = json!([{ "name": "places", "key": "address", "concurrent": 1 }]);
    let guard = guard(&json!({ "limits": limits }));
    let away = Function {
        answer: Err(UpstreamError::Unreachable("away".to_owned())),
        ..Function::answering(200, "")
    };
    for _ in 0..3 {
        assert_eq!(guard.ask(&Function::answering(200, "{}")).status, 200);
        assert_eq!(guard.ask(&Function::answering(500, "{}")).status, 500);
        assert_eq!(guard.ask(&away).status, 502);
        let incoming = request("/v1/a", &[]);
        let refused = guard.answered(&incoming, "not json", &Function::answering(200, "{}"));
        assert_eq!(refused.answer.status, 400);
    }
}

#[test]
fn a_response_says_what_a_request_has_cost() {
    let cost = json!({ "response_value": { "pointer": "/used", "cap": 50, "reserve": 10 } });
    let limits = json!([{ "name": "tokens", "key": "address", "requests": 60, "per_seconds": 60, "cost": cost }]);
    let guard = guard(&json!({ "limits": limits }));
    let remaining = |answer: &Answer| field(&answer.fields, "ratelimit").unwrap().to_owned();
    let cheap = Function::answering(200, "{\"used\": 1}");
    assert!(remaining(&guard.ask(&cheap)).contains("r=50"), "60 less what is reserved");
    let dear = Function::answering(200, "{\"used\": 45}");
    assert!(remaining(&guard.ask(&dear)).contains("r=49"), "59 less what is reserved");
    assert!(remaining(&guard.ask(&cheap)).contains("r=4"), "14 less what is reserved");
    let encoding = |function: &Function| {
        let asked = function.asked.borrow();
        field(&asked.last().unwrap().fields, "accept-encoding").map(str::to_owned)
    };
    assert_eq!(encoding(&cheap).as_deref(), Some("identity"));
}

#[test]
fn what_the_policy_does_not_take_does_not_go_on() {
    let input = json!({ "input": { "max_body_bytes": 100 } });
    let guard = guard(&input);
    let function = Function::answering(200, "{}");
    let status =
        |incoming: &Incoming, body: &str| guard.answered(incoming, body, &function).answer.status;
    let body = format!("{{\"a\": \"{}\"}}", "a".repeat(100));
    assert_eq!(status(&request("/v1/a", &[]), &body), 413);
    assert_eq!(status(&request("/v1/../v2", &[]), "{}"), 400);
    assert_eq!(status(&request("/v1/a", &[("host", "other")]), "{}"), 400);
    assert_eq!(status(&request("/v2", &[]), "{}"), 401, "no route, and no credential");
    assert!(function.asked.borrow().is_empty());
    assert_eq!(status(&request("/v1/a", &[]), "{}"), 200);
}
