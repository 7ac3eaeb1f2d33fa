use std::collections::BTreeMap;

use portcullis_policy::{Document, Stage, Stages};
use serde_json::{Value, json};

use super::*;

fn simulation(limits: Value) -> Simulation {
    let document: Document = serde_json::from_value(json!({
        "version": 1,
        "limits": limits,
        "routes": [
            {"name": "chat", "match": {"path": "/v1/chat", "methods": ["POST"]}},
            {"name": "tenant", "match": {"prefix": "/v1/tenants/{tenant}/"}},
        ],
    }))
    .unwrap();
    let secrets = BTreeMap::<String, String>::new();
    let policy = Policy::compile(&document, &secrets, Stages::of(&[Stage::Limits])).unwrap();
    Simulation::new(policy)
}

/// Whether each line is admitted.
fn run(simulation: &mut Simulation, lines: &[Value]) -> Vec<bool> {
    let lines = (0_u64..).zip(lines);
    let verdicts = lines.map(|(number, line)| {
        let line: Line = serde_json::from_value(line.clone()).unwrap();
        simulation.request(&Line { number, ..line }).unwrap()
    });
    verdicts.map(|verdict| verdict.refused.is_none()).collect()
}

#[test]
fn time_is_the_traces_own() {
    let mut simulation =
        simulation(json!([{"name": "l", "key": "principal", "requests": 1, "per_seconds": 10}]));
    let at = |time: f64| json!({"time": time, "route": "chat", "principal": "alice"});
    let admitted = run(&mut simulation, &[at(100.0), at(105.0), at(110.0), at(110.5)]);
    assert_eq!(admitted, [true, false, true, false]);
}

#[test]
fn what_is_under_way_ends() {
    let mut simulation = simulation(json!([{"name": "l", "key": "tenant", "concurrent": 1}]));
    let at = |time: u64| json!({"time": time, "route": "tenant", "principal": "alice", "tenant": "acme", "seconds": 10});
    assert_eq!(run(&mut simulation, &[at(0), at(9), at(10), at(11)]), [true, false, true, false]);
}

#[test]
fn costs_are_those_of_the_trace() {
    let limit = json!([{"name": "l", "key": "address", "requests": 100, "per": "day", "cost": "text_tokens"}]);
    let mut simulation = simulation(limit);
    let costs = |cost: u64| json!({"time": 0, "method": "POST", "path": "/v1/chat", "address": "192.0.2.1", "cost": cost});
    assert_eq!(
        run(&mut simulation, &[costs(60), costs(50), costs(40), costs(1)]),
        [true, false, true, false]
    );
}

#[test]
fn a_named_route_is_that_route() {
    let document: Document = serde_json::from_value(json!({
            "version": 1,
            "limits": [],
            "routes": [
                {"name": "root", "match": {"path": "/"}, "limits": [{"name": "strict", "key": "route", "requests": 1, "per_seconds": 3600}]},
                {"name": "rest", "match": {"prefix": "/"}},
                {"name": "tenant", "match": {"prefix": "/t/{tenant}/"}},
            ],
        }))
        .unwrap();
    let secrets = BTreeMap::<String, String>::new();
    let policy = Policy::compile(&document, &secrets, Stages::of(&[Stage::Limits])).unwrap();
    let mut simulation = Simulation::new(policy);
    let at = |route: &str| json!({"time": 0, "route": route, "tenant": "Acme Corp/.."});
    let lines = [at("rest"), at("rest"), at("tenant"), at("root"), at("root")];
    assert_eq!(run(&mut simulation, &lines), [true, true, true, true, false]);
}

#[test]
fn what_no_route_is_for_is_no_admitted_request() {
    let mut simulation = simulation(json!([]));
    let line: Line =
        serde_json::from_value(json!({"time": 0, "path": "/nope", "principal": "x\u{1b}[31m\n"}))
            .unwrap();
    let verdict = simulation.request(&line).unwrap();
    let said = verdict.describe(&line).unwrap();
    assert_eq!(said, r"1970-01-01T00:00:00Z x\u{1b}[31m\n: route-unknown");
}

#[test]
fn time_may_begin_at_nothing_in_every_zone() {
    for zone in ["UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata"] {
        let mut simulation = simulation(
            json!([{"name": "l", "key": "principal", "requests": 1, "per": "month", "time_zone": zone}]),
        );
        let at = |time: u64| json!({"time": time, "route": "chat", "principal": "alice"});
        assert_eq!(run(&mut simulation, &[at(0), at(1)]), [true, false], "{zone}");
    }
}

#[test]
fn unknown_routes_are_errors() {
    let line: Line = serde_json::from_value(json!({"time": 0, "route": "chatt"})).unwrap();
    let error = simulation(json!([])).request(&line).unwrap_err();
    assert_eq!(error, "route: unknown route `chatt`, expected one of chat, tenant");
}
