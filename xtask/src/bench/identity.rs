//! Identity: jwt-auth beside jwt_authn and api_key_auth, and beside a filter that does nothing.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::credentials::{self, Algorithm, Issuer, SECRET};
use super::envoy::{Envoy, Wasm, api_key_auth, jwt_authn};
use super::load::{Carrier, Load, Order};
use super::plan::{AtMost, Plan};
use super::signature;
use crate::up::{AUDIENCE, ISSUER};
use crate::workspace::Workspace;

/// How many credentials there are where there are many: as many as jwt_authn's cache is given place for.
const MANY: u32 = 1000;

/// How many signatures the filter that decides nothing has verified in turn: more than a processor learns the branches of.
const VERIFIED: usize = 64;

/// What a token seen for the first time may cost, in times of jwt_authn without its cache.
const FIRST_SIGHT: f64 = 1.1;

/// What a remembered token may cost over a filter that does nothing, in microseconds.
const REMEMBERED: f64 = 3.0;

const PEPPER: &str = "PORTCULLIS_API_KEY_PEPPER";
const KEY_SET: &str = "PORTCULLIS_BENCH_KEY_SET";

/// `once` is how many tokens are needed where each is used once.
pub(super) fn plan(workspace: &Workspace, issuer: &Issuer, once: u32) -> Result<Plan> {
    let mut plan = Plan::new("identity");
    // The floor: what costs the same whoever checks the token.
    let tokens = issuer.tokens(Algorithm::Es256, 1)?;
    let get = || Load::get(Carrier::Bearer, tokens.clone(), Order::First);
    let (bare, noop) = plan.floor(workspace, get);

    let reader = Wasm::new(workspace, "noop").filter(&json!({ "reads": true }), &[]);
    let envoy = plan.program(Envoy::new("noop.wasm, reading", vec![reader]));
    plan.variant("a filter that reads the header section", envoy, get(), Some(bare), None);

    let mut suite = Suite { workspace, issuer, once, plan, bare, noop };
    for algorithm in Algorithm::ALL {
        suite.tokens(algorithm)?;
    }
    suite.api_keys()?;
    Ok(suite.plan)
}

struct Suite<'a> {
    workspace: &'a Workspace,
    issuer: &'a Issuer,
    once: u32,
    plan: Plan,
    bare: usize,
    noop: usize,
}

impl Suite<'_> {
    fn tokens(&mut self, algorithm: Algorithm) -> Result<()> {
        let name = algorithm.name();
        let distinct = self.issuer.tokens(algorithm, self.once)?;
        let many = self.issuer.tokens(algorithm, MANY)?;
        let load = |order| match order {
            Order::Once => Load::get(Carrier::Bearer, distinct.clone(), order),
            Order::First | Order::Around => Load::get(Carrier::Bearer, many.clone(), order),
        };
        let keys = algorithm.key_set();
        let native = |cached| {
            let cache = if cached { "with its cache" } else { "without cache" };
            Envoy::new(format!("{name} jwt_authn {cache}"), vec![jwt_authn(&keys, cached)])
        };
        let own = |which: &str| {
            let secrets = vec![(KEY_SET, keys.to_string())];
            let filter = Wasm::new(self.workspace, "jwt_auth");
            Envoy::new(
                format!("{name} jwt_auth.wasm, {which}"),
                vec![filter.filter(&token_policy(algorithm), &secrets)],
            )
            .with_environment(secrets)
        };

        let uncached = self.plan.program(native(false));
        let cached = self.plan.program(native(true));
        // An Envoy of its own for each: new tokens would drive the remembered ones out.
        let fresh = self.plan.program(own("new tokens"));
        let remembering = self.plan.program(own("remembered tokens"));

        let mut add = |what: &str, envoy, order, peer| {
            self.plan.variant(format!("{name} {what}"), envoy, load(order), Some(self.bare), peer)
        };
        let first = add("jwt_authn, no cache", uncached, Order::Once, None);
        let own_first = add("jwt-auth, first sight", fresh, Order::Once, Some(first));
        let one = add("jwt_authn, cache, one token", cached, Order::First, None);
        let own_one = add("jwt-auth, remembered, one token", remembering, Order::First, Some(one));
        let thousand = add("jwt_authn, cache, 1,000 tokens", cached, Order::Around, None);
        let own_thousand =
            add("jwt-auth, remembered, 1,000 tokens", remembering, Order::Around, Some(thousand));

        if matches!(algorithm, Algorithm::Rs256 | Algorithm::Es256) {
            // What no filter that has the host verify can be without: nothing is decoded, and no claim looked at.
            let some = distinct.iter().take(VERIFIED);
            let arguments = some.map(|token| signature::arguments(algorithm, token));
            let arguments = arguments.collect::<Result<Vec<_>>>()?;
            let configuration = json!({ "reads": true, "verifies": arguments });
            let noop = Wasm::new(self.workspace, "noop").filter(&configuration, &[]);
            let envoy = Envoy::new(format!("{name} noop.wasm, verifying"), vec![noop]);
            let envoy = self.plan.program(envoy);
            let what = format!(
                "{name} a filter that reads the header section and has a signature verified"
            );
            self.plan.variant(what, envoy, load(Order::Once), Some(self.bare), Some(first));
            self.plan.bound(own_first, AtMost::Times { factor: FIRST_SIGHT, other: first });
        }
        for remembered in [own_one, own_thousand] {
            let at_most = AtMost::Over { microseconds: REMEMBERED, other: self.noop };
            self.plan.bound(remembered, at_most);
        }
        Ok(())
    }

    fn api_keys(&mut self) -> Result<()> {
        let keys: Arc<[String]> = (0..MANY).map(credentials::api_key).collect();
        let load = || Load::get(Carrier::ApiKey, keys.clone(), Order::Around);
        let native = Envoy::new("api_key_auth", vec![api_key_auth(&keys)]);
        let native = self.plan.program(native);
        let base = Some(self.bare);
        let native = self.plan.variant("api_key_auth, 1,000 keys", native, load(), base, None);

        let secrets = vec![(PEPPER, SECRET.to_owned())];
        let filter = Wasm::new(self.workspace, "jwt_auth").filter(&api_key_policy()?, &secrets);
        let own = Envoy::new("API keys jwt_auth.wasm", vec![filter]).with_environment(secrets);
        let own = self.plan.program(own);
        self.plan.variant("jwt-auth, 1,000 API keys", own, load(), base, Some(native));
        Ok(())
    }
}

/// What jwt_authn does, and no more: no record of what was let through.
fn policy(identity: Value) -> Value {
    json!({
        "version": 1,
        "identity": identity,
        "audit": { "record": "refused" },
        "routes": [{ "name": "model", "match": { "path": "/v1/model", "methods": ["GET"] } }],
    })
}

fn token_policy(algorithm: Algorithm) -> Value {
    // Symmetric keys are secrets, and never in a policy.
    let keys = match algorithm {
        Algorithm::Hs256 => json!({ "env": KEY_SET }),
        _ => json!({ "inline": algorithm.key_set() }),
    };
    policy(json!({ "jwt": { "issuers": [
        { "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": keys },
    ] } }))
}

fn api_key_policy() -> Result<Value> {
    let entry = |number| {
        let (id, digest) = (credentials::api_key_id(number), credentials::api_key_digest(number)?);
        Ok(json!({ "id": id, "digest": digest, "owner": "bench", "roles": ["caller"] }))
    };
    let keys = (0..MANY).map(entry).collect::<Result<Vec<_>>>()?;
    Ok(policy(json!({ "api_keys": { "pepper": { "env": PEPPER }, "keys": keys } })))
}
