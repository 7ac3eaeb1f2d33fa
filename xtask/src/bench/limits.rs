//! Limits: rate-limit beside local_ratelimit with a bucket for each value of a header field, and beside a filter that does nothing;
//! both with and without the RateLimit fields in their responses.

use anyhow::Result;
use serde_json::json;

use super::credentials::{Algorithm, Issuer};
use super::envoy::{Envoy, Wasm, local_ratelimit};
use super::load::{Carrier, Load, Order};
use super::plan::{AtMost, Plan};
use crate::workspace::Workspace;

/// What the limiter may cost, in times of local_ratelimit.
const LIMITER: f64 = 3.5;

/// A field that every request of the load has, with one value.
const FIELD: &str = "x-client-version";

pub(super) fn plan(workspace: &Workspace, issuer: &Issuer) -> Result<Plan> {
    let mut plan = Plan::new("limits");
    let tokens = issuer.tokens(Algorithm::Es256, 1)?;
    let get = || Load::get(Carrier::Bearer, tokens.clone(), Order::First);
    let (bare, _) = plan.floor(workspace, get);
    // What no limiter can be without: the header section, and two fields of the response where it tells of limits.
    let does = [
        ("reads the header section", json!({ "reads": true })),
        ("reads it and sets two fields of the response", json!({ "reads": true, "tells": true })),
    ];
    for (what, configuration) in does {
        let noop = Wasm::new(workspace, "noop").filter(&configuration, &[]);
        let envoy = plan.program(Envoy::new(format!("noop.wasm, {what}"), vec![noop]));
        plan.variant(format!("a filter that {what}"), envoy, get(), Some(bare), None);
    }

    let limits = |limit, fields| {
        let policy = json!({
            "version": 1,
            "limits": [limit],
            "limits_fields": fields,
            "audit": { "record": "refused" },
            "authorisation": { "require": "anonymous" },
            "routes": [{ "name": "model", "match": { "path": "/v1/model", "methods": ["GET"] } }],
        });
        Wasm::new(workspace, "rate_limit").filter(&policy, &[])
    };
    // So large that workers lease, and so small that the store is asked each time.
    let leased = json!({ "name": "leased", "key": { "header": FIELD }, "requests": 10_000_000, "per_seconds": 1 });
    let asked = json!({ "name": "asked", "key": { "header": FIELD }, "requests": 10_000_000, "per_seconds": 1, "burst": 63 });
    for (fields, told) in [("all", "RateLimit fields"), ("refused", "no fields")] {
        let native = format!("local_ratelimit, {told}");
        let envoy = Envoy::new(&native, vec![local_ratelimit(FIELD, fields == "all")]);
        let envoy = plan.program(envoy);
        let native = plan.variant(native, envoy, get(), Some(bare), None);
        for (what, limit, bounded) in [("leased", &leased, true), ("burst below 64", &asked, false)]
        {
            let name = format!("rate-limit, {told}, {what}");
            let own = Envoy::new(&name, vec![limits(limit, fields)]);
            let own = plan.program(own);
            let own = plan.variant(name, own, get(), Some(bare), Some(native));
            if bounded {
                plan.bound(own, AtMost::Times { factor: LIMITER, other: native });
            }
        }
    }
    Ok(plan)
}
