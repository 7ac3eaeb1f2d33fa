//! API keys through whole exchanges: where they stand, when and where they are good, and who may take them back.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Edits, Request, Runtime};
use jwt_simple::prelude::*;
use portcullis_policy::assertion::{Received, Verifier};
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{Answer, Policy, Principal, Secret, Stages, Step, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: [u8; 32] = [5; 32];

/// 2023-11-14T22:13:20Z, when the runtime begins.
const NOW: u64 = 1_700_000_000;

/// A worker: a policy and what it shares with others.
struct Gate {
    policy: Arc<Policy>,
    runtime: Runtime,
    audit: String,
}

impl Gate {
    /// With the given members of `identity.api_keys`.
    fn new(section: Value) -> Self {
        Self::with(section, Value::Null).unwrap()
    }

    fn with(section: Value, jwt: Value) -> Result<Self, String> {
        Ok(Self {
            policy: Arc::new(compile(section, jwt, KEY)?),
            runtime: Runtime::new(),
            audit: String::new(),
        })
    }

    /// What becomes of a request: the edits, `wait`, or the reason of the refusal.
    fn run(&mut self, request: &Request) -> Result<Edits, String> {
        let mut exchange = self.policy.begin(self.runtime.now);
        self.go_on(&mut exchange, request)
    }

    fn go_on(
        &mut self,
        exchange: &mut portcullis_policy::Exchange,
        request: &Request,
    ) -> Result<Edits, String> {
        let step = request.judge(exchange, &mut self.runtime);
        let verdict = match step {
            Step::Continue(edits) => Ok(edits.into()),
            Step::Wait => return Err("wait".to_owned()),
            Step::NeedBody | Step::Rewrite(..) => panic!("there is no body"),
            Step::Respond(reply) => {
                let problem: Value = serde_json::from_slice(&reply.body).unwrap();
                let has_challenge =
                    reply.headers.iter().any(|(name, _)| *name == "www-authenticate");
                assert_eq!(has_challenge, reply.status == 401, "{problem}");
                let name = problem["type"].as_str().unwrap();
                Err(name.strip_prefix("urn:portcullis:problem:").unwrap().to_owned())
            }
        };
        self.audit = exchange.finish(&mut self.runtime).unwrap();
        verdict
    }

    /// What becomes of a key in the x-api-key field.
    fn key(&mut self, key: &ApiKey) -> Result<Edits, String> {
        self.run(&get("/v1/model").with("x-api-key", key.expose()))
    }

    fn reason(&mut self, key: &ApiKey) -> String {
        self.key(key).err().unwrap_or_default()
    }

    fn advance_seconds(&mut self, seconds: u64) {
        self.runtime.now = Timestamp(self.runtime.now.0 + seconds * 1_000_000_000);
    }

    /// One tick: every fetch that is due is answered alike. Answers how many there were, and the warnings.
    fn tick(&mut self, body: Option<&str>) -> (usize, Vec<String>) {
        let mut upkeep = self.policy.upkeep(&mut self.runtime);
        for fetch in &upkeep.fetches {
            assert_eq!(
                (fetch.authority.as_str(), fetch.path.as_str()),
                ("keys.example", "/keys.json")
            );
            let answer = body.map(|body| Answer { status: 200, body: body.as_bytes() });
            let outcome = self.policy.fetched(fetch, answer, &mut self.runtime);
            upkeep.warnings.extend(outcome.warnings);
        }
        (upkeep.fetches.len(), upkeep.warnings)
    }
}

fn compile(section: Value, jwt: Value, pepper: [u8; 32]) -> Result<Policy, String> {
    let mut api_keys = json!({ "pepper": { "env": "PEPPER" } });
    api_keys.as_object_mut().unwrap().extend(section.as_object().unwrap().clone());
    let mut identity = json!({ "api_keys": api_keys });
    if !jwt.is_null() {
        identity["jwt"] = jwt;
    }
    let document = json!({
        "version": 1,
        "identity": identity,
        "assertion": { "key": { "env": "KEY" }, "key_id": "k" },
        "routes": [
            { "name": "model", "match": { "path": "/v1/model" } },
            { "name": "acme", "match": { "path": "/acme" }, "authorisation": { "tenants": ["acme"] } },
            { "name": "open", "match": { "path": "/open" }, "authorisation": { "require": "anonymous" } },
        ],
    });
    let secrets = BTreeMap::from([
        ("PEPPER".to_owned(), URL_SAFE_NO_PAD.encode(pepper)),
        ("KEY".to_owned(), URL_SAFE_NO_PAD.encode(KEY)),
    ]);
    Policy::from_json("policy.json", &document.to_string(), &secrets, Stages::ALL)
        .map_err(|error| error.to_string())
}

fn get(path: &str) -> Request {
    let request = Request::predict("").method("GET").to(path).body(b"");
    request.without("authorization").without("content-type")
}

fn secret(bytes: [u8; 32]) -> Secret {
    Secret::from_bytes(bytes.to_vec().into()).unwrap()
}

fn api_key(id: &str) -> ApiKey {
    ApiKey::new(id, &[9; 32]).unwrap()
}

fn forged(id: &str) -> ApiKey {
    ApiKey::new(id, &[8; 32]).unwrap()
}

fn entry(id: &str, changes: Value) -> Value {
    let mut entry =
        json!({ "id": id, "digest": api_key(id).digest(&secret(KEY)), "owner": "batch" });
    entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    entry
}

fn file(entries: &[Value]) -> String {
    json!({ "keys": entries }).to_string()
}

/// What the upstream believes of a request that it receives so.
fn principal(edits: &Edits, path: &str, query: Option<&str>) -> Option<Principal> {
    let headers: Vec<(&str, &[u8])> =
        edits.set.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let received = Received { method: "GET", path, query, headers: &headers, body: b"", now: NOW };
    Verifier::new([("k".to_owned(), secret(KEY))]).verify(&received).ok()
}

#[test]
fn keys_are_taken_from_everywhere_and_hidden_everywhere() {
    let sources = json!([{ "header": "x-api-key" }, { "header": "authorization" }, { "query": "key" }, { "cookie": "key" }]);
    let mut gate = Gate::new(json!({ "sources": sources, "keys": [entry("batch1", json!({}))] }));
    let key = api_key("batch1");
    let key = key.expose();
    let bearer = format!("bearer {key}");

    for (name, value) in [("x-api-key", key), ("authorization", &bearer)] {
        let edits = gate.run(&get("/v1/model").with(name, value)).unwrap();
        assert!(edits.removed.contains(&name.to_owned()), "{name}");
        assert_eq!(principal(&edits, "/v1/model", None).unwrap().subject, "batch");
    }
    let edits =
        gate.run(&get("/v1/model").with("cookie", &format!("a=1; key={key}; b=2"))).unwrap();
    assert!(edits.set.contains(&("cookie".to_owned(), "a=1; b=2".to_owned())));
    // What is signed is the query that the upstream sees, and the key is not in it.
    for query in [
        format!("a=1&key={key}&b=2"),
        format!("a=1&b=2&k%65y={key}"),
        format!("key={}&a=1&b=2", key.replace('c', "%63")),
    ] {
        let edits = gate.run(&get(&format!("/v1/model?{query}"))).unwrap();
        assert!(
            edits.set.contains(&(":path".to_owned(), "/v1/model?a=1&b=2".to_owned())),
            "{query}"
        );
        assert!(principal(&edits, "/v1/model", Some("a=1&b=2")).is_some());
        assert_eq!(principal(&edits, "/v1/model", Some(&query)), None);
        assert!(edits.set.iter().all(|(_, value)| !value.contains("CQkJ")));
        assert!(
            !gate.audit.contains("CQkJ") && gate.audit.contains(r#""id":"batch1""#),
            "{}",
            gate.audit
        );
    }
    // Whoever comes without one, or with a wrong one, does not get the wrong one past the gate either.
    let edits = gate.run(&get("/open?a=1")).unwrap();
    assert!(edits.removed.is_empty());
    assert_eq!(
        gate.run(&get(&format!("/open?key={}", forged("batch1").expose()))).unwrap_err(),
        "api-key-invalid"
    );
}

#[test]
fn one_key_in_one_place() {
    let sources = json!([{ "header": "x-api-key" }, { "header": "authorization" }, { "query": "key" }, { "cookie": "key" }]);
    let mut gate = Gate::new(
        json!({ "sources": sources, "keys": [entry("batch1", json!({})), entry("batch2", json!({}))] }),
    );
    let (one, other) = (api_key("batch1"), api_key("batch2"));
    let (one, other) = (one.expose(), other.expose());
    let with_header = get("/v1/model").with("x-api-key", one);
    for (request, reason) in [
        (with_header.clone().with("x-api-key", other), "header-conflict"),
        (
            with_header.clone().with("authorization", &format!("Bearer {other}")),
            "credential-conflict",
        ),
        (
            with_header.clone().with("authorization", &format!("Bearer {one}")),
            "credential-conflict",
        ),
        (with_header.clone().with("authorization", "Basic YTpi"), "credential-malformed"),
        (with_header.clone().with("cookie", &format!("key={other}")), "credential-conflict"),
        (with_header.clone().to(&format!("/v1/model?key={other}")), "credential-conflict"),
        (get(&format!("/v1/model?key={one}&key={other}")), "credential-conflict"),
        (get(&format!("/v1/model?key={one}&%6bey={other}")), "credential-conflict"),
        (
            get("/v1/model")
                .with("cookie", &format!("key={one}"))
                .with("cookie", &format!("key={other}")),
            "credential-conflict",
        ),
        (get("/v1/model").with("x-api-key", &format!("{one},{other}")), "header-conflict"),
        (get("/v1/model").with("x-api-key", &format!("{one} {other}")), "credential-malformed"),
        (get("/v1/model").with("x-api-key", ""), "credential-malformed"),
        (get("/v1/model").with("authorization", one), "credential-malformed"),
        (get("/v1/model?KEY=x"), "credential-missing"),
        (get("/v1/model").with("x-other", one), "credential-missing"),
    ] {
        assert_eq!(gate.run(&request).unwrap_err(), reason, "{request:?}");
    }
}

#[test]
fn bearer_keys_are_told_apart_from_tokens() {
    let keys = ES256KeyPair::generate().with_key_id("k1");
    let issuer = json!({ "issuer": "https://a.example", "audiences": ["x"], "jwks": { "inline": common::jwks(&keys) } });
    let section = json!({
        "sources": [{ "header": "authorization", "prefix": "bearer" }, { "header": "x-api-key" }],
        "keys": [entry("batch1", json!({}))],
    });
    let mut gate = Gate::with(section, json!({ "issuers": [issuer] })).unwrap();
    let claims = json!({ "iss": "https://a.example", "aud": "x", "sub": "alice", "exp": NOW + 60 });
    let token = common::sign_es256(&keys, &claims);
    let key = api_key("batch1");
    let bearer =
        |credential: &str| get("/v1/model").with("authorization", &format!("Bearer {credential}"));

    let edits = gate.run(&bearer(&token)).unwrap();
    assert_eq!(principal(&edits, "/v1/model", None).unwrap().subject, "alice");
    let edits = gate.run(&bearer(key.expose())).unwrap();
    assert_eq!(principal(&edits, "/v1/model", None).unwrap().subject, "batch");
    assert_eq!(gate.run(&bearer(&format!("pcl_{token}"))).unwrap_err(), "api-key-invalid");
    assert_eq!(gate.run(&bearer(&format!("PCL_{token}"))).unwrap_err(), "token-malformed");
    let both = bearer(&token).with("x-api-key", key.expose());
    assert_eq!(gate.run(&both).unwrap_err(), "credential-conflict");
}

#[test]
fn a_key_is_nothing_under_another_pepper() {
    let key = api_key("batch1");
    let section = json!({ "keys": [entry("batch1", json!({}))] });
    let mut gate = Gate::new(section.clone());
    assert!(gate.key(&key).is_ok());
    gate.policy = Arc::new(compile(section, Value::Null, [6; 32]).unwrap());
    assert_eq!(gate.reason(&key), "api-key-invalid");
}

#[test]
fn why_a_key_is_not_good_is_told_only_to_who_has_it() {
    let past = "2023-11-14T22:13:20Z";
    let future = "2023-11-14T22:13:21Z";
    for (changes, reason) in [
        (json!({ "expires": past }), "api-key-expired"),
        (json!({ "expires": "2023-11-14T23:13:20+01:00" }), "api-key-expired"),
        (json!({ "expires": future }), ""),
        (json!({ "not_before": future }), "api-key-not-yet-valid"),
        (json!({ "not_before": past }), ""),
        (json!({ "revoked": true }), "api-key-revoked"),
        (json!({ "revoked": true, "expires": past }), "api-key-revoked"),
        (json!({ "revoked": false }), ""),
        (json!({ "networks": ["198.51.100.0/24", "2001:db8::/32"] }), "api-key-network-denied"),
        (json!({ "networks": ["192.0.2.0/24"] }), ""),
        (json!({ "routes": ["acme", "open"] }), "api-key-route-denied"),
        (json!({ "routes": ["acme", "model"] }), ""),
    ] {
        let mut gate = Gate::new(json!({ "keys": [entry("batch1", changes.clone())] }));
        assert_eq!(gate.reason(&api_key("batch1")), reason, "{changes}");
        assert_eq!(gate.reason(&forged("batch1")), "api-key-invalid", "{changes}");
        assert_eq!(gate.reason(&api_key("batch2")), "api-key-invalid", "{changes}");
    }
}

#[test]
fn validity_is_checked_at_every_use() {
    let validity =
        json!({ "not_before": "2023-11-14T22:14:20Z", "expires": "2023-11-14T22:15:20Z" });
    let mut gate = Gate::new(json!({ "keys": [entry("batch1", validity)] }));
    let key = api_key("batch1");
    assert_eq!(gate.reason(&key), "api-key-not-yet-valid");
    gate.advance_seconds(60);
    assert_eq!(gate.reason(&key), "");
    gate.advance_seconds(59);
    assert_eq!(gate.reason(&key), "");
    gate.advance_seconds(1);
    assert_eq!(gate.reason(&key), "api-key-expired");
}

#[test]
fn without_a_clock_no_key_is_good() {
    let future = json!({ "expires": "2030-01-01T00:00:00Z" });
    let mut gate =
        Gate::new(json!({ "keys": [entry("batch1", future), entry("batch2", json!({}))] }));
    for now in [0, 1, 1_000_000_000_000_000_000, u64::MAX, u64::MAX - 1] {
        gate.runtime.now = Timestamp(now);
        for id in ["batch1", "batch2", "batch3"] {
            assert_eq!(gate.reason(&api_key(id)), "identity-unavailable", "{now}");
        }
    }
}

#[test]
fn networks_are_of_the_connection_and_cannot_be_walked_around() {
    let networks = json!({ "networks": ["10.0.0.0/8", "2001:db8::/32"] });
    let mut gate = Gate::new(json!({ "keys": [entry("batch1", networks)] }));
    let key = api_key("batch1");
    for (address, is_good) in [
        (Some("10.1.2.3"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("2001:db8::1"), true),
        (Some("11.1.2.3"), false),
        (Some("::ffff:11.1.2.3"), false),
        (Some("::10.1.2.3"), false),
        (Some("2001:db9::1"), false),
        (None, false),
    ] {
        gate.runtime.source = address.map(|address| address.parse().unwrap());
        let request =
            get("/v1/model").with("x-api-key", key.expose()).with("x-forwarded-for", "10.1.2.3");
        assert_eq!(gate.run(&request).is_ok(), is_good, "{address:?}");
    }
}

#[test]
fn routes_are_those_that_the_gate_found() {
    let mut gate = Gate::new(json!({ "keys": [entry("batch1", json!({ "routes": ["model"] }))] }));
    let key = api_key("batch1");
    for (path, reason) in [
        ("/v1/model", ""),
        ("/x/../v1/./model", ""),
        ("/v1/model/../../acme", "api-key-route-denied"),
        ("/open", "api-key-route-denied"),
        ("/acme?/v1/model", "api-key-route-denied"),
        ("/nowhere", "api-key-route-denied"),
    ] {
        let verdict = gate.run(&get(path).with("x-api-key", key.expose()));
        assert_eq!(verdict.err().unwrap_or_default(), reason, "{path}");
    }
}

#[test]
fn a_tenant_is_the_keys_and_nothing_else() {
    let of = |id: &str, tenant: &str| {
        entry(
            id,
            json!({ "tenant": tenant, "owner": tenant, "roles": ["b", "a", "b"], "scopes": ["s"], "plan": "gold" }),
        )
    };
    let keys = json!([of("batch1", "acme"), of("batch2", "globex"), entry("batch3", json!({}))]);
    let mut gate = Gate::new(json!({ "keys": keys }));
    let request = |id: &str| {
        let request = get("/acme").with("x-api-key", api_key(id).expose());
        request.with(
            "portcullis-principal",
            r#"sub="a", tenant="acme", roles=(), scopes=(), via=api-key"#,
        )
    };
    let edits = gate.run(&request("batch1")).unwrap();
    let found = principal(&edits, "/acme", None).unwrap();
    assert_eq!((found.tenant.as_deref(), found.plan.as_deref()), (Some("acme"), Some("gold")));
    assert_eq!(
        (found.roles, found.scopes),
        (vec!["a".to_owned(), "b".to_owned()], vec!["s".to_owned()])
    );
    for id in ["batch2", "batch3"] {
        assert_eq!(gate.run(&request(id)).unwrap_err(), "tenant-denied", "{id}");
    }
    // The id of one tenant's key with the secret of another's.
    let other = ApiKey::new("batch4", &[7; 32]).unwrap();
    let mixed = other.expose().replace("batch4", "batch1");
    assert_eq!(gate.run(&get("/acme").with("x-api-key", &mixed)).unwrap_err(), "api-key-invalid");
}

#[test]
fn documents_that_mean_something_else_are_errors() {
    for (section, expected) in [
        (
            json!({ "keys": [entry("batch1", json!({ "routes": ["model", "modell"] }))] }),
            "keys[0].routes[1]: expected the name of a route",
        ),
        (
            json!({ "keys": [entry("batch1", json!({})), entry("batch1", json!({}))] }),
            "keys[1].id: expected an id that no other",
        ),
        (
            json!({ "keys": [entry("batch1", json!({ "expires": "2030-01-01" }))] }),
            "keys[0].expires: expected a date and time",
        ),
        (json!({ "file": "keys.json" }), "file: expected the keys themselves"),
        (
            json!({ "remote": { "uri": "http://keys.example/keys.json" } }),
            "remote.uri: expected https",
        ),
    ] {
        let error = Gate::with(section, Value::Null).err().unwrap();
        assert!(error.contains(&format!("identity.api_keys.{expected}")), "{error}");
    }
}

/// Refreshed every 60 s, good for 120 s.
fn remote() -> Value {
    json!({ "uri": "https://keys.example/keys.json", "refresh_seconds": 60, "max_stale_seconds": 120, "timeout_seconds": 1 })
}

#[test]
fn without_the_list_only_the_documents_own_keys_are_known() {
    let mut gate = Gate::new(json!({ "keys": [entry("batch1", json!({}))], "remote": remote() }));
    assert_eq!(gate.reason(&api_key("batch1")), "");
    // A wrong secret is not told from an unknown id.
    for key in [api_key("batch2"), forged("batch1")] {
        let mut exchange = gate.policy.begin(gate.runtime.now);
        let request = get("/v1/model").with("x-api-key", key.expose());
        assert_eq!(gate.go_on(&mut exchange, &request).unwrap_err(), "wait");
        gate.tick(None);
        gate.advance_seconds(10);
        assert_eq!(gate.go_on(&mut exchange, &request).unwrap_err(), "identity-unavailable");
    }
}

#[test]
fn a_request_that_came_too_early_waits_for_the_list() {
    let mut gate = Gate::new(json!({ "remote": remote() }));
    let mut exchange = gate.policy.begin(gate.runtime.now);
    let request = get("/v1/model").with("x-api-key", api_key("batch1").expose());
    assert_eq!(gate.go_on(&mut exchange, &request).unwrap_err(), "wait");
    assert_eq!(gate.tick(Some(&file(&[entry("batch1", json!({}))]))).0, 1);
    assert!(gate.go_on(&mut exchange, &request).is_ok());
}

#[test]
fn who_invents_ids_sets_off_nothing() {
    let mut gate = Gate::new(json!({ "remote": remote() }));
    gate.tick(Some(&file(&[entry("batch1", json!({}))])));
    for number in 0..20 {
        gate.advance_seconds(2);
        for key in [api_key(&format!("none{number}")), forged("batch1")] {
            assert_eq!(gate.reason(&key), "api-key-invalid");
        }
        assert_eq!(gate.tick(None).0, 0);
    }
}

#[test]
fn what_is_taken_back_is_so_within_the_refresh_interval_on_every_worker() {
    let mut gate = Gate::new(json!({ "remote": remote() }));
    let mut other = Gate::new(json!({ "remote": remote() }));
    let (one, two) = (api_key("batch1"), api_key("batch2"));
    gate.tick(Some(&file(&[entry("batch1", json!({})), entry("batch2", json!({}))])));
    // One asks for all: the other worker has the same store, and asks nobody.
    std::mem::swap(&mut gate.runtime, &mut other.runtime);
    assert_eq!(other.tick(None).0, 0);
    assert_eq!((other.reason(&one), other.reason(&two)), (String::new(), String::new()));

    other.advance_seconds(60);
    let revoked = file(&[entry("batch1", json!({ "revoked": true }))]);
    assert_eq!(other.tick(Some(&revoked)).0, 1);
    assert_eq!(other.reason(&one), "api-key-revoked");
    assert_eq!(other.reason(&two), "api-key-invalid");
    std::mem::swap(&mut gate.runtime, &mut other.runtime);
    assert_eq!(gate.tick(None).0, 0);
    assert_eq!(gate.reason(&one), "api-key-revoked");
    assert_eq!(gate.reason(&two), "api-key-invalid");
}

#[test]
fn a_list_that_is_too_old_makes_no_key_good() {
    let mut gate = Gate::new(json!({ "remote": remote() }));
    gate.tick(Some(&file(&[entry("batch1", json!({}))])));
    gate.advance_seconds(120);
    assert_eq!(gate.reason(&api_key("batch1")), "");
    gate.advance_seconds(1);
    assert_eq!(gate.reason(&api_key("batch1")), "wait");
}

#[test]
fn answers_that_are_no_list_change_nothing() {
    let good = entry("batch1", json!({}));
    let mut gate = Gate::new(json!({ "remote": remote() }));
    gate.tick(Some(&file(std::slice::from_ref(&good))));
    let padded = format!("{}{}", file(std::slice::from_ref(&good)), " ".repeat(1 << 20));
    for bad in [
        "",
        "null",
        "<html>",
        r#"{"keys":null}"#,
        &file(&[good.clone(), good.clone()]),
        &file(&[good.clone(), entry("batch2", json!({ "expires": "soon" }))]),
        &file(&[good.clone(), entry("batch2", json!({ "revokd": true }))]),
        &file(&[good.clone(), entry("batch2", json!({ "id": "x" }))]),
        &padded,
    ] {
        gate.advance_seconds(3);
        // As often as is needed for one that is due.
        let (mut asked, mut warnings) = gate.tick(Some(bad));
        while asked == 0 {
            gate.advance_seconds(1);
            (asked, warnings) = gate.tick(Some(bad));
        }
        assert_eq!(warnings.len(), 1, "{bad:.80}");
        assert!(
            warnings[0].starts_with("the API keys from https://keys.example/keys.json: "),
            "{warnings:?}"
        );
    }
    let mut gate = Gate::new(json!({ "remote": remote() }));
    gate.tick(Some(&file(std::slice::from_ref(&good))));
    gate.advance_seconds(60);
    assert_eq!(gate.tick(Some("null")).0, 1);
    assert_eq!(gate.reason(&api_key("batch1")), "");
    // A list without keys is a list.
    gate.advance_seconds(30);
    assert_eq!(gate.tick(Some(&file(&[]))).0, 1);
    assert_eq!(gate.reason(&api_key("batch1")), "api-key-invalid");
}

#[test]
fn what_is_in_both_lists_must_hold_in_both() {
    let key = api_key("batch1");
    let section =
        || json!({ "keys": [entry("batch1", json!({ "owner": "document" }))], "remote": remote() });
    for (changes, reason) in [
        (json!({ "owner": "mallory", "roles": ["admin"] }), ""),
        (json!({ "revoked": true }), "api-key-revoked"),
        (json!({ "expires": "2023-11-14T22:13:20Z" }), "api-key-expired"),
        (json!({ "networks": ["10.0.0.0/8"] }), "api-key-network-denied"),
        // No document is at hand to check this with: it is never one of ours.
        (json!({ "routes": ["modell"] }), "api-key-route-denied"),
    ] {
        let mut gate = Gate::new(section());
        gate.tick(Some(&file(&[entry("batch1", changes.clone())])));
        assert_eq!(gate.reason(&key), reason, "{changes}");
        if let Ok(edits) = gate.key(&key) {
            let found = principal(&edits, "/v1/model", None).unwrap();
            assert_eq!((found.subject.as_str(), found.roles.len()), ("document", 0));
        }
        // Who can keep the gate from its list does not bring a key back that way.
        gate.advance_seconds(1000);
        assert_eq!(gate.reason(&key), reason, "{changes}");
    }
    // Who serves the list cannot put another secret under an id of the document's.
    let mut gate = Gate::new(section());
    let digest = json!({ "digest": forged("batch1").digest(&secret(KEY)) });
    gate.tick(Some(&file(&[entry("batch1", digest)])));
    assert_eq!(gate.reason(&forged("batch1")), "api-key-invalid");
    assert_eq!(gate.reason(&key), "");
}

#[test]
fn a_clock_that_fails_does_not_make_an_old_list_fresh() {
    let mut gate = Gate::new(json!({ "remote": remote() }));
    gate.tick(Some(&file(&[entry("batch1", json!({}))])));
    gate.runtime.now = Timestamp(0);
    assert_eq!(gate.reason(&api_key("batch1")), "identity-unavailable");
}

proptest! {
    /// Whatever stands in place of a key, nothing panics and nobody comes in.
    #[test]
    fn nothing_but_the_key_opens(text in "(pcl_)?(batch1)?_?[A-Za-z0-9_=+/.~-]{0,60}|\\PC{0,80}") {
        let mut gate = Gate::new(json!({ "keys": [entry("batch1", json!({}))] }));
        let request = get("/v1/model").with("x-api-key", &text);
        prop_assert!(gate.run(&request).is_err());
    }
}
