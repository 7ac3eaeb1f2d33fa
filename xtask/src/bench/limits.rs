//! Limits: rate-limit beside local_ratelimit with a bucket for each value of a header field, and beside a filter that does nothing.

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

    let native = plan.program(Envoy::new("local_ratelimit", vec![local_ratelimit(FIELD)]));
    let native =
        plan.variant("local_ratelimit, dynamic descriptor", native, get(), Some(bare), None);
    let limits = |limit| {
        let policy = json!({
            "version": 1,
            "limits": [limit],
            "audit": { "record": "refused" },
            "authorisation": { "require": "anonymous" },
            "routes": [{ "name": "model", "match": { "path": "/v1/model", "methods": ["GET"] } }],
        });
        Wasm::new(workspace, "rate_limit").filter(&policy, &[])
    };
    // So large that workers lease, and so small that the store is asked each time.
    let leased = json!({ "name": "leased", "key": { "header": FIELD }, "requests": 10_000_000, "per_seconds": 1 });
    let asked = json!({ "name": "asked", "key": { "header": FIELD }, "requests": 10_000_000, "per_seconds": 1, "burst": 63 });
    for (what, limit, bounded) in [("leased", leased, true), ("burst below 64", asked, false)] {
        let own = Envoy::new(format!("rate_limit.wasm, {what}"), vec![limits(limit)]);
        let own = plan.program(own);
        let name = format!("rate-limit, {what}");
        let own = plan.variant(name, own, get(), Some(bare), Some(native));
        if bounded {
            plan.bound(own, AtMost::Times { factor: LIMITER, other: native });
        }
    }
    Ok(plan)
}
