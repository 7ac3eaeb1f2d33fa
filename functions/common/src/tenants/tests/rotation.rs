//! Another `tenant_key` in the old one's place.

use super::isolation::{MARK, furnish};
use super::*;
use crate::tenants::rekey::{self, MAXIMUM_REWRITTEN};
use crate::tenants::vault::key_id;

/// The same store, set up with other keys.
fn with_keys(world: World, keys: &[&str]) -> World {
    let keys = keys.join(",");
    let variables =
        [("tenant_key", &*keys), ("retention_days", "30"), ("feedback_texts", r#"["open"]"#)];
    World { settings: settings(&variables), ..world }
}

/// What the keys are called under which there are entries.
fn keys_in_use(world: &World) -> Vec<String> {
    let names = world.store.names_now();
    let mut ids: Vec<String> = names.iter().map(|n| key_id(n).unwrap().to_owned()).collect();
    ids.dedup();
    ids
}

fn report(world: &World) -> Option<String> {
    rekey::report(&world.store.names_now(), &world.settings.keys)
}

/// Somebody comes by often enough for all to be rewritten.
fn pass(world: &World, principal: &Principal) {
    for _ in 0..6 {
        world.now.set(world.now.get() + 120);
        assert_eq!(world.ask(principal, "GET", "/v1/usage").0, 200);
    }
}

#[test]
fn what_is_under_the_old_key_is_read_and_what_is_new_is_under_the_new_one() {
    let world = World::retaining();
    let (alice, root) = (member("alice", Some("acme")), administrator("acme"));
    let old = world.retain(&alice, "t");
    world.record(&alice, 7);
    let text = json!({ "text": "a text", "label": "ham", "comment": "old" });
    assert_eq!(world.feedback(&alice, &text).0, 201);
    let old_key = keys_in_use(&world);

    let world = with_keys(world, &[OTHER_KEY, KEY]);
    assert_eq!(world.get(&alice, &format!("/v1/results/{old}"))["id"], old);
    assert_eq!(world.requests(&root), 7);
    let before = world.store.names_now();
    let new = world.retain(&alice, "t");
    world.record(&alice, 5);
    let of_now = world.settings.keys.current.id().to_owned();
    let written = world.store.names_now().into_iter().filter(|name| !before.contains(name));
    assert!(written.clone().count() >= 2);
    assert!(written.clone().all(|name| key_id(&name) == Some(&of_now)));
    assert_ne!(old_key, [of_now]);
    assert_eq!(world.requests(&root), 12);
    for caller in [&alice, &root] {
        let results = world.get(caller, "/v1/results")["results"].clone();
        let ids: Vec<&str> =
            results.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert!(ids.len() == 2 && ids.contains(&&*old) && ids.contains(&&*new), "{ids:?}");
    }
    // The text has another name under the new key, and is still the same text.
    assert_eq!(world.feedback(&alice, &text).0, 200);
    let listed = world.get(&alice, "/v1/feedback")["feedback"].clone();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["comment"]), (1, &json!("old")));
    // And so is a result, whoever says what it was.
    let feedback = json!({ "result": old, "label": "ham" });
    assert_eq!(world.feedback(&root, &feedback).0, 201);
    assert_eq!(world.feedback(&alice, &feedback).0, 200);
    assert_eq!(world.get(&alice, "/v1/feedback")["feedback"].as_array().unwrap().len(), 2);
}

#[test]
fn all_is_rewritten_as_its_tenant_comes_by_and_the_old_key_can_go() {
    let world = World::retaining();
    let (alice, root) = (member("alice", Some("acme")), administrator("acme"));
    let by_key = Principal { issuer: None, via: CredentialKind::ApiKey, ..alice.clone() };
    let ids = [&alice, &by_key].map(|principal| world.retain(principal, "t"));
    let about = json!({ "result": ids[1], "label": "ham", "comment": "mine" });
    assert_eq!(world.feedback(&by_key, &about).0, 201);
    assert_eq!(world.feedback(&alice, &json!({ "text": "t", "label": "scam" })).0, 201);
    world.record(&alice, 3);
    let queries = [Query::new("t", 0.5, true)];
    let booking = Booking { counts: Counts::default(), assessed: &[], queries: &queries };
    let ids_of_none = run(world.tenants().book(&alice, booking, NOW)).unwrap().ids;
    assert_eq!(ids_of_none, Some(Vec::new()));

    let world = with_keys(world, &[OTHER_KEY, KEY]);
    let told = report(&world).unwrap();
    assert!(told.starts_with("entries under former keys") && told.contains(": 7 under "), "{told}");
    let all = [&alice, &by_key, &root]
        .map(|p| (world.get(p, "/v1/results"), world.get(p, "/v1/feedback")));
    pass(&world, &root);
    assert_eq!(report(&world), None);
    assert_eq!(keys_in_use(&world), [world.settings.keys.current.id()]);

    let world = with_keys(world, &[OTHER_KEY]);
    let after = [&alice, &by_key, &root]
        .map(|p| (world.get(p, "/v1/results"), world.get(p, "/v1/feedback")));
    assert_eq!(after, all);
    assert_eq!(world.requests(&root), 3);
    assert_eq!(world.ask(&root, "DELETE", "/v1/data?subject=alice").1, json!({ "erased": 4 }));
}

#[test]
fn without_the_old_key_nothing_of_it_is_served_to_anybody_and_that_is_told() {
    let world = World::retaining();
    let victims = [administrator("b"), member("alice", Some("b")), member("alice", None)];
    let ids: Vec<String> = victims.iter().flat_map(|victim| furnish(&world, victim)).collect();
    let entries = world.store.under("");

    let world = with_keys(world, &[OTHER_KEY]);
    let told = report(&world).unwrap();
    assert!(told.contains("nobody can read") && told.contains(": 12 under "), "{told}");
    for caller in victims.iter().chain([&administrator("a"), &member("b", None)]) {
        for target in ["/v1/results", "/v1/feedback", "/v1/export", "/v1/usage"] {
            let reply = world.send(caller, "GET", target, b"");
            let text = String::from_utf8(reply.body).unwrap();
            assert!(!text.contains(MARK) && !text.contains("424242"), "{target}: {text}");
        }
        for id in &ids {
            let target = format!("/v1/results/{}", encoded(id));
            assert_eq!(world.ask(caller, "GET", &target).0, 404);
        }
    }
    assert_eq!(world.store.under(""), entries, "it is not touched, either");
    // The key comes back, and all is there again.
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    assert_eq!(world.requests(&victims[0]), 2 * 424_242);
}

/// With several keys, too, no tenant comes to another's.
#[test]
fn no_key_leads_from_one_tenant_to_another() {
    let world = World::retaining();
    let (a, b) = (administrator("a"), administrator("b"));
    let ids = furnish(&world, &b);
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    furnish(&world, &b);
    let before = world.store.under("");
    pass(&world, &a);
    for target in ["/v1/results", "/v1/feedback", "/v1/export", "/v1/results?subject=root"] {
        let reply = world.send(&a, "GET", target, b"");
        let text = String::from_utf8(reply.body).unwrap();
        assert!(reply.status == 200 && !text.contains(MARK) && !text.contains("root"), "{text}");
    }
    world.refused(&a, ("GET", &format!("/v1/results/{}", ids[0])), 404, "data-not-found");
    assert_eq!(world.ask(&a, "DELETE", "/v1/data?confirm=a").1, json!({ "erased": 0 }));
    assert_eq!(world.store.under(""), before);
}

#[test]
fn erasing_reaches_what_is_under_former_keys() {
    let world = World::retaining();
    let (alice, root) = (member("alice", Some("acme")), administrator("acme"));
    world.retain(&alice, "t");
    world.retain(&member("alice", Some("globex")), "t");
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    world.retain(&alice, "t");
    world.retain(&root, "t");
    assert_eq!(world.ask(&alice, "DELETE", "/v1/data?subject=alice").1, json!({ "erased": 2 }));
    world.retain(&alice, "t");
    assert_eq!(world.ask(&root, "DELETE", "/v1/data?confirm=acme").1, json!({ "erased": 2 }));
    assert_eq!(world.store.names_now().len(), 1);
}

#[test]
fn usage_is_exact_while_it_is_rewritten_in_steps() {
    let world = World::retaining();
    let root = administrator("acme");
    for _ in 0..40 {
        world.record(&root, 1);
    }
    pass(&world, &root);
    world.record(&root, 1);
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    world.record(&root, 1);
    for _ in 0..8 {
        assert_eq!(world.requests(&root), 42);
        world.now.set(world.now.get() + 60);
    }
    let world = with_keys(world, &[OTHER_KEY]);
    assert_eq!((world.requests(&root), report(&world)), (42, None));
}

#[test]
fn what_is_newer_is_not_written_over_and_what_does_not_open_is_in_nobody_s_way() {
    let world = World::retaining();
    let alice = member("alice", Some("acme"));
    let id = world.retain(&alice, "t");
    let said = |label: &str| json!({ "result": id, "label": label });
    assert_eq!(world.feedback(&alice, &said("ham")).0, 201);
    let old = world.store.entries.borrow().clone();
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    assert_eq!(world.feedback(&alice, &said("scam")).0, 200);
    // As if somebody had not come to deleting it.
    world.store.entries.borrow_mut().extend(old.clone());
    pass(&world, &administrator("acme"));
    assert_eq!(world.get(&alice, "/v1/feedback")["feedback"][0]["label"], "scam");
    assert_eq!(report(&world), None);

    let broken = old.into_keys().map(|name| (name, b"broken".to_vec()));
    world.store.entries.borrow_mut().extend(broken);
    let other = world.retain(&administrator("acme"), "t");
    pass(&world, &administrator("acme"));
    assert_eq!(world.get(&alice, &format!("/v1/results/{id}"))["id"], id);
    assert_eq!(world.get(&administrator("acme"), &format!("/v1/results/{other}"))["id"], other);
    assert!(report(&world).unwrap().contains(": 2 under "));
}

#[test]
fn so_many_are_rewritten_for_one_request() {
    let world = World::retaining();
    let alice = member("alice", None);
    for _ in 0..MAXIMUM_REWRITTEN + 3 {
        world.retain(&alice, "t");
    }
    let world = with_keys(world, &[OTHER_KEY, KEY]);
    for left in [Some(": 3 under "), None] {
        world.get(&alice, "/v1/usage");
        assert_eq!(
            report(&world).map(|told| told.contains(left.unwrap_or("-"))),
            left.map(|_| true)
        );
    }
}
