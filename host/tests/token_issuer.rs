//! The real token issuer in the component host, with clients that `portcullis client new` made.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use portcullis::component::{Function, FunctionConfig, KeyValueStore, Variables};
use portcullis_policy::assertion::Signer;
use portcullis_policy::{CredentialKind, Principal, Secret};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const ASSERTION_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const ENCRYPTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

/// A client's id, its secret, and its entry in the registry.
struct Client {
    secret: String,
    entry: Value,
}

impl Client {
    fn new() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["client", "new", "--id", "batch", "--subject", "alice"]);
        command.args(["--tenant", "acme", "--role", "caller", "--scope", "predict"]);
        command.args(["--audience", "scam-detector"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let (secret, entry) = printed.split_once('\n').unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains(secret));
        assert!(URL_SAFE_NO_PAD.decode(secret).unwrap().len() >= 16);
        Self { secret: secret.to_owned(), entry: serde_json::from_str(entry).unwrap() }
    }
}

/// The issuer, its store and its log.
struct Issuer {
    function: Function,
    store: KeyValueStore,
    log: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    /// `None` where the component has not been built. `change` has the last word on the variables.
    fn start(
        client: &Client,
        store: KeyValueStore,
        change: impl Fn(&str, String) -> Option<String>,
    ) -> Option<Self> {
        let artifacts = std::env::var_os("PORTCULLIS_ARTIFACTS").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/portcullis")),
            PathBuf::from,
        );
        let path = artifacts.join("token_issuer.wasm");
        if !path.exists() {
            eprintln!("skipped: {} has not been built", path.display());
            return None;
        }
        let mut variables = Variables::default();
        for (name, value) in [
            ("issuer", "https://issuer.example".to_owned()),
            ("clients", json!([client.entry]).to_string()),
            ("key_encryption_key", ENCRYPTION_KEY.to_owned()),
            ("assertion_key", ASSERTION_KEY.to_owned()),
        ] {
            if let Some(value) = change(name, value) {
                variables.insert(name, Zeroizing::new(value)).unwrap();
            }
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let config = FunctionConfig {
            variables,
            key_value: store.clone(),
            log: Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())),
            ..FunctionConfig::default()
        };
        Some(Self { function: Function::load(path, config).unwrap(), store, log })
    }

    /// Sends a request as the gate would, on behalf of somebody with this role or of nobody.
    async fn send(
        &self,
        method: &str,
        path: &str,
        role: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let nobody = Principal::anonymous();
        let principal = match role {
            None => nobody,
            Some(role) => Principal {
                subject: "olga".to_owned(),
                roles: vec![role.to_owned()],
                via: CredentialKind::Jwt,
                ..nobody
            },
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signer = Signer::new("portcullis", Secret::from_base64url(ASSERTION_KEY).unwrap(), 30);
        let assertion =
            signer.sign(&principal.to_field(), method, path, None, body.as_bytes(), now, &[7; 16]);
        let mut request = Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in assertion {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = self.function.handle(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn ask(&self, secret: &str) -> (u16, Value) {
        let basic = format!("Basic {}", STANDARD.encode(format!("batch:{secret}")));
        let headers = [
            ("authorization", basic.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", "/token", None, &headers, "grant_type=client_credentials").await
    }

    async fn token(&self, client: &Client) -> String {
        let (status, answer) = self.ask(&client.secret).await;
        assert_eq!(status, 200, "{answer} {:?}", self.log.lock().unwrap());
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn key_set(&self) -> Value {
        let (status, set) = self.send("GET", "/jwks", None, &[], "").await;
        assert_eq!(status, 200, "{set} {:?}", self.log.lock().unwrap());
        set
    }
}

/// The claims of a token, if a key of the set verifies it. With ring, of which the issuer has nothing.
fn verified(token: &str, set: &Value) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let read = |text: &str| serde_json::from_slice::<Value>(&decode(text)).unwrap();
    let header = read(header);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    let key = set["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    let point = [vec![4], decode(key["x"].as_str()?), decode(key["y"].as_str()?)].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &decode(signature)).ok().map(|()| read(claims))
}

#[tokio::test]
async fn tokens_outlive_a_rotation_and_a_restart() {
    let client = Client::new();
    let store = KeyValueStore::default();
    let as_is = |_: &str, value| Some(value);
    let Some(issuer) = Issuer::start(&client, store.clone(), as_is) else { return };
    let token = issuer.token(&client).await;
    let claims = verified(&token, &issuer.key_set().await).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"], &claims["client_id"], &claims["tenant"]),
        (
            &json!("https://issuer.example"),
            &json!("alice"),
            &json!("scam-detector"),
            &json!("batch"),
            &json!("acme")
        ),
    );
    assert_eq!((&claims["roles"], &claims["scope"]), (&json!(["caller"]), &json!("predict")));

    let (status, answer) = issuer.send("POST", "/admin/rotate", Some("operator"), &[], "").await;
    assert_eq!((status, &answer["begun"]), (200, &json!(true)), "{answer}");
    let set = issuer.key_set().await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    assert!(verified(&token, &set).is_some());
    let (status, _) = issuer.send("POST", "/admin/rotate", Some("caller"), &[], "").await;
    assert_eq!(status, 403);

    // Another process on the same store has the same keys, and nobody else can use what is in it.
    let again = Issuer::start(&client, store, as_is).unwrap();
    assert_eq!(again.key_set().await, set);
    assert!(verified(&again.token(&client).await, &set).is_some());
    assert_eq!(again.store.keys().len(), 2);
    let other_key = |name: &str, value: String| {
        Some(if name == "key_encryption_key" { ENCRYPTION_KEY.replace('A', "B") } else { value })
    };
    let stranger = Issuer::start(&client, again.store.clone(), other_key).unwrap();
    assert_eq!(stranger.ask(&client.secret).await.0, 503);
    let log = stranger.log.lock().unwrap().join("\n");
    assert!(log.contains("key_encryption_key"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_at_the_first_start_gets_tokens_that_are_all_good() {
    let client = Arc::new(Client::new());
    let Some(issuer) = Issuer::start(&client, KeyValueStore::default(), |_, value| Some(value))
    else {
        return;
    };
    let issuer = Arc::new(issuer);
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let (issuer, client) = (issuer.clone(), client.clone());
            tokio::spawn(async move { issuer.token(&client).await })
        })
        .collect();
    let mut tokens = Vec::new();
    for one in crowd {
        tokens.push(one.await.unwrap());
    }
    let set = issuer.key_set().await;
    for token in tokens {
        assert!(verified(&token, &set).is_some());
    }
}

#[tokio::test]
async fn who_is_refused_learns_nothing_and_the_operator_does() {
    let client = Client::new();
    let start = |change: fn(&str, String) -> Option<String>| {
        Issuer::start(&client, KeyValueStore::default(), change)
    };
    let Some(issuer) = start(|_, value| Some(value)) else { return };
    let (status, answer) = issuer.ask("wrong").await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")));
    assert!(issuer.log.lock().unwrap().is_empty());

    let issuer = start(|name, value| (name != "clients").then_some(value)).unwrap();
    let (status, problem) = issuer.ask("wrong").await;
    assert_eq!(status, 503, "{problem}");
    let log = issuer.log.lock().unwrap().join("\n");
    assert!(log.contains("Spin variable clients: not set; expected"), "{log}");
}
