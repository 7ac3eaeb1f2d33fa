//! Bound tokens and proofs of the command's own making, as a gate takes them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_policy::{
    Environment, Header, MemoryStore, NativeSignature, Policy, Reason, RequestHead, Stages, Step,
    Swap, Timestamp, Unavailable, Version,
};
use serde_json::{Value, json};

use crate::Desk;

const URI: &str = "https://api.example/v1/predict";

struct Gate {
    policy: Arc<Policy>,
    store: MemoryStore,
    client_certificate: Option<[u8; 32]>,
}

impl Gate {
    fn new(desk: &Desk) -> Self {
        let keys = std::fs::read_to_string(desk.path("issuer.jwks.json")).unwrap();
        let keys: Value = serde_json::from_str(&keys).unwrap();
        let document = json!({"version": 1,
            "identity": {"jwt": {"dpop": {}, "issuers": [{"issuer": "https://issuer.portcullis.local",
                "audiences": ["scam-detector"], "jwks": {"inline": keys}}]}},
            "routes": [{"name": "all", "match": {"prefix": "/"}}]});
        let secrets = BTreeMap::<String, String>::new();
        let policy = Policy::from_json("policy", &document.to_string(), &secrets, Stages::ALL);
        Self {
            policy: Arc::new(policy.unwrap()),
            store: MemoryStore::default(),
            client_certificate: None,
        }
    }

    fn send(
        &mut self,
        authorization: &str,
        proof: Option<&str>,
        client_certificate: Option<[u8; 32]>,
    ) -> Result<(), Reason> {
        let mut headers: Vec<Header<'_>> = [
            (":method", "POST"),
            (":path", "/v1/predict"),
            (":authority", "api.example"),
            ("authorization", authorization),
        ]
        .map(|(name, value)| (name, value.as_bytes()))
        .into();
        headers.extend(proof.map(|proof| ("dpop", proof.as_bytes())));
        let head = RequestHead { headers: &headers, has_body: false };
        self.client_certificate = client_certificate;
        let now = self.now();
        let mut exchange = self.policy.begin(now);
        let step = exchange.request_head(&head, self);
        match (step, exchange.refused()) {
            (Step::Continue(_), None) => Ok(()),
            (_, Some((reason, _))) => Err(reason),
            (step, _) => panic!("{step:?}"),
        }
    }
}

impl Environment for Gate {
    fn now(&mut self) -> Timestamp {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(now.as_nanos()).unwrap())
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(1);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
        None
    }

    fn client_certificate(&mut self) -> Option<[u8; 32]> {
        self.client_certificate
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

fn mint(desk: &Desk, options: &[&str]) -> String {
    let arguments = ["token", "mint", "--key", "issuer.jwk.json", "--subject", "alice"];
    let issuer = ["--issuer", "https://issuer.portcullis.local", "--audience", "scam-detector"];
    let token = desk.ok(&[&arguments[..], &issuer, options].concat());
    token.trim_end().to_owned()
}

fn proof(desk: &Desk, options: &[&str]) -> String {
    let arguments = ["token", "proof", "--key", "client.json", "--method", "POST", "--uri", URI];
    desk.ok(&[&arguments[..], options].concat()).trim_end().to_owned()
}

#[test]
fn every_kind_of_key_proves_that_it_is_the_tokens() {
    let desk = Desk::new();
    let mut gate = Gate::new(&desk);
    let keys: Value = serde_json::from_str(include_str!("private_keys.json")).unwrap();
    for (name, algorithm) in [
        ("rsa", "RS256"),
        ("rsa", "RS384"),
        ("rsa", "PS256"),
        ("rsa", "PS512"),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("p521", "ES512"),
        ("ed25519", "EdDSA"),
    ] {
        let mut key = keys[name].clone();
        key["alg"] = algorithm.into();
        desk.write("client.json", &key.to_string());
        let token = mint(&desk, &["--dpop-key", "client.json"]);
        let proof = proof(&desk, &["--access-token", &token]);
        let authorization = format!("DPoP {token}");
        assert_eq!(gate.send(&authorization, Some(&proof), None), Ok(()), "{algorithm}");
        assert_eq!(
            gate.send(&authorization, Some(&proof), None),
            Err(Reason::DpopProofReplayed),
            "{algorithm}"
        );
        assert_eq!(
            gate.send(&format!("Bearer {token}"), None, None),
            Err(Reason::DpopProofMissing)
        );
    }
    // The token by standard input, and the key by its thumbprint.
    let token = mint(&desk, &["--cnf-jkt", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
    let arguments =
        ["token", "proof", "--key", "client.json", "--method", "POST", "--access-token", "-"];
    let uri = format!("{URI}?a=1#b");
    let ended = desk.run(&[&arguments[..], &["--uri", &uri]].concat(), &format!("{token}\n"));
    let proof = ended.stdout.trim_end();
    assert_eq!(gate.send(&format!("DPoP {token}"), Some(proof), None), Ok(()));
    let claims = URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!(URI)));
}

#[test]
fn tokens_are_bound_to_certificates() {
    let desk = Desk::new();
    let mut gate = Gate::new(&desk);
    let token = format!("Bearer {}", mint(&desk, &["--cnf-certificate", "server.pem"]));
    let pem = std::fs::read(desk.path("server.pem")).unwrap();
    use rustls::pki_types::pem::PemObject as _;
    let certificate = rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let digest: [u8; 32] = digest.as_ref().try_into().unwrap();
    assert_eq!(gate.send(&token, None, Some(digest)), Ok(()));
    assert_eq!(gate.send(&token, None, None), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.send(&token, None, Some([0; 32])), Err(Reason::TokenBindingMismatch));
}

#[test]
fn what_binds_nothing_is_an_error() {
    let desk = Desk::new();
    let keys: Value = serde_json::from_str(include_str!("private_keys.json")).unwrap();
    let mut secret = keys["oct"].clone();
    secret["alg"] = "HS256".into();
    desk.write("client.json", &secret.to_string());
    let mint = [
        "token",
        "mint",
        "--key",
        "issuer.jwk.json",
        "--subject",
        "a",
        "--issuer",
        "b",
        "--audience",
        "c",
    ];
    let proof = ["token", "proof", "--key", "client.json"];
    for (arguments, expected) in [
        ([&mint[..], &["--dpop-key", "client.json"]].concat(), "expected a key for DPoP"),
        ([&mint[..], &["--cnf-jkt", "AA"]].concat(), "43 characters"),
        (
            [&mint[..], &["--cnf-certificate", "client.json"]].concat(),
            "client.json: expected a certificate",
        ),
        ([&proof[..], &["--method", "GET", "--uri", URI]].concat(), "expected a key for DPoP"),
        ([&proof[..], &["--method", "get", "--uri", URI]].concat(), "expected a method"),
        ([&proof[..], &["--method", "GET", "--uri", "/v1/predict"]].concat(), "expected a URI"),
        ([&proof[..], &["--method", "GET", "--uri", "https://"]].concat(), "expected a URI"),
    ] {
        let ended = desk.run(&arguments, "");
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}
