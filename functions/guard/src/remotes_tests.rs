//! A list of API keys that is fetched, through whole requests, each of which finds an instance that knows nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_policy::document::ApiKeyEntry;
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{Fetch, Secret, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::remotes::{Archive, ArchiveError, Fetched, Remotes};
use crate::service::{Answered, Service};
use crate::settings::Settings;
use crate::store::tests::connections::sqlite;
use crate::store::tests::now;
use crate::testing::{Function, There, policy, request, variables};

const PEPPER: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// A key-value store and a server.
#[derive(Default)]
struct Outside {
    kept: RefCell<BTreeMap<String, Vec<u8>>>,
    is_away: Cell<bool>,
    is_full: Cell<bool>,
    answer: RefCell<Option<Fetched>>,
    fetches: Cell<usize>,
    pauses: Cell<usize>,
    time: Cell<u64>,
}

impl Archive for Outside {
    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self.is_away.get() {
            true => Err(ArchiveError("away".to_owned())),
            false => Ok(self.kept.borrow().get(key).cloned()),
        }
    }

    async fn keep(&self, key: &str, value: &[u8]) -> Result<(), ArchiveError> {
        if self.is_away.get() || self.is_full.get() {
            return Err(ArchiveError("full".to_owned()));
        }
        self.kept.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn fetch(&self, fetch: &Fetch, _: Duration) -> Option<Fetched> {
        assert_eq!(fetch.authority, "keys.example");
        self.fetches.set(self.fetches.get() + 1);
        self.answer.borrow().clone()
    }

    async fn pause(&self) {
        self.pauses.set(self.pauses.get() + 1);
    }
}

impl Outside {
    fn serving(entries: &[Value]) -> Self {
        let outside = Self::default();
        outside.time.set(START);
        outside.serve(entries);
        outside
    }

    fn serve(&self, entries: &[Value]) {
        let body = json!({ "keys": entries }).to_string().into_bytes();
        *self.answer.borrow_mut() = Some(Fetched { status: 200, body });
    }

    fn pass(&self, seconds: u64) {
        self.time.set(self.time.get() + seconds * SECOND);
    }

    /// The status of a request, for which all is compiled anew; what is due after it is fetched.
    fn ask(&self, key: &ApiKey) -> u16 {
        let mut document = policy();
        document["identity"] = json!({ "api_keys": {
            "sources": [{ "header": "x-api-key" }], "pepper": { "env": "PEPPER" },
            "remote": { "uri": "https://keys.example/keys.json", "refresh_seconds": 60, "max_stale_seconds": 120 },
        } });
        document["authorisation"] = json!({ "require": "authenticated" });
        let mut variables = variables(&document);
        variables.insert("pepper".to_owned(), PEPPER.to_owned());
        let variable = |name: &str| variables.get(name).cloned().map(Zeroizing::new);
        let settings = Settings::read(variable).unwrap();
        let service = Service {
            policy: &settings.policy,
            secret: settings.secret,
            store: &sqlite(1000),
            upstream: &Function::answering(200, "{}"),
            archive: self,
            now: Some(Timestamp(self.time.get())),
        };
        let incoming = request("/v1/a", &[("x-api-key", key.expose())]);
        let answered = now(service.answer(&incoming, There(b"{}".to_vec())));
        let Answered { answer, due, instance, .. } = answered;
        let remotes = Remotes { policy: &settings.policy, archive: self };
        now(remotes.refresh(due, instance));
        answer.status
    }
}

fn key() -> ApiKey {
    ApiKey::new("batch1", &[9; 32]).unwrap()
}

fn entry(key: &ApiKey) -> Value {
    let digest = key.digest(&Secret::from_base64url(PEPPER).unwrap());
    serde_json::to_value(ApiKeyEntry::new(key.id(), digest, "batch")).unwrap()
}

#[test]
fn one_instance_fetches_for_all() {
    let outside = Outside::serving(&[entry(&key())]);
    for _ in 0..5 {
        assert_eq!(outside.ask(&key()), 200);
    }
    assert_eq!((outside.fetches.get(), outside.pauses.get()), (1, 0));
    assert_eq!(outside.kept.borrow().len(), 2, "when, and what");
    assert_eq!(outside.ask(&ApiKey::new("batch2", &[8; 32]).unwrap()), 401);

    // Due: the request that finds it so passes by what is known, and the next one by what was fetched.
    outside.serve(&[]);
    outside.pass(60);
    assert_eq!(outside.ask(&key()), 200);
    assert_eq!(outside.fetches.get(), 2);
    assert_eq!(outside.ask(&key()), 401);
    assert_eq!(outside.fetches.get(), 2);
}

#[test]
fn what_was_fetched_holds_as_long_as_the_policy_says() {
    let outside = Outside::serving(&[entry(&key())]);
    assert_eq!(outside.ask(&key()), 200);
    *outside.answer.borrow_mut() = None;
    outside.pass(119);
    assert_eq!(outside.ask(&key()), 200);
    outside.pass(2);
    assert_eq!(outside.ask(&key()), 503);
    // A clock that stands still does not hold a request for ever.
    assert!((1..=60).contains(&outside.pauses.get()), "{}", outside.pauses.get());
    assert!(outside.fetches.get() <= 4, "{}", outside.fetches.get());
    outside.serve(&[entry(&key())]);
    outside.pass(30);
    assert_eq!(outside.ask(&key()), 200);
}

#[test]
fn without_a_store_nothing_is_fetched_and_nobody_comes_in() {
    let outside = Outside::serving(&[entry(&key())]);
    outside.is_away.set(true);
    assert_eq!(outside.ask(&key()), 503);
    // One that can be read and not written: all would fetch, as often as clients like.
    outside.is_away.set(false);
    outside.is_full.set(true);
    assert_eq!(outside.ask(&key()), 503);
    assert_eq!(outside.fetches.get(), 0);
    outside.is_full.set(false);
    assert_eq!(outside.ask(&key()), 200);
}

#[test]
fn what_others_have_written_is_not_believed() {
    let outside = Outside::serving(&[entry(&key())]);
    assert_eq!(outside.ask(&key()), 200);
    let other = ApiKey::new("batch2", &[8; 32]).unwrap();
    let forged = json!({ "keys": [entry(&other)] }).to_string().into_bytes();
    let name = outside.kept.borrow().keys().find(|key| key.ends_with("/body")).cloned().unwrap();
    // Without the schedule that has its digest it is nobody's.
    outside.kept.borrow_mut().insert(name.clone(), forged);
    *outside.answer.borrow_mut() = None;
    assert_ne!(outside.ask(&other), 200);
    for nonsense in ["", "{", "nonsense"] {
        for value in outside.kept.borrow_mut().values_mut() {
            *value = nonsense.as_bytes().to_vec();
        }
        assert_eq!(outside.ask(&key()), 503);
    }
    outside.serve(&[entry(&key())]);
    outside.pass(30);
    assert_eq!(outside.ask(&key()), 200);
}
