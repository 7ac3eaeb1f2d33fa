//! Limits as requests meet them.

use serde_json::{Value, json};

use super::*;
use crate::document::LimitsTable;
use crate::environment::Environment as _;
use crate::problem::{Reason, Refusal};
use crate::stages::Interruption;
use crate::testing::TestEnvironment;
use crate::{CredentialKind, Principal};

/// A worker, and the limits of a route.
struct Gate {
    limits: Vec<Limit>,
    limiter: Limiter,
}

impl Gate {
    fn new(rules: Value) -> Self {
        let rules: Vec<crate::document::LimitRule> = serde_json::from_value(rules).unwrap();
        let limits = rules.iter().enumerate();
        let limits = limits.map(|(index, rule)| Limit::compile(rule, &format!("limits[{index}]")));
        let limiter = Limiter::compile(LimitsTable::default(), None).unwrap();
        Self { limits: limits.collect::<Result<_, _>>().unwrap(), limiter }
    }

    fn admit(
        &self,
        caller: Caller<'_>,
        environment: &mut TestEnvironment,
    ) -> Result<Admission, Refusal> {
        let mut admission = Admission::default();
        match admission.head(&self.limiter, &self.limits, &caller, false, environment) {
            Ok(()) => Ok(admission),
            Err(Interruption::Refused(refusal)) => Err(*refusal),
            Err(Interruption::Wait) => panic!("nobody is asked here"),
        }
    }

    fn admits(&self, caller: Caller<'_>, environment: &mut TestEnvironment) -> bool {
        self.admit(caller, environment).is_ok()
    }

    fn end(&self, mut admission: Admission, environment: &mut TestEnvironment) {
        admission.end(&self.limiter, &self.limits, Ending::Forwarded, environment);
    }
}

fn principal(subject: &str, tenant: &str) -> Principal {
    Principal {
        subject: subject.into(),
        tenant: Some(tenant.into()),
        via: CredentialKind::Jwt,
        ..Principal::anonymous()
    }
}

fn by(principal: &Principal) -> Caller<'_> {
    Caller {
        principal,
        claims: None,
        source: "192.0.2.1".parse().ok(),
        headers: &[],
        route: "predict",
    }
}

fn header<'a>(refusal: &'a Refusal, name: &str) -> &'a str {
    refusal.headers.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
}

/// A limit of one request in an hour, by `key`.
fn one_by(key: Value) -> Gate {
    Gate::new(json!([{"name": "test", "key": key, "requests": 1, "per_seconds": 3600}]))
}

#[test]
fn a_bucket_empties_and_refills() {
    let gate = Gate::new(
        json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 10, "burst": 3}]),
    );
    let alice = principal("alice", "acme");
    let mut environment = TestEnvironment::new();
    for _ in 0..3 {
        assert!(gate.admits(by(&alice), &mut environment));
    }
    let refusal = gate.admit(by(&alice), &mut environment).unwrap_err();
    assert_eq!(refusal.reason, Reason::RateExceeded);
    assert_eq!(header(&refusal, "retry-after"), "10");
    assert_eq!(header(&refusal, "ratelimit"), "\"test\";r=0;t=10");
    assert_eq!(header(&refusal, "ratelimit-policy"), "\"test\";q=1;w=10");
    environment.advance_seconds(9);
    assert!(!gate.admits(by(&alice), &mut environment));
    environment.advance_seconds(1);
    assert!(gate.admits(by(&alice), &mut environment));
    assert!(!gate.admits(by(&alice), &mut environment));
}

/// A worker that believes for a second that there is nothing must not say that there is something then.
#[test]
fn who_asks_again_is_told_the_same_end() {
    let quota =
        Gate::new(json!([{"name": "test", "key": "principal", "requests": 3, "per": "day"}]));
    let bucket = Gate::new(
        json!([{"name": "test", "key": "principal", "requests": 100, "per_seconds": 3600, "burst": 2, "cost": "body_bytes"}]),
    );
    let alice = principal("alice", "acme");
    let mut environment = TestEnvironment::new();
    let day = 86_400 - environment.now().0 / NANOSECONDS % 86_400;
    for _ in 0..3 {
        assert!(quota.admits(by(&alice), &mut environment));
    }
    for seconds in 0..3 {
        for _ in 0..3 {
            let refusal = quota.admit(by(&alice), &mut environment).unwrap_err();
            assert_eq!(header(&refusal, "retry-after"), (day - seconds).to_string());
            let reset = format!("\"test\";r=0;t={}", day - seconds);
            assert_eq!(header(&refusal, "ratelimit"), reset);
        }
        environment.advance_seconds(1);
    }

    let mut take = |cost: u64| {
        let mut admission = Admission::default();
        admission.assumed_cost = Some(cost);
        let admitted =
            admission.head(&bucket.limiter, &bucket.limits, &by(&alice), false, &mut environment);
        match admitted {
            Ok(()) => None,
            Err(Interruption::Refused(refusal)) => Some(header(&refusal, "retry-after").to_owned()),
            Err(Interruption::Wait) => panic!("nobody is asked here"),
        }
    };
    assert_eq!(take(2), None);
    // Each cost has its own end, and what is never to be had has none.
    for _ in 0..2 {
        assert_eq!(take(1).as_deref(), Some("36"));
        assert_eq!(take(2).as_deref(), Some("72"));
        assert_eq!(take(3).as_deref(), Some(""));
    }
}

#[test]
fn keys_count_for_themselves() {
    let alice = principal("alice", "acme");
    let bob = principal("bob", "acme");
    let alice_elsewhere = principal("alice", "globex");
    let bob_elsewhere = principal("bob", "globex");
    let mut environment = TestEnvironment::new();
    let by_principal = one_by(json!("principal"));
    assert!(by_principal.admits(by(&alice), &mut environment));
    assert!(!by_principal.admits(by(&alice), &mut environment));
    assert!(by_principal.admits(by(&bob), &mut environment));
    assert!(by_principal.admits(by(&alice_elsewhere), &mut environment));

    let mut environment = TestEnvironment::new();
    let by_tenant = one_by(json!("tenant"));
    assert!(by_tenant.admits(by(&alice), &mut environment));
    assert!(!by_tenant.admits(by(&bob), &mut environment));
    assert!(by_tenant.admits(by(&bob_elsewhere), &mut environment));

    let mut environment = TestEnvironment::new();
    let by_both = one_by(json!(["tenant", "route"]));
    assert!(by_both.admits(by(&alice), &mut environment));
    assert!(!by_both.admits(by(&bob), &mut environment));
    assert!(by_both.admits(Caller { route: "model", ..by(&bob) }, &mut environment));
}

#[test]
fn credentials_are_told_apart_by_what_they_are() {
    let key = |id: &str, via| Principal {
        credential_id: Some(id.into()),
        via,
        ..principal("batch", "acme")
    };
    let gate = one_by(json!("api_key"));
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(by(&key("k1", CredentialKind::ApiKey)), &mut environment));
    assert!(!gate.admits(by(&key("k1", CredentialKind::ApiKey)), &mut environment));
    assert!(gate.admits(by(&key("k2", CredentialKind::ApiKey)), &mut environment));
    // The id of a token changes with every token: it is no key.
    assert!(gate.admits(by(&key("k3", CredentialKind::Jwt)), &mut environment));
    assert!(!gate.admits(by(&key("k4", CredentialKind::Jwt)), &mut environment));
}

#[test]
fn who_leaves_something_out_neither_escapes_nor_takes_from_others() {
    let anonymous = Principal::anonymous();
    let alice = principal("alice", "acme");
    let (red, blue) = ([("x-team", b"red".as_slice())], [("x-team", b"blue".as_slice())]);
    let claims = json!({"org": {"id": 7, "tags": []}});
    let claims = claims.as_object();
    let from = |address: &str| Caller { source: address.parse().ok(), ..by(&anonymous) };

    let gate = one_by(json!({"header": "X-Team"}));
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(Caller { headers: &red, ..by(&alice) }, &mut environment));
    assert!(!gate.admits(Caller { headers: &red, ..from("192.0.2.7") }, &mut environment));
    assert!(gate.admits(Caller { headers: &blue, ..by(&alice) }, &mut environment));
    assert!(gate.admits(by(&alice), &mut environment), "one more: her own");
    assert!(!gate.admits(by(&alice), &mut environment));
    assert!(gate.admits(from("192.0.2.8"), &mut environment));
    assert!(!gate.admits(from("192.0.2.8"), &mut environment));

    // With the caller beside it, the field only divides what is the caller's own.
    let gate = one_by(json!(["principal", {"header": "x-team"}]));
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(Caller { headers: &red, ..by(&alice) }, &mut environment));
    assert!(gate.admits(Caller { headers: &red, ..from("192.0.2.7") }, &mut environment));

    let gate = one_by(json!({"claim": "/org/id"}));
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(Caller { claims, ..by(&alice) }, &mut environment));
    assert!(!gate.admits(Caller { claims, ..by(&principal("bob", "acme")) }, &mut environment));
    assert!(gate.admits(by(&alice), &mut environment));
    let gate = one_by(json!({"claim": "/org/tags"}));
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(Caller { claims, ..by(&alice) }, &mut environment));
    assert!(gate.admits(Caller { claims, ..by(&principal("bob", "acme")) }, &mut environment));
}

#[test]
fn networks_are_as_large_as_they_are_said_to_be() {
    let anonymous = Principal::anonymous();
    for (key, first, same, other) in [
        (json!("address"), "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
        (json!("address"), "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        (json!({"subnet": {}}), "192.0.2.1", "192.0.2.200", "192.0.3.1"),
        (json!({"subnet": {}}), "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
        (json!({"subnet": {"ipv4": 8, "ipv6": 32}}), "10.1.1.1", "10.200.1.1", "11.1.1.1"),
        (json!({"subnet": {"ipv6": 32}}), "2001:db8::1", "2001:db8:ffff::", "2001:db9::1"),
        (json!({"subnet": {"ipv4": 32, "ipv6": 128}}), "2001:db8::1", "2001:db8::1", "2001:db8::2"),
    ] {
        let gate = one_by(key.clone());
        let mut environment = TestEnvironment::new();
        let mut from = |address: &str| {
            gate.admits(Caller { source: address.parse().ok(), ..by(&anonymous) }, &mut environment)
        };
        assert!(from(first), "{key}");
        assert!(!from(same), "{key}: {same}");
        assert!(from(other), "{key}: {other}");
    }
}

#[test]
fn plans_have_what_they_have() {
    let gate =
        Gate::new(json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 60,
        "plans": {"gold": {"requests": 3}, "slow": {"per_seconds": 3600}}}]));
    let on =
        |plan: Option<&str>| Principal { plan: plan.map(Into::into), ..principal("alice", "acme") };
    let mut environment = TestEnvironment::new();
    let mut count = |plan| (0..10).filter(|_| gate.admits(by(&on(plan)), &mut environment)).count();
    assert_eq!(count(Some("gold")), 3);
    assert_eq!(count(Some("slow")), 1);
    assert_eq!(count(None), 1);
    assert_eq!(count(Some("a plan that nobody knows")), 0, "the same as none");
}

/// To find out the address costs: it is asked for where it counts, and for who lacks what else counts.
#[test]
fn the_address_is_asked_for_where_it_is_needed() {
    let alice = principal("alice", "acme");
    let anonymous = Principal::anonymous();
    let field: &[Header<'_>] = &[("x-a", b"1")];
    for (key, by_alice, by_anybody, by_anybody_with_field) in [
        (json!("principal"), false, true, true),
        (json!("address"), true, true, true),
        (json!("route"), false, false, false),
        (json!({"header": "x-a"}), false, true, false),
        (json!([{"header": "x-a"}, "tenant"]), false, true, true),
        (json!([{"header": "x-a"}, {"header": "x-b"}]), false, true, true),
    ] {
        let gate = Gate::new(json!([{"name": "a", "key": key, "requests": 1, "per_seconds": 1}]));
        let asks = |principal, headers| gate.limits[0].goes_by_address(principal, headers);
        assert_eq!(asks(&alice, &[]), by_alice, "{key}");
        assert_eq!(asks(&anonymous, &[]), by_anybody, "{key}");
        assert_eq!(asks(&anonymous, field), by_anybody_with_field, "{key}");
    }
}

#[test]
fn all_limits_hold_and_the_tightest_is_told() {
    let gate = Gate::new(json!([
        {"name": "wide", "key": "tenant", "requests": 10, "per_seconds": 60},
        {"name": "narrow", "key": "principal", "requests": 2, "per_seconds": 60},
        {"name": "daily", "key": "principal", "requests": 500, "per": "day"},
    ]));
    let mut environment = TestEnvironment::new();
    let alice = principal("alice", "acme");
    let now = environment.now();
    let admission = gate.admit(by(&alice), &mut environment).unwrap();
    let mut edits = Vec::new();
    admission.fields(&gate.limits, now, &mut edits);
    let fields: Vec<String> = edits.iter().map(|edit| format!("{edit:?}")).collect();
    let policy = r#""wide";q=10;w=60, "narrow";q=2;w=60, "daily";q=500;w=86400"#;
    assert_eq!(fields[0], format!("Set(\"ratelimit-policy\", {policy:?})"));
    assert_eq!(fields[1], format!("Set(\"ratelimit\", {:?})", r#""narrow";r=1;t=0"#));
    assert!(gate.admits(by(&alice), &mut environment));
    // A refused request costs nothing elsewhere.
    for _ in 0..50 {
        assert!(!gate.admits(by(&alice), &mut environment));
    }
    let others = (0..50).filter(|number| {
        gate.admits(by(&principal(&number.to_string(), "acme")), &mut environment)
    });
    assert_eq!(others.count(), 8);
}

#[test]
fn what_is_not_enforced_counts_and_is_noted() {
    let gate = Gate::new(json!([
        {"name": "shadow", "key": "principal", "requests": 1, "per_seconds": 60, "enforced": false},
        {"name": "real", "key": "principal", "requests": 3, "per_seconds": 60},
    ]));
    let mut environment = TestEnvironment::new();
    let alice = principal("alice", "acme");
    let first = gate.admit(by(&alice), &mut environment).unwrap();
    assert!(first.shadowed().is_empty());
    let now = environment.now();
    let mut edits = Vec::new();
    first.fields(&gate.limits, now, &mut edits);
    assert!(!format!("{edits:?}").contains("shadow"));
    let second = gate.admit(by(&alice), &mut environment).unwrap();
    assert_eq!(second.shadowed(), ["shadow"]);
    assert!(gate.admits(by(&alice), &mut environment));
    assert_eq!(gate.admit(by(&alice), &mut environment).unwrap_err().reason, Reason::RateExceeded);
    environment.store_fails = true;
    let shadow = Gate::new(
        json!([{"name": "s", "key": "principal", "requests": 1, "per_seconds": 60, "enforced": false}]),
    );
    assert!(shadow.admits(by(&alice), &mut environment));
}

#[test]
fn a_roll_out_is_by_key_and_only_grows() {
    let within = |percent: u8| {
        let gate = Gate::new(
            json!([{"name": "test", "key": "principal", "requests": 1, "per_seconds": 3600, "percent": percent}]),
        );
        let mut environment = TestEnvironment::new();
        (0..1000)
            .map(|number| {
                let caller = principal(&number.to_string(), "acme");
                (0..3).any(|_| !gate.admits(by(&caller), &mut environment))
            })
            .collect::<Vec<bool>>()
    };
    let (none, few, many, all) = (within(0), within(10), within(40), within(100));
    assert!(none.iter().all(|is| !is) && all.iter().all(|is| *is));
    assert!((70..130).contains(&few.iter().filter(|is| **is).count()));
    assert!((350..450).contains(&many.iter().filter(|is| **is).count()));
    assert!(few.iter().zip(&many).all(|(few, many)| !few || *many), "somebody has left");
}

#[test]
fn places_are_free_again_however_a_request_ends() {
    let gate = Gate::new(json!([{"name": "test", "key": "principal", "concurrent": 2}]));
    let alice = principal("alice", "acme");
    let mut environment = TestEnvironment::new();
    for _ in 0..100 {
        let first = gate.admit(by(&alice), &mut environment).unwrap();
        let second = gate.admit(by(&alice), &mut environment).unwrap();
        let refusal = gate.admit(by(&alice), &mut environment).unwrap_err();
        assert_eq!(refusal.reason, Reason::ConcurrencyExceeded);
        assert_eq!(header(&refusal, "ratelimit-policy"), "\"test\";q=2;qu=\"concurrent-requests\"");
        gate.end(first, &mut environment);
        let mut refused = gate.admit(by(&alice), &mut environment).unwrap();
        refused.end(&gate.limiter, &gate.limits, Ending::Refused, &mut environment);
        gate.end(second, &mut environment);
    }
}

#[test]
fn a_quota_is_told_with_its_reset() {
    let gate = Gate::new(
        json!([{"name": "test", "key": "tenant", "requests": 2, "per": "month", "time_zone": "Europe/Zurich"}]),
    );
    let alice = principal("alice", "acme");
    // 2023-11-14T22:13:20Z.
    let mut environment = TestEnvironment::new();
    assert!(gate.admits(by(&alice), &mut environment) && gate.admits(by(&alice), &mut environment));
    let refusal = gate.admit(by(&alice), &mut environment).unwrap_err();
    assert_eq!(refusal.reason, Reason::QuotaExceeded);
    let left = 1_701_385_200 - 1_700_000_000;
    assert_eq!(header(&refusal, "retry-after"), left.to_string());
    assert_eq!(header(&refusal, "ratelimit-policy"), "\"test\";q=2;w=2592000");
    environment.advance_seconds(left - 1);
    assert!(!gate.admits(by(&alice), &mut environment));
    environment.advance_seconds(1);
    assert!(gate.admits(by(&alice), &mut environment));
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let gate = one_by(json!("principal"));
    let alice = principal("alice", "acme");
    let mut environment = TestEnvironment::new();
    environment.store_fails = true;
    assert_eq!(
        gate.admit(by(&alice), &mut environment).unwrap_err().reason,
        Reason::LimitsUnavailable
    );
    // Also where the clock cannot be read, which is what the end of time means.
    let gate = Gate::new(
        json!([{"name": "test", "key": "principal", "requests": 1000, "per_seconds": 1}]),
    );
    let mut environment = TestEnvironment::new();
    let left = u64::MAX - environment.now().0;
    environment.advance_seconds(left / 1_000_000_000);
    assert_eq!(
        gate.admit(by(&alice), &mut environment).unwrap_err().reason,
        Reason::LimitsUnavailable
    );
}

#[test]
fn rules_that_cannot_be_are_errors_that_name_the_field() {
    for (change, field) in [
        (json!({"requests": 0}), "l.requests"),
        (json!({"requests": null}), "l.requests"),
        (json!({"per_seconds": 0}), "l.per_seconds"),
        (json!({"per_seconds": null}), "l"),
        (json!({"per": "day"}), "l"),
        (json!({"burst": 0}), "l.burst"),
        (json!({"per_seconds": null, "per": "day", "burst": 1}), "l.burst"),
        (json!({"per_seconds": null, "per": "day", "time_zone": "Europe/Atlantis"}), "l.time_zone"),
        (json!({"time_zone": "UTC"}), "l.time_zone"),
        (json!({"per_seconds": null, "concurrent": 1}), "l.requests"),
        (json!({"per_seconds": null, "requests": null, "concurrent": 0}), "l.concurrent"),
        (
            json!({"per_seconds": null, "requests": null, "concurrent": 1, "cost": "body_bytes"}),
            "l.cost",
        ),
        (json!({"lost_after_seconds": 1}), "l.lost_after_seconds"),
        (json!({"percent": 101}), "l.percent"),
        (json!({"key": []}), "l.key"),
        (json!({"key": ["tenant", "tenant"]}), "l.key"),
        (json!({"key": {"header": "a b"}}), "l.key.header"),
        (json!({"key": {"claim": "/"}}), "l.key.claim"),
        (json!({"key": {"subnet": {"ipv4": 33}}}), "l.key.subnet.ipv4"),
        (json!({"plans": {"gold": {"burst": 0}}}), "l.plans.gold.burst"),
        (json!({"cost": {"request_value": {"pointer": "/n", "cap": 11}}}), "l.cost"),
        (
            json!({"cost": {"request_value": {"pointer": "n", "cap": 1}}}),
            "l.cost.request_value.pointer",
        ),
    ] {
        let mut rule =
            json!({"name": "test", "key": "principal", "requests": 10, "per_seconds": 60});
        for (name, value) in change.as_object().unwrap() {
            rule[name] = value.clone();
        }
        let rule = serde_json::from_value(rule).unwrap();
        assert_eq!(Limit::compile(&rule, "l").unwrap_err().field, field, "{change}");
    }
    for (key, expected) in [
        (json!(5), "principal, api_key"),
        (json!("callers"), "unknown variant `callers`"),
        (json!({"header": 5}), "expected a string"),
    ] {
        let rule = json!({"name": "test", "key": key, "requests": 10, "per_seconds": 60});
        let error =
            serde_json::from_value::<crate::document::LimitRule>(rule).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
