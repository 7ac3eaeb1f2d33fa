//! A proof counts once: on all workers, whatever the clock does, however often the request has to wait.

use portcullis_policy::{Answer, HeaderEdit, Reason, ServiceAnswer, Step, Swap};
use serde_json::json;

use crate::gate::{Gate, Holder, NOW, Request, field, reason};

#[test]
fn a_second_use_is_refused_on_every_worker() {
    let client = Holder::new(2);
    let token = client.own_token();
    let request = Request::dpop(&token, &client.proof(&token, "a"));
    let mut gate = Gate::new(json!({}));
    assert_eq!(gate.reason(&request), Ok(()));
    let reply = gate.send(&request).unwrap_err();
    assert_eq!(reason(&reply), Reason::DpopProofReplayed);
    assert!(field(&reply, "www-authenticate").unwrap().contains("error=\"invalid_dpop_proof\""));
    gate.other_worker();
    assert_eq!(gate.reason(&request), Err(Reason::DpopProofReplayed));
    // Its name is what counts, not its text.
    let renewed = client.proof_with(&token, "a", json!({"iat": NOW - 1}), json!({}));
    assert_eq!(gate.reason(&Request::dpop(&token, &renewed)), Err(Reason::DpopProofReplayed));
    assert_eq!(gate.reason(&Request::dpop(&token, &client.proof(&token, "b"))), Ok(()));
    // Another client may call its own so.
    let other = Holder::new(3);
    let token = other.own_token();
    assert_eq!(gate.reason(&Request::dpop(&token, &other.proof(&token, "a"))), Ok(()));
}

#[test]
fn time_does_not_bring_a_proof_back() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    let proof = |id: &str, iat: u64| {
        Request::dpop(&token, &client.proof_with(&token, id, json!({ "iat": iat }), json!({})))
    };
    // Made as late as can be: it is accepted for the longest time.
    let request = proof("a", NOW + 30);
    assert_eq!(gate.reason(&request), Ok(()));
    for _ in 0..9 {
        gate.advance_seconds(10);
        assert_eq!(gate.reason(&request), Err(Reason::DpopProofReplayed));
    }
    gate.advance_seconds(1);
    assert_eq!(gate.reason(&request), Err(Reason::DpopProofInvalid), "too old");
    // All slots are used again, and what is too old is forgotten; then the clock steps back.
    for id in 0..300 {
        assert_eq!(gate.reason(&proof(&format!("b{id}"), NOW + 91)), Ok(()));
    }
    for back in [1, 30, 30, 30] {
        gate.step_back_seconds(back);
        assert!(gate.reason(&request).is_err(), "{back}");
    }
}

#[test]
fn only_a_proof_that_holds_is_used_up() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    let bad = [
        client.proof_with(&token, "a", json!({"htm": "GET"}), json!({})),
        client.proof_with(&token, "a", json!({"ath": "x"}), json!({})),
        Holder::new(3).proof_with(&token, "a", json!({}), json!({"jwk": client.jwk()})),
    ];
    for proof in &bad {
        assert!(gate.reason(&Request::dpop(&token, proof)).is_err());
    }
    assert!(!gate.host.store.iter().any(|(key, _)| key.starts_with("portcullis/dpop")));
    assert_eq!(gate.reason(&Request::dpop(&token, &client.proof(&token, "a"))), Ok(()));
}

#[test]
fn without_a_store_no_proof_counts() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    gate.host.store_fails = true;
    let request = Request::dpop(&token, &client.proof(&token, "a"));
    let reply = gate.send(&request).unwrap_err();
    assert_eq!(reason(&reply), Reason::DpopReplaysUnavailable);
    assert_eq!((reply.status, field(&reply, "retry-after")), (503, Some("1")));
    gate.host.store_fails = false;
    assert_eq!(gate.reason(&request), Ok(()));
}

#[test]
fn who_sends_too_many_proofs_has_to_wait_and_nobody_else() {
    let (client, other) = (Holder::new(2), Holder::new(3));
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    // As if so many had come: signatures take their time.
    let request = Request::dpop(&token, &client.proof(&token, "first"));
    assert_eq!(gate.reason(&request), Ok(()));
    let slots = gate
        .host
        .store
        .iter()
        .filter(|(key, _)| key.starts_with("portcullis/dpop/") && !key.ends_with("salt"));
    let group = slots.map(|(key, _)| key.rsplit_once('/').unwrap().0.to_owned()).next().unwrap();
    let mut full = 0u32.to_le_bytes().to_vec();
    for number in 0..256u64 {
        full.extend_from_slice(&number.to_le_bytes());
        full.extend_from_slice(&u32::try_from(NOW).unwrap().to_le_bytes());
    }
    for slot in 0..32 {
        let (key, store) = (format!("{group}/{slot}"), &mut gate.host.store);
        let version = store.load(&key).map(|(_, version)| version);
        assert_eq!(store.compare_and_swap(&key, version, &full), Swap::Done);
    }
    let reply = gate.send(&Request::dpop(&token, &client.proof(&token, "one more"))).unwrap_err();
    assert_eq!(reason(&reply), Reason::DpopReplaysUnavailable);
    assert_eq!(field(&reply, "retry-after"), Some("61"));
    let own = other.own_token();
    assert_eq!(gate.reason(&Request::dpop(&own, &other.proof(&own, "a"))), Ok(()));
    gate.advance_seconds(61);
    let proof = client.proof_with(&token, "later", json!({"iat": NOW + 61}), json!({}));
    assert_eq!(gate.reason(&Request::dpop(&token, &proof)), Ok(()));
}

#[test]
fn a_request_that_waits_is_not_its_own_replay() {
    let client = Holder::new(2);
    let token = client.own_token();
    let revocation =
        json!({"revocation": {"remote": {"uri": "https://issuer.example/denied.json"}}});
    let mut gate = Gate::of(json!({}), revocation);
    let request = Request::dpop(&token, &client.proof(&token, "a"));
    let mut exchange = gate.begin();
    assert_eq!(request.judge(&mut exchange, &mut gate.host), Step::Wait);
    let upkeep = gate.policy().upkeep(&mut gate.host);
    let answer = Answer { status: 200, body: b"{}" };
    gate.policy().fetched(&upkeep.fetches[0], Some(answer), &mut gate.host);
    let step = request.judge(&mut exchange, &mut gate.host);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    // But it has been used now.
    assert_eq!(gate.reason(&request), Err(Reason::DpopProofReplayed));
}

/// A limit that is counted elsewhere can have a request wait when its proof has been used up already.
#[test]
fn a_request_that_waits_for_a_shared_limit_is_no_replay_of_its_own() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::with(json!({}), |document| {
        document["rate_limit_service"] = json!({"uri": "http://127.0.0.1:8081", "domain": "d"});
        document["limits"] = json!([{"name": "all", "key": "principal", "requests": 9, "per_seconds": 60, "shared": true}]);
    });
    let request = Request::dpop(&token, &client.proof(&token, "a"));
    let mut exchange = gate.begin();
    assert_eq!(request.judge(&mut exchange, &mut gate.host), Step::Wait);
    let calls = gate.policy().upkeep(&mut gate.host).calls;
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    // A RateLimitResponse with nothing but the overall code OK, in its gRPC frame.
    let body = b"\0\0\0\0\x02\x08\x01";
    let answer = ServiceAnswer { status: 200, grpc_status: Some(0), body };
    gate.policy().service_answered(call, Some(answer), &mut gate.host);
    let Step::Continue(edits) = request.judge(&mut exchange, &mut gate.host) else {
        panic!("{:?}", exchange.refused())
    };
    // What was found out before it waited still holds.
    assert!(edits.contains(&HeaderEdit::Remove("authorization".to_owned())), "{edits:?}");
    assert_eq!(gate.reason(&request), Err(Reason::DpopProofReplayed));
}
