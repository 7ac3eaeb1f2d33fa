use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::testing::{CLIENT_ID, CLIENT_SECRET, clients, hash};

fn error(registry: &Value) -> String {
    Registry::parse(&registry.to_string()).map(drop).unwrap_err().to_string()
}

fn changed(change: &Value) -> Value {
    let mut registry = clients();
    for (name, value) in change.as_object().unwrap() {
        registry[0][name] = value.clone();
    }
    registry
}

fn authenticate<'a>(registry: &'a Registry, id: &str, secret: &str) -> Option<&'a Client> {
    let secret = Zeroizing::new(secret.to_owned());
    registry.authenticate(&Credentials { id: id.to_owned(), secret })
}

#[test]
fn only_the_right_secret_opens() {
    let registry = Registry::parse(&clients().to_string()).unwrap();
    assert_eq!(authenticate(&registry, CLIENT_ID, CLIENT_SECRET).unwrap().subject, "alice");
    for (id, secret) in [
        (CLIENT_ID, "wrong"),
        (CLIENT_ID, ""),
        (CLIENT_ID, &CLIENT_SECRET[1..]),
        ("unknown", CLIENT_SECRET),
        ("", CLIENT_SECRET),
        ("disabled", CLIENT_SECRET),
    ] {
        assert!(authenticate(&registry, id, secret).is_none(), "{id} {secret}");
    }
}

/// Which ids exist is not to be had by a stopwatch.
#[test]
fn whoever_asks_pays_for_one_hash_of_each_cost() {
    let mut registry = clients();
    registry[1]["secret_hash"] = hash(CLIENT_SECRET, 40_000, 4).into();
    let registry = Registry::parse(&registry.to_string()).unwrap();
    let costs: Vec<_> = registry.decoys.iter().map(cost).collect();
    assert_eq!(costs, [(19_456, 2), (40_000, 4)]);
    assert!(registry.decoys.iter().all(is_affordable));
    assert!(authenticate(&registry, CLIENT_ID, CLIENT_SECRET).is_some());

    let fastest = |id: &str, secret: &str| -> Duration {
        let once = || {
            let begun = Instant::now();
            let _ = authenticate(&registry, id, secret);
            begun.elapsed()
        };
        (0..7).map(|_| once()).min().unwrap()
    };
    let known = fastest(CLIENT_ID, CLIENT_SECRET);
    for (id, secret) in [(CLIENT_ID, "wrong"), ("unknown", "wrong"), ("disabled", CLIENT_SECRET)] {
        let other = fastest(id, secret);
        // The cheaper hash alone is a fifth of both, and the dearer one four fifths.
        assert!(other > known / 3 && other < known * 3, "{id}: {other:?}, known {known:?}");
    }
}

#[test]
fn so_many_costs_that_each_request_would_be_dear_are_refused() {
    let mut registry = clients();
    let entry = |cost: u32| {
        let mut entry = registry[2].clone();
        entry["id"] = format!("client-{cost}").into();
        entry["secret_hash"] = hash("x", cost, 2).into();
        entry
    };
    let more: Vec<_> = [20_000, 21_000, 22_000].map(entry).into();
    registry.as_array_mut().unwrap().extend(more);
    let problem = "expected secret hashes of at most 3 different costs";
    assert!(error(&registry).starts_with(problem), "{}", error(&registry));
    registry.as_array_mut().unwrap().pop();
    assert!(Registry::parse(&registry.to_string()).is_ok());
}

#[test]
fn hashes_that_are_weak_or_ruinous_are_refused() {
    let expected = "[0].secret_hash: expected an argon2id hash";
    let good = hash("x", 19_456, 2);
    for bad in [
        hash("x", 8, 2),
        hash("x", 19_456, 1),
        hash("x", 19_456, 5),
        good.replace("m=19456", "m=4194304"),
        good.replace("m=19456", "m=65537"),
        good.replace("t=2", "t=4294967295"),
        good.replace("p=1", "p=2"),
        good.replace("m=19456,t=2,p=1", "t=2,m=19456,p=1"),
        good.replace("p=1", "p=1,keyid=AAAA"),
        good.replace("argon2id", "argon2d"),
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("$v=19", ""),
        good.rsplit_once('$').unwrap().0.to_owned(),
        format!("{}$AAAAAAAAAAAAAAAA", good.rsplit_once('$').unwrap().0),
        format!("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA${}", good.rsplit_once('$').unwrap().1),
        "hunter2-in-plain-text".to_owned(),
        String::new(),
    ] {
        let error = error(&changed(&json!({ "secret_hash": bad })));
        assert!(error.starts_with(expected), "{bad}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(
        Registry::parse(&changed(&json!({ "secret_hash": hash("x", 65_536, 4) })).to_string())
            .is_ok()
    );
}

#[test]
fn a_wrong_field_is_named_and_its_value_is_not() {
    for (change, place) in [
        (json!({"id": ""}), "[0].id"),
        (json!({"id": "a:b"}), "[0].id"),
        (json!({"id": "a".repeat(129)}), "[0].id"),
        (json!({"id": "disabled"}), "[1].id"),
        (json!({"id": 5}), "[0].id"),
        (json!({"subject": ""}), "[0].subject"),
        (json!({"subject": "a\nb"}), "[0].subject"),
        (json!({"tenant": ""}), "[0].tenant"),
        (json!({"roles": "hunter2"}), "[0].roles"),
        (json!({"roles": ["a", "a"]}), "[0].roles"),
        (json!({"roles": ["a", 1]}), "[0].roles"),
        (json!({"roles": vec!["a"; 65]}), "[0].roles"),
        (json!({"scopes": ["a b"]}), "[0].scopes"),
        (json!({"scopes": ["\""]}), "[0].scopes"),
        (json!({"audiences": []}), "[0].audiences"),
        (json!({"audiences": [""]}), "[0].audiences"),
        (json!({"enabled": "hunter2"}), "[0].enabled"),
        (json!({"token_lifetime_seconds": 59}), "[0].token_lifetime_seconds"),
        (json!({"token_lifetime_seconds": 3601}), "[0].token_lifetime_seconds"),
        (json!({"token_lifetime_seconds": -1}), "[0].token_lifetime_seconds"),
        (json!({"secret": "hunter2"}), "[0]: expected a client"),
    ] {
        let error = error(&changed(&change));
        assert!(error.starts_with(place), "{change}: {error}");
        assert!(error.contains("expected") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_no_list_of_clients_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        "[1]",
        "[{}]",
        "hunter2",
        "[{\"id\":\"hunter2\"}]",
        "[[\"hunter2\"]]",
    ] {
        let error = Registry::parse(text).map(drop).unwrap_err().to_string();
        assert!(error.contains("expected") && !error.contains("hunter2"), "{text}: {error}");
    }
    let twice = clients().to_string().replacen("\"id\":", "\"id\":\"hunter2\",\"id\":", 1);
    let error = Registry::parse(&twice).map(drop).unwrap_err().to_string();
    assert!(error.contains("each once") || error.contains("[0].id"), "{error}");
    assert!(Registry::parse(&format!("{} x", clients())).is_err());
    assert!(Registry::parse(&" ".repeat(MAXIMUM_REGISTRY_BYTES + 1)).is_err());
}
