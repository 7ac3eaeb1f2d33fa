use proptest::prelude::*;

use super::*;
use crate::tenants::feedback::{MAXIMUM_OF_A_PERSON, MAXIMUM_OF_A_TENANT};

fn send(world: &World, body: &[u8]) -> Reply {
    world.send(&member("alice", Some("acme")), "POST", "/v1/feedback", body)
}

#[test]
fn feedback_about_a_result_takes_the_place_of_what_was_sent_before() {
    let world = World::retaining();
    let alice = member("alice", Some("acme"));
    let id = world.retain(&alice, "t");
    let first = json!({ "result": id, "label": "ham", "comment": "my aunt" });
    let answer = json!({ "id": id, "time": NOW, "label": "ham", "text_kept": false });
    assert_eq!(world.feedback(&alice, &first), (201, answer.clone()));
    let before = world.get(&alice, "/v1/feedback");
    world.now.set(NOW + 5);
    assert_eq!(world.feedback(&alice, &first), (200, answer));
    assert_eq!(world.get(&alice, "/v1/feedback"), before);
    let second = json!({ "result": id, "label": "scam" });
    assert_eq!(world.feedback(&alice, &second).0, 200);
    assert_eq!(
        world.get(&alice, "/v1/feedback"),
        json!({
            "feedback": [{
                "id": id, "time": NOW + 5, "subject": "alice",
                "issuer": "https://issuer.example", "label": "scam",
            }],
            "next": null,
        })
    );
}

#[test]
fn texts_are_kept_only_of_tenants_that_want_it() {
    let world = World::retaining();
    for (tenant, kept) in [(Some("acme"), false), (None, false), (Some("open"), true)] {
        let principal = member("open", tenant);
        let feedback = json!({ "text": "a text", "label": "scam" });
        let (status, answer) = world.feedback(&principal, &feedback);
        assert_eq!((status, &answer["text_kept"]), (201, &json!(kept)), "{tenant:?}");
        assert_eq!(world.feedback(&principal, &feedback).0, 200);
        let listed = &world.get(&principal, "/v1/feedback")["feedback"][0];
        assert_eq!(listed.get("text").is_some(), kept);
        assert_eq!(listed["digest"].as_str().unwrap().len(), 64);
    }
}

#[test]
fn whose_result_it_is_says_what_it_was() {
    let world = World::retaining();
    let (alice, bob) = (member("alice", Some("acme")), member("bob", Some("acme")));
    let feedback = json!({ "result": world.retain(&alice, "t"), "label": "ham" });
    for other in [&bob, &member("alice", Some("globex")), &administrator("globex")] {
        assert_eq!(world.feedback(other, &feedback).0, 404);
    }
    assert_eq!(world.feedback(&administrator("acme"), &feedback).0, 201);
    // It lies with whom it is about, and is erased with it.
    assert_eq!(world.get(&alice, "/v1/feedback")["feedback"][0]["subject"], "alice");
    assert_eq!(world.get(&bob, "/v1/feedback")["feedback"], json!([]));
    assert_eq!(world.ask(&alice, "DELETE", "/v1/data?subject=alice").1, json!({ "erased": 2 }));
    assert!(world.store.names_now().is_empty());
}

#[test]
fn bodies_that_are_not_feedback() {
    let world = World::retaining();
    let id = world.retain(&member("alice", Some("acme")), "t");
    for body in ["", "{", "{\"label\":\"\u{0}\"}", r#"{"text":"a","label":"ham"} x"#] {
        let status = send(&world, body.as_bytes()).status;
        assert!(matches!(status, 400 | 422), "{body}");
    }
    for body in [
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        r#"{"text":"a"}"#.to_owned(),
        r#"{"label":"ham"}"#.to_owned(),
        format!(r#"{{"result":"{id}","text":"a","label":"ham"}}"#),
        format!(r#"{{"result":"{id}","text":null,"label":"ham"}}"#),
        format!(r#"{{"result":"{id}","label":"Ham"}}"#),
        format!(r#"{{"result":"{id}","label":"ham","label":"ham"}}"#),
        format!(r#"{{"result":"{id}","label":"ham","more":1}}"#),
        format!(r#"{{"result":"{id}","label":"ham","comment":1}}"#),
        format!(r#"["{id}","a","ham","b"]"#),
    ] {
        assert_refused(&send(&world, body.as_bytes()), 422, "body-schema");
    }
    for (member, most) in [("text", 4000), ("comment", 1000)] {
        for (length, status) in [(most, 201), (most + 1, 422)] {
            let mut feedback = json!({ "text": format!("{member}{length}"), "label": "ham" });
            feedback[member] = "é".repeat(length).into();
            let reply = send(&world, feedback.to_string().as_bytes());
            assert_eq!(reply.status, status);
        }
    }
    for id in ["", "../x", "é", &"a".repeat(10_000), "text-0123", &id.to_uppercase()] {
        let body = json!({ "result": id, "label": "ham" }).to_string();
        assert_refused(&send(&world, body.as_bytes()), 404, "data-not-found");
    }
    let alice = member("alice", Some("acme"));
    let request = Request {
        method: "POST",
        path: "/v1/feedback",
        query: None,
        headers: &[("content-type", b"text/plain")],
        body: Body::Whole(br#"{"text":"a","label":"ham"}"#.to_vec().into()),
        now: NOW,
    };
    assert_refused(&run(world.tenants().answer(&alice, &request)), 415, "unsupported-media-type");
    let request = Request {
        headers: &[("content-type", b"application/json")],
        body: Body::TooLarge("x"),
        ..request
    };
    assert_refused(&run(world.tenants().answer(&alice, &request)), 413, "body-too-large");
}

#[test]
fn more_than_may_be_is_refused_and_pushes_nothing_out() {
    let world = World::retaining();
    let give = |who: usize, number: usize| {
        let feedback = json!({ "text": format!("{who} {number}"), "label": "ham" });
        world.feedback(&member(&format!("s{who}"), Some("acme")), &feedback).0
    };
    let persons = MAXIMUM_OF_A_TENANT / MAXIMUM_OF_A_PERSON;
    for who in 0..persons {
        assert!((0..MAXIMUM_OF_A_PERSON).all(|number| give(who, number) == 201));
        assert_eq!(give(who, MAXIMUM_OF_A_PERSON), 409);
        // What is there can still be changed.
        assert_eq!(give(who, 0), 200);
    }
    let count = world.store.names_now().len();
    assert_eq!((give(persons, 0), count), (409, MAXIMUM_OF_A_TENANT));
    let elsewhere = json!({ "text": "t", "label": "ham" });
    assert_eq!(world.feedback(&member("s0", Some("globex")), &elsewhere).0, 201);
    // Room is made by erasing.
    assert_eq!(world.ask(&member("s0", Some("acme")), "DELETE", "/v1/data?subject=s0").0, 200);
    assert_eq!(give(persons, 0), 201);
}

#[test]
fn feedback_comes_in_pages() {
    let world = World::retaining();
    let alice = member("alice", Some("acme"));
    for number in 0..7 {
        world.feedback(&alice, &json!({ "text": number.to_string(), "label": "ham" }));
        world.feedback(&alice, &json!({ "result": world.retain(&alice, "t"), "label": "ham" }));
    }
    let (mut seen, mut after) = (std::collections::BTreeSet::new(), String::new());
    for expected in [6, 6, 2] {
        let answer = world.get(&alice, &format!("/v1/feedback?limit=6{after}"));
        let feedback = answer["feedback"].as_array().unwrap();
        assert_eq!(feedback.len(), expected);
        seen.extend(feedback.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        after = answer["next"].as_str().map_or(String::new(), |id| format!("&after={id}"));
    }
    assert_eq!((seen.len(), after), (14, String::new()));
}

proptest! {
    /// Whatever is sent, there is an answer, and it is one that is described.
    #[test]
    fn any_request_is_answered(
        path in "/v1/(usage|feedback|results|results/.{0,40}|export|data)",
        query in prop::option::of("(subject=|after=|limit=|month=|confirm=|&|%|[0-9a-f]{2}|.){0,6}"),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "DELETE", ""]),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            r#"\{("text":"a",|"label":"ham"|"result":"[0-9a-f]{0,32}"|,|\}|null){0,5}"#.prop_map(String::into_bytes),
        ],
        now: u64,
    ) {
        let world = World::retaining();
        let request = Request {
            method,
            path: &path,
            query: query.as_deref(),
            headers: &[("content-type", b"application/json")],
            body: Body::Whole(body.into()),
            now,
        };
        for principal in [member("alice", Some("acme")), administrator("acme"), member("alice", None)] {
            let reply = run(world.tenants().answer(&principal, &request));
            prop_assert!(matches!(reply.status, 200 | 201 | 400 | 403 | 404 | 405 | 422), "{}", reply.status);
        }
    }
}
