use super::*;
use crate::testing::TestEnvironment;

/// A document is its text; one that begins with `!` cannot be read.
fn parse() -> Parse<String> {
    Box::new(|body| {
        let text = String::from_utf8(body.to_vec()).map_err(|error| error.to_string())?;
        match text.starts_with('!') {
            true => Err("expected no exclamation".to_owned()),
            false => Ok((text, Vec::new())),
        }
    })
}

fn remote() -> Remote {
    Remote {
        uri: "https://issuer.example/jwks".into(),
        cluster: None,
        refresh_seconds: 300,
        timeout_seconds: 5,
        max_stale_seconds: 3600,
    }
}

fn worker() -> RemoteDocument<String> {
    RemoteDocument::compile("the keys".into(), &remote(), 1000, parse(), "jwks").unwrap()
}

fn ok(body: &str) -> Option<Answer<'_>> {
    Some(Answer { status: 200, body: body.as_bytes() })
}

fn known(worker: &RemoteDocument<String>, environment: &mut TestEnvironment) -> Option<String> {
    worker.current(environment.now()).map(|(text, _)| text.as_ref().clone())
}

#[test]
fn one_worker_asks_and_all_know() {
    let mut environment = TestEnvironment::new();
    let workers = [worker(), worker(), worker()];
    let fetches: Vec<_> =
        workers.iter().filter_map(|worker| worker.due(&mut environment)).collect();
    let [fetch] = fetches.as_slice() else { panic!("{fetches:?}") };
    assert_eq!(
        (fetch.cluster.as_str(), fetch.path.as_str()),
        ("portcullis_https_issuer.example_443", "/jwks")
    );
    assert_eq!(workers[0].answered(fetch, ok("a"), &mut environment), Outcome::default());
    for worker in &workers {
        worker.learn(&mut environment);
        assert_eq!(known(worker, &mut environment).as_deref(), Some("a"));
        assert_eq!(worker.due(&mut environment), None);
    }
    // Later another one asks, and what was known holds meanwhile.
    environment.advance_seconds(300);
    let fetch = workers[2].due(&mut environment).unwrap();
    assert_eq!(workers[0].due(&mut environment), None);
    assert_eq!(known(&workers[0], &mut environment).as_deref(), Some("a"));
    workers[2].answered(&fetch, ok("b"), &mut environment);
    assert_eq!(workers[0].learn(&mut environment), (true, vec![]));
    assert_eq!(workers[0].learn(&mut environment), (false, vec![]));
    assert_eq!(known(&workers[0], &mut environment).as_deref(), Some("b"));
}

#[test]
fn who_took_the_lease_and_died_does_not_hold_it_for_ever() {
    let mut environment = TestEnvironment::new();
    let (dead, alive) = (worker(), worker());
    assert!(dead.due(&mut environment).is_some());
    environment.advance_seconds(6);
    assert!(alive.due(&mut environment).is_none());
    environment.advance_seconds(2);
    assert!(alive.due(&mut environment).is_some());
}

#[test]
fn bad_answers_change_nothing_and_are_told() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    let long = "a".repeat(1001);
    for answer in [
        None,
        Some(Answer { status: 500, body: b"x" }),
        Some(Answer { status: 304, body: b"" }),
        Some(Answer { status: 206, body: b"x" }),
        ok("!"),
        ok(&long),
        Some(Answer { status: 200, body: b"\xff" }),
    ] {
        environment.advance_seconds(300);
        let fetch = worker.due(&mut environment).unwrap();
        let outcome = worker.answered(&fetch, answer, &mut environment);
        assert_eq!(outcome.warnings.len(), 1, "{answer:?}");
        assert!(outcome.warnings[0].starts_with("the keys from https://issuer.example/jwks: "));
        assert_eq!(known(&worker, &mut environment).as_deref(), Some("a"));
    }
}

#[test]
fn failures_are_retried_ever_more_slowly() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let mut tries = 0;
    for _ in 0..600 {
        if let Some(fetch) = worker.due(&mut environment) {
            worker.answered(&fetch, None, &mut environment);
            tries += 1;
        }
        // A request that wants a key does not make it faster.
        worker.demand(environment.now(), environment.now());
        environment.advance_seconds(1);
    }
    assert!((20..40).contains(&tries), "{tries}");
    let fetch = worker.due(&mut environment);
    let fetch = fetch.or_else(|| {
        environment.advance_seconds(30);
        worker.due(&mut environment)
    });
    worker.answered(&fetch.unwrap(), ok("a"), &mut environment);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("a"));
}

#[test]
fn what_is_too_old_does_not_hold() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    environment.advance_seconds(3600);
    assert!(known(&worker, &mut environment).is_some());
    environment.advance_seconds(1);
    assert_eq!(known(&worker, &mut environment), None);
    // The same text again is good again, and counts as no change.
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    assert_eq!(worker.current(environment.now()).map(|(_, generation)| generation), Some(1));
}

/// Whoever names keys that are not there sets off one fetch in the cool-down for all workers, however many requests and
/// workers there are.
#[test]
fn demands_are_bounded() {
    let mut environment = TestEnvironment::new();
    let workers = [worker(), worker()];
    let fetch = workers[0].due(&mut environment).unwrap();
    workers[0].answered(&fetch, ok("a"), &mut environment);
    let mut fetches = 0;
    for _ in 0..100 {
        for worker in &workers {
            worker.learn(&mut environment);
            for _ in 0..50 {
                worker.demand(environment.now(), environment.now());
            }
            if let Some(fetch) = worker.due(&mut environment) {
                worker.answered(&fetch, ok("a"), &mut environment);
                fetches += 1;
            }
        }
        environment.advance_seconds(1);
    }
    assert!((40..=51).contains(&fetches), "{fetches}");
}

#[test]
fn a_request_waits_for_an_answer_that_was_asked_for_after_it_came() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let came = environment.now();
    assert_eq!(worker.demand(came, environment.now()), Hope::Wait);
    let fetch = worker.due(&mut environment).unwrap();
    // Another request comes while the answer is on its way: the answer may be older than its key.
    environment.advance_seconds(1);
    let later = environment.now();
    worker.answered(&fetch, ok("a"), &mut environment);
    assert_eq!(worker.demand(came, environment.now()), Hope::None);
    assert_eq!(worker.demand(later, environment.now()), Hope::Wait);
    assert_eq!(worker.due(&mut environment), None);
    environment.advance_seconds(2);
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    assert_eq!(worker.demand(later, environment.now()), Hope::None);
    // Nobody waits for ever.
    let last = environment.now();
    environment.advance_seconds(16);
    assert_eq!(worker.demand(last, environment.now()), Hope::None);
}

#[test]
fn a_clock_that_jumps_stops_nothing() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    environment.go_back_seconds(100_000);
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("b"), &mut environment);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("b"));
}

#[test]
fn a_store_that_fails_or_lies_opens_nothing() {
    let mut environment = TestEnvironment::new();
    environment.store_fails = true;
    let worker = worker();
    assert_eq!(worker.due(&mut environment), None);
    assert_eq!(worker.learn(&mut environment), (false, vec![]));
    assert_eq!(known(&worker, &mut environment), None);
    environment.store_fails = false;
    let fetch = worker.due(&mut environment).unwrap();
    environment.store_fails = true;
    let outcome = worker.answered(&fetch, ok("a"), &mut environment);
    assert_eq!(outcome.warnings.len(), 1);
    assert_eq!(known(&worker, &mut environment), None);
}

#[test]
fn metadata_leads_to_the_document() {
    let mut environment = TestEnvironment::new();
    let locate: Locate = Box::new(|body| {
        let uri = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        Endpoint::parse(uri).map_err(str::to_owned)
    });
    let worker = worker().through_metadata(locate, "keys".to_owned());
    let first = worker.due(&mut environment).unwrap();
    let second =
        worker.answered(&first, ok("https://issuer.example/k"), &mut environment).next.unwrap();
    assert_eq!((second.cluster.as_str(), second.path.as_str()), ("keys", "/k"));
    // Nobody else asks in between.
    assert_eq!(worker.due(&mut environment), None);
    worker.answered(&second, ok("a"), &mut environment);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("a"));
    environment.advance_seconds(300);
    let first = worker.due(&mut environment).unwrap();
    let outcome = worker.answered(&first, ok("nonsense"), &mut environment);
    assert!(outcome.next.is_none() && outcome.warnings.len() == 1);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("a"));
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let field = |change: fn(&mut Remote)| {
        let mut remote = remote();
        change(&mut remote);
        let compiled = RemoteDocument::compile("x".into(), &remote, 1000, parse(), "jwks");
        compiled.err().map(|error| error.field)
    };
    assert_eq!(field(|_| ()), None);
    assert_eq!(field(|remote| remote.uri = "issuer.example".into()).as_deref(), Some("jwks.uri"));
    assert_eq!(field(|remote| remote.refresh_seconds = 1).as_deref(), Some("jwks.refresh_seconds"));
    assert_eq!(field(|remote| remote.timeout_seconds = 0).as_deref(), Some("jwks.timeout_seconds"));
    assert_eq!(
        field(|remote| remote.max_stale_seconds = 60).as_deref(),
        Some("jwks.max_stale_seconds")
    );
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_young_again() {
    let mut environment = TestEnvironment::new();
    let worker = worker();
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("a"), &mut environment);
    // A little is what clocks do.
    environment.go_back_seconds(3600);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("a"));
    environment.go_back_seconds(1);
    assert_eq!(known(&worker, &mut environment), None);
    // And it is asked for at once.
    let fetch = worker.due(&mut environment).unwrap();
    worker.answered(&fetch, ok("b"), &mut environment);
    assert_eq!(known(&worker, &mut environment).as_deref(), Some("b"));
}

#[test]
fn a_server_writes_no_lines_into_the_log() {
    let mut environment = TestEnvironment::new();
    let parse: Parse<()> =
        Box::new(|body| Err(format!("unknown field {}", String::from_utf8_lossy(body))));
    let worker = RemoteDocument::compile("the keys".into(), &remote(), 10_000, parse, "jwks");
    let worker = worker.unwrap();
    for body in ["a\n{\"@timestamp\":1}\u{1b}[2J\u{85}", &"b".repeat(10_000)] {
        environment.advance_seconds(300);
        let fetch = worker.due(&mut environment).unwrap();
        let warnings = worker.answered(&fetch, ok(body), &mut environment).warnings;
        assert!(warnings[0].contains("unknown field"), "{warnings:?}");
        assert!(!warnings[0].contains(char::is_control), "{warnings:?}");
        assert!(warnings[0].len() < 600, "{}", warnings[0].len());
    }
}
