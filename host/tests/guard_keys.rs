//! Keys that the guard fetches, from a server that rotates, hangs and lies.

use std::time::{Duration, Instant};

use guarded::{Behind, Guard};
use key_server::{Behaviour, JWKS_PATH, KeyServer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokens::{AUDIENCE, ISSUER, Issuer};
use tokio::runtime::Handle;

#[path = "common/components.rs"]
#[allow(dead_code, reason = "the function behind is another one here")]
mod components;
#[path = "common/guard.rs"]
#[allow(dead_code, reason = "not every test uses everything")]
mod guarded;
#[path = "../../tests/src/key_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
mod key_server;
#[path = "common/tokens.rs"]
#[allow(dead_code, reason = "not every test uses everything")]
mod tokens;

/// How long a request waits for keys, and what it takes beside.
const PATIENCE: Duration = Duration::from_secs(8);

/// A guard whose keys are somewhere else, with all that it needs.
struct World {
    issuer: Issuer,
    server: KeyServer,
    behind: Behind,
    guard: Guard,
    _folder: TempDir,
}

impl World {
    async fn start(behaviour: Behaviour, may_fetch: bool) -> Option<Self> {
        let (issuer, folder) = (Issuer::new(), tempfile::tempdir().unwrap());
        let runtime = Handle::current();
        let server = tokio::task::spawn_blocking(move || KeyServer::start(&runtime, None));
        let server = server.await.unwrap().unwrap();
        server.put(JWKS_PATH, &issuer.keys());
        server.behave(behaviour);
        let behind = Behind::start().await;
        let origin = server.origin();
        let remote = json!({
            "uri": format!("{origin}{JWKS_PATH}"), "refresh_seconds": 5, "timeout_seconds": 2,
        });
        let policy = json!({
            "version": 1,
            "identity": { "jwt": { "issuers": [{
                "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "remote": remote },
            }] } },
            "authorisation": { "require": "authenticated" },
            "assertion": { "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "portcullis" },
            "routes": [{ "name": "predict", "match": { "prefix": "/v1/" }, "input": {} }],
        });
        let hosts = [&*behind.origin, &*origin];
        let hosts = if may_fetch { &hosts[..] } else { &hosts[..1] };
        let guard = Guard::start_allowed(&policy, hosts, folder.path(), &[])?;
        Some(Self { issuer, server, behind, guard, _folder: folder })
    }

    async fn status_by(&self, issuer: &Issuer) -> u16 {
        let bearer = format!("Bearer {}", issuer.sign(&issuer.claims(&json!({}))));
        let (status, _, body) = self.guard.send(&[("authorization", &bearer)], "{}").await;
        if status >= 400 {
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["status"], status);
        }
        status
    }

    async fn status(&self) -> u16 {
        self.status_by(&self.issuer).await
    }

    /// The statuses of as many at a time as there are issuers.
    async fn flood(&self, issuers: &[&Issuer]) -> Vec<u16> {
        let mut asking = tokio::task::JoinSet::new();
        for issuer in issuers {
            let bearer = format!("Bearer {}", issuer.sign(&issuer.claims(&json!({}))));
            let guard = self.guard.clone();
            asking.spawn(async move { guard.send(&[("authorization", &bearer)], "{}").await.0 });
        }
        asking.join_all().await
    }

    fn fetches(&self) -> usize {
        self.server.requests(JWKS_PATH)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_once_for_all_instances_and_rotate() {
    let Some(mut world) = World::start(Behaviour::Serve, true).await else { return };
    assert_eq!(world.status().await, 200, "{:?}", world.guard.log());
    assert_eq!(world.fetches(), 1);
    assert_eq!(world.flood(&[&world.issuer; 8]).await, [200; 8], "{:?}", world.guard.log());
    assert_eq!(world.fetches(), 1, "it is known by now");
    let stranger = Issuer::new();
    assert_eq!(world.status_by(&stranger).await, 401, "the same name, another key");

    // A new key: asked for when the first token comes that names it.
    let old = std::mem::replace(&mut world.issuer, Issuer::with_key_id("k2"));
    world.server.put(JWKS_PATH, &world.issuer.keys());
    assert_eq!(world.status().await, 200, "{:?}", world.guard.log());
    assert_eq!(world.status_by(&old).await, 401, "it is not in the set any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_is_fetched_again_while_it_holds() {
    let Some(world) = World::start(Behaviour::Serve, true).await else { return };
    assert_eq!(world.status().await, 200, "{:?}", world.guard.log());
    world.server.behave(Behaviour::Hang);
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(world.status().await, 200, "{:?}", world.guard.log());
        assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits for it");
    }
    // The answer that never comes is waited for behind the responses, by one instance.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.fetches(), 2, "{:?}", world.guard.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_makes_up_keys_sets_off_few_fetches() {
    let Some(world) = World::start(Behaviour::Serve, true).await else { return };
    assert_eq!(world.status().await, 200, "{:?}", world.guard.log());
    let stranger = Issuer::with_key_id("unheard-of");
    let begun = Instant::now();
    for _ in 0..3 {
        let statuses = world.flood(&[&stranger; 10]).await;
        assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    }
    // One in two seconds; and where instances look in the same moment, one each.
    let most = 1 + (begun.elapsed().as_secs() as usize / 2 + 1) * 10;
    assert!(world.fetches() <= most, "{} in {:?}", world.fetches(), begun.elapsed());
    eprintln!("30 made-up keys: {} fetches in {:?}", world.fetches(), begun.elapsed());
    assert_eq!(world.behind.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_answered_in_place_of_keys_lets_nobody_in() {
    let lies = [
        Behaviour::Hang,
        Behaviour::Trickle,
        Behaviour::LengthTooLong,
        Behaviour::LengthTooShort,
        Behaviour::Garbage,
        Behaviour::Html,
        Behaviour::NotFound,
        Behaviour::Error,
        Behaviour::Redirect,
        Behaviour::Large,
        Behaviour::Endless,
        Behaviour::Close,
    ];
    let mut trials = tokio::task::JoinSet::new();
    for lie in lies {
        trials.spawn(async move {
            let Some(world) = World::start(lie, true).await else { return };
            let begun = Instant::now();
            let status = world.status().await;
            assert_eq!(status, 503, "{lie:?}: {:?}", world.guard.log());
            assert!(begun.elapsed() < PATIENCE, "{lie:?}: {:?}", begun.elapsed());
            assert!(world.fetches() > 0 && world.behind.count() == 0, "{lie:?}");
        });
    }
    trials.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_on_the_list_is_not_asked() {
    let Some(world) = World::start(Behaviour::Serve, false).await else { return };
    assert_eq!(world.status().await, 503, "{:?}", world.guard.log());
    assert_eq!((world.fetches(), world.behind.count()), (0, 0));
}
