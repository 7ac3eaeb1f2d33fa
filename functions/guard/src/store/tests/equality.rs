//! Random limits and random traces, in a time that is set: the policy, the SQL and the Lua decide alike, and tell clients the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::connections::{Redis, RedisClient, Sqlite, sqlite};
use super::reference::{Reference, Told, UnderWay};
use super::{SECOND, START, digest, now};
use crate::store::{
    Answer, Bucket, Count, Key, LimitStore, Penalty, RedisStore, Settlement, SqliteStore, Take,
};

/// A limit, as the document and as the stores have it.
#[derive(Debug, Clone)]
struct Spec {
    rule: Value,
    /// Whether each caller counts for itself.
    by_caller: bool,
    counts: Counts,
    cost: Cost,
    is_enforced: bool,
}

#[derive(Debug, Clone, Copy)]
enum Counts {
    Bucket { requests: u64, per_seconds: u32, burst: u64 },
    Quota { amount: u64, is_month: bool },
    Concurrency { most: u16, span_seconds: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cost {
    One,
    /// Reserved, and at most.
    Response {
        reserve: u64,
        cap: u64,
    },
    Body,
}

#[derive(Debug, Clone)]
enum Event {
    /// So many nanoseconds later.
    Later(u64),
    /// When the last one that had to wait need not any more, or a nanosecond before.
    Waited(bool),
    Back(u64),
    Request {
        caller: u8,
        body: usize,
    },
    /// The response to one of those under way.
    Finish {
        which: usize,
        status: u16,
        used: Option<u64>,
    },
}

const DAY: u64 = 86_400;
const FIRST_OF_2023: u64 = 1_672_531_200;

impl Spec {
    fn count(&self, time: u64) -> Count {
        match self.counts {
            Counts::Bucket { requests, per_seconds, burst } => {
                let owes = matches!(self.cost, Cost::Response { .. });
                Count::Bucket(Bucket::new(requests, per_seconds, burst, owes).unwrap())
            }
            Counts::Quota { amount, is_month } => {
                Count::Quota { amount, ends: ends(time / SECOND, is_month) }
            }
            Counts::Concurrency { most, span_seconds } => Count::Concurrency { most, span_seconds },
        }
    }

    fn units(&self, body: usize) -> u64 {
        match self.cost {
            Cost::One => 1,
            Cost::Response { reserve, .. } => reserve,
            Cost::Body => (body as u64).max(1),
        }
    }
}

/// The ends of days and months in UTC, by another calendar than the policy's.
fn ends(seconds: u64, is_month: bool) -> [u64; 3] {
    let today = seconds / DAY;
    if !is_month {
        return [today * DAY, (today + 1) * DAY, (today + 2) * DAY];
    }
    const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut ends = vec![FIRST_OF_2023];
    for year in 2023..2060 {
        for (month, length) in LENGTHS.iter().enumerate() {
            let leap = u64::from(month == 1 && year % 4 == 0);
            ends.push(ends.last().unwrap() + (length + leap) * DAY);
        }
    }
    let this = ends.iter().position(|end| *end > seconds).unwrap();
    [ends[this - 1], ends[this], ends[this + 1]]
}

fn spec(index: usize) -> impl Strategy<Value = Spec> {
    let bucket = (1..40u64, 1..30u32, 1..60u64)
        .prop_map(|(requests, per_seconds, burst)| Counts::Bucket { requests, per_seconds, burst });
    let large = (1000..1_000_000u64, 1..4u32, 1..100_000u64)
        .prop_map(|(requests, per_seconds, burst)| Counts::Bucket { requests, per_seconds, burst });
    let quota =
        (1..60u64, any::<bool>()).prop_map(|(amount, is_month)| Counts::Quota { amount, is_month });
    let concurrency = (1..5u16, 1..30u32)
        .prop_map(|(most, span_seconds)| Counts::Concurrency { most, span_seconds });
    let counts = prop_oneof![3 => bucket, 1 => large, 2 => quota, 2 => concurrency];
    let cost = prop_oneof![
        4 => Just((0, 0, 0)),
        2 => (Just(1), 1..30u64, 1..60u64),
        2 => Just((2, 0, 0)),
    ];
    (counts, cost, any::<bool>(), prop::bool::weighted(0.85)).prop_map(
        move |(counts, (kind, reserve, cap), by_caller, is_enforced)| {
            let most = match counts {
                Counts::Bucket { burst, .. } => burst,
                Counts::Quota { amount, .. } => amount,
                Counts::Concurrency { .. } => 0,
            };
            let cost = match kind {
                1 if most > 0 => {
                    let cap = cap.min(most);
                    Cost::Response { reserve: reserve.min(cap), cap }
                }
                2 if most > 0 => Cost::Body,
                _ => Cost::One,
            };
            Spec {
                rule: rule(index, counts, cost, by_caller, is_enforced),
                by_caller,
                counts,
                cost,
                is_enforced,
            }
        },
    )
}

fn rule(index: usize, counts: Counts, cost: Cost, by_caller: bool, is_enforced: bool) -> Value {
    let mut rule = match counts {
        Counts::Bucket { requests, per_seconds, burst } => {
            json!({"requests": requests, "per_seconds": per_seconds, "burst": burst})
        }
        Counts::Quota { amount, is_month } => {
            json!({"requests": amount, "per": if is_month { "month" } else { "day" }})
        }
        Counts::Concurrency { most, span_seconds } => {
            json!({"concurrent": most, "lost_after_seconds": span_seconds})
        }
    };
    rule["name"] = json!(format!("limit-{index}"));
    rule["key"] = json!(if by_caller { "principal" } else { "route" });
    rule["enforced"] = json!(is_enforced);
    match cost {
        Cost::One => {}
        Cost::Response { reserve, cap } => {
            rule["cost"] =
                json!({"response_value": {"pointer": "/used", "reserve": reserve, "cap": cap}});
        }
        Cost::Body => rule["cost"] = json!("body_bytes"),
    }
    rule
}

/// What the policy takes with the body it takes last.
fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let some = (spec(0), spec(1), spec(2), spec(3), 1..5usize);
    some.prop_map(|(a, b, c, d, count)| {
        let mut specs = vec![a, b, c, d];
        specs.truncate(count);
        specs.sort_by_key(|spec| spec.cost == Cost::Body);
        specs
    })
}

fn event(back: bool) -> impl Strategy<Value = Event> {
    let later = prop_oneof![
        0..2_000_000u64,
        0..3 * SECOND,
        0..60 * SECOND,
        (1..100u64).prop_map(|seconds| seconds * SECOND),
        0..40_000 * SECOND,
    ];
    let used = prop_oneof![2 => (0..80u64).prop_map(Some), 1 => Just(None)];
    let status = prop_oneof![4 => Just(200u16), 1 => Just(503), 1 => Just(422)];
    prop_oneof![
        3 => later.prop_map(Event::Later),
        2 => any::<bool>().prop_map(Event::Waited),
        (u32::from(back)) => (0..200 * SECOND).prop_map(Event::Back),
        8 => (1..4u8, 0..40usize).prop_map(|(caller, body)| Event::Request { caller, body }),
        4 => (any::<usize>(), status, used)
            .prop_map(|(which, status, used)| Event::Finish { which, status, used }),
    ]
}

/// All three, and what is under way in each.
struct Trial<'a> {
    specs: &'a [Spec],
    penalty: Option<Penalty>,
    reference: Reference,
    sqlite: SqliteStore<Sqlite>,
    redis: Option<RedisStore<RedisClient>>,
    time: u64,
    goes_back: bool,
    waited: u64,
    under_way: Vec<Request>,
}

struct Request {
    reference: UnderWay,
    caller: u8,
    is_admitted: bool,
    is_shut_out: bool,
    answers: [Vec<Answer>; 2],
}

impl<'a> Trial<'a> {
    fn new(specs: &'a [Spec], penalty: Option<Penalty>, redis: Option<&Redis>) -> Self {
        let rules: Value = specs.iter().map(|spec| spec.rule.clone()).collect();
        let section = penalty.map(|penalty| {
            json!({
                "statuses": [422, 429], "strikes": penalty.strikes, "per_seconds": penalty.per_seconds,
                "first_seconds": penalty.first_seconds, "max_seconds": penalty.max_seconds,
                "forgive_after_seconds": penalty.forgive_after_seconds,
            })
        });
        let redis = redis.map(|redis| {
            let client = redis.connect();
            client.query(&["FLUSHALL"]);
            RedisStore::new(client, "test", 1 << 20)
        });
        Self {
            specs,
            penalty,
            reference: Reference::new(&rules, section.as_ref()),
            sqlite: sqlite(1 << 20),
            redis,
            time: START,
            goes_back: false,
            waited: 0,
            under_way: Vec::new(),
        }
    }

    fn set_time(&mut self, time: u64) {
        self.time = time;
        self.reference.set_time(time);
        self.sqlite.set_time(time);
        if let Some(redis) = &mut self.redis {
            redis.set_time(time);
        }
    }

    fn step(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Later(nanoseconds) => self.set_time(self.time + nanoseconds),
            Event::Waited(is_early) => {
                self.set_time(self.time + self.waited.saturating_sub(is_early.into()));
                self.waited = 0;
            }
            Event::Back(nanoseconds) => self.set_time(self.time - nanoseconds),
            Event::Request { caller, body } => self.request(caller, body)?,
            Event::Finish { which, status, used } if !self.under_way.is_empty() => {
                let request = self.under_way.swap_remove(which % self.under_way.len());
                self.finish(request, status, used);
            }
            Event::Finish { .. } => {}
        }
        Ok(())
    }

    fn takes(&self, caller: u8, body: usize) -> Vec<Take> {
        let door = self.penalty.map(|penalty| Take {
            key: source(caller),
            count: Count::Penalty(penalty),
            units: 1,
            is_enforced: true,
        });
        let limits = self.specs.iter().enumerate().map(|(index, spec)| {
            let name = spec.rule["name"].as_str().unwrap();
            let whose = if spec.by_caller { u128::from(caller) } else { 0 };
            Take {
                key: Key::new(name, digest((index as u128 + 1) << 32 | whose), true),
                count: spec.count(self.time),
                units: spec.units(body),
                is_enforced: spec.is_enforced,
            }
        });
        door.into_iter().chain(limits).collect()
    }

    fn request(&mut self, caller: u8, body: usize) -> Result<(), TestCaseError> {
        let takes = self.takes(caller, body);
        let (told, reference) = self.reference.request(caller, body);
        let by_sql = now(self.sqlite.take(&takes)).unwrap();
        if self.goes_back {
            // What says nothing is swept out, and would say something again. Redis keeps it, in a time that is set.
            self.sqlite.stop_sweeping();
        }
        let said = self.told(&takes, &by_sql, body);
        prop_assert_eq!(&said, &told, "SQLite: {:?}", by_sql);
        let by_lua = match &self.redis {
            Some(redis) => now(redis.take(&takes)).unwrap(),
            None => by_sql.clone(),
        };
        // Not only what clients are told: to the nanosecond, also of those that are not told of.
        prop_assert_eq!(&by_lua, &by_sql, "Lua and SQL");
        let waits = by_sql.iter().filter(|answer| !answer.is_admitted).filter_map(|a| a.wait);
        self.waited = waits.max().unwrap_or(self.waited);
        let is_admitted = matches!(said, Told::Admitted(_));
        let is_shut_out = matches!(said, Told::ShutOut(_));
        let answers = [by_sql, by_lua];
        self.under_way.push(Request { reference, caller, is_admitted, is_shut_out, answers });
        Ok(())
    }

    /// What the policy would tell by these answers: of the first that refuses, or else of the tightest.
    fn told(&self, takes: &[Take], answers: &[Answer], body: usize) -> Told {
        let doors = usize::from(self.penalty.is_some());
        if let Some(door) = answers.first().filter(|answer| doors == 1 && !answer.is_admitted) {
            return Told::ShutOut(door.wait.unwrap() / SECOND);
        }
        let state = |index: usize, answer: &Answer| {
            let mut state = format!("\"limit-{}\";r={}", self.number(index), answer.remaining);
            if let Some(wait) = answer.wait {
                state.push_str(&format!(";t={}", wait.div_ceil(SECOND)));
            }
            state
        };
        let limits = || answers.iter().zip(takes).skip(doors).enumerate();
        let mut enforced = limits().filter(|(_, (_, take))| take.is_enforced);
        if let Some((index, (answer, _))) = enforced.find(|(_, (answer, _))| !answer.is_admitted) {
            return Told::Refused(state(index, answer));
        }
        let enforced = limits().filter(|(_, (_, take))| take.is_enforced);
        let tightest = enforced
            .min_by_key(|(index, (answer, _))| answer.remaining / self.specs[*index].units(body));
        Told::Admitted(tightest.map(|(index, (answer, _))| state(index, answer)))
    }

    fn number(&self, index: usize) -> &str {
        self.specs[index].rule["name"].as_str().unwrap().strip_prefix("limit-").unwrap()
    }

    fn finish(&mut self, request: Request, status: u16, used: Option<u64>) {
        let Request { reference, caller, is_admitted, is_shut_out, answers } = request;
        reference.finish(status, used);
        let doors = usize::from(self.penalty.is_some());
        let settlements = |answers: &[Answer]| {
            let answers = answers.iter().skip(doors).zip(self.specs);
            let limits = answers.filter_map(|(answer, spec)| {
                let taken = answer.taken.clone()?.counted_as(spec.count(self.time));
                match (spec.counts, spec.cost) {
                    (Counts::Concurrency { .. }, _) => Some(Settlement::Release(taken)),
                    (_, Cost::Response { reserve, cap }) => {
                        let used = match (used, status) {
                            (Some(used), _) => used.min(cap),
                            (None, 200) => cap,
                            (None, _) => reserve,
                        };
                        Some(match reserve.checked_sub(used) {
                            Some(0) => return None,
                            Some(left) => Settlement::GiveBack(taken, left),
                            None => Settlement::Charge(taken, used - reserve),
                        })
                    }
                    _ => None,
                }
            });
            let status = if is_admitted { status } else { 429 };
            let strike = self.penalty.filter(|_| matches!(status, 422 | 429) && !is_shut_out);
            let strike = strike.map(|penalty| Settlement::Strike(source(caller), penalty));
            limits.chain(strike).collect::<Vec<_>>()
        };
        let [by_sql, by_lua] = answers;
        now(self.sqlite.settle(&settlements(&by_sql))).unwrap();
        if let Some(redis) = &self.redis {
            now(redis.settle(&settlements(&by_lua))).unwrap();
        }
    }
}

fn source(caller: u8) -> Key {
    Key::of_source(digest(1 << 64 | u128::from(caller)))
}

fn run(specs: &[Spec], penalty: Option<Penalty>, events: &[Event]) -> Result<(), TestCaseError> {
    thread_local! {
        static REDIS: Option<Redis> = Redis::start();
    }
    REDIS.with(|redis| {
        let mut trial = Trial::new(specs, penalty, redis.as_ref());
        trial.set_time(START);
        trial.goes_back = events.iter().any(|event| matches!(event, Event::Back(_)));
        events.iter().try_for_each(|event| trial.step(event))
    })
}

pub(super) fn cases() -> ProptestConfig {
    let cases = std::env::var("PORTCULLIS_TRACES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(60),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Default::default()
    }
}

fn penalties() -> impl Strategy<Value = Penalty> {
    (1..5u16, 1..60u32, 1..60u32, 0..200u32, 1..600u32).prop_map(
        |(strikes, per_seconds, first_seconds, more, forgive_after_seconds)| Penalty {
            strikes,
            per_seconds,
            first_seconds,
            max_seconds: first_seconds + more,
            forgive_after_seconds,
        },
    )
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn all_limits_together(specs in specs(), events in prop::collection::vec(event(false), 1..150)) {
        run(&specs, None, &events)?;
    }

    /// Also where the clock goes back. (With several limits the policy remembers of those that it undoes at what time it was.)
    #[test]
    fn one_limit_and_any_clock(spec in spec(0), events in prop::collection::vec(event(true), 1..150)) {
        run(&[spec], None, &events)?;
    }

    #[test]
    fn sources_are_shut_out(
        spec in spec(0), penalty in penalties(), events in prop::collection::vec(event(true), 1..150),
    ) {
        run(&[spec], Some(penalty), &events)?;
    }
}
