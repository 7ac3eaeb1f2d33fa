//! Keys and deny lists that are fetched: rotation loses no request, and a server that fails opens nothing.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Runtime, jwks, sign_es256};
use jwt_simple::prelude::ES256KeyPair;
use portcullis_policy::{
    Answer, Exchange, Fetch, Header, Policy, Reason, RequestHead, Stage, Stages, Step,
};
use serde_json::{Value, json};

/// The workers of one machine, and an issuer whose answers are set.
struct Machine {
    workers: Vec<Arc<Policy>>,
    runtime: Runtime,
    key_set: Result<String, u16>,
    deny_list: Result<String, u16>,
    asked: usize,
}

impl Machine {
    fn new(workers: usize, key_set: &Value) -> Self {
        let remote = |path: &str| {
            json!({"uri": format!("https://issuer.example/{path}"),
            "refresh_seconds": 60, "max_stale_seconds": 600})
        };
        let document = json!({
            "version": 1,
            "identity": {
                "jwt": { "issuers": [{
                    "issuer": "https://issuer.example", "audiences": ["api"], "jwks": { "remote": remote("keys") },
                }]},
                "revocation": { "remote": remote("denied") },
            },
            "routes": [{ "name": "all", "match": { "prefix": "/" } }],
        });
        let stages = Stages::of(&[Stage::Identity, Stage::Authorisation]);
        let compile =
            || Policy::from_json("policy", &document.to_string(), &BTreeMap::new(), stages);
        Self {
            workers: (0..workers).map(|_| Arc::new(compile().unwrap())).collect(),
            runtime: Runtime::new(),
            key_set: Ok(key_set.to_string()),
            deny_list: Ok("{}".to_owned()),
            asked: 0,
        }
    }

    fn answer(&mut self, worker: usize, fetch: &Fetch) {
        self.asked += 1;
        let set = match fetch.path.as_str() {
            "/keys" => &self.key_set,
            _ => &self.deny_list,
        };
        let answer = match set {
            Ok(body) => Some(Answer { status: 200, body: body.as_bytes() }),
            Err(0) => None,
            Err(status) => Some(Answer { status: *status, body: b"<html>" }),
        };
        self.workers[worker].fetched(fetch, answer, &mut self.runtime);
    }

    /// Every worker's timer, once.
    fn tick(&mut self) {
        for worker in 0..self.workers.len() {
            for fetch in self.workers[worker].upkeep(&mut self.runtime).fetches {
                self.answer(worker, &fetch);
            }
        }
    }

    fn step(&mut self, exchange: &mut Exchange, token: &str) -> Step {
        let token = format!("Bearer {token}");
        let headers: [Header<'_>; 3] =
            [(":method", b"GET"), (":path", b"/"), ("authorization", token.as_bytes())];
        let head = RequestHead { headers: &headers, has_body: false };
        exchange.request_head(&head, &mut self.runtime)
    }

    /// A request to one worker, with all the time it takes.
    fn request(&mut self, worker: usize, token: &str) -> Result<(), Reason> {
        let mut exchange = self.workers[worker].begin(self.runtime.now());
        for _ in 0..100 {
            match self.step(&mut exchange, token) {
                Step::Continue(_) => return Ok(()),
                Step::Respond(_) => return Err(exchange.refused().unwrap().0),
                Step::Wait => {
                    self.tick();
                    self.runtime.advance_seconds(1);
                }
                Step::NeedBody | Step::Rewrite(..) => panic!("there is none"),
            }
        }
        panic!("waits for ever");
    }

    fn token(&self, key: &ES256KeyPair, subject: &str) -> String {
        let now = self.runtime.now().seconds();
        let claims = json!({"iss": "https://issuer.example", "aud": "api", "sub": subject, "jti": subject,
            "iat": now, "exp": now + 3000});
        sign_es256(key, &claims)
    }
}

fn key(id: &str) -> ES256KeyPair {
    ES256KeyPair::generate().with_key_id(id)
}

fn set(keys: &[&ES256KeyPair]) -> Value {
    let all = keys.iter().flat_map(|key| jwks(key)["keys"].as_array().unwrap().clone());
    json!({ "keys": all.collect::<Vec<_>>() })
}

#[test]
fn the_first_request_waits_for_the_keys() {
    let key = key("a");
    let mut machine = Machine::new(2, &set(&[&key]));
    let token = machine.token(&key, "alice");
    assert_eq!(machine.request(1, &token), Ok(()));
    assert_eq!(machine.request(0, &token), Ok(()));
    // Once for the keys and once for the deny list, not once for each worker.
    assert_eq!(machine.asked, 2);
}

#[test]
fn rotation_loses_no_request() {
    let (old, new) = (key("old"), key("new"));
    let mut machine = Machine::new(4, &set(&[&old]));
    let (old_token, new_token) = (machine.token(&old, "alice"), machine.token(&new, "alice"));
    for worker in 0..4 {
        assert_eq!(machine.request(worker, &old_token), Ok(()));
    }
    // The issuer signs with its new key from one moment to the next.
    machine.key_set = Ok(set(&[&old, &new]).to_string());
    let asked = machine.asked;
    for worker in 0..4 {
        assert_eq!(machine.request(worker, &new_token), Ok(()));
        assert_eq!(machine.request(worker, &old_token), Ok(()));
    }
    assert!(machine.asked <= asked + 2, "asked {} times", machine.asked - asked);
    // And takes the old one back: a token that was remembered is worth nothing any more.
    machine.key_set = Ok(set(&[&new]).to_string());
    machine.runtime.advance_seconds(60);
    machine.tick();
    machine.tick();
    for worker in 0..4 {
        assert_eq!(machine.request(worker, &old_token), Err(Reason::TokenKeyUnknown));
        assert_eq!(machine.request(worker, &new_token), Ok(()));
    }
}

#[test]
fn a_flood_of_made_up_keys_asks_seldom_and_hurts_nobody() {
    let (good, made_up) = (key("a"), key("nobody"));
    let mut machine = Machine::new(2, &set(&[&good]));
    let (token, forged) = (machine.token(&good, "alice"), machine.token(&made_up, "mallory"));
    assert_eq!(machine.request(0, &token), Ok(()));
    let (asked, begun) = (machine.asked, machine.runtime.now());
    for _ in 0..50 {
        assert_eq!(machine.request(0, &forged), Err(Reason::TokenKeyUnknown));
        assert_eq!(machine.request(1, &token), Ok(()));
    }
    let seconds = (machine.runtime.now().seconds() - begun.seconds()) as usize;
    assert!(
        machine.asked - asked <= seconds / 2 + 2,
        "{} times in {seconds} s",
        machine.asked - asked
    );
}

#[test]
fn a_server_that_fails_opens_nothing_and_closes_nothing_that_is_known() {
    let (good, other) = (key("a"), key("b"));
    for bad in [
        Ok("garbage".to_owned()),
        Ok("{\"keys\":[]}".to_owned()),
        Ok(String::new()),
        Err(0),
        Err(500),
        Err(404),
        Err(302),
    ] {
        // From the start: nobody comes in, and everybody is told to come again.
        let mut machine = Machine::new(2, &set(&[&good]));
        let (token, unknown) = (machine.token(&good, "alice"), machine.token(&other, "alice"));
        machine.key_set = bad.clone();
        assert_eq!(machine.request(0, &token), Err(Reason::IdentityUnavailable));
        // As soon as it is there, all is well.
        machine.key_set = Ok(set(&[&good]).to_string());
        machine.runtime.advance_seconds(30);
        assert_eq!(machine.request(0, &token), Ok(()));
        // Later: what is known holds, for as long as the document says.
        machine.key_set = bad;
        for _ in 0..50 {
            machine.runtime.advance_seconds(10);
            machine.tick();
            assert_eq!(machine.request(0, &token), Ok(()));
        }
        assert_eq!(machine.request(1, &unknown), Err(Reason::TokenKeyUnknown));
        for _ in 0..12 {
            machine.runtime.advance_seconds(10);
            machine.tick();
        }
        assert_eq!(machine.request(0, &token), Err(Reason::IdentityUnavailable));
    }
}

#[test]
fn revocation_takes_effect_without_a_restart_also_on_what_is_remembered() {
    let key = key("a");
    let mut machine = Machine::new(2, &set(&[&key]));
    let (alice, bob) = (machine.token(&key, "alice"), machine.token(&key, "bob"));
    for worker in 0..2 {
        assert_eq!(machine.request(worker, &alice), Ok(()));
        assert_eq!(machine.request(worker, &bob), Ok(()));
    }
    for list in [json!({"jti": ["alice"]}), json!({"sub": ["alice"]})] {
        machine.deny_list = Ok(list.to_string());
        machine.runtime.advance_seconds(60);
        machine.tick();
        machine.tick();
        for worker in 0..2 {
            assert_eq!(machine.request(worker, &alice), Err(Reason::TokenRevoked));
            assert_eq!(machine.request(worker, &bob), Ok(()));
        }
    }
    machine.deny_list = Ok(json!({"kid": ["a"]}).to_string());
    machine.runtime.advance_seconds(60);
    machine.tick();
    machine.tick();
    assert_eq!(machine.request(0, &bob), Err(Reason::TokenRevoked));
}

#[test]
fn without_a_deny_list_nobody_knows_whom_to_refuse() {
    let key = key("a");
    let mut machine = Machine::new(1, &set(&[&key]));
    let token = machine.token(&key, "alice");
    for bad in [Err(500), Ok("[]".to_owned()), Ok(r#"{"jtis":["alice"]}"#.to_owned())] {
        machine.deny_list = bad;
        assert_eq!(machine.request(0, &token), Err(Reason::IdentityUnavailable));
    }
    machine.deny_list = Ok("{}".to_owned());
    machine.runtime.advance_seconds(60);
    assert_eq!(machine.request(0, &token), Ok(()));
}

#[test]
fn who_cannot_wait_is_refused_at_once() {
    let key = key("a");
    let mut machine = Machine::new(1, &set(&[&key]));
    let token = machine.token(&key, "alice");
    let mut exchange = machine.workers[0].begin(machine.runtime.now());
    assert_eq!(machine.step(&mut exchange, &token), Step::Wait);
    exchange.cannot_wait();
    assert!(matches!(machine.step(&mut exchange, &token), Step::Respond(_)));
    assert_eq!(exchange.refused().unwrap().0, Reason::IdentityUnavailable);
}
