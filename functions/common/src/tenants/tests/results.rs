use super::*;
use crate::tenants::results::MAXIMUM_RESULTS;

#[test]
fn nothing_is_retained_unless_that_is_wanted() {
    let world = World::new(&[]);
    let alice = member("alice", Some("acme"));
    let assessed = Assessed { text: "t", label: "ham", probability: 0.1, adversarial: None };
    let booking = Booking { counts: Counts::default(), assessed: &[assessed], queries: &[] };
    let book = |world: &World, principal| run(world.tenants().book(principal, booking, NOW));
    assert_eq!(book(&world, &alice).unwrap().ids, None);
    assert!(world.store.names_now().iter().all(|name| !name.contains("/r/0")));
    assert_eq!(world.get(&alice, "/v1/results"), json!({ "results": [], "next": null }));
    // Nor of nobody in particular.
    let world = World::retaining();
    assert_eq!(book(&world, &Principal::anonymous()).unwrap().ids, None);
    assert!(world.store.names_now().is_empty());
    // It takes three writes and one read, for however many texts.
    let all = [assessed; 64];
    let queries = [Query::new("t", 0.1, false); 64];
    let booking = Booking { counts: Counts::default(), assessed: &all, queries: &queries };
    let booked = run(world.tenants().book(&alice, booking, NOW)).unwrap();
    assert_eq!(booked.ids.unwrap().len(), 64);
    assert_eq!(world.store.writes.get(), 3);
}

#[test]
fn results_of_one_answer_lie_together_and_are_had_one_by_one() {
    let world = World::retaining();
    let (alice, root) = (member("alice", Some("acme")), administrator("acme"));
    let texts: Vec<String> = (0..64).map(|number| format!("text {number}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ids = world.retain_all(&alice, &texts);
    let single = world.retain(&alice, "text 3");
    assert_eq!(world.store.names_now().len(), 2);
    let digest = |id: &str| world.get(&alice, &format!("/v1/results/{id}"))["digest"].clone();
    assert_eq!(digest(&ids[3]), digest(&single));
    assert_ne!(digest(&ids[3]), digest(&ids[4]));
    assert_eq!(world.get(&root, &format!("/v1/results/{}", ids[63]))["id"], ids[63]);
    // Pages end within an entry.
    let (mut seen, mut after) = (Vec::new(), String::new());
    for expected in [25, 25, 15] {
        let answer = world.get(&alice, &format!("/v1/results?limit=25{after}"));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), expected);
        seen.extend(results.iter().map(|result| result["id"].as_str().unwrap().to_owned()));
        after = answer["next"].as_str().map_or(String::new(), |id| format!("&after={id}"));
    }
    let mut all = [ids.clone(), vec![single]].concat();
    all.sort();
    assert_eq!((seen, after), (all, String::new()));
    let export = world.send(&root, "GET", "/v1/export", b"");
    assert_eq!(export.body.iter().filter(|byte| **byte == b'\n').count(), 65);
    let beyond = format!("{}40", &ids[0][..30]);
    let elsewhere = format!("{}ff00", &ids[0][..28]);
    for id in [beyond, elsewhere] {
        world.refused(&alice, ("GET", &format!("/v1/results/{id}")), 404, "data-not-found");
    }
}

#[test]
fn a_result_is_kept_without_its_text() {
    let world = World::retaining();
    let (alice, bob) = (member("alice", Some("acme")), member("bob", Some("acme")));
    let text = "send me your gift cards, hunter2";
    let id = world.retain(&alice, text);
    let result = world.get(&alice, &format!("/v1/results/{id}"));
    let digest = result["digest"].as_str().unwrap().to_owned();
    assert_eq!(
        result,
        json!({
            "id": id, "time": NOW, "subject": "alice", "issuer": "https://issuer.example",
            "label": "scam", "probability": 0.75, "adversarial": "homoglyphs", "digest": digest,
        })
    );
    assert_eq!(digest.len(), 64);
    for (name, value) in world.store.under("") {
        for hidden in ["gift", "alice", "acme", "scam", digest.as_str()] {
            let is_there =
                |bytes: &[u8]| bytes.windows(hidden.len()).any(|w| w == hidden.as_bytes());
            assert!(!is_there(name.as_bytes()) && !is_there(&value), "{hidden}");
        }
    }
    // The same text is the same in a tenant, and another in each.
    let digest_of = |principal: &Principal| {
        let id = world.retain(principal, text);
        world.get(principal, &format!("/v1/results/{id}"))["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(digest_of(&bob), digest);
    assert_ne!(digest_of(&member("alice", Some("globex"))), digest);
    assert_ne!(digest_of(&member("alice", None)), digest);
}

#[test]
fn everybody_has_their_own_and_an_administrator_all() {
    let world = World::retaining();
    let (alice, bob) = (member("alice", Some("acme")), member("bob", Some("acme")));
    let elsewhere = Principal { issuer: Some("https://other.example".into()), ..alice.clone() };
    let root = administrator("acme");
    let ids = [&alice, &bob, &elsewhere].map(|principal| world.retain(principal, "t"));
    let listed = |principal: &Principal, query: &str| -> Vec<String> {
        let answer = world.get(principal, &format!("/v1/results{query}"));
        let results = answer["results"].as_array().unwrap().iter();
        let mut ids: Vec<String> =
            results.map(|result| result["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_by_key(|id| ids_index(&ids_of(&world), id));
        ids
    };
    let has = |list: Vec<String>, expected: &[usize]| {
        let mut expected: Vec<String> = expected.iter().map(|index| ids[*index].clone()).collect();
        expected.sort_by_key(|id| ids_index(&ids_of(&world), id));
        assert_eq!(list, expected);
    };
    has(listed(&alice, ""), &[0]);
    has(listed(&alice, "?subject=alice"), &[0]);
    has(listed(&elsewhere, "?subject=alice"), &[2]);
    has(listed(&root, ""), &[0, 1, 2]);
    has(listed(&root, "?subject=alice"), &[0, 2]);
    has(listed(&root, "?subject=alice&issuer=https://issuer.example"), &[0]);
    has(listed(&root, "?subject=alice&issuer="), &[]);
    has(listed(&root, "?subject=carol"), &[]);
    for target in [
        "/v1/results?subject=bob",
        "/v1/results?subject=carol",
        "/v1/results?subject=",
        "/v1/results?subject=alice&issuer=https://other.example",
        &format!("/v1/results/{}", ids[1]),
        &format!("/v1/results/{}", ids[2]),
        "/v1/results/",
        "/v1/results/a/b",
        "/v1/results/00000000000000000000000000000000",
    ] {
        world.refused(&alice, ("GET", target), 404, "data-not-found");
    }
    for id in &ids {
        assert_eq!(world.get(&root, &format!("/v1/results/{id}"))["id"], *id);
    }
}

fn ids_of(world: &World) -> Vec<String> {
    world.store.names_now()
}

fn ids_index(names: &[String], id: &str) -> Option<usize> {
    names.iter().position(|name| name.ends_with(&id[..30]))
}

#[test]
fn results_come_in_pages_in_the_order_of_their_time() {
    let world = World::retaining();
    let alice = member("alice", Some("acme"));
    let mut ids = Vec::new();
    for second in 0..25 {
        world.now.set(NOW + second);
        ids.push(world.retain(&alice, "t"));
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for expected in [10, 10, 5] {
        let answer = world.get(&alice, &format!("/v1/results?limit=10{after}"));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), expected);
        seen.extend(results.iter().map(|result| result["id"].as_str().unwrap().to_owned()));
        after = answer["next"].as_str().map_or(String::new(), |id| format!("&after={id}"));
    }
    assert_eq!((seen, after), (ids, String::new()));
}

#[test]
fn results_expire_when_read_and_when_tidied_up() {
    let world = World::retaining();
    let (alice, root) = (member("alice", Some("acme")), administrator("globex"));
    let id = world.retain(&alice, "t");
    let target = format!("/v1/results/{id}");
    world.now.set(NOW + 30 * DAY - 1);
    assert_eq!(world.ask(&alice, "GET", &target).0, 200);
    world.now.set(NOW + 30 * DAY);
    world.refused(&alice, ("GET", &target), 404, "data-not-found");
    assert_eq!(world.get(&alice, "/v1/results")["results"], json!([]));
    let feedback = json!({ "result": id, "label": "ham" });
    assert_eq!(world.feedback(&alice, &feedback).0, 404);
    assert_eq!(world.store.names_now().len(), 1);
    // Whoever comes by tidies up; a clock that has gone back brings nothing back.
    world.get(&root, "/v1/usage");
    assert!(world.store.names_now().is_empty());

    // Whose clock was ahead is not there for ever.
    world.retain(&alice, "t");
    world.now.set(NOW);
    assert_eq!(world.get(&alice, "/v1/results")["results"].as_array().unwrap().len(), 1);
}

#[test]
fn no_more_results_are_kept_than_may_be() {
    let world = World::retaining();
    let (root, globex) = (administrator("acme"), administrator("globex"));
    let others = world.retain(&globex, "t");
    world.now.set(NOW + 1);
    let oldest = world.retain(&root, "t");
    world.now.set(NOW + 2);
    for _ in 0..MAXIMUM_RESULTS {
        world.retain(&root, "t");
    }
    world.get(&root, "/v1/usage");
    assert_eq!(world.store.names_now().len(), MAXIMUM_RESULTS + 1);
    world.refused(&root, ("GET", &format!("/v1/results/{oldest}")), 404, "data-not-found");
    assert_eq!(world.ask(&globex, "GET", &format!("/v1/results/{others}")).0, 200);
}
