//! Whole requests, however they end, through the guard with a real SQLite and a real Redis, and through a gate with its own table: the
//! same is kept, given back and charged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_function::{Body, Limit};
use portcullis_policy::{Policy, RequestHead, Stages, Step, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::connections::{Redis, RedisClient, Sqlite, sqlite};
use super::reference::{Machine, Runtime};
use super::{SECOND, START, now};
use crate::message::{Answer, Content, Incoming, Outgoing, Upstream, UpstreamError};
use crate::service::Service;
use crate::settings::Settings;
use crate::store::{LimitStore, RedisStore, SqliteStore};
use crate::testing::{ASSERTION_KEY, NoArchive, policy, request, variables};

const MAX_BODY: usize = 60;

#[derive(Debug, Clone)]
enum Event {
    /// So many nanoseconds later.
    Later(u64),
    Ask(Asked),
}

#[derive(Debug, Clone)]
struct Asked {
    caller: u8,
    sent: Sent,
    ending: Ending,
    /// Another one, which comes while the function behind works for this one.
    meanwhile: Option<Box<Asked>>,
}

#[derive(Debug, Clone)]
enum Sent {
    Json(usize),
    /// What the input stage refuses.
    Malformed,
    TooLarge,
    /// The client goes away before the end.
    Broken,
}

#[derive(Debug, Clone)]
enum Ending {
    Answered { status: u16, used: Option<u64> },
    Unreachable,
    BrokeOff { status: u16 },
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(length) => format!("\"{}\"", "a".repeat(*length)).into_bytes(),
            Self::Malformed | Self::TooLarge | Self::Broken => b"not json".to_vec(),
        }
    }
}

impl Content for Sent {
    async fn read(self, limit: Limit) -> Body {
        match self {
            Self::TooLarge => Body::TooLarge(limit.detail),
            Self::Broken => Body::Broken,
            Self::Json(_) | Self::Malformed => Body::Whole(Zeroizing::new(self.bytes())),
        }
    }
}

impl Asked {
    fn incoming(&self) -> Incoming {
        let source = IpAddr::from([192, 0, 2, self.caller]);
        Incoming { source: Some(source), ..request("/v1/a", &[]) }
    }

    /// What a client is told, but for what another one is told in a gate than in the guard, whose answers are whole.
    fn told(&self, answer: Option<&Answer>) -> Told {
        let answer = answer.filter(|_| !matches!(self.sent, Sent::Broken));
        let field = |name: &str| {
            let (_, value) = answer?.fields.iter().find(|(field, _)| field == name)?;
            String::from_utf8(value.clone()).ok()
        };
        let fields = ["ratelimit", "ratelimit-policy", "retry-after"].map(field);
        let is_comparable = !matches!(self.ending, Ending::BrokeOff { .. });
        Told { status: answer.map(|answer| answer.status).filter(|_| is_comparable), fields }
    }
}

#[derive(Debug, PartialEq)]
struct Told {
    status: Option<u16>,
    fields: [Option<String>; 3],
}

fn answer(status: u16, body: &Value) -> Answer {
    let fields = vec![("content-type".to_owned(), b"application/json".to_vec())];
    Answer { status, fields, body: body.to_string().into_bytes() }
}

fn answered(status: u16, used: Option<u64>) -> Answer {
    answer(status, &used.map_or_else(|| json!({}), |used| json!({ "used": used })))
}

/// The function behind the guard.
struct Behind<'a> {
    ending: &'a Ending,
    meanwhile: &'a dyn Fn(),
}

impl Upstream for Behind<'_> {
    async fn send(&self, _: Outgoing) -> Result<Answer, UpstreamError> {
        (self.meanwhile)();
        match *self.ending {
            Ending::Answered { status, used } => Ok(answered(status, used)),
            Ending::Unreachable => Err(UpstreamError::Unreachable("away".to_owned())),
            Ending::BrokeOff { status } => {
                Err(UpstreamError::Unfit { has_begun: (200..300).contains(&status) })
            }
        }
    }
}

struct Guard<S> {
    settings: Rc<Settings>,
    store: S,
}

impl<S: LimitStore> Guard<S> {
    fn ask(&self, asked: &Asked, time: u64, told: &RefCell<Vec<Told>>) {
        let meanwhile = || {
            if let Some(other) = &asked.meanwhile {
                self.ask(other, time, told);
            }
        };
        let service = Service {
            policy: &self.settings.policy,
            secret: self.settings.secret,
            store: &self.store,
            upstream: &Behind { ending: &asked.ending, meanwhile: &meanwhile },
            archive: &NoArchive,
            now: Some(Timestamp(time)),
        };
        let answered = now(service.answer(&asked.incoming(), asked.sent.clone()));
        told.borrow_mut().push(asked.told(Some(&answered.answer)));
    }
}

/// A gate with a table of its own, each of whose requests is the first of a worker: nothing is leased in advance.
struct Gate {
    document: String,
    machine: Rc<RefCell<Machine>>,
}

impl Gate {
    fn ask(&self, asked: &Asked, told: &RefCell<Vec<Told>>) {
        let secrets: BTreeMap<String, String> =
            [("PORTCULLIS_ASSERTION_KEY".to_owned(), ASSERTION_KEY.to_owned())].into();
        let policy = Policy::from_json("policy", &self.document, &secrets, Stages::ALL).unwrap();
        let mut runtime = Runtime {
            machine: Rc::clone(&self.machine),
            source: IpAddr::from([192, 0, 2, asked.caller]),
        };
        let mut exchange = Arc::new(policy).begin(Timestamp(self.machine.borrow().now));
        let headers = asked.incoming().judged("00000000-0000-4000-8000-000000000000").unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let head = RequestHead { headers: &headers, has_body: true };
        let mut step = exchange.request_head(&head, &mut runtime);
        if step == Step::NeedBody {
            step = match asked.sent {
                Sent::Json(_) | Sent::Malformed => {
                    exchange.request_body(&asked.sent.bytes(), &mut runtime)
                }
                Sent::TooLarge => exchange.body_too_large(),
                Sent::Broken => {
                    exchange.finish(&mut runtime);
                    return told.borrow_mut().push(asked.told(None));
                }
            };
        }
        let mut is_broken = false;
        let mut answer = match step {
            Step::Respond(reply) => {
                let fields = reply.headers.into_iter();
                let fields = fields.map(|(name, value)| (name.to_owned(), value.into_bytes()));
                Answer { status: reply.status, fields: fields.collect(), body: reply.body }
            }
            Step::Continue(_) => {
                if let Some(other) = &asked.meanwhile {
                    self.ask(other, told);
                }
                match asked.ending {
                    Ending::Answered { status, used } => answered(status, used),
                    Ending::Unreachable => answer(502, &json!({})),
                    Ending::BrokeOff { status } => {
                        is_broken = true;
                        answer(status, &json!({}))
                    }
                }
            }
            other => panic!("{other:?}"),
        };
        let judged = answer.judged();
        let judged: Vec<_> = judged.iter().map(|(name, value)| (&**name, &**value)).collect();
        let edits = exchange.response_head(&judged);
        if !is_broken && exchange.wants_response_body() {
            exchange.response_body(&answer.body, true);
        }
        answer.edit(edits);
        exchange.finish(&mut runtime);
        told.borrow_mut().push(asked.told(Some(&answer)));
    }
}

fn limit(index: usize) -> impl Strategy<Value = Value> {
    let bucket = (1..20u64, 1..30u32, 1..40u64).prop_map(|(requests, per_seconds, burst)| {
        (burst, json!({ "requests": requests, "per_seconds": per_seconds, "burst": burst }))
    });
    let quota = (1..40u64).prop_map(|most| (most, json!({ "requests": most, "per": "day" })));
    let places = (1..3u16, 5..30u32).prop_map(|(most, seconds)| {
        (0, json!({ "concurrent": most, "lost_after_seconds": seconds }))
    });
    let counts = prop_oneof![2 => bucket, 1 => quota, 1 => places];
    let cost =
        prop_oneof![2 => Just((0, 0, 0)), 3 => (Just(1), 1..20u64, 1..40u64), 2 => Just((2, 0, 0))];
    (counts, cost, any::<bool>(), prop::bool::weighted(0.85)).prop_map(
        move |((most, mut rule), (kind, reserve, cap), by_address, is_enforced)| {
            let cap = cap.min(most);
            match kind {
                1 if most > 0 => {
                    let reserve = reserve.min(cap);
                    rule["cost"] = json!({
                        "response_value": { "pointer": "/used", "reserve": reserve, "cap": cap },
                    });
                }
                2 if most > 0 => rule["cost"] = json!("body_bytes"),
                _ => {}
            }
            rule["name"] = json!(format!("limit-{index}"));
            rule["key"] = json!(if by_address { "address" } else { "route" });
            rule["enforced"] = json!(is_enforced);
            rule
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let sent = prop_oneof![
        6 => (0..MAX_BODY - 2).prop_map(Sent::Json),
        1 => Just(Sent::Malformed),
        1 => Just(Sent::TooLarge),
        1 => Just(Sent::Broken),
    ];
    let status = || prop_oneof![4 => Just(200u16), 1 => Just(503), 1 => Just(422)];
    let used = prop_oneof![2 => (0..60u64).prop_map(Some), 1 => Just(None)];
    let ending = prop_oneof![
        4 => (status(), used).prop_map(|(status, used)| Ending::Answered { status, used }),
        1 => Just(Ending::Unreachable),
        2 => status().prop_map(|status| Ending::BrokeOff { status }),
    ];
    let one = (1..3u8, sent, ending);
    (one.clone(), prop::option::weighted(0.4, one)).prop_map(|(one, other)| {
        let of = |(caller, sent, ending), meanwhile| Asked { caller, sent, ending, meanwhile };
        of(one, other.map(|other| Box::new(of(other, None))))
    })
}

fn event() -> impl Strategy<Value = Event> {
    let later = prop_oneof![0..2 * SECOND, 0..60 * SECOND, 0..40_000 * SECOND];
    prop_oneof![1 => later.prop_map(Event::Later), 3 => asked().prop_map(Event::Ask)]
}

/// What every caller is told in the end.
fn probes() -> impl Iterator<Item = Event> {
    let ask = |caller| {
        let ending = Ending::Answered { status: 200, used: Some(1) };
        Event::Ask(Asked { caller, sent: Sent::Json(0), ending, meanwhile: None })
    };
    [1, 2, 1, 2].into_iter().map(ask)
}

fn run(limits: &Value, has_penalty: bool, events: &[Event]) -> Result<(), TestCaseError> {
    thread_local! {
        static REDIS: Option<Redis> = Redis::start();
    }
    let mut document = policy();
    document["limits"] = limits.clone();
    document["routes"][0]["input"] = json!({ "max_body_bytes": MAX_BODY });
    if has_penalty {
        let statuses = [413, 429];
        document["penalty"] = json!({ "strikes": 3, "per_seconds": 30, "statuses": statuses });
    }
    let variables = variables(&document);
    let variable = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
    let settings = Rc::new(Settings::read(variable).unwrap());
    let machine = Rc::new(RefCell::new(Machine::default()));
    let gate = Gate { document: document.to_string(), machine: Rc::clone(&machine) };
    let mut by_sql: Guard<SqliteStore<Sqlite>> =
        Guard { settings: Rc::clone(&settings), store: sqlite(1 << 20) };
    let mut by_lua: Option<Guard<RedisStore<RedisClient>>> = REDIS.with(|redis| {
        let client = redis.as_ref()?.connect();
        client.query(&["FLUSHALL"]);
        Some(Guard { settings, store: RedisStore::new(client, "outcomes", 1 << 20) })
    });
    let mut time = START;
    for event in events.iter().cloned().chain(probes()) {
        match event {
            Event::Later(nanoseconds) => time += nanoseconds,
            Event::Ask(asked) => {
                // SQLite's own clock goes by milliseconds; a time that is set, to the nanosecond.
                machine.borrow_mut().now = time;
                by_sql.store.set_time(time);
                let told: [RefCell<Vec<Told>>; 3] = Default::default();
                gate.ask(&asked, &told[0]);
                by_sql.ask(&asked, time, &told[1]);
                prop_assert_eq!(&told[1], &told[0], "SQLite: {:?}", asked);
                if let Some(by_lua) = &mut by_lua {
                    by_lua.store.set_time(time);
                    by_lua.ask(&asked, time, &told[2]);
                    prop_assert_eq!(&told[2], &told[0], "Lua: {:?}", asked);
                }
            }
        }
    }
    Ok(())
}

fn limits() -> impl Strategy<Value = Value> {
    (limit(0), limit(1), limit(2), 1..4usize).prop_map(|(a, b, c, count)| {
        let mut limits = vec![a, b, c];
        limits.truncate(count);
        limits.into()
    })
}

proptest! {
    #![proptest_config(super::equality::cases())]

    #[test]
    fn requests_cost_the_same_however_they_end(
        limits in limits(), has_penalty in any::<bool>(), events in prop::collection::vec(event(), 1..40),
    ) {
        run(&limits, has_penalty, &events)?;
    }
}
