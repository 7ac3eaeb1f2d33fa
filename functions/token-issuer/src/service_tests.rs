use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_function::described::Description;
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::testing::*;
use portcullis_function::{Body, KEY_ID};

const FORM: &str = "application/x-www-form-urlencoded";

/// A request as the gate would send it, and what a test changes of it.
struct Case {
    method: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
    now: u64,
    role: Option<&'static str>,
    key: Option<&'static str>,
}

impl Case {
    fn get(path: &'static str) -> Self {
        Self::new("GET", path, "")
    }

    fn new(method: &'static str, path: &'static str, body: &str) -> Self {
        Self {
            method,
            path,
            query: None,
            headers: vec![],
            body: Body::Whole(body.as_bytes().to_vec().into()),
            now: NOW,
            role: None,
            key: Some(ASSERTION_KEY),
        }
    }

    fn token(form: &str) -> Self {
        Self::new("POST", "/token", form).header("content-type", FORM)
    }

    fn rotate(role: Option<&'static str>) -> Self {
        Self { role, ..Self::new("POST", "/admin/rotate", "") }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    fn basic(self, id: &str, secret: &str) -> Self {
        let pair = [id, secret].map(encoded).join(":");
        self.header("authorization", &format!("Basic {}", STANDARD.encode(pair)))
    }

    fn assertion(&self) -> Vec<(String, Vec<u8>)> {
        let (Some(key), Body::Whole(body)) = (self.key, &self.body) else { return vec![] };
        let nobody = Principal::anonymous();
        let principal = match self.role {
            None => nobody,
            Some(role) => Principal {
                subject: "olga".into(),
                roles: vec![role.into()],
                via: CredentialKind::Jwt,
                ..nobody
            },
        };
        let signer = Signer::new(KEY_ID, Secret::from_base64url(key).unwrap(), 30);
        let (method, path, query) = (self.method, self.path, self.query);
        let fields =
            signer.sign(&principal.to_field(), method, path, query, body, self.now, &[7; 16]);
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
    }

    fn answer(self, store: &MemoryStore) -> (u16, Value, Reply) {
        self.answer_with(store, Some(&settings()))
    }

    fn answer_with(
        mut self,
        store: &MemoryStore,
        settings: Option<&Settings>,
    ) -> (u16, Value, Reply) {
        self.headers.extend(self.assertion());
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &headers,
            body: self.body,
            now: self.now,
        };
        let reply = run(Service { settings, store }.answer(&request));
        // Whatever is asked is answered as it is described.
        static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| Description::read(OPENAPI));
        DESCRIPTION.holds(self.method, self.path, &reply);
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default(), reply)
    }

    /// Asserts that the request is refused with a complete problem document.
    fn refused(self, status: u16, reason: &str) -> Reply {
        let (actual, problem, reply) = self.answer(&MemoryStore::default());
        assert_eq!((actual, &problem["status"]), (status, &json!(status)), "{problem}");
        assert_eq!(problem["type"], format!("urn:portcullis:problem:{reason}"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(reply.headers.contains(&("content-type", "application/problem+json")));
        reply
    }

    /// Asserts that the request is refused as RFC 6749 §5.2 has it.
    fn denied(self, code: &str) {
        let (status, answer, reply) = self.answer(&MemoryStore::default());
        let expected = if code == "invalid_client" { 401 } else { 400 };
        assert_eq!((status, &answer["error"]), (expected, &json!(code)), "{answer}");
        assert!(answer["error_description"].is_string());
        for header in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
        ] {
            assert!(reply.headers.contains(&header), "{header:?}");
        }
        let challenge = reply.headers.iter().find(|(name, _)| *name == "www-authenticate");
        assert_eq!(challenge.is_some_and(|(_, value)| value.starts_with("Basic ")), status == 401);
    }

    /// The token's header and claims, unverified.
    fn granted(self) -> (Value, Value) {
        let (status, answer, _) = self.answer(&MemoryStore::default());
        assert_eq!(status, 200, "{answer}");
        read(answer["access_token"].as_str().unwrap())
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn read(token: &str) -> (Value, Value) {
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    (parts[0].clone(), parts[1].clone())
}

/// A form with the client's credentials in it.
fn form(more: &str) -> String {
    let (id, secret) = (encoded(CLIENT_ID), encoded(CLIENT_SECRET));
    format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{more}")
}

const DETECTOR: &str = "&audience=scam-detector";

#[test]
fn a_token_says_what_rfc_9068_wants() {
    let store = MemoryStore::default();
    let (status, answer, reply) = Case::token(&form(DETECTOR)).answer(&store);
    assert_eq!(status, 200, "{answer}");
    for header in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
    ] {
        assert!(reply.headers.contains(&header), "{header:?}");
    }
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"], &answer["scope"]),
        (&json!("Bearer"), &json!(600), &json!("predict model")),
    );
    let (header, claims) = read(answer["access_token"].as_str().unwrap());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let mut expected = json!({
        "iss": ISSUER, "sub": "alice", "aud": "scam-detector", "iat": NOW, "exp": NOW + 600,
        "client_id": CLIENT_ID, "scope": "predict model", "roles": ["caller"], "tenant": "acme",
    });
    expected["jti"] = claims["jti"].clone();
    assert_eq!(claims, expected);
    assert_eq!(URL_SAFE_NO_PAD.decode(claims["jti"].as_str().unwrap()).unwrap().len(), 16);

    let (_, second, _) = Case::token(&form(DETECTOR)).answer(&store);
    let (second_header, second_claims) = read(second["access_token"].as_str().unwrap());
    assert_ne!(second_claims["jti"], claims["jti"]);
    assert_eq!(second_header["kid"], header["kid"]);
}

#[test]
fn both_ways_to_authenticate_open() {
    let body = "grant_type=client_credentials&audience=scam-detector";
    Case::token(body).basic(CLIENT_ID, CLIENT_SECRET).granted();
    Case::token(&form(DETECTOR)).granted();
    // A client of little has a token of little.
    let (_, claims) =
        Case::token("grant_type=client_credentials").basic("plain", CLIENT_SECRET).granted();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("plain"), &json!("scam-detector")));
    assert_eq!(claims["exp"], NOW + 900);
    for name in ["scope", "roles", "tenant"] {
        assert_eq!(claims.get(name), None, "{name}");
    }
}

#[test]
fn who_is_not_a_client_gets_nothing() {
    let body = "grant_type=client_credentials&audience=scam-detector";
    for (id, secret) in [
        (CLIENT_ID, "wrong"),
        (CLIENT_ID, "a%2Bb%2Fc%3D%3Ad%2520%C3%A9"),
        ("unknown", CLIENT_SECRET),
        ("disabled", CLIENT_SECRET),
        ("BATCH.1", CLIENT_SECRET),
        ("batch.1 ", CLIENT_SECRET),
        ("*", CLIENT_SECRET),
    ] {
        Case::token(body).basic(id, secret).denied("invalid_client");
        let form = format!("{body}&client_id={}&client_secret={}", encoded(id), encoded(secret));
        Case::token(&form).denied("invalid_client");
    }
    Case::token(body).denied("invalid_client");
    Case::token(&format!("{body}&client_id={CLIENT_ID}")).denied("invalid_client");
    Case::token(body).header("authorization", "Bearer x").denied("invalid_client");
    // The hash is no secret.
    let hash = clients()[0]["secret_hash"].as_str().unwrap().to_owned();
    Case::token(body).basic(CLIENT_ID, &hash).denied("invalid_client");
}

#[test]
fn two_ways_to_authenticate_are_one_too_many() {
    Case::token(&form(DETECTOR)).basic(CLIENT_ID, CLIENT_SECRET).denied("invalid_request");
    Case::token(&form(DETECTOR)).basic("plain", CLIENT_SECRET).denied("invalid_request");
    let body = "grant_type=client_credentials&client_id=plain";
    Case::token(body).basic(CLIENT_ID, CLIENT_SECRET).denied("invalid_request");
    let mut two = Case::token("grant_type=client_credentials").basic("plain", CLIENT_SECRET);
    two.headers.push(("authorization".into(), b"Basic eDp5".to_vec()));
    two.denied("invalid_request");
}

#[test]
fn no_more_scope_than_the_client_has() {
    let asked = |scope: &str| Case::token(&form(&format!("{DETECTOR}&scope={scope}")));
    assert_eq!(asked("model").granted().1["scope"], "model");
    assert_eq!(asked("model+predict").granted().1["scope"], "predict model");
    assert_eq!(asked("model+model").granted().1["scope"], "model");
    assert_eq!(asked("").granted().1["scope"], "predict model");
    for scope in [
        "admin",
        "predict+admin",
        "Predict",
        "predict++model",
        "+predict",
        "predict+",
        "predict%09model",
        "predict,model",
        "%22",
        "predict%C2%A0model",
    ] {
        let case = asked(scope);
        // A tab is not even part of a form here.
        case.denied(if scope.contains("%09") { "invalid_request" } else { "invalid_scope" });
    }
    let plain = format!(
        "grant_type=client_credentials&client_id=plain&client_secret={}",
        encoded(CLIENT_SECRET)
    );
    Case::token(&format!("{plain}&scope=predict")).denied("invalid_scope");
}

#[test]
fn only_for_the_services_of_the_client() {
    let asked = |target: &str| Case::token(&form(target));
    let resource = "&resource=https%3A%2F%2Fapi.example%2Fv1";
    assert_eq!(asked(resource).granted().1["aud"], "https://api.example/v1");
    assert_eq!(
        asked("&resource=https://api.example/v1").granted().1["aud"],
        "https://api.example/v1"
    );
    for target in [
        "",
        "&audience=other",
        "&audience=scam-detector%20",
        "&audience=scam-detector+other",
        "&audience=SCAM-DETECTOR",
        "&resource=scam-detector",
        "&resource=https://api.example/v1/",
        "&resource=https://api.example/v1?x",
        "&resource=https://api.example/v1%23x",
        "&resource=https://API.example/v1",
        "&resource=/v1",
    ] {
        asked(target).denied("invalid_target");
    }
    asked("&audience=scam-detector&resource=https://api.example/v1").denied("invalid_request");
    asked("&audience=scam-detector&audience=other").denied("invalid_request");
    asked("&resource=https://api.example/v1&resource=https://other.example")
        .denied("invalid_request");
}

#[test]
fn other_grants_are_not_offered() {
    for grant in [
        "password",
        "authorization_code",
        "refresh_token",
        "CLIENT_CREDENTIALS",
        "client_credentials+",
    ] {
        let body = form(DETECTOR).replace("=client_credentials", &format!("={grant}"));
        Case::token(&body).denied("unsupported_grant_type");
    }
    let body = form(DETECTOR).replace("grant_type=client_credentials&", "");
    Case::token(&body).denied("invalid_request");
}

#[test]
fn bodies_that_are_no_form() {
    for content_type in [
        "",
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded, application/json",
        "multipart/form-data; boundary=x",
    ] {
        Case::token(&form(DETECTOR)).header("content-type", content_type).denied("invalid_request");
    }
    Case::token(&form(DETECTOR))
        .header("content-type", "Application/X-WWW-Form-urlencoded; charset=UTF-8")
        .granted();
    let mut two = Case::token(&form(DETECTOR));
    two.headers.push(("content-type".into(), FORM.as_bytes().to_vec()));
    two.denied("invalid_request");
    for body in
        ["", "{}", "grant_type", &form("&scope=%zz"), &form("&x=%00"), &form("&scope=a&sc%6fpe=b")]
    {
        Case::token(body).denied("invalid_request");
    }
    Case { query: Some("scope=predict"), ..Case::token(&form(DETECTOR)) }.denied("invalid_request");
    Case { query: Some(""), ..Case::token(&form(DETECTOR)) }.granted();
    Case { body: Body::TooLarge(BODY_LIMIT.detail), ..Case::token("") }
        .refused(413, "body-too-large");
    Case { body: Body::Broken, ..Case::token("") }.refused(400, "body-incomplete");
}

#[test]
fn who_does_not_come_through_the_gate_is_refused() {
    for key in [None, Some(OTHER_KEY)] {
        let reply = Case { key, ..Case::token(&form(DETECTOR)) }.refused(401, "assertion-invalid");
        assert!(reply.headers.iter().any(|(name, _)| *name == "www-authenticate"));
        Case { key, ..Case::rotate(Some(OPERATOR)) }.refused(401, "assertion-invalid");
    }
    let mut replayed = Case::token(&form(DETECTOR));
    replayed.headers.extend(Case::token(&form("")).assertion());
    replayed.key = None;
    replayed.refused(401, "assertion-invalid");
}

#[test]
fn keys_are_rotated_by_operators_alone() {
    for role in [None, Some("caller"), Some("Operator"), Some("operators")] {
        Case::rotate(role).refused(403, "role-missing");
    }
    let store = MemoryStore::default();
    let token = |now| {
        let (_, answer, _) = Case { now, ..Case::token(&form(DETECTOR)) }.answer(&store);
        read(answer["access_token"].as_str().unwrap()).0["kid"].clone()
    };
    let keys = |now| {
        let (_, set, _) = Case { now, ..Case::get("/jwks") }.answer(&store);
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    let old = token(NOW);
    let (status, answer, _) = Case::rotate(Some(OPERATOR)).answer(&store);
    assert_eq!((status, &answer["begun"]), (200, &json!(true)), "{answer}");
    let states: Vec<&Value> =
        answer["keys"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
    assert_eq!(states, ["current", "next"]);
    assert_eq!((keys(NOW).len(), token(NOW)), (2, old.clone()));
    let (_, answer, _) = Case::rotate(Some(OPERATOR)).answer(&store);
    assert_eq!(answer["begun"], false);
    assert!(!answer.to_string().contains("\"d\""));
    assert_ne!(token(NOW + 3600), old);
    assert!(keys(NOW + 3600).contains(&old));

    let body = Body::Whole(b"{}".to_vec().into());
    Case { body, ..Case::rotate(Some(OPERATOR)) }.refused(400, "body-unexpected");
}

#[test]
fn the_key_set_is_public_and_has_nothing_private() {
    let store = MemoryStore::default();
    let case = Case { key: None, ..Case::get("/jwks") };
    let (status, set, reply) = case.answer(&store);
    assert_eq!(status, 200);
    assert!(reply.headers.contains(&("cache-control", "public, max-age=300")));
    assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "cache-control").count(), 1);
    let key = set["keys"][0].as_object().unwrap();
    let names: Vec<&str> = key.keys().map(String::as_str).collect();
    let mut expected = ["alg", "crv", "kid", "kty", "use", "x", "y"];
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn metadata_names_the_endpoints_there_are() {
    let store = MemoryStore::default();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let (status, metadata, _) = Case { key: None, ..Case::get(path) }.answer(&store);
        assert_eq!(status, 200);
        assert_eq!(metadata["issuer"], ISSUER);
        for (name, path) in [("token_endpoint", "/token"), ("jwks_uri", "/jwks")] {
            let url = metadata[name].as_str().unwrap();
            assert_eq!(url.strip_prefix(ISSUER), Some(path));
            assert!(Route::of(path).is_some());
        }
        assert_eq!(metadata["response_types_supported"], json!([]));
    }
    // What is public makes no key.
    assert!(store.entries.borrow().is_empty());
}

#[test]
fn without_its_settings_nothing_is_issued() {
    let store = MemoryStore::default();
    let cases = [
        Case::token(&form(DETECTOR)),
        Case::rotate(Some(OPERATOR)),
        Case::get("/jwks"),
        Case::get("/.well-known/oauth-authorization-server"),
        Case::get("/healthz"),
    ];
    for case in cases {
        let (status, problem, _) = case.answer_with(&store, None);
        assert_eq!((status, &problem["status"]), (503, &json!(503)));
    }
    assert_eq!(Case::get("/openapi.yaml").answer_with(&store, None).0, 200);
    assert!(store.entries.borrow().is_empty());
}

#[test]
fn without_its_store_nothing_is_issued() {
    for case in [Case::token(&form(DETECTOR)), Case::get("/jwks"), Case::get("/healthz")] {
        let store = MemoryStore::default();
        *store.broken.borrow_mut() = true;
        let (status, problem, _) = case.answer(&store);
        assert_eq!(status, 503, "{problem}");
        assert_eq!(problem["type"], "urn:portcullis:problem:function-unavailable");
        assert!(!problem.to_string().contains("store"), "{problem}");
    }
    // Who is refused anyway costs no key.
    let store = MemoryStore::default();
    *store.broken.borrow_mut() = true;
    assert_eq!(Case::token("grant_type=x").answer(&store).0, 400);
}

#[test]
fn keys_of_another_encryption_key_stop_it() {
    let store = MemoryStore::default();
    assert_eq!(Case::get("/healthz").answer(&store).0, 200);
    let mut variables = variables();
    variables.insert("key_encryption_key".into(), URL_SAFE_NO_PAD.encode([9; 32]));
    let other = Settings::read(|name| variables.get(name).cloned().map(Zeroizing::new)).unwrap();
    assert_eq!(Case::token(&form(DETECTOR)).answer_with(&store, Some(&other)).0, 503);
    assert_eq!(Case::get("/jwks").answer_with(&store, Some(&other)).0, 503);
}

#[test]
fn unknown_paths_and_methods() {
    for path in [
        "/",
        "/token/",
        "/Token",
        "//token",
        "/admin",
        "/admin/rotate/",
        "/.well-known/",
        "/jwks.json",
    ] {
        Case::get(path).refused(404, "not-found");
    }
    for (method, path, allow) in [
        ("GET", "/token", "POST"),
        ("post", "/token", "POST"),
        ("GET", "/admin/rotate", "POST"),
        ("POST", "/jwks", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ] {
        let reply = Case::new(method, path, "").refused(405, "method-not-allowed");
        assert!(reply.headers.contains(&("allow", allow)));
    }
    let store = MemoryStore::default();
    let (status, _, reply) = Case::new("HEAD", "/jwks", "").answer(&store);
    assert_eq!((status, reply.body.len()), (200, 0));
    assert_eq!(Case::get("/openapi.yaml").answer(&store).2.body, OPENAPI);
}

#[test]
fn the_description_names_every_route_and_status() {
    let description = std::str::from_utf8(OPENAPI).unwrap();
    for path in [
        "/token:",
        "/jwks:",
        "/.well-known/oauth-authorization-server:",
        "/.well-known/openid-configuration:",
        "/admin/rotate:",
        "/healthz:",
        "/openapi.yaml:",
    ] {
        assert!(description.contains(path), "{path}");
    }
    for status in ["200", "400", "401", "403", "405", "413", "503"] {
        assert!(description.contains(&format!("\"{status}\"")), "{status}");
    }
}

mod verification {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jwt_simple::prelude::*;
    use portcullis_policy::document::LocatedDocument;
    use portcullis_policy::{
        Environment, Header, HeaderEdit, NativeSignature, Policy, RequestHead, Stages, Step, Swap,
        Timestamp, Unavailable, Version,
    };
    use proptest::prelude::*;

    use super::*;

    /// A gate that knows this issuer's keys.
    fn gate(key_set: &Value) -> Arc<Policy> {
        let document = json!({
            "version": 1,
            "identity": {"jwt": {"issuers": [{
                "issuer": ISSUER, "audiences": ["scam-detector"], "jwks": {"inline": key_set},
            }]}},
            "authorisation": {"require": "authenticated", "roles": ["caller"]},
            "assertion": {"key": {"env": "KEY"}, "key_id": KEY_ID, "lifetime_seconds": 30},
            "routes": [{"name": "all", "match": {"prefix": "/"}}],
        });
        let secrets = BTreeMap::from([("KEY".to_owned(), ASSERTION_KEY.to_owned())]);
        Arc::new(
            Policy::from_json("policy.json", &document.to_string(), &secrets, Stages::ALL).unwrap(),
        )
    }

    /// The principal that the gate makes of a token, as its upstream reads it.
    fn principal(gate: &Arc<Policy>, token: &str, now: u64) -> Option<String> {
        let mut runtime = Runtime::new(now);
        let authorization = format!("Bearer {token}");
        let headers: Vec<Header<'_>> = [
            (":method", "GET"),
            (":path", "/"),
            (":authority", "a"),
            ("authorization", &authorization),
        ]
        .map(|(name, value)| (name, value.as_bytes()))
        .into();
        let head = RequestHead { headers: &headers, has_body: false };
        let mut exchange = gate.begin(Timestamp(now * 1_000_000_000));
        let Step::Continue(edits) = exchange.request_head(&head, &mut runtime) else { return None };
        edits.into_iter().find_map(|edit| match edit {
            HeaderEdit::Set(name, value) if name == "portcullis-principal" => Some(value),
            _ => None,
        })
    }

    struct Runtime {
        now: u64,
        store: portcullis_policy::MemoryStore,
    }

    impl Runtime {
        fn new(now: u64) -> Self {
            Self { now, store: portcullis_policy::MemoryStore::default() }
        }
    }

    impl Environment for Runtime {
        fn now(&mut self) -> Timestamp {
            Timestamp(self.now * 1_000_000_000)
        }

        fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
            bytes.fill(6);
            Ok(())
        }

        fn source(&mut self) -> Option<std::net::IpAddr> {
            "192.0.2.1".parse().ok()
        }

        fn load(&mut self, key: &str) -> Result<Option<(Vec<u8>, Version)>, Unavailable> {
            Ok(self.store.load(key))
        }

        fn compare_and_swap(
            &mut self,
            key: &str,
            expected: Option<Version>,
            value: &[u8],
        ) -> Result<Swap, Unavailable> {
            Ok(self.store.compare_and_swap(key, expected, value))
        }

        fn verify_signature(&mut self, _: &NativeSignature<'_>) -> Option<bool> {
            None
        }
    }

    fn issued(store: &MemoryStore, now: u64) -> (String, Value) {
        let (_, answer, _) = Case { now, ..Case::token(&form(DETECTOR)) }.answer(store);
        let (_, set, _) = Case { now, ..Case::get("/jwks") }.answer(store);
        (answer["access_token"].as_str().unwrap().to_owned(), set)
    }

    #[test]
    fn the_gate_reads_what_the_issuer_wrote() {
        let store = MemoryStore::default();
        let (token, set) = issued(&store, NOW);
        let gate = gate(&set);
        let seen = Principal::from_field(&principal(&gate, &token, NOW).unwrap()).unwrap();
        assert_eq!((seen.subject.as_str(), seen.tenant.as_deref()), ("alice", Some("acme")));
        assert_eq!(
            (seen.roles, seen.scopes),
            (vec!["caller".to_owned()], vec!["model".to_owned(), "predict".to_owned()])
        );
        assert!(seen.credential_id.is_some());
        assert_eq!(principal(&gate, &token, NOW + 660), None, "it has expired");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        assert_eq!(principal(&gate, &format!("{signed}.{other}{}", &signature[1..]), NOW), None);
    }

    /// policy/token-issuer.yaml: the client's id and secret get through to the issuer, with the gate's word for it.
    #[test]
    fn the_gate_in_front_lets_clients_in_and_strangers_rotate_nothing() {
        let text = include_str!("../../../policy/token-issuer.yaml");
        let located = LocatedDocument::read("token-issuer.yaml", text).unwrap();
        let secrets: BTreeMap<String, String> =
            ["PORTCULLIS_API_KEY_PEPPER", "PORTCULLIS_ASSERTION_KEY"]
                .map(|name| (name.to_owned(), ASSERTION_KEY.to_owned()))
                .into();
        let gate = Arc::new(Policy::compile(&located.document, &secrets, Stages::ALL).unwrap());
        let pass = |path: &str, body: &[u8]| {
            let headers: Vec<Header<'_>> = [
                (":method", "POST"),
                (":path", path),
                (":authority", "a"),
                ("content-type", FORM),
                ("authorization", "Basic YTpi"),
            ]
            .map(|(name, value)| (name, value.as_bytes()))
            .into();
            let head = RequestHead { headers: &headers, has_body: true };
            let mut runtime = Runtime::new(NOW);
            let mut exchange = gate.begin(Timestamp(NOW * 1_000_000_000));
            match exchange.request_head(&head, &mut runtime) {
                Step::NeedBody => exchange.request_body(body, &mut runtime),
                step => step,
            }
        };
        let Step::Continue(edits) = pass("/token", b"grant_type=client_credentials") else {
            panic!("a client is refused");
        };
        let removed = |name: &str| edits.contains(&HeaderEdit::Remove(name.to_owned()));
        assert!(!removed("authorization"));
        let is_signed =
            |edit: &HeaderEdit| matches!(edit, HeaderEdit::Set(name, _) if name == "signature");
        assert!(edits.iter().any(is_signed));
        for (path, body) in [("/admin/rotate", ""), ("/token", "a=1&a=2"), ("/other", "a=1")] {
            assert!(matches!(pass(path, body.as_bytes()), Step::Respond(_)), "{path}");
        }
    }

    #[test]
    fn a_rotation_is_not_noticed_by_a_gate_that_fetches_now_and_then() {
        let store = MemoryStore::default();
        let (old_token, _) = issued(&store, NOW);
        Case::rotate(Some(OPERATOR)).answer(&store);
        // Fetched before the new key signs, good for its tokens; fetched after, good for the old one's.
        let (_, before) = issued(&store, NOW + 1);
        let (new_token, after) = issued(&store, NOW + 3600);
        assert!(principal(&gate(&before), &new_token, NOW + 3600).is_some());
        assert!(principal(&gate(&after), &old_token, NOW + 1).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever a client is called and may do: its tokens are good to the gate and to another library, and are as
        /// the registry has it.
        #[test]
        fn every_token_verifies(
            subject in "[^\\p{Cc}]{1,30}",
            tenant in proptest::option::of("[^\\p{Cc}]{1,30}"),
            scopes in prop::collection::btree_set("[!#-\\[\\]-~]{1,8}", 0..4),
            lifetime in 60_u64..=3600,
            start in NOW..NOW * 2,
        ) {
            let mut variables = variables();
            let mut clients = clients();
            clients[0]["subject"] = subject.clone().into();
            clients[0]["tenant"] = tenant.clone().into();
            clients[0]["scopes"] = scopes.iter().cloned().collect();
            clients[0]["token_lifetime_seconds"] = lifetime.into();
            variables.insert("clients".into(), clients.to_string());
            let settings = Settings::read(|name| variables.get(name).cloned().map(Zeroizing::new)).unwrap();
            let store = MemoryStore::default();
            let case = Case { now: start, ..Case::token(&form(DETECTOR)) };
            let (status, answer, _) = case.answer_with(&store, Some(&settings));
            prop_assert_eq!(status, 200);
            let token = answer["access_token"].as_str().unwrap();
            let (_, set, _) = Case { now: start, ..Case::get("/jwks") }.answer_with(&store, Some(&settings));

            let seen = principal(&gate(&set), token, start + lifetime - 1);
            let seen = Principal::from_field(&seen.unwrap()).unwrap();
            prop_assert_eq!((&seen.subject, &seen.tenant), (&subject, &tenant));
            prop_assert_eq!(seen.scopes, scopes.into_iter().collect::<Vec<_>>());

            let key = &set["keys"][0];
            let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
            let point = [vec![4], coordinate("x"), coordinate("y")].concat();
            let options = VerificationOptions {
                artificial_time: Some(UnixTimeStamp::from_secs(start)),
                allowed_issuers: Some([ISSUER.to_owned()].into()),
                allowed_audiences: Some(["scam-detector".to_owned()].into()),
                ..VerificationOptions::default()
            };
            let claims = ES256PublicKey::from_bytes(&point).unwrap().verify_token::<NoCustomClaims>(token, Some(options));
            prop_assert_eq!(claims.unwrap().subject, Some(subject));
        }
    }
}
