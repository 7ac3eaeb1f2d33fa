//! The real guard in the component host, in front of a function in another process or of a server that remembers what it was asked,
//! with limits in a real SQLite and in a real Redis.

use components::Detector;
use guarded::{ASSERTION_KEY, Behind, Guard};
use redis_server::Redis;
use serde_json::{Value, json};
use tokens::{AUDIENCE, ISSUER, Issuer};

#[path = "common/components.rs"]
mod components;
#[path = "common/guard.rs"]
mod guarded;
#[path = "common/redis.rs"]
mod redis_server;
#[path = "common/tokens.rs"]
mod tokens;

/// So many a day, that none comes back while a test runs.
const MOST: usize = 12;

fn policy() -> Value {
    json!({
        "version": 1,
        "authorisation": { "require": "anonymous" },
        "limits": [{ "name": "day", "key": "address", "requests": MOST, "per": "day" }],
        "assertion": { "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis" },
        "routes": [{ "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] }, "input": {} }],
    })
}

/// Sends so many at a time, by turns to each: the statuses.
async fn flood(guards: &[&Guard], requests: usize) -> Vec<u16> {
    let sent: Vec<_> = (0..requests)
        .map(|index| {
            let guard = guards[index % guards.len()].clone();
            tokio::spawn(async move { guard.status().await })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in sent {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

fn exactly(admitted: usize, refused: usize) -> Vec<u16> {
    [vec![200; admitted], vec![429; refused]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_in_sqlite_is_exact_however_many_come_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    assert_eq!(flood(&[&guard], 30).await, exactly(MOST, 30 - MOST), "{:?}", guard.log());
    assert_eq!(behind.count(), MOST);

    // What is refused is told as the gate tells it.
    let (status, headers, body) = guard.send(&[], "{}").await;
    assert_eq!(status, 429);
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:quota-exceeded");
    assert_eq!(headers["ratelimit-policy"], format!("\"day\";q={MOST};w=86400"));
    let wait = headers["retry-after"].to_str().unwrap();
    assert_eq!(headers["ratelimit"], format!("\"day\";r=0;t={wait}"));
    // Whoever sends an address of their own has none, and all those count together.
    let other = [("spin-client-addr", "192.0.2.2:1")];
    assert_eq!(guard.send(&other, "{}").await.0, 200);
    let other = [("spin-client-addr", "192.0.2.3:1")];
    let (_, headers, _) = guard.send(&other, "{}").await;
    let left = headers["ratelimit"].to_str().unwrap().to_owned();
    assert!(left.starts_with(&format!("\"day\";r={};", MOST - 2)), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_guards_share_a_limit_in_one_redis() {
    let Some(mut server) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let address = server.address();
    let store = [("limits_store", &*address)];
    let start = || Guard::start(&policy(), &behind.origin, folder.path(), &store);
    let (Some(one), Some(two)) = (start(), start()) else { return };
    let most = MOST - 2;
    let statuses = flood(&[&one, &two], most).await;
    assert_eq!(statuses, exactly(most, 0), "{:?}", one.log());

    // Without its Redis nobody is let through, and when it is there again it counts on.
    server.kill();
    let (status, _, body) = one.send(&[], "{}").await;
    assert_eq!(status, 503, "{:?}", one.log());
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:portcullis:problem:limits-unavailable");
    server.start_again();
    assert_eq!(flood(&[&one, &two], 20).await, exactly(2, 18), "{:?}", two.log());
    assert_eq!(behind.count(), MOST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_machine_counts_for_itself_while_redis_is_away_where_that_is_wanted() {
    let Some(mut server) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let address = server.address();
    let store = [("limits_store", &*address), ("limits_fallback", "sqlite")];
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &store) else {
        return;
    };
    assert_eq!(guard.status().await, 200);
    server.kill();
    assert_eq!(flood(&[&guard], MOST + 3).await, exactly(MOST, 3), "{:?}", guard.log());
    server.start_again();
    assert_eq!(flood(&[&guard], MOST).await, exactly(MOST - 1, 1), "as before it went");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_who_they_are_but_the_guard() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    let forged = [
        ("portcullis-principal", "eyJmb3JnZWQiOjF9"),
        ("signature", "portcullis=:Zm9yZ2Vk:"),
        ("signature-input", "portcullis=(\"forged\")"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-kept", "kept"),
    ];
    let (status, headers, body) = guard.send(&forged, "{}").await;
    assert_eq!((status, &body[..]), (200, &b"{}"[..]), "{:?}", guard.log());
    assert!(headers.contains_key("ratelimit"));
    let asked = behind.asked.lock().unwrap().clone();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    for (_, forgery) in &forged[..4] {
        assert!(!asked.contains(&forgery.to_ascii_lowercase()), "{forgery}: {asked}");
    }
    assert!(asked.contains("x-kept: kept") && asked.contains("signature: portcullis=:"), "{asked}");
    assert!(asked.contains("x-forwarded-for: 192.0.2.1\r\n"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scam_detector_takes_its_word() {
    let Some(detector) = Detector::start(ASSERTION_KEY) else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(guard) = Guard::start(&policy(), &detector.origin, folder.path(), &[]) else { return };
    let scam = r#"{"text":"USPS: your parcel is held, pay $1.99 at http://usps-fee.top/x"}"#;
    let (status, _, body) = guard.send(&[], scam).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["label"]), (200, &json!("scam")), "{answer} {:?}", guard.log());
    // What is malformed is refused before, and an unset policy lets nobody through.
    assert_eq!(guard.send(&[], "{\"text\":\"a\",\"text\":\"b\"}").await.0, 400);
    let none = Guard::start(&json!(1), &detector.origin, folder.path(), &[]).unwrap();
    assert_eq!(none.send(&[], scam).await.0, 503);
    assert!(
        none.log().iter().any(|line| line.contains("Spin variable policy")),
        "{:?}",
        none.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_be_reached_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let Some(guard) = Guard::start(&policy(), &behind.origin, folder.path(), &[]) else { return };
    assert_eq!(guard.status().await, 200);
    // A Redis that is not on the list: nothing is counted, and nobody is let through.
    let config = [("limits_store", "redis://127.0.0.1:9")];
    let refused = Guard::start(&policy(), &behind.origin, folder.path(), &config).unwrap();
    assert_eq!(refused.status().await, 503, "nobody listens there");
    assert_eq!(behind.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_for_whom_it_names_and_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let mut policy = policy();
    policy["authorisation"] = json!({ "require": "authenticated" });
    policy["identity"] = json!({ "jwt": { "issuers": [{
        "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "inline": issuer.keys() },
        "claim_headers": [{ "claim": "email", "header": "x-caller-email" }],
    }] } });
    policy["limits"] =
        json!([{ "name": "day", "key": "principal", "requests": MOST, "per": "day" }]);
    let Some(guard) = Guard::start(&policy, &behind.origin, folder.path(), &[]) else { return };
    let claims = |more: &Value| issuer.claims(more);
    let good = issuer.sign(&claims(&json!({})));
    let of_another = issuer.sign(&claims(&json!({ "sub": "mallory" })));
    let mut tampered: Vec<&str> = good.split('.').collect();
    tampered[1] = of_another.split('.').nth(1).unwrap();
    let refused = [
        ("expired", issuer.sign(&claims(&json!({ "exp": 1_000_000_000 })))),
        ("not yet", issuer.sign(&claims(&json!({ "nbf": 4_000_000_000_u64 })))),
        ("for others", issuer.sign(&claims(&json!({ "aud": "another-service" })))),
        ("of others", issuer.sign(&claims(&json!({ "iss": "https://other.example" })))),
        ("by a stranger", stranger.sign(&claims(&json!({})))),
        ("unsigned", Issuer::unsigned(&claims(&json!({})))),
        ("another's claims", tampered.join(".")),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0)),
        ("no token", "abc".to_owned()),
    ];
    for (what, token) in &refused {
        let bearer = format!("Bearer {token}");
        let (status, _, body) = guard.send(&[("authorization", &bearer)], "{}").await;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 401, "{what}: {problem} {:?}", guard.log());
        assert!(!String::from_utf8_lossy(&body).contains("mallory"), "{what}: {problem}");
    }
    assert_eq!(guard.status().await, 401, "nobody");
    assert_eq!(behind.count(), 0);

    let bearer = format!("Bearer {good}");
    let forged = [
        ("authorization", &*bearer),
        ("portcullis-principal", "eyJzdWIiOiJtYWxsb3J5In0"),
        ("signature", "portcullis=:Zm9yZ2Vk:"),
        ("signature-input", "portcullis=(\"forged\")"),
        ("x-caller-email", "mallory@example.com"),
    ];
    let (status, headers, _) = guard.send(&forged, "{}").await;
    assert_eq!(status, 200, "{:?}", guard.log());
    let left = headers["ratelimit"].to_str().unwrap();
    assert!(left.starts_with(&format!("\"day\";r={};", MOST - 1)), "of its own: {left}");
    let asked = behind.asked.lock().unwrap().clone();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    for (name, forgery) in &forged {
        assert!(!asked.contains(&forgery.to_ascii_lowercase()), "{name}: {asked}");
    }
    let values = |name: &str| {
        let lines = asked.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(values("x-caller-email"), ["alice@example.com"]);
    assert_eq!((values("authorization").len(), values("portcullis-principal").len()), (0, 1));
    assert_eq!((values("signature").len(), values("signature-input").len()), (1, 1));
    // The last one, by whom it is: the server behind has lower-cased it, so as the policy says it in the log.
    assert!(guard.log().iter().any(|line| line.contains("\"alice\"")), "{:?}", guard.log());
}

/// There is no host to verify signatures here: all of it runs in the component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_every_asymmetric_algorithm_are_verified_in_the_component() {
    let folder = tempfile::tempdir().unwrap();
    let behind = Behind::start().await;
    let keys: Value = serde_json::from_str(include_str!("commands/private_keys.json")).unwrap();
    let algorithms = [
        ("rsa", "RS256"),
        ("rsa", "PS384"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ];
    let (mut public, mut tokens) = (Vec::new(), Vec::new());
    for (name, algorithm) in algorithms {
        let mut jwk = keys[name].clone();
        (jwk["alg"], jwk["kid"]) = (algorithm.into(), algorithm.into());
        let file = folder.path().join("key.json");
        std::fs::write(&file, jwk.to_string()).unwrap();
        let mut mint = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        mint.args(["token", "mint", "--issuer", ISSUER, "--audience", AUDIENCE]);
        let minted = mint.args(["--subject", "alice", "--key"]).arg(&file).output().unwrap();
        assert!(minted.status.success(), "{minted:?}");
        tokens.push((algorithm, String::from_utf8(minted.stdout).unwrap().trim().to_owned()));
        let private = ["d", "p", "q", "dp", "dq", "qi"];
        jwk.as_object_mut().unwrap().retain(|name, _| !private.contains(&name.as_str()));
        public.push(jwk);
    }
    let mut policy = policy();
    policy["authorisation"] = json!({ "require": "authenticated" });
    policy["identity"] = json!({ "jwt": { "issuers": [{
        "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "inline": { "keys": public } },
    }] } });
    let Some(guard) = Guard::start(&policy, &behind.origin, folder.path(), &[]) else { return };
    let status = async |token: &str| {
        guard.send(&[("authorization", &format!("Bearer {token}"))], "{}").await.0
    };
    for (number, (algorithm, token)) in tokens.iter().enumerate() {
        assert_eq!(status(token).await, 200, "{algorithm}: {:?}", guard.log());
        // The signature of the next one under the same claims, and its own with one bit turned.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (_, other) = &tokens[(number + 1) % tokens.len()];
        let other = other.rsplit_once('.').unwrap().1;
        let turned = match signature.split_at(10) {
            (start, rest) if rest.starts_with('A') => format!("{start}B{}", &rest[1..]),
            (start, rest) => format!("{start}A{}", &rest[1..]),
        };
        for forged in [other, &turned] {
            assert_eq!(status(&format!("{signed}.{forged}")).await, 401, "{algorithm}");
        }
    }
    assert_eq!(behind.count(), tokens.len());
}
