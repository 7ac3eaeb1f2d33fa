use std::collections::BTreeMap;

use super::*;

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

struct Files(tempfile::TempDir);

impl Files {
    fn new(policy: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.with("policy.yaml", policy)
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    fn read(&self) -> Result<Bundle, BundleError> {
        Bundle::read(&self.0.path().join("policy.yaml"))
    }

    fn error(&self) -> String {
        let folder = format!("{}/", self.0.path().display());
        self.read().unwrap_err().to_string().replace(&folder, "")
    }
}

const POLICY: &str = "\
version: 1
identity:
  jwt:
    issuers:
      - issuer: https://a.example
        audiences: [x]
        jwks: { file: keys.json }
  api_keys: { pepper: { env: PEPPER }, keys: [] }
assertion: { key: { env: KEY }, key_id: k }
input:
  schema: { file: schema.json }
routes:
  - name: all
    match: { prefix: / }
";

#[test]
fn files_are_put_in_place() {
    let files = Files::new(POLICY).with("keys.json", KEYS).with("schema.json", "{}");
    let bundle = files.read().unwrap();
    assert_eq!(bundle.secret_names(), ["KEY", "PEPPER"]);
    assert!(bundle.json().contains("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    assert!(!bundle.json().contains("keys.json") && !bundle.json().contains("schema.json"));
    let none = BTreeMap::new();
    bundle.check(&none).unwrap();
    let error = bundle.compile(&none, Stages::ALL).unwrap_err().to_string();
    assert!(
            error.ends_with("policy.yaml:8:25: identity.api_keys.pepper.env: the secret PEPPER is not set in the environment"),
            "{error}"
        );
}

#[test]
fn errors_name_both_files_and_the_field() {
    let files = Files::new(POLICY);
    let error = files.error();
    assert!(
        error.starts_with(
            "policy.yaml:7:17: identity.jwt.issuers[0].jwks.file: keys.json: No such file"
        ),
        "{error}"
    );
    let files = files.with("keys.json", &KEYS.replace("Ed25519", "X25519"));
    assert_eq!(
        files.error(),
        "policy.yaml:7:17: identity.jwt.issuers[0].jwks.file: keys.json: keys[0].crv: expected Ed25519"
    );
    let files = files.with("keys.json", KEYS).with("schema.json", "[]");
    assert_eq!(
        files.error(),
        "policy.yaml:11:13: input.schema.file: schema.json: expected a JSON Schema: an object or a boolean"
    );
}

#[test]
fn api_keys_in_files_are_put_in_place_and_checked_against_the_document() {
    let entry = |id: &str, more: &str| {
        let digest = format!("hmac-sha256:{}E", "A".repeat(42));
        format!(r#"{{"id":"{id}","digest":"{digest}","owner":"a"{more}}}"#)
    };
    let policy =
        POLICY.replace("keys: []", &format!("keys: [{}], file: api.json", entry("aaaa", "")));
    let files = Files::new(&policy).with("keys.json", KEYS).with("schema.json", "{}");
    let files = files.with("api.json", &format!(r#"{{"keys":[{}]}}"#, entry("bbbb", "")));
    let bundle = files.read().unwrap();
    bundle.check(&BTreeMap::new()).unwrap();
    let keys = &bundle.document().identity.api_keys.as_ref().unwrap().keys;
    assert_eq!(keys.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["aaaa", "bbbb"]);
    assert!(!bundle.json().contains("api.json"));

    let place = format!(
        "policy.yaml:8:{}: identity.api_keys.file: api.json:2",
        50 + entry("aaaa", "").len()
    );
    for (entry, expected) in [
        (entry("aaaa", ""), "keys[0].id: expected an id that no key of the policy document has"),
        (
            entry("cccc", r#","routes":["all","al"]"#),
            "keys[0].routes[1]: expected the name of a route",
        ),
        (entry("cccc", r#","expires":"soon""#), "keys[0].expires: expected a date and time"),
        (entry("cccc", r#","expiry":"soon""#), "keys[0].expiry: unknown field"),
    ] {
        std::fs::write(files.0.path().join("api.json"), format!("{{\"keys\":[\n{entry}]}}"))
            .unwrap();
        let error = files.error();
        assert!(error.starts_with(&place) && error.contains(expected), "{error}");
    }
}

#[test]
fn secret_keys_in_files_are_refused_with_a_hint() {
    let oct = format!(r#"{{"keys":[{{"kty":"oct","alg":"HS256","k":"{ASSUMED_KEY}"}}]}}"#);
    let error = Files::new(POLICY).with("keys.json", &oct).error();
    assert!(
        error.contains("keys.json: expected public keys") && error.contains("`env`"),
        "{error}"
    );
    assert!(!error.contains(ASSUMED_KEY));
}

#[test]
fn compile_errors_have_a_line_also_inside_of_files() {
    let files = Files::new(POLICY).with("keys.json", KEYS);
    let bundle = files.with("schema.json", r#"{"type":"no such type"}"#).read().unwrap();
    let error = bundle.check(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.place(), Some((11, 13)), "{error}");
    let error = error.to_string();
    assert!(error.contains(": input.schema.file: "), "{error}");
    assert!(
        error.contains("schema.json: type: not a usable schema: expected one of \"array\""),
        "{error}"
    );
}

#[test]
fn schemas_in_files_are_read_strictly() {
    let files = Files::new(POLICY).with("keys.json", KEYS);
    let files = files.with("schema.json", r#"{"type":"object","type":"array"}"#);
    assert_eq!(
        files.error(),
        "policy.yaml:11:13: input.schema.file: expected a JSON Schema, in JSON: \
             schema.json: /type: expected each member name once"
    );
    // Some editors write a byte order mark.
    files.with("schema.json", "\u{feff}{}").read().unwrap();
}

#[test]
fn openapi_documents_may_be_long_where_it_is_for_what_they_say_to_readers() {
    let policy = POLICY.replace("schema: { file: schema.json }", "openapi: { file: api.yaml }");
    let prose = "long ".repeat(500_000);
    let api = |of: &str| {
        format!(
            "openapi: 3.1.0\ninfo: {{ title: A, description: {prose:?} }}\npaths:\n  /a:\n    get:\n      \
                 description: {prose:?}\n      parameters: [{{ name: a, in: query, schema: {{ type: {of} }} }}]\n"
        )
    };
    let files = Files::new(&policy).with("keys.json", KEYS).with("api.yaml", &api("string"));
    let error = files.error();
    assert!(error.contains("api.yaml: larger than 4194304 bytes"), "{error}");
    let prose = "long ".repeat(250_000);
    let api = |of: &str| api(of).replacen(&"long ".repeat(500_000), &prose, 2);
    let files = files.with("api.yaml", &api("string"));
    let bundle = files.read().unwrap();
    assert!(!bundle.json().contains("long"));
    bundle.check(&BTreeMap::new()).unwrap();
    let files = files.with("api.yaml", &api("'null'"));
    let error = files.read().unwrap().check(&BTreeMap::new()).unwrap_err().to_string();
    assert!(
        error.contains("input.openapi.file: ")
            && error.contains("api.yaml: /paths/~1a/get/parameters/0/schema: expected a type"),
        "{error}"
    );
}

#[test]
fn keys_and_deny_lists_in_files_are_put_in_place() {
    let policy = POLICY
        .replace(
            "keys: [] }",
            "file: api-keys.json }\n  revocation: { inline: { sub: [a] }, file: denied.json }",
        )
        .replace(
            "jwks: { file: keys.json }",
            "jwks: { env: SET }\n    dpop: { nonce_key: { env: NONCES } }",
        );
    let keys = r#"{"keys":[{"id":"key1","digest":"hmac-sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","owner":"o"}]}"#;
    let files = Files::new(&policy)
        .with("schema.json", "{}")
        .with("api-keys.json", keys)
        .with("denied.json", r#"{"jti":["t"],"sub":["b"]}"#);
    let bundle = files.read().unwrap();
    assert_eq!(bundle.secret_names(), ["KEY", "NONCES", "PEPPER", "SET"]);
    let identity = &bundle.document().identity;
    assert_eq!(identity.api_keys.as_ref().unwrap().keys[0].id, "key1");
    let denied = &identity.revocation.as_ref().unwrap().inline;
    assert_eq!((denied.sub.len(), denied.jti.len()), (2, 1));
    assert!(!bundle.json().contains("api-keys.json") && !bundle.json().contains("denied.json"));

    // What is misspelt would let pass what it names.
    let files = files.with("denied.json", r#"{"subs":["b"]}"#);
    let error = files.error();
    assert!(
        error.contains("identity.revocation.file: denied.json: ") && error.contains("subs"),
        "{error}"
    );
    let files = files.with("denied.json", "{}").with("api-keys.json", r#"{"keys":[{"id":"k"}]}"#);
    let error = files.error();
    assert!(
        error.contains("identity.api_keys.file: api-keys.json:") && error.contains("digest"),
        "{error}"
    );
}

fn remote(uri: &str, cluster: Option<&str>) -> Remote {
    Remote {
        uri: uri.to_owned(),
        cluster: cluster.map(str::to_owned),
        refresh_seconds: 300,
        timeout_seconds: 5,
        max_stale_seconds: 3600,
    }
}

#[test]
fn a_server_is_one_cluster_however_much_is_fetched_from_it() {
    let found = clusters(
        &[
            remote("https://b.example/keys", None),
            remote("https://a.example:8443/keys", None),
            remote("https://b.example:443/denied", None),
            remote("http://keys.internal/", Some("outbound|80||keys.internal")),
        ],
        None,
    );
    let found = found.unwrap();
    let shown: Vec<_> =
        found.iter().map(|cluster| (cluster.name.as_str(), cluster.origin())).collect();
    let shown: Vec<_> = shown.iter().map(|(name, origin)| (*name, origin.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("outbound|80||keys.internal", "http://keys.internal:80"),
            ("portcullis_https_a.example_8443", "https://a.example:8443"),
            ("portcullis_https_b.example_443", "https://b.example:443"),
        ]
    );
}

#[test]
fn a_cluster_leads_to_one_place() {
    let error = clusters(
        &[remote("https://a.example/", Some("keys")), remote("https://b.example/", Some("keys"))],
        None,
    );
    let error = error.unwrap_err();
    assert!(
        error.contains("keys leads to https://a.example:443 and to https://b.example:443"),
        "{error}"
    );
    // Another scheme is another place: what is fetched over http can be changed on the way.
    let both =
        [remote("https://a.example/", Some("k")), remote("http://a.example:443/", Some("k"))];
    assert!(clusters(&both, None).is_err());
    assert!(clusters(&[remote("https://a.example/", Some("upstream"))], None).is_err());
    assert!(clusters(&[remote("http://a.example/", None)], None).is_err());
}

#[test]
fn key_sets_from_the_environment_are_assumed_too() {
    let policy = POLICY.replace("file: keys.json", "env: SET");
    let bundle = Files::new(&policy).with("schema.json", "{}").read().unwrap();
    assert_eq!(bundle.secret_names(), ["KEY", "PEPPER", "SET"]);
    bundle.check(&BTreeMap::new()).unwrap();
}
