//! What the tests have in common: a store in memory that can fail and wait, and requests.

mod erasure;
mod feedback;
mod isolation;
mod results;
mod rotation;
mod usage;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use portcullis_policy::{CredentialKind, Principal};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Assessed, Booking, Counts, Query, Settings, Tenants};
use crate::keys::{Store, StoreError};
use crate::{Body, Reply, Request};

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;
/// 32 bytes of 1 and of 2, in base64url.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

/// A store in memory.
#[derive(Default)]
struct TestStore {
    entries: RefCell<BTreeMap<String, Vec<u8>>>,
    /// So many operations succeed; those after them fail.
    fails_after: Cell<Option<usize>>,
    /// Whether others get their turn before each operation.
    waits: Cell<bool>,
    writes: Cell<usize>,
    reads: Cell<usize>,
}

impl TestStore {
    async fn turn(&self) -> Result<(), StoreError> {
        let mut waited = !self.waits.get();
        poll_fn(|_| match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        match self.fails_after.get() {
            Some(0) => Err(StoreError("gone".to_owned())),
            left => {
                self.fails_after.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }

    fn names_now(&self) -> Vec<String> {
        self.entries.borrow().keys().cloned().collect()
    }

    /// The entries whose names begin so.
    fn under(&self, base: &str) -> Vec<(String, Vec<u8>)> {
        let entries = self.entries.borrow();
        let entries = entries.iter().filter(|(name, _)| name.starts_with(base));
        entries.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl Store for TestStore {
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        self.turn().await?;
        self.reads.set(self.reads.get() + 1);
        Ok(self.names_now())
    }

    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.turn().await?;
        self.reads.set(self.reads.get() + 1);
        Ok(self.entries.borrow().get(name).cloned())
    }

    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.turn().await?;
        // What the host's store takes.
        assert!(name.len() <= 255 && value.len() <= 1 << 20);
        self.writes.set(self.writes.get() + 1);
        self.entries.borrow_mut().insert(name.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.turn().await?;
        self.entries.borrow_mut().remove(name);
        Ok(())
    }
}

/// Runs what waits only for its turn.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Some(value) = step(future.as_mut()) {
            return value;
        }
    }
}

fn step<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let find = |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let read = |name: &'static str| find(name).or((name == "tenant_key").then_some(KEY));
    Settings::read(|name| read(name).map(|value| Zeroizing::new(value.to_owned()))).unwrap()
}

/// A store, and what is set up.
struct World {
    store: TestStore,
    settings: Settings,
    now: Cell<u64>,
}

impl World {
    fn new(variables: &[(&str, &str)]) -> Self {
        let settings = settings(variables);
        Self { store: TestStore::default(), settings, now: Cell::new(NOW) }
    }

    /// Results are retained.
    fn retaining() -> Self {
        Self::new(&[("retention_days", "30"), ("feedback_texts", r#"["open"]"#)])
    }

    fn tenants(&self) -> Tenants<'_, TestStore> {
        Tenants { settings: &self.settings, store: &self.store }
    }

    fn base(&self, principal: &Principal) -> String {
        let vault = super::vault::TenantVault::of(principal, &self.settings.keys).unwrap();
        vault.base().to_owned()
    }

    fn record(&self, principal: &Principal, requests: u64) {
        let counts = Counts { requests, ..Counts::default() };
        run(self.tenants().record(principal, counts, self.now.get())).unwrap();
    }

    fn retain(&self, principal: &Principal, text: &str) -> String {
        self.retain_all(principal, &[text]).remove(0)
    }

    /// Several of one answer.
    fn retain_all(&self, principal: &Principal, texts: &[&str]) -> Vec<String> {
        let adversarial = Some("homoglyphs");
        let assess = |text| Assessed { text, label: "scam", probability: 0.75, adversarial };
        let assessed: Vec<Assessed<'_>> = texts.iter().map(|text| assess(*text)).collect();
        let vault = super::vault::TenantVault::to_write(principal, &self.settings.keys).unwrap();
        let own = vault.own().unwrap();
        run(super::results::retain(&vault, &own, &self.store, &assessed, self.now.get())).unwrap()
    }

    fn send(&self, principal: &Principal, method: &str, target: &str, body: &[u8]) -> Reply {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let content_type: &[u8] = b"application/json";
        let request = Request {
            method,
            path,
            query,
            headers: &[("content-type", content_type)],
            body: Body::Whole(body.to_vec().into()),
            now: self.now.get(),
        };
        run(self.tenants().answer(principal, &request))
    }

    fn ask(&self, principal: &Principal, method: &str, target: &str) -> (u16, Value) {
        answer(&self.send(principal, method, target, b""))
    }

    fn get(&self, principal: &Principal, target: &str) -> Value {
        let (status, answer) = self.ask(principal, "GET", target);
        assert_eq!(status, 200, "{target}: {answer}");
        answer
    }

    fn feedback(&self, principal: &Principal, feedback: &Value) -> (u16, Value) {
        let body = feedback.to_string();
        answer(&self.send(principal, "POST", "/v1/feedback", body.as_bytes()))
    }

    /// Asserts that a request is refused with a complete problem document.
    fn refused(&self, principal: &Principal, request: (&str, &str), status: u16, reason: &str) {
        let reply = self.send(principal, request.0, request.1, b"");
        assert_refused(&reply, status, reason);
    }

    fn requests(&self, principal: &Principal) -> u64 {
        self.get(principal, "/v1/usage")["total"]["requests"].as_u64().unwrap()
    }
}

fn answer(reply: &Reply) -> (u16, Value) {
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

fn assert_refused(reply: &Reply, status: u16, reason: &str) {
    let (actual, problem) = answer(reply);
    assert_eq!((actual, &problem["status"]), (status, &json!(status)), "{problem}");
    assert_eq!(problem["type"], format!("urn:portcullis:problem:{reason}"));
    assert!(reply.headers.contains(&("content-type", "application/problem+json")));
}

/// Somebody of a tenant, or of none.
fn member(subject: &str, tenant: Option<&str>) -> Principal {
    Principal {
        issuer: Some("https://issuer.example".into()),
        subject: subject.into(),
        tenant: tenant.map(Into::into),
        via: CredentialKind::Jwt,
        ..Principal::anonymous()
    }
}

/// Who answers for a tenant.
fn administrator(tenant: &str) -> Principal {
    Principal { roles: vec!["tenant-admin".into()], ..member("root", Some(tenant)) }
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn settings_are_checked_and_not_quoted() {
    let error = |variables: &[(&str, &str)]| {
        let find = |name: &str| {
            let found = variables.iter().rfind(|(known, _)| *known == name);
            found.map(|(_, value)| Zeroizing::new((*value).to_owned()))
        };
        Settings::read(find).map(drop).unwrap_err().to_string()
    };
    assert!(error(&[]).contains("tenant_key"));
    let five = ["A", "B", "C", "D", "E"].map(|letter| letter.repeat(43)).join(",");
    let twice = format!("{KEY}, {OTHER_KEY}, {KEY}");
    let (second, bad) = (format!("{OTHER_KEY} {KEY}"), format!("{KEY},hunter2"));
    for keys in [&*five, &twice, &bad, ",", " "] {
        let error = error(&[("tenant_key", keys)]);
        assert!(error.contains("tenant_key: expected at least 32 bytes"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error_of_both = error(&[("tenant_key", &second), ("assertion_key", KEY)]);
    assert!(error_of_both.contains("another key than assertion_key"), "{error_of_both}");
    for (name, value) in [
        ("tenant_key", "hunter2"),
        ("assertion_key", KEY),
        ("retention_days", "91"),
        ("retention_days", "+1"),
        ("retention_days", "hunter2"),
        ("tenant_administrator", "hunter2"),
        ("tenant_administrator", "role:"),
        ("feedback_texts", "hunter2"),
        ("feedback_texts", "[1]"),
    ] {
        let error = error(&[("tenant_key", KEY), (name, value)]);
        let named = if name == "assertion_key" { "tenant_key" } else { name };
        assert!(error.starts_with(&format!("Spin variable {named}: expected ")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(settings(&[]).retention_days, 0);
    assert_eq!(
        settings(&[("retention_days", "90"), ("assertion_key", OTHER_KEY)]).retention_days,
        90
    );
}

#[test]
fn who_answers_for_a_tenant_is_configured() {
    let world = World::new(&[("tenant_administrator", "scope:tenant.data")]);
    let scoped = Principal { scopes: vec!["tenant.data".into()], ..member("alice", Some("acme")) };
    assert_eq!(world.ask(&scoped, "GET", "/v1/usage").0, 200);
    world.refused(&administrator("acme"), ("GET", "/v1/usage"), 403, "role-missing");
}

#[test]
fn unknown_paths_methods_and_parameters() {
    let world = World::retaining();
    let root = administrator("acme");
    for path in ["/", "/v1/usage/", "/v1", "/v1/results2", "/v1/predict"] {
        assert!(super::allow(path).is_none());
        world.refused(&root, ("GET", path), 404, "not-found");
    }
    for (method, path) in [
        ("POST", "/v1/usage"),
        ("get", "/v1/usage"),
        ("DELETE", "/v1/results"),
        ("GET", "/v1/data"),
        ("PUT", "/v1/feedback"),
    ] {
        let reply = world.send(&root, method, path, b"");
        assert_refused(&reply, 405, "method-not-allowed");
        assert!(reply.headers.contains(&("allow", super::allow(path).unwrap())));
    }
    for target in ["/v1/usage?subject=a", "/v1/results?tenant=b", "/v1/export?month=2023-11"] {
        world.refused(&root, ("GET", target), 400, "parameter-unknown");
    }
    for target in [
        "/v1/usage?month=2023-1",
        "/v1/usage?month=%ff",
        "/v1/usage?month=2023-11&month=2023-11",
        "/v1/results?limit=0",
        "/v1/results?limit=101",
        "/v1/results?limit=-1",
        "/v1/results?after=..",
        "/v1/results?issuer=a",
        "/v1/feedback?after=text-1",
        "/v1/export?subject",
    ] {
        world.refused(&root, ("GET", target), 400, "parameter-invalid");
    }
    assert_refused(&world.send(&root, "GET", "/v1/usage", b"x"), 400, "body-unexpected");
    let head = world.send(&root, "HEAD", "/v1/usage", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn the_description_names_every_route_and_status() {
    for path in [
        "/v1/usage:",
        "/v1/feedback:",
        "/v1/results:",
        "/v1/results/{id}:",
        "/v1/export:",
        "/v1/data:",
    ] {
        assert!(super::OPENAPI.contains(path), "{path}");
    }
    for status in
        ["200", "201", "400", "401", "403", "404", "405", "409", "413", "415", "422", "503"]
    {
        assert!(super::OPENAPI.contains(&format!("\"{status}\"")), "{status}");
    }
}
