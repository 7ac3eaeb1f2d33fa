use std::rc::Rc;
use std::sync::LazyLock;

use portcullis_function::described::Description;
use portcullis_function::keys::testing::{MemoryStore, run};
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde_json::{Value, json};

use super::*;
use portcullis_function::{Body, KEY_ID};

const NOW: u64 = 1_700_000_000;
/// 32 bytes of 1 and of 2, in base64url.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

/// A request as the gate would send it, and what a test changes of it.
struct Case {
    method: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    now: u64,
    /// Whom the gate names.
    principal: Principal,
    store: Rc<MemoryStore>,
}

impl Case {
    fn new(method: &'static str, path: &'static str, body: &[u8]) -> Self {
        let headers = vec![(String::from("content-type"), b"application/json".to_vec())];
        Self {
            method,
            path,
            query: None,
            headers,
            body: Body::Whole(body.to_vec().into()),
            now: NOW + 1,
            principal: Principal {
                subject: "alice".into(),
                roles: vec!["caller".into()],
                via: CredentialKind::Jwt,
                ..Principal::anonymous()
            },
            store: Rc::default(),
        }
    }

    fn predict(text: &str) -> Self {
        Self::question(&json!({ "text": text }))
    }

    fn question(question: &Value) -> Self {
        Self::new("POST", "/v1/predict", question.to_string().as_bytes()).signed(KEY)
    }

    fn signed(mut self, key: &str) -> Self {
        let Body::Whole(body) = &self.body else { return self };
        let fields = Signer::new(KEY_ID, Secret::from_base64url(key).unwrap(), 30).sign(
            &self.principal.to_field(),
            self.method,
            self.path,
            self.query,
            body,
            NOW,
            &[7; 16],
        );
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        self.headers.extend(fields);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    fn answer(&self) -> (u16, Value, Reply) {
        self.answer_with(&settings())
    }

    fn answer_with(&self, settings: &Settings) -> (u16, Value, Reply) {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &headers,
            body: self.body.clone(),
            now: self.now,
        };
        let reply = run(Service::new().answer(&request, settings, &*self.store));
        // Whatever is asked is answered as it is described.
        static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| Description::read(OPENAPI));
        DESCRIPTION.holds(self.method, self.path, &reply);
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default(), reply)
    }

    /// Asserts that the request is refused with a complete problem document.
    fn refused(&self, status: u16, reason: &str) -> Reply {
        let (actual, problem, reply) = self.answer();
        assert_eq!((actual, &problem["status"]), (status, &json!(status)), "{problem}");
        assert_eq!(problem["type"], format!("urn:portcullis:problem:{reason}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(reply.headers.contains(&("content-type", "application/problem+json")));
        reply
    }
}

#[test]
fn a_scam_and_a_harmless_text_get_their_labels() {
    let (status, answer, reply) =
        Case::predict("USPS: your parcel is held, pay $1.99 at http://usps-fee.top/x").answer();
    assert_eq!((status, &answer["label"]), (200, &json!("scam")), "{answer}");
    assert!(answer["probability"].as_f64().unwrap() >= answer["threshold"].as_f64().unwrap());
    assert_eq!(answer["adversarial"], json!(false));
    assert_eq!(answer["model"]["name"], "portcullis-scam-detector");
    assert_eq!(answer["model"]["sha256"].as_str().unwrap().len(), 64);
    assert!(reply.headers.contains(&("cache-control", "no-store")));

    let (status, answer, _) = Case::predict("Are we still on for lunch tomorrow?").answer();
    assert_eq!((status, &answer["label"]), (200, &json!("ham")), "{answer}");
}

const SCAM: &str = "USPS: your parcel is held, pay $1.99 at http://usps-fee.top/x";
const HAM: &str = "Are we still on for lunch tomorrow?";

#[test]
fn several_texts_get_what_each_would_get_alone() {
    let (status, answer, _) = Case::question(&json!({ "texts": [SCAM, HAM, SCAM] })).answer();
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    for (result, text) in results.iter().zip([SCAM, HAM, SCAM]) {
        let mut alone = Case::predict(text).answer().1;
        alone.as_object_mut().unwrap().remove("model");
        assert_eq!(*result, alone);
    }
    assert_eq!(results.len(), 3);
    assert_eq!(Case::question(&json!({ "texts": vec!["a"; 64] })).answer().0, 200);
    for wrong in [
        json!({ "texts": [] }),
        json!({ "texts": vec!["a"; 65] }),
        json!({ "texts": ["a"], "text": "a" }),
        json!({ "texts": "a" }),
        json!({ "texts": ["a", 1] }),
        json!({ "texts": [["a"]] }),
        json!({ "text": "a", "explain": "yes" }),
    ] {
        Case::question(&wrong).refused(422, "body-schema");
    }
}

#[test]
fn an_explanation_names_places_in_the_callers_text() {
    let (_, plain, _) = Case::predict(SCAM).answer();
    assert!(plain.get("spans").is_none(), "{plain}");
    let text = format!("Ünï\u{200b}code first. {SCAM}");
    let (status, answer, _) = Case::question(&json!({ "text": text, "explain": true })).answer();
    let spans = answer["spans"].as_array().unwrap();
    assert!(status == 200 && !spans.is_empty(), "{answer}");
    let length = text.chars().count() as u64;
    for span in spans {
        let place = |name: &str| span[name].as_u64().unwrap();
        assert!(place("start") < place("end") && place("end") <= length, "{span}");
        assert!(span["weight"].is_number());
    }
}

#[test]
fn what_deceives_is_marked_and_told_to_the_gate() {
    let disguised = "\u{420}l\u{435}\u{430}s\u{435} v\u{435}rify y\u{43e}ur b\u{430}nk \u{430}cc\u{43e}unt \
                     n\u{43e}w \u{430}t http://secure-login.top/x or it will b\u{435} cl\u{43e}s\u{435}d";
    let (_, answer, reply) = Case::predict(disguised).answer();
    assert_eq!(
        (&answer["label"], &answer["adversarial"]),
        (&json!("scam"), &json!(true)),
        "{answer}"
    );
    let kind = answer["adversarial_kind"].as_str().unwrap();
    let told = reply.headers.iter().filter(|(name, _)| *name == "portcullis-signals");
    assert_eq!(told.map(|(_, value)| *value).collect::<Vec<_>>(), [kind]);
    assert!(
        !Case::predict(HAM)
            .answer()
            .2
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("portcullis"))
    );
}

#[test]
fn callers_get_as_many_decimals_as_the_operator_says() {
    for (decimals, most) in [("0", 0), ("2", 2), ("6", 6)] {
        let settings = Settings { decimals: Decimals::parse(decimals), ..settings() };
        let (_, answer, _) = Case::predict("hello, call me later").answer_with(&settings);
        let written = answer["probability"].to_string();
        let fraction = written.split_once('.').map_or("", |(_, fraction)| fraction);
        assert!(fraction.trim_end_matches('0').len() <= most, "{written}");
    }
    let body = json!({ "text": SCAM, "explain": true });
    for (decimals, most) in [("0", 0), ("6", 1)] {
        let settings = Settings { decimals: Decimals::parse(decimals), ..settings() };
        let (_, answer, _) = Case::question(&body).answer_with(&settings);
        for span in answer["spans"].as_array().unwrap() {
            let written = span["weight"].to_string();
            let fraction = written.split_once('.').map_or("", |(_, fraction)| fraction);
            assert!(fraction.trim_end_matches('0').len() <= most, "{written}");
        }
    }
    for unfit in ["", "7", "-1", "two", "1.5"] {
        let settings = Settings { decimals: Decimals::parse(unfit), ..settings() };
        assert_eq!(Case::predict(HAM).answer_with(&settings).0, 503, "{unfit}");
    }
}

fn with_accounts(retention_days: &str) -> Settings {
    let accounts = tenants::Settings::read(|name| match name {
        "tenant_key" => Some(String::from(OTHER_KEY).into()),
        "retention_days" => Some(String::from(retention_days).into()),
        _ => None,
    });
    Settings { accounts: Accounts::On(Box::new(accounts.unwrap())), ..settings() }
}

impl Case {
    /// Of this tenant, with this role, keeping accounts there.
    fn of(mut self, tenant: &str, role: &str, store: &Rc<MemoryStore>) -> Self {
        self.principal.tenant = Some(tenant.into());
        self.principal.roles = vec![role.into()];
        self.store = Rc::clone(store);
        self.headers.truncate(1);
        self.signed(KEY)
    }
}

#[test]
fn tenants_have_their_own_usage_and_results() {
    let store = Rc::new(MemoryStore::default());
    let settings = with_accounts("30");
    let ask = |tenant: &str| {
        let case = Case::question(&json!({ "texts": [SCAM, HAM] })).of(tenant, "caller", &store);
        case.answer_with(&settings).1
    };
    let answer = ask("acme");
    ask("other");
    let id = answer["results"][0]["id"].as_str().unwrap();
    let result = |tenant: &str| {
        let path = String::leak(format!("/v1/results/{id}"));
        Case::new("GET", path, b"").of(tenant, "caller", &store).answer_with(&settings)
    };
    // Not more precise than it was answered.
    let kept = result("acme").1["probability"].clone();
    assert_eq!(kept, answer["results"][0]["probability"]);
    assert_eq!((kept.as_f64().unwrap() * 100.0).round() / 100.0, kept.as_f64().unwrap());
    let (status, kept, _) = result("acme");
    assert_eq!((status, &kept["label"]), (200, &json!("scam")), "{kept}");
    assert_eq!(result("other").0, 404, "a result of another tenant is none");

    let usage = |tenant: &str, role: &str| {
        Case::new("GET", "/v1/usage", b"").of(tenant, role, &store).answer_with(&settings)
    };
    let (status, usage_of_acme, _) = usage("acme", "tenant-admin");
    assert_eq!(status, 200, "{usage_of_acme}");
    assert!(usage_of_acme.to_string().contains("\"texts\":2"), "{usage_of_acme}");
    assert_eq!(usage("acme", "caller").0, 403);
}

#[test]
fn who_is_not_counted_is_not_served() {
    let broken = Rc::new(MemoryStore::default());
    broken.broken.replace(true);
    let case = Case::predict(HAM).of("acme", "caller", &broken);
    assert_eq!(case.answer_with(&with_accounts("0")).0, 503);
    assert_eq!(case.answer_with(&Settings { accounts: Accounts::Unfit, ..settings() }).0, 503);
    assert_eq!(case.answer().0, 200, "where no accounts are kept");
    for path in ["/v1/usage", "/v1/results", "/v1/export"] {
        Case::new("GET", path, b"").refused(401, "assertion-invalid");
        assert_eq!(Case::new("GET", path, b"").signed(KEY).answer().0, 503);
    }
}

#[test]
fn the_models_facts_are_served() {
    let (status, facts, _) = Case::new("GET", "/v1/model", b"").signed(KEY).answer();
    assert_eq!(status, 200);
    assert!(facts["metrics"]["sms test"]["auc"].as_f64().unwrap() > 0.9, "{facts}");
}

#[test]
fn health_and_description_need_no_assertion() {
    assert_eq!(Case::new("GET", "/healthz", b"").answer().0, 200);
    let (status, _, reply) = Case::new("GET", "/openapi.yaml", b"").answer();
    assert_eq!((status, reply.body.as_slice()), (200, OPENAPI));
    let (status, _, reply) = Case::new("HEAD", "/healthz", b"").answer();
    assert_eq!((status, reply.body.len()), (200, 0));
}

#[test]
fn who_does_not_come_through_the_gate_is_refused() {
    let reason = "assertion-invalid";
    let body = br#"{"text":"hello"}"#;
    let reply = Case::new("POST", "/v1/predict", body).refused(401, reason);
    assert!(reply.headers.iter().any(|(name, _)| *name == "www-authenticate"));
    Case::new("GET", "/v1/model", b"").refused(401, reason);
    Case::new("POST", "/v1/predict", body).signed(OTHER_KEY).refused(401, reason);
    Case { now: NOW + 31, ..Case::predict("hello") }.refused(401, reason);
    Case { now: 0, ..Case::predict("hello") }.refused(401, reason);
    Case { query: Some("admin=1"), ..Case::predict("hello") }.refused(401, reason);
    Case { body: Body::Whole(br#"{"text":"other"}"#.to_vec().into()), ..Case::predict("hello") }
        .refused(401, reason);
    // What was signed for one route is of no use on another.
    Case { path: "/v1/model", method: "GET", ..Case::predict("hello") }.refused(401, reason);
    Case::predict("hello")
        .header("portcullis-principal", "sub=\"admin\", via=jwt")
        .refused(401, reason);
    let mut doubled = Case::predict("hello");
    doubled.headers.extend(doubled.headers.clone());
    doubled.refused(401, reason);
}

fn settings() -> Settings {
    let gatekeeper = Some(Gatekeeper::new(KEY.into()).unwrap());
    Settings { gatekeeper, decimals: Some(Decimals::DEFAULT), accounts: Accounts::Off }
}

fn without_key() -> Settings {
    Settings { gatekeeper: None, ..settings() }
}

#[test]
fn without_a_key_nobody_is_let_in() {
    for case in [Case::predict("hello"), Case::new("GET", "/v1/model", b"").signed(KEY)] {
        let (status, problem, _) = case.answer_with(&without_key());
        assert_eq!(status, 503, "{problem}");
        assert_eq!(problem["type"], "urn:portcullis:problem:function-unavailable");
    }
    assert_eq!(Case::new("GET", "/healthz", b"").answer_with(&without_key()).0, 200);
    for unfit in ["", "c2hvcnQ", "not base64url!", &"A".repeat(100_000)] {
        assert!(Gatekeeper::new(unfit.into()).is_err());
    }
}

#[test]
fn unknown_paths_and_methods() {
    for path in ["/", "/v1", "/v1/predict/", "/V1/predict", "/v1//predict", "/../v1/predict"] {
        Case::new("GET", path, b"").refused(404, "not-found");
    }
    for (method, path, allow) in [
        ("GET", "/v1/predict", "POST"),
        ("post", "/v1/predict", "POST"),
        ("POST", "/v1/model", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ] {
        let reply = Case::new(method, path, b"").signed(KEY).refused(405, "method-not-allowed");
        assert!(reply.headers.contains(&("allow", allow)));
    }
}

#[test]
fn bodies_that_cannot_be_read() {
    Case { body: Body::TooLarge(BODY_LIMIT.detail), ..Case::predict("x") }
        .refused(413, "body-too-large");
    Case { body: Body::Broken, ..Case::predict("x") }.refused(400, "body-incomplete");
    for content_type in ["text/plain", "application/json; charset=utf-16", "application/jsonx", ""]
    {
        let reply = Case::predict("x")
            .header("content-type", content_type)
            .refused(415, "unsupported-media-type");
        assert!(reply.headers.contains(&("accept", "application/json")));
    }
    let mut two = Case::predict("x");
    two.headers.push(("content-type".into(), b"application/json".to_vec()));
    two.refused(415, "unsupported-media-type");
    for good in ["Application/JSON", "application/json; charset=UTF-8"] {
        assert_eq!(Case::predict("x").header("content-type", good).answer().0, 200);
    }
}

#[test]
fn bodies_that_are_not_the_question() {
    let sent = |body: &[u8]| Case::new("POST", "/v1/predict", body).signed(KEY);
    let nested = "[".repeat(10_000);
    for body in [&b""[..], b"{", b"{\"text\":\"\xff\"}", b"{\"text\":\"a\"} x", nested.as_bytes()] {
        let (status, problem, _) = sent(body).answer();
        assert!(matches!(status, 400 | 422), "{problem}");
    }
    sent(b"{").refused(400, "body-not-json");
    sent(b"{\"text\":\"a\"}{}").refused(400, "body-not-json");
    for body in [
        &b"{}"[..],
        b"[]",
        b"[\"hello\"]",
        b"null",
        b"{\"text\":1}",
        b"{\"text\":null}",
        b"{\"text\":\"a\",\"more\":1}",
        b"{\"text\":\"a\",\"text\":\"b\"}",
    ] {
        sent(body).refused(422, "body-schema");
    }
}

#[test]
fn a_text_that_grows_too_long_is_refused() {
    // Three bytes each on the wire, 18 characters each when written out.
    Case::predict(&"\u{fdfa}".repeat(5_000)).refused(422, "text-too-long");
    Case::question(&json!({ "texts": ["a", "\u{fdfa}".repeat(5_000)] }))
        .refused(422, "text-too-long");
    assert_eq!(Case::predict(&"a".repeat(60_000)).answer().0, 200);
}

#[test]
fn the_description_names_every_route_and_status() {
    let description = std::str::from_utf8(OPENAPI).unwrap();
    for path in
        ["/v1/predict:", "/v1/model:", "/v1/usage:", "/v1/data:", "/healthz:", "/openapi.yaml:"]
    {
        assert!(description.contains(path), "{path}");
    }
    for status in ["200", "400", "401", "405", "413", "415", "422", "500", "503"] {
        assert!(description.contains(&format!("\"{status}\"")), "{status}");
    }
}
