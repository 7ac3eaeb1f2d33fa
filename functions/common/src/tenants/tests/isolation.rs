use proptest::prelude::*;

use super::*;
use crate::tenants::vault::{Kind, PREFIX, Person, Place, TenantVault};

/// Ids that would be somewhere else if they were taken as they are.
fn hostile(of_somebody: &[String]) -> impl Strategy<Value = String> + use<> {
    let fixed = [
        "",
        "/",
        "..",
        "../b",
        "b/",
        "a/p/b",
        "\0",
        "a\0b",
        "tenant/b/",
        "é",
        "\u{202e}b",
        "%2f",
        "*",
        "\n",
        "default",
        "A",
        "a ",
        "p",
        "u/r",
    ];
    let known = fixed.iter().map(|text| (*text).to_owned()).chain(of_somebody.iter().cloned());
    prop_oneof![
        4 => prop::sample::select(known.collect::<Vec<_>>()),
        1 => ".{0,20}",
        1 => Just("x".repeat(10_000)),
    ]
}

fn any_principal(ids: &[String]) -> impl Strategy<Value = Principal> + use<> {
    let tenant = prop::option::weighted(0.7, hostile(ids));
    let issuer = prop::option::of(hostile(ids));
    let roles =
        prop::sample::subsequence(vec!["tenant-admin".to_owned(), "caller".to_owned()], 0..3);
    let kind = prop::sample::select(vec![CredentialKind::Jwt, CredentialKind::ApiKey]);
    (tenant, issuer, hostile(ids), roles, kind).prop_map(|(tenant, issuer, subject, roles, via)| {
        Principal { tenant, issuer, subject, roles, via, ..Principal::anonymous() }
    })
}

/// What belongs together: callers of one tenant, or one without.
fn space(principal: &Principal) -> Vec<Option<&str>> {
    let tenant = principal.tenant.as_deref().filter(|tenant| !tenant.is_empty());
    let Principal { via, issuer, subject, .. } = principal;
    match tenant {
        Some(_) => vec![tenant],
        None => vec![None, Some(via.as_str()), issuer.as_deref(), Some(subject)],
    }
}

/// A request that somebody makes, on any route.
#[derive(Debug, Clone)]
struct Attempt {
    method: &'static str,
    target: String,
    body: Vec<u8>,
}

fn any_attempt(ids: &[String]) -> impl Strategy<Value = Attempt> + use<> {
    let parameter = prop::sample::select(vec!["subject", "issuer", "confirm", "after", "tenant"]);
    let query = prop::collection::vec((parameter, hostile(ids)), 0..3);
    let route = prop::sample::select(vec![
        ("GET", "/v1/usage"),
        ("GET", "/v1/results"),
        ("GET", "/v1/results/"),
        ("GET", "/v1/feedback"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/export"),
        ("DELETE", "/v1/data"),
    ]);
    (route, query, hostile(ids)).prop_map(|((method, path), query, id)| {
        let query = query.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = query.collect::<Vec<_>>().join("&");
        let path = if path.ends_with('/') { format!("{path}{id}") } else { path.to_owned() };
        let path = path.replace('?', "");
        let target = if method == "POST" { path } else { format!("{path}?{query}") };
        let body = match method {
            "POST" => json!({ "result": id, "label": "scam" }).to_string().into_bytes(),
            _ => Vec::new(),
        };
        Attempt { method, target, body }
    })
}

/// What is in no answer but to those of B's space.
pub(super) const MARK: &str = "only-b-may-read-this";

/// Writes something of each kind, and tells every id that could be used against it.
pub(super) fn furnish(world: &World, principal: &Principal) -> Vec<String> {
    world.record(principal, 424_242);
    let result = world.retain(principal, MARK);
    let feedback = json!({ "result": result, "label": "ham", "comment": MARK });
    assert_eq!(world.feedback(principal, &feedback).0, 201);
    let feedback = json!({ "text": MARK, "label": "ham", "comment": MARK });
    let (_, answer) = world.feedback(principal, &feedback);
    let mut ids = vec![result, answer["id"].as_str().unwrap().to_owned()];
    ids.extend([principal.subject.clone(), principal.tenant.clone().unwrap_or_default()]);
    ids.extend(principal.issuer.clone());
    ids.extend(
        world
            .store
            .names_now()
            .iter()
            .flat_map(|name| [name.clone(), name.split('/').nth(1).unwrap().to_owned()]),
    );
    ids
}

fn victims() -> Vec<Principal> {
    let key = Principal { issuer: None, via: CredentialKind::ApiKey, ..member("svc", Some("b")) };
    vec![member("b", Some("b")), key, member("b", None), member("b", Some("../b"))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever A does, B's entries stay as they are, and nothing of B's is in an answer to A.
    #[test]
    fn nobody_reaches_what_is_anothers(
        (victim, world_ids, attackers) in prop::sample::select(victims()).prop_flat_map(|victim| {
            let world = World::retaining();
            let ids = furnish(&world, &victim);
            let entries = world.store.entries.borrow().clone();
            let attacker = (any_principal(&ids), prop::collection::vec(any_attempt(&ids), 1..6));
            (Just(victim), Just(entries), prop::collection::vec(attacker, 1..4))
        })
    ) {
        let world = World::retaining();
        *world.store.entries.borrow_mut() = world_ids;
        let base = world.base(&victim);
        let before = world.store.under(&base);
        prop_assert!(before.len() == 4);
        for (attacker, attempts) in attackers {
            if space(&attacker) == space(&victim) {
                continue;
            }
            if !attacker.subject.is_empty() {
                prop_assert_ne!(world.base(&attacker), base.clone());
                world.record(&attacker, 1);
                world.retain(&attacker, "t");
            }
            for Attempt { method, target, body } in attempts {
                let reply = world.send(&attacker, method, &target, &body);
                let text = String::from_utf8(reply.body).unwrap();
                prop_assert!(!text.contains(MARK) && !text.contains("424242"), "{}", text);
                prop_assert_eq!(world.store.under(&base), before.clone());
            }
            for name in world.store.names_now() {
                prop_assert!(name.starts_with(PREFIX) && name.len() <= 255 && name.is_ascii());
            }
        }
        // And B still finds everything.
        let root = Principal { roles: vec!["tenant-admin".into()], ..victim };
        let export = world.send(&root, "GET", "/v1/export", b"");
        prop_assert_eq!(export.body.split(|byte| *byte == b'\n').count(), 5);
    }

    /// Two callers have the same space if they are to, and else not.
    #[test]
    fn spaces_are_as_different_as_their_owners(
        (a, b) in (any_principal(&[]), any_principal(&[]))
    ) {
        let keys = settings(&[]).keys;
        let (vault_a, vault_b) = (TenantVault::of(&a, &keys), TenantVault::of(&b, &keys));
        prop_assert_eq!(vault_a.is_none(), a.subject.is_empty());
        if let (Some(vault_a), Some(vault_b)) = (vault_a, vault_b) {
            prop_assert_eq!(vault_a.base() == vault_b.base(), space(&a) == space(&b));
            let same_person = (&a.subject, &a.issuer, a.via) == (&b.subject, &b.issuer, b.via);
            let digests = [&vault_a, &vault_b].map(|vault| vault.current().digest("t"));
            prop_assert_eq!(digests[0] == digests[1], space(&a) == space(&b));
            let persons = [&vault_a, &vault_b].map(|v| v.current().person(v.own_person()));
            prop_assert_eq!(persons[0] == persons[1], space(&a) == space(&b) && same_person);
        }
    }
}

/// The same, once for each route: an administrator of A, of the same subject and issuer as B's, who knows all ids of B's.
#[test]
fn no_route_leads_from_one_tenant_to_another() {
    let world = World::retaining();
    let (a, b) = (administrator("a"), administrator("b"));
    let ids = furnish(&world, &b);
    let before = world.store.under("");
    let id = &ids[0];
    for target in [
        "/v1/results".to_owned(),
        "/v1/results?subject=root".to_owned(),
        "/v1/feedback".to_owned(),
        "/v1/feedback?subject=root".to_owned(),
        "/v1/export".to_owned(),
        "/v1/export?subject=root".to_owned(),
        "/v1/usage".to_owned(),
        format!("/v1/results?after={id}"),
    ] {
        let reply = world.send(&a, "GET", &target, b"");
        let text = String::from_utf8(reply.body).unwrap();
        assert_eq!(reply.status, 200, "{target}");
        assert!(
            !text.contains(MARK) && !text.contains("root") && !text.contains("424242"),
            "{text}"
        );
    }
    world.refused(&a, ("GET", &format!("/v1/results/{id}")), 404, "data-not-found");
    assert_eq!(world.feedback(&a, &json!({ "result": id, "label": "scam" })).0, 404);
    assert_eq!(world.ask(&a, "DELETE", "/v1/data?subject=root").1, json!({ "erased": 0 }));
    world.refused(&a, ("DELETE", "/v1/data?confirm=b"), 400, "confirmation-missing");
    assert_eq!(world.ask(&a, "DELETE", "/v1/data?confirm=a").1, json!({ "erased": 0 }));
    assert_eq!(world.store.under(""), before);
}

#[test]
fn nobody_in_particular_has_no_space() {
    let world = World::retaining();
    let anonymous = Principal { tenant: Some("acme".into()), ..Principal::anonymous() };
    let nameless = member("", Some("acme"));
    for principal in [Principal::anonymous(), anonymous, nameless] {
        world.record(&principal, 1);
        assert!(world.store.names_now().is_empty());
        for request in [
            ("GET", "/v1/usage"),
            ("GET", "/v1/results"),
            ("GET", "/v1/results/x"),
            ("GET", "/v1/feedback"),
            ("POST", "/v1/feedback"),
            ("GET", "/v1/export"),
            ("DELETE", "/v1/data?subject="),
        ] {
            world.refused(&principal, request, 403, "caller-anonymous");
        }
    }
}

/// Beside its place, a key of its person's and its tenant's own binds what is sealed.
#[test]
fn each_person_has_a_key_of_their_own() {
    let world = World::retaining();
    let alice = member("alice", Some("acme"));
    let id = world.retain(&alice, "t");
    let vault = TenantVault::of(&alice, &world.settings.keys).unwrap();
    let name = world.store.names_now().remove(0);
    let person = vault.current().person(vault.own_person()).unwrap();
    let own = Place { name: &name, person: &person, kind: Kind::Result, id: &id };
    assert!(run(vault.read(&world.store, own)).unwrap().is_some());
    let bob = Person { via: CredentialKind::Jwt, subject: "bob", issuer: None };
    let other = vault.current().person(bob).unwrap();
    assert!(run(vault.read(&world.store, Place { person: &other, ..own })).is_err());
    let globex = member("alice", Some("globex"));
    let elsewhere = TenantVault::of(&globex, &world.settings.keys).unwrap();
    assert!(run(elsewhere.read(&world.store, own)).is_err());
}

#[test]
fn who_has_a_tenant_without_a_name_has_none() {
    let world = World::retaining();
    let [alice, bob] = ["alice", "bob"].map(|subject| Principal {
        roles: vec!["tenant-admin".into()],
        ..member(subject, Some(""))
    });
    world.retain(&alice, "t");
    assert_eq!(world.get(&bob, "/v1/results")["results"], json!([]));
    assert_eq!(world.base(&alice), world.base(&member("alice", None)));
}

/// Who can write to the store can swap what is in it, and gets nothing opened by that.
#[test]
fn what_is_moved_does_not_open() {
    let world = World::retaining();
    let owners = [
        administrator("a"),
        member("alice", Some("a")),
        administrator("b"),
        member("alice", None),
        member("bob", None),
    ];
    for owner in &owners {
        furnish(&world, owner);
    }
    let entries = world.store.under("");
    let sealed: Vec<_> = entries.iter().filter(|(name, _)| name.contains("/p/")).collect();
    assert_eq!(sealed.len(), 15);
    for (place, value) in &sealed {
        for (_, other) in sealed.iter().filter(|(name, _)| name != place) {
            world.store.entries.borrow_mut().insert(place.clone(), other.clone());
            let owner = owners.iter().find(|owner| {
                place.starts_with(&world.base(owner))
                    && (owner.subject == "root" || owner.tenant.is_none())
            });
            let (status, answer) = world.ask(owner.unwrap(), "GET", "/v1/export");
            assert_eq!(status, 503, "{answer}");
        }
        world.store.entries.borrow_mut().insert(place.clone(), value.clone());
    }
    // Nor under another key: the spaces are others.
    let other = World::new(&[("tenant_key", OTHER_KEY), ("retention_days", "30")]);
    *other.store.entries.borrow_mut() = entries.into_iter().collect();
    assert_eq!(other.get(&owners[0], "/v1/results")["results"], json!([]));
}
