use super::*;

/// A tenant with something of each kind of two subjects.
fn world() -> (World, Principal, Principal, Principal) {
    let world = World::retaining();
    let (alice, bob) = (member("alice", Some("acme")), member("bob", Some("acme")));
    for principal in [&alice, &bob, &member("alice", Some("globex"))] {
        for _ in 0..3 {
            let id = world.retain(principal, "t");
            assert_eq!(world.feedback(principal, &json!({ "result": id, "label": "ham" })).0, 201);
        }
        world.record(principal, 1);
    }
    (world, alice, bob, administrator("acme"))
}

fn lines(world: &World, principal: &Principal, target: &str) -> Vec<Value> {
    let reply = world.send(principal, "GET", target, b"");
    assert_eq!(reply.status, 200, "{target}");
    assert!(reply.headers.contains(&("content-type", "application/x-ndjson")));
    let text = String::from_utf8(reply.body).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(lines: &[Value]) -> [usize; 3] {
    ["usage", "result", "feedback"].map(|kind| lines.iter().filter(|l| l["kind"] == kind).count())
}

#[test]
fn an_export_is_everything_of_a_subject_or_of_a_tenant() {
    let (world, alice, bob, root) = world();
    assert_eq!(kinds(&lines(&world, &alice, "/v1/export")), [0, 3, 3]);
    assert_eq!(kinds(&lines(&world, &root, "/v1/export?subject=alice")), [0, 3, 3]);
    assert_eq!(kinds(&lines(&world, &root, "/v1/export")), [1, 6, 6]);
    assert_eq!(kinds(&lines(&world, &root, "/v1/export?subject=carol")), [0, 0, 0]);
    let own = lines(&world, &alice, "/v1/export?subject=alice");
    assert!(own.iter().all(|line| line["subject"] == "alice"));
    world.refused(&bob, ("GET", "/v1/export?subject=alice"), 404, "data-not-found");
    // Everything that there is of who has no tenant, usage as well.
    let carol = member("carol", None);
    world.record(&carol, 2);
    world.retain(&carol, "t");
    for target in ["/v1/export", "/v1/export?subject=carol"] {
        assert_eq!(kinds(&lines(&world, &carol, target)), [1, 1, 0]);
    }
    // What has expired is not handed out any more.
    world.now.set(NOW + 30 * DAY);
    assert_eq!(kinds(&lines(&world, &root, "/v1/export")), [1, 0, 6]);
}

#[test]
fn erasing_a_subject_leaves_nothing_of_it_and_all_of_the_others() {
    let erasers: [fn(&Principal, &Principal) -> Principal; 2] =
        [|alice, _| alice.clone(), |_, root| root.clone()];
    for eraser in erasers {
        let (world, alice, bob, root) = world();
        let vault = super::super::vault::TenantVault::of(&alice, &world.settings.keys).unwrap();
        let of_alice = format!("{}p/{}/", vault.base(), vault.current().subject("alice").unwrap());
        let others: Vec<_> = world
            .store
            .under("")
            .into_iter()
            .filter(|(name, _)| !name.starts_with(&of_alice))
            .collect();
        assert_eq!(world.store.under(&of_alice).len(), 6);
        let who = eraser(&alice, &root);
        assert_eq!(
            world.ask(&who, "DELETE", "/v1/data?subject=alice"),
            (200, json!({ "erased": 6 }))
        );
        assert_eq!(world.store.under(""), others);
        assert_eq!(lines(&world, &alice, "/v1/export"), [] as [Value; 0]);
        assert_eq!(kinds(&lines(&world, &bob, "/v1/export")), [0, 3, 3]);
        assert_eq!(
            world.ask(&who, "DELETE", "/v1/data?subject=alice"),
            (200, json!({ "erased": 0 }))
        );
    }
}

#[test]
fn a_subject_of_two_issuers_is_erased_together_or_apart() {
    let (world, alice, _, root) = world();
    let elsewhere = Principal { issuer: Some("https://other.example".into()), ..alice.clone() };
    let by_key = Principal { issuer: None, via: CredentialKind::ApiKey, ..alice.clone() };
    world.retain(&elsewhere, "t");
    world.retain(&by_key, "t");
    let erase = |query: &str| {
        world.ask(&root, "DELETE", &format!("/v1/data?subject=alice{query}")).1["erased"].clone()
    };
    assert_eq!(world.ask(&elsewhere, "DELETE", "/v1/data?subject=alice").1["erased"], 1);
    assert_eq!(erase("&issuer="), 1);
    assert_eq!(erase("&issuer=https://nobody.example"), 0);
    world.retain(&by_key, "t");
    assert_eq!(erase(""), 7);
}

#[test]
fn a_tenant_is_erased_only_by_who_says_so_and_may() {
    let (world, alice, _, root) = world();
    for target in [
        "/v1/data",
        "/v1/data?confirm=",
        "/v1/data?confirm=globex",
        "/v1/data?confirm=true",
        "/v1/data?subject=alice&confirm=acme",
    ] {
        world.refused(&root, ("DELETE", target), 400, "confirmation-missing");
    }
    world.refused(&root, ("DELETE", "/v1/data?confirm=acme&issuer=a"), 400, "parameter-invalid");
    world.refused(&alice, ("DELETE", "/v1/data?confirm=acme"), 403, "role-missing");
    world.refused(&alice, ("DELETE", "/v1/data?subject=bob"), 404, "data-not-found");
    world.refused(&alice, ("DELETE", "/v1/data?subject=carol"), 404, "data-not-found");
    let globex = world.base(&administrator("globex"));
    let others = world.store.under(&globex);
    assert_eq!(world.ask(&root, "DELETE", "/v1/data?confirm=acme").1, json!({ "erased": 14 }));
    assert_eq!((world.store.under(""), others.len()), (others, 7));
    assert_eq!(world.requests(&root), 0);

    let carol = member("carol", None);
    world.record(&carol, 1);
    world.retain(&carol, "t");
    world.refused(&carol, ("DELETE", "/v1/data?confirm=acme"), 400, "confirmation-missing");
    assert_eq!(world.ask(&carol, "DELETE", "/v1/data?confirm=carol").1, json!({ "erased": 2 }));
    world.record(&carol, 1);
    assert_eq!(world.ask(&carol, "DELETE", "/v1/data?subject=carol").1, json!({ "erased": 1 }));
    assert_eq!(world.store.under("").len(), 7);
}

#[test]
fn erasing_needs_no_key_that_opens() {
    let (world, alice, ..) = world();
    for value in world.store.entries.borrow_mut().values_mut() {
        value.clear();
    }
    world.refused(&alice, ("GET", "/v1/results"), 503, "storage-unavailable");
    assert_eq!(world.ask(&alice, "DELETE", "/v1/data?subject=alice").1, json!({ "erased": 6 }));
}

#[test]
fn a_store_that_fails_is_told_and_erasing_goes_on_later() {
    let requests = [
        ("GET", "/v1/export"),
        ("GET", "/v1/results"),
        ("GET", "/v1/feedback"),
        ("GET", "/v1/usage"),
    ];
    for after in 0..20 {
        let (world, _, _, root) = world();
        let before = world.store.under("");
        for request in requests {
            world.store.fails_after.set(Some(after));
            let (status, _) = world.ask(&root, request.0, request.1);
            assert!(matches!(status, 200 | 503), "{status}");
            assert_eq!(world.store.under(""), before);
        }
        world.store.fails_after.set(Some(after));
        let (status, _) = world.ask(&root, "DELETE", "/v1/data?confirm=acme");
        let left = world.store.under(&world.base(&root)).len();
        assert_eq!(status == 200, after >= 16, "{after}");
        assert!(status == 503 || left == 0);
        world.store.fails_after.set(None);
        assert_eq!(world.ask(&root, "DELETE", "/v1/data?confirm=acme").1["erased"], left);
        assert_eq!(world.store.under("").len(), 7);
    }
    for after in 0..3 {
        let (world, alice, ..) = world();
        let before = world.store.names_now().len();
        world.store.fails_after.set(Some(after));
        let reply = world.feedback(&alice, &json!({ "text": "t", "label": "ham" }));
        assert_eq!((reply.0, world.store.names_now().len()), (503, before));
    }
}

/// Somebody writes while it is erased: what came before the last look is gone as well.
#[test]
fn what_is_written_meanwhile_is_looked_for() {
    let (world, alice, ..) = world();
    world.store.waits.set(true);
    let vault = super::super::vault::TenantVault::of(&alice, &world.settings.keys).unwrap();
    let beginnings = [vault.base().to_owned()];
    let mut erasing = pin!(vault.erase(&world.store, &beginnings));
    assert!((0..4).all(|_| step(erasing.as_mut()).is_none()));
    world.retain(&alice, "t");
    assert_eq!(run(erasing), Ok(15));
    assert_eq!(world.store.under(vault.base()), []);
}
