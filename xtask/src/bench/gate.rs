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
    let gate = |name: &str, policy: Value| {
        let secrets = vec![(ASSERTION_KEY, SECRET.to_owned())];
        Envoy::new(name, vec![Wasm::new(workspace, "gate").filter(&policy, &secrets)])
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
    add(gate("gate: the same policy", policy()), get(), Some(bare), Some(authn));
    for (kilobytes, size) in [(1, "1 kB"), (16, "16 kB")] {
        let buffered = Envoy::new(format!("buffer filter, POST {size}"), vec![buffer()]);
        let buffered = add(buffered, post(kilobytes * 1024), Some(bare), None);
        for (what, policy) in [
            ("all stages", all_stages()),
            ("and prose screened", screened(None)),
            ("and arguments screened", screened(Some(&[]))),
        ] {
            let gate = gate(&format!("gate: {what}, POST {size}"), policy);
            add(gate, post(kilobytes * 1024), Some(buffered), None);
        }
    }
    Ok(plan)
}

/// What the native variant does.
fn policy() -> Value {
    json!({
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
    })
}

/// With the body's structure and characters, and the assertion.
fn all_stages() -> Value {
    let mut policy = policy();
    policy["assertion"] = json!({ "key": { "env": ASSERTION_KEY }, "key_id": "bench" });
    policy["routes"][0]["input"] = json!({ "schema": { "inline": {
        "type": "object", "required": ["text"], "additionalProperties": false,
        "properties": { "text": { "type": "string", "minLength": 1, "maxLength": 20000 } },
    } } });
    policy
}

/// And with what is in it: attacks, personal data. `prompts` says where prose is.
fn screened(prompts: Option<&[&str]>) -> Value {
    let mut policy = all_stages();
    policy["routes"][0]["input"]["screening"] = json!({
        "prompts": prompts.unwrap_or(&["/text"]),
        "attacks": "refuse",
        "prompt_injection": "refuse",
        "personal_data": { "payment_card": "mask", "email_address": "mask", "us_ssn": "mask",
            "iban": "mask", "phone_number": "mask", "secret": "mask", "private_key": "mask" },
    });
    policy
}
