//! Two gates before one service, in virtual time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::wire::Said;
use super::*;
use crate::document::LimitRule;
use crate::problem::Reason;
use crate::testing::TestEnvironment;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

fn section(on_failure: OnFailure, batch: u32) -> RateLimitServiceSection {
    RateLimitServiceSection {
        uri: "http://127.0.0.1:8081".into(),
        cluster: None,
        domain: "portcullis".into(),
        timeout_milliseconds: 250,
        on_failure,
        batch,
    }
}

fn limit() -> Limit {
    let rule = serde_json::json!({
        "name": "shared", "key": "principal", "requests": 10, "per_seconds": 1, "shared": true,
    });
    let rule: LimitRule = serde_json::from_value(rule).unwrap();
    Limit::compile(&rule, "limits[0]").unwrap()
}

fn fingerprint(number: u8) -> SharedFingerprint {
    SharedFingerprint::from_bytes([number; 16])
}

/// A service that counts in fixed windows: all hits of a call or none, as limitador does.
struct Server {
    limit: u32,
    window: u64,
    counters: BTreeMap<Vec<u8>, (u64, u32)>,
    is_up: bool,
    tells: bool,
    calls: u32,
}

impl Server {
    fn new(limit: u32, window: u64) -> Self {
        Self { limit, window, counters: BTreeMap::new(), is_up: true, tells: true, calls: 0 }
    }

    fn answer(&mut self, call: &ServiceCall, now: Timestamp) -> Option<Vec<u8>> {
        self.calls += 1;
        if !self.is_up {
            return None;
        }
        let key = call.key.fingerprint.as_bytes().to_vec();
        let (begun, used) = self.counters.entry(key).or_insert((now.0, 0));
        if now.0 >= *begun + self.window {
            (*begun, *used) = (now.0, 0);
        }
        let within = *used + call.hits <= self.limit;
        if within {
            *used += call.hits;
        }
        let reset = Duration::from_nanos(*begun + self.window - now.0);
        let (remaining, reset) = (Some(self.limit - *used), Some(reset));
        Some(wire::tests::answer(match self.tells {
            true => Said { within, remaining, reset },
            false => Said { within, remaining: None, reset: None },
        }))
    }
}

/// One gate: a service client and its shared store.
struct Gate {
    client: RateLimitService,
    environment: TestEnvironment,
    limit: Limit,
}

impl Gate {
    fn new(on_failure: OnFailure, batch: u32) -> Self {
        let client = RateLimitService::compile(&section(on_failure, batch)).unwrap();
        Self { client, environment: TestEnvironment::new(), limit: limit() }
    }

    fn advance(&mut self, nanoseconds: u64) {
        self.environment.advance_nanoseconds(nanoseconds);
    }

    fn take(&mut self, key: u8, waited: u64) -> Result<(), Interruption> {
        let now = self.environment.now();
        let patience = Patience { since: Timestamp(now.0 - waited), may_wait: true };
        let limits = [(0, &self.limit, fingerprint(key))];
        self.client.take_each(limits.into_iter(), None, patience, &mut self.environment).map(drop)
    }

    fn tick(&mut self, server: &mut Server) -> bool {
        let (calls, mut is_news) = self.client.upkeep(&mut self.environment);
        let mut next: VecDeque<ServiceCall> = calls.into();
        while let Some(call) = next.pop_front() {
            let body = server.answer(&call, self.environment.now());
            let answer = body.as_deref();
            let answer =
                answer.map(|body| ServiceAnswer { status: 200, grpc_status: Some(0), body });
            let outcome = self.client.answered(&call, answer, &mut self.environment);
            next.extend(outcome.next);
            is_news = true;
        }
        is_news
    }
}

fn is_refused(result: &Result<(), Interruption>, reason: Reason) -> bool {
    matches!(result, Err(Interruption::Refused(refusal)) if refusal.reason == reason)
}

#[test]
fn a_request_waits_once_and_the_next_ones_find_hits() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(1000, SECOND));
    for _ in 0..8 {
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    }
    assert!(gate.tick(&mut server));
    assert_eq!(server.calls, 1);
    for _ in 0..8 {
        assert_eq!(gate.take(1, 0), Ok(()));
    }
    gate.advance(10 * MILLISECOND);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    gate.tick(&mut server);
    // Fast, so there are more than wait, and the next ones are asked for before they are needed.
    for _ in 0..16 {
        assert_eq!(gate.take(1, 0), Ok(()));
    }
    assert!(gate.client.has_errands());
    gate.advance(10 * MILLISECOND);
    gate.tick(&mut server);
    assert_eq!(server.calls, 3);
    for _ in 0..32 {
        assert_eq!(gate.take(1, 0), Ok(()));
    }
}

#[test]
fn a_slow_caller_takes_no_more_than_it_uses() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(5, 60 * SECOND));
    for _ in 0..5 {
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
        gate.tick(&mut server);
        assert_eq!(gate.take(1, 0), Ok(()));
        gate.advance(SECOND);
        gate.tick(&mut server);
    }
    assert_eq!(server.calls, 5);
}

#[test]
fn a_flood_over_the_limit_is_no_flood_of_calls() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(3, 10 * SECOND));
    let mut admitted = 0;
    let mut refused = None;
    for _ in 0..15_000 {
        match gate.take(1, 0) {
            Ok(()) => admitted += 1,
            Err(Interruption::Wait) => drop(gate.tick(&mut server)),
            Err(Interruption::Refused(refusal)) => refused = Some(refusal),
        }
        gate.advance(MILLISECOND / 10);
    }
    assert_eq!(admitted, 3);
    assert!(server.calls < 10, "{} calls", server.calls);
    let refusal = refused.unwrap();
    assert_eq!(refusal.reason, Reason::RateExceeded);
    assert!(refusal.headers.contains(&("retry-after", "9".to_owned())), "{refusal:?}");
    // And no longer than the window.
    gate.advance(9 * SECOND);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    gate.tick(&mut server);
    assert_eq!(gate.take(1, 0), Ok(()));
}

#[test]
fn near_the_end_no_gate_takes_what_another_needs() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 1000), Server::new(100, SECOND));
    for waiting in [60, 30] {
        for _ in 0..waiting {
            assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
        }
        gate.tick(&mut server);
        while gate.take(1, 0).is_ok() {}
    }
    let used = server.counters.values().map(|(_, used)| *used).next();
    // 60, and then a quarter of the 40 that were left.
    assert_eq!(used, Some(70));
}

#[test]
fn what_is_granted_ends_with_its_window() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(100, SECOND));
    for _ in 0..20 {
        let _ = gate.take(1, 0);
    }
    gate.tick(&mut server);
    assert_eq!(gate.take(1, 0), Ok(()));
    gate.advance(SECOND);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
}

#[test]
fn a_service_that_is_away_refuses_or_leaves_it_to_the_gate() {
    for (on_failure, expected) in [(OnFailure::Refuse, false), (OnFailure::Local, true)] {
        let (mut gate, mut server) = (Gate::new(on_failure, 100), Server::new(100, SECOND));
        server.is_up = false;
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
        assert!(gate.tick(&mut server), "who waits is told");
        let decided = gate.take(1, 0);
        assert_eq!(decided.is_ok(), expected);
        assert!(expected || is_refused(&decided, Reason::LimitsUnavailable));
        // Meanwhile nobody waits and nobody asks.
        for _ in 0..100 {
            assert_eq!(gate.take(2, 0).is_ok(), expected);
            assert!(!gate.client.has_errands());
        }
        assert_eq!(server.calls, 1);
        // It is back: the next one to come finds out.
        server.is_up = true;
        gate.advance(2 * SECOND);
        assert_eq!(gate.take(2, 0), Err(Interruption::Wait));
        gate.tick(&mut server);
        assert_eq!(gate.take(2, 0), Ok(()));
    }
}

#[test]
fn a_service_that_fails_is_tried_by_one_at_a_time() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Local, 100), Server::new(100, SECOND));
    server.is_up = false;
    for key in 1..=5 {
        assert_eq!(gate.take(key, 0), Err(Interruption::Wait));
    }
    gate.tick(&mut server);
    let before = server.calls;
    gate.advance(2 * SECOND);
    for key in 1..=5 {
        assert_eq!(gate.take(key, 0), Err(Interruption::Wait));
    }
    gate.tick(&mut server);
    assert_eq!(server.calls, before + 1);
}

#[test]
fn nobody_waits_for_ever_or_where_there_is_no_room() {
    let mut gate = Gate::new(OnFailure::Refuse, 100);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    assert!(is_refused(&gate.take(1, SECOND), Reason::LimitsUnavailable));
    let limits = [(0, &gate.limit, fingerprint(1))];
    let patience = Patience { since: gate.environment.now(), may_wait: false };
    let decided =
        gate.client.take_each(limits.into_iter(), None, patience, &mut gate.environment).map(drop);
    assert!(is_refused(&decided, Reason::LimitsUnavailable));
    // Keys that are made up fill the list, and not more.
    for number in 0..2000u64 {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        gate.client
            .want(Key { limit: "x".into(), fingerprint: SharedFingerprint::from_bytes(bytes) }, 1);
    }
    assert_eq!(gate.client.errands().wants.len(), MAXIMUM_WANTS);
    let (calls, _) = gate.client.upkeep(&mut gate.environment);
    assert_eq!(calls.len(), MAXIMUM_CALLS);
}

#[test]
fn one_worker_asks_for_all() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(100, SECOND));
    let other = RateLimitService::compile(&section(OnFailure::Refuse, 100)).unwrap();
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    let limits = [(0, &gate.limit, fingerprint(1))];
    let patience = Patience { since: gate.environment.now(), may_wait: true };
    let decided =
        other.take_each(limits.into_iter(), None, patience, &mut gate.environment).map(drop);
    assert_eq!(decided, Err(Interruption::Wait));
    let (calls, _) = gate.client.upkeep(&mut gate.environment);
    assert_eq!(calls.len(), 1);
    let (none, is_news) = other.upkeep(&mut gate.environment);
    assert!(none.is_empty() && !is_news && other.has_errands());
    let body = server.answer(&calls[0], gate.environment.now()).unwrap();
    let answer = ServiceAnswer { status: 200, grpc_status: Some(0), body: &body };
    gate.client.answered(&calls[0], Some(answer), &mut gate.environment);
    let (none, is_news) = other.upkeep(&mut gate.environment);
    assert!(none.is_empty() && is_news, "the other worker learns of it");
}

#[test]
fn hostile_answers_grant_nothing() {
    let good = wire::tests::answer(Said { within: true, remaining: Some(1), reset: None });
    let answers = [
        None,
        Some(ServiceAnswer { status: 503, grpc_status: Some(0), body: &good }),
        Some(ServiceAnswer { status: 200, grpc_status: None, body: &good }),
        Some(ServiceAnswer { status: 200, grpc_status: Some(14), body: &good }),
        Some(ServiceAnswer { status: 200, grpc_status: Some(0), body: &[] }),
        Some(ServiceAnswer { status: 200, grpc_status: Some(0), body: b"\0\xff\xff\xff\xff" }),
        Some(ServiceAnswer { status: 200, grpc_status: Some(0), body: &good[..good.len() - 1] }),
    ];
    for answer in answers {
        let mut gate = Gate::new(OnFailure::Refuse, 100);
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
        let (calls, _) = gate.client.upkeep(&mut gate.environment);
        let outcome = gate.client.answered(&calls[0], answer, &mut gate.environment);
        assert!(outcome.warning.is_some() && outcome.next.is_none());
        assert!(is_refused(&gate.take(1, 0), Reason::LimitsUnavailable), "{answer:?}");
    }
    // A service cannot shut a caller out for longer than an hour, nor have itself asked without a pause.
    for (reset, over_after, free_after) in [
        (Duration::MAX, 3599 * SECOND, 2 * SECOND),
        (Duration::ZERO, 40 * MILLISECOND, 20 * MILLISECOND),
    ] {
        let mut gate = Gate::new(OnFailure::Refuse, 100);
        let _ = gate.take(1, 0);
        let (calls, _) = gate.client.upkeep(&mut gate.environment);
        let said = Said {
            within: false,
            remaining: Some(0),
            reset: Some(reset.min(Duration::from_secs(1 << 40))),
        };
        let body = wire::tests::answer(said);
        let answer = ServiceAnswer { status: 200, grpc_status: Some(0), body: &body };
        gate.client.answered(&calls[0], Some(answer), &mut gate.environment);
        gate.advance(over_after);
        assert!(is_refused(&gate.take(1, 0), Reason::RateExceeded));
        gate.advance(free_after);
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    }
}

#[test]
fn what_was_taken_is_given_back() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(100, SECOND));
    let _ = gate.take(1, 0);
    gate.tick(&mut server);
    for _ in 0..50 {
        let now = gate.environment.now();
        let limits = [(0, &gate.limit, fingerprint(1))];
        let patience = Patience { since: now, may_wait: true };
        let taken = gate
            .client
            .take_each(limits.into_iter(), None, patience, &mut gate.environment)
            .unwrap();
        taken.give_back(&mut gate.environment);
    }
    assert_eq!(server.calls, 1);
}

#[test]
fn a_limit_that_makes_wait_takes_nothing_of_the_others() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(100, SECOND));
    let _ = gate.take(1, 0);
    gate.tick(&mut server);
    let now = gate.environment.now();
    let both = [(0, &gate.limit, fingerprint(1)), (1, &gate.limit, fingerprint(2))];
    let patience = Patience { since: now, may_wait: true };
    let decided =
        gate.client.take_each(both.into_iter(), None, patience, &mut gate.environment).map(drop);
    assert_eq!(decided, Err(Interruption::Wait));
    assert_eq!(gate.take(1, 0), Ok(()));
}

/// Runs two gates for some windows, each with an arrival every so many nanoseconds; a request that waits tries again at each
/// tick. Answers how many were admitted.
fn run(limit: u32, gaps: [u64; 2], windows: u64, batch: u32, outage: bool) -> u64 {
    const TICK: u64 = 10 * MILLISECOND;
    let mut server = Server::new(limit, SECOND);
    let mut gates = [Gate::new(OnFailure::Refuse, batch), Gate::new(OnFailure::Refuse, batch)];
    let mut admitted = 0;
    let mut waiting = [Vec::new(), Vec::new()];
    for step in 0..windows * SECOND / TICK {
        server.is_up = !outage || !(30..60).contains(&(step % 100));
        for ((gate, waiting), gap) in gates.iter_mut().zip(&mut waiting).zip(gaps) {
            let arrivals = (step + 1) * TICK / gap - step * TICK / gap;
            waiting.extend((0..arrivals).map(|_| gate.environment.now().0));
            let mut serve = |gate: &mut Gate| {
                let now = gate.environment.now().0;
                waiting.retain(|since| match gate.take(1, now - since) {
                    Ok(()) => {
                        admitted += 1;
                        false
                    }
                    Err(interruption) => interruption == Interruption::Wait,
                });
            };
            serve(gate);
            gate.tick(&mut server);
            serve(gate);
            gate.advance(TICK);
        }
    }
    admitted
}

#[test]
fn a_service_that_tells_nothing_but_yes_and_no_grants_for_a_second() {
    let (mut gate, mut server) = (Gate::new(OnFailure::Refuse, 100), Server::new(20, 10 * SECOND));
    server.tells = false;
    for _ in 0..20 {
        assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    }
    gate.tick(&mut server);
    assert_eq!(gate.take(1, 0), Ok(()));
    gate.advance(SECOND);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
    gate.tick(&mut server);
    assert!(is_refused(&gate.take(1, 0), Reason::RateExceeded));
    gate.advance(SECOND);
    assert_eq!(gate.take(1, 0), Err(Interruption::Wait));
}

#[test]
fn two_gates_share_one_limit_within_two_in_a_hundred() {
    // Alike, one much faster, both just above the limit together.
    for gaps in
        [[MILLISECOND, MILLISECOND], [SECOND / 5000, SECOND / 50], [SECOND / 600, SECOND / 600]]
    {
        let admitted = run(1000, gaps, 10, 100, false);
        assert!((9_800..=10_000).contains(&admitted), "{admitted} of 10000 at {gaps:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the traffic, and also where the service goes away and comes back: no more than it counted.
    #[test]
    fn no_more_than_the_service_counts(
        limit in 1u32..2000, first in 1u64..5000, second in 1u64..5000, batch in 1u32..1000, outage: bool,
    ) {
        let admitted = run(limit, [SECOND / first, SECOND / second], 4, batch, outage);
        // The first window begins with the first hit, so that four seconds see parts of five.
        prop_assert!(admitted <= u64::from(limit) * 5, "{admitted} of {limit} in a second");
    }
}
