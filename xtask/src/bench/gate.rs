//! gate, all stages, beside Envoy's own filters for the same policy.

use anyhow::Result;
use serde_json::{Value, json};

use super::credentials::{Algorithm, Issuer, SECRET};
use super::envoy::{Envoy, Wasm, buffer, jwt_authn, local_ratelimit};
use super::load::{Carrier, Load, Order};
use super::plan::Plan;
use crate::up::{AUDIENCE, ISSUER};
use crate::workspace::Workspace;

const ALGORITHM: Algorithm = Algorithm::Es256;

const ASSERTION_KEY: &str = "PORTCULLIS_ASSERTION_KEY";

pub(super) fn plan(workspace: &Workspace, issuer: &Issuer) -> Result<Plan> {
    let tokens = issuer.tokens(ALGORITHM, 1)?;
    let get = || Load::get(Carrier::Bearer, tokens.clone(), Order::First);
    let post = |bytes: usize| {
        let text = "You have won a prize, call now. ".repeat(bytes / 32);
        Load::post(&json!({ "text": text }).to_string(), Carrier::Bearer, tokens.clone())
    };
    let native = |name, cached| {
        Envoy::new(name, vec![jwt_authn(&ALGORITHM.key_set(), cached), local_ratelimit("x-user")])
            .with_access_log()
    };
    let gate = |name: &str, full: bool| {
        let secrets = vec![(ASSERTION_KEY, SECRET.to_owned())];
        Envoy::new(name, vec![Wasm::new(workspace, "gate").filter(&policy(full), &secrets)])
            .with_environment(secrets)
    };

    let mut plan = Plan::new("gate");
    let mut add = |envoy: Envoy, load, base, peer| {
        let name = envoy.name.clone();
        let envoy = plan.envoy(envoy);
        plan.variant(name, envoy, load, base, peer)
    };
    let bare = add(Envoy::new("bare Envoy", vec![]), get(), None, None);
    let authn = native("jwt_authn + local_ratelimit + access log", false);
    let authn = add(authn, get(), Some(bare), None);
    add(native("the same, jwt_authn with its cache", true), get(), Some(bare), None);
    add(gate("gate: the same policy", false), get(), Some(bare), Some(authn));
    for (kilobytes, size) in [(1, "1 kB"), (16, "16 kB")] {
        let buffered = Envoy::new(format!("buffer filter, POST {size}"), vec![buffer()]);
        let buffered = add(buffered, post(kilobytes * 1024), Some(bare), None);
        let full = gate(&format!("gate: all stages, POST {size}"), true);
        add(full, post(kilobytes * 1024), Some(buffered), None);
    }
    Ok(plan)
}

/// `full`: with body inspection and assertion; else what the native variant does.
fn policy(full: bool) -> Value {
    let mut policy = json!({
        "version": 1,
        "identity": { "jwt": { "issuers": [{
            "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "inline": ALGORITHM.key_set() },
        }] } },
        "authorisation": { "roles": ["caller"] },
        "limits": [{ "name": "per-caller", "key": "principal",
            "requests": 10_000_000, "per_seconds": 1 }],
        "routes": [
            { "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] } },
            { "name": "model", "match": { "path": "/v1/model", "methods": ["GET"] } },
        ],
    });
    if full {
        policy["assertion"] = json!({ "key": { "env": ASSERTION_KEY }, "key_id": "bench" });
        policy["routes"][0]["input"] = json!({ "schema": { "inline": {
            "type": "object", "required": ["text"], "additionalProperties": false,
            "properties": { "text": { "type": "string", "minLength": 1, "maxLength": 20000 } },
        } } });
    }
    policy
}
