//! Who guesses credentials is shut out before the next guess is looked at.

mod common;

use common::gate::{Gate, Head};
use portcullis_policy::Reason;
use serde_json::json;

fn gate(enforced: bool) -> Gate {
    Gate::with_secrets(
        &json!({
            "version": 1,
            "identity": {"api_keys": {"pepper": {"env": "PEPPER"}, "keys": []}},
            "penalty": {"strikes": 3, "per_seconds": 60, "first_seconds": 30, "enforced": enforced},
            "routes": [{"name": "all", "match": {"prefix": "/"}}],
        }),
        &[("PEPPER", "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU".to_owned())],
    )
}

#[test]
fn the_next_guess_is_not_looked_at() {
    let mut gate = gate(true);
    let guess = Head::get("/").with("x-api-key", "guessed");
    for _ in 0..3 {
        assert_eq!(gate.send(&guess).unwrap_err(), Reason::ApiKeyInvalid);
    }
    for _ in 0..3 {
        assert_eq!(gate.send(&guess).unwrap_err(), Reason::ShutOut);
    }
    assert!(gate.record.contains("\"reason\":\"shut-out\""), "{}", gate.record);
    // Nor is anything told of routes and credentials.
    assert_eq!(gate.send(&Head::get("/none")).unwrap_err(), Reason::ShutOut);
}

#[test]
fn where_it_is_not_enforced_it_is_noted() {
    let mut gate = gate(false);
    let guess = Head::get("/").with("x-api-key", "guessed");
    for _ in 0..5 {
        assert_eq!(gate.send(&guess).unwrap_err(), Reason::ApiKeyInvalid);
    }
    assert!(gate.record.contains("\"shadowed\":[\"penalty\"]"), "{}", gate.record);
}
