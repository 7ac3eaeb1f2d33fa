//! A tenant never reaches what is another's: routes, limits, records, remembered tokens. Random policies, random requests.
//!
//! Each request is made by a generator that knows whose it is, so that what the gate says can be held against it.

mod cache;
mod roles;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use world::{Act, Runtime, TENANTS, Verdict, World, acts, worlds};

/// What an upstream would take for the tenant of a path, in as many ways as upstreams read paths.
fn readings(path: &str) -> Vec<String> {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut readings = Vec::new();
    for path in [path, decoded.as_str(), &decoded.to_lowercase()] {
        for segment in path.split(['/', '\\']) {
            let bare = segment.split([';', ',', '?', '#', '\0']).next().unwrap_or_default();
            readings.extend([segment.trim().to_owned(), bare.trim().to_owned()]);
        }
    }
    readings
}

fn records(world: &World, run: &[(usize, Verdict)]) -> Vec<(Option<String>, Value)> {
    run.iter()
        .map(|(act, verdict)| {
            let record = serde_json::from_str(&verdict.record).unwrap();
            (world.owner(*act), record)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Nothing that is let through names a tenant but the caller's own, where the policy says that paths are tenants'.
    #[test]
    fn no_tenant_reaches_another_ones_route((world, acts) in worlds().prop_flat_map(|world| (Just(world), acts()))) {
        let world = world.with(acts);
        let policy = world.policy().unwrap();
        let mut runtime = Runtime::new();
        for act in 0..world.acts.len() {
            let verdict = world.run(&policy, act, &mut runtime);
            let Some(path) = &verdict.judged_path else { continue };
            let owner = world.owner(act);
            let route = world.route_of(&verdict).unwrap();
            if let Some(only) = &route.tenants {
                prop_assert!(owner.as_ref().is_some_and(|owner| only.contains(owner)), "{path}");
            }
            if route.pattern.contains("{tenant}") {
                for other in TENANTS.iter().filter(|other| owner.as_deref() != Some(**other)) {
                    prop_assert!(!readings(path).iter().any(|read| read == other), "{owner:?} reached {path}");
                }
                prop_assert!(owner.is_some(), "somebody without a tenant reached {path}");
            }
        }
    }

    /// What others do changes nothing for a tenant: not its verdicts, not what is left of its limits, not its records.
    #[test]
    fn tenants_do_not_feel_each_other((world, acts) in worlds().prop_flat_map(|world| (Just(world), acts()))) {
        let world = world.with(acts);
        let together = {
            let (policy, mut runtime) = (world.policy().unwrap(), Runtime::new());
            (0..world.acts.len()).map(|act| (act, world.run(&policy, act, &mut runtime))).collect::<Vec<_>>()
        };
        for tenant in TENANTS {
            let (policy, mut runtime) = (world.policy().unwrap(), Runtime::new());
            for (act, verdict) in together.iter().filter(|(act, _)| world.owner(*act).as_deref() == Some(tenant)) {
                prop_assert_eq!(&world.run(&policy, *act, &mut runtime), verdict, "{}", tenant);
            }
        }
    }

    /// A record names the tenant whose credential was good, and no other.
    #[test]
    fn records_name_their_own_tenant((world, acts) in worlds().prop_flat_map(|world| (Just(world), acts()))) {
        let world = world.with(acts);
        let (policy, mut runtime) = (world.policy().unwrap(), Runtime::new());
        let run: Vec<_> = (0..world.acts.len()).map(|act| (act, world.run(&policy, act, &mut runtime))).collect();
        for (owner, record) in records(&world, &run) {
            let named = record.pointer("/organization/id").and_then(Value::as_str);
            prop_assert!(named.is_none() || named == owner.as_deref(), "{owner:?}: {record}");
            if record["event"]["outcome"] == "success" && owner.is_some() {
                prop_assert_eq!(named, owner.as_deref());
            }
        }
    }

    /// What no route is for is refused, whoever asks.
    #[test]
    fn what_no_route_is_for_is_refused((world, acts) in worlds().prop_flat_map(|world| (Just(world), acts()))) {
        let world = world.with(acts);
        let (policy, mut runtime) = (world.policy().unwrap(), Runtime::new());
        for act in 0..world.acts.len() {
            let verdict = world.run(&policy, act, &mut runtime);
            let Some(path) = &verdict.judged_path else { continue };
            let method = world.acts[act].method;
            let route = world.routes.iter().find(|route| route.is_for(method, path));
            prop_assert!(route.is_some(), "{method} {path} was let through");
            prop_assert_eq!(route.map(|route| route.name.as_str()), verdict.route.as_deref());
        }
    }

    /// To be asked why changes nothing, and the reason that is given is the one.
    #[test]
    fn an_explanation_has_the_verdict_of_the_gate((world, acts) in worlds().prop_flat_map(|world| (Just(world), acts()))) {
        let world = world.with(acts);
        let (policy, other) = (world.policy().unwrap(), world.policy().unwrap());
        let (mut plain, mut traced) = (Runtime::new(), Runtime::traced());
        for act in 0..world.acts.len() {
            let verdict = world.run(&policy, act, &mut plain);
            prop_assert_eq!(&world.run(&other, act, &mut traced), &verdict);
            let trace = traced.trace.as_ref().unwrap();
            let refused = trace.refusal().and_then(|entry| entry.refused.as_ref()).map(|(reason, _)| *reason);
            prop_assert_eq!(refused, verdict.refused, "{:?}", trace.entries());
            // One refusal, at the end, and nothing that is not fit to be read out.
            let told = trace.entries().iter().filter(|entry| entry.refused.is_some()).count();
            prop_assert_eq!(told, usize::from(verdict.refused.is_some()));
            if let Some(credential) = world.credential(act) {
                prop_assert!(!format!("{trace:?}").contains(&credential), "a credential is told");
            }
            for entry in trace.entries() {
                if let Some(field) = &entry.field {
                    let located = field.locate(&world.document());
                    let of_route = located.path.strip_prefix("routes[").and_then(|rest| rest.split_once(']'));
                    if let Some((index, _)) = of_route {
                        let index: usize = index.parse().unwrap();
                        prop_assert_eq!(Some(world.routes[index].name.as_str()), verdict.route.as_deref());
                    }
                }
            }
        }
    }
}

/// The generator makes what it should: without allowed requests, and ones that are refused for their tenant, the properties
/// would hold of nothing.
#[test]
fn the_generator_makes_all_kinds_of_requests() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..60 {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let acts: Vec<Act> = acts().new_tree(&mut runner).unwrap().current();
        let world = world.with(acts);
        let (policy, mut runtime) = (world.policy().unwrap(), Runtime::new());
        for act in 0..world.acts.len() {
            let verdict = world.run(&policy, act, &mut runtime);
            let in_tenant_path = verdict.judged_path.is_some()
                && world.route_of(&verdict).is_some_and(|route| route.pattern.contains("{tenant}"));
            let kind = match verdict.refused {
                None if in_tenant_path => "allowed to its own path".to_owned(),
                None => "allowed".to_owned(),
                Some(reason) => reason.as_str().to_owned(),
            };
            *seen.entry(kind).or_default() += 1;
        }
    }
    for kind in [
        "allowed",
        "allowed to its own path",
        "tenant-denied",
        "token-tenant-denied",
        "role-missing",
        "scope-missing",
        "rate-exceeded",
        "route-unknown",
        "credential-missing",
        "token-signature-invalid",
        "api-key-invalid",
    ] {
        assert!(seen.get(kind).is_some_and(|count| *count >= 5), "{kind}: {seen:?}");
    }
}
