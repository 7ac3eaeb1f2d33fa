//! A random policy, and random requests of whom it is known whose they are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_policy::document::{ApiKeyEntry, Document};
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{
    CompileError, Environment, Header, HeaderEdit, MemoryStore, NativeSignature, Policy, Reason,
    RequestHead, Secret, Stages, Step, Swap, Timestamp, Trace, Unavailable, Version,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const ROLES: [&str; 4] = ["caller", "auditor", "operator", "admin"];
const SCOPES: [&str; 2] = ["detect.read", "detect.write"];
const ISSUERS: usize = 3;
const START: u64 = 1_700_000_000;

/// What paths a route may be for.
const PATTERNS: [&str; 8] = [
    "/v1/tenants/{tenant}/predict",
    "/v1/tenants/{tenant}/",
    "/{tenant}/files/",
    "/t/{tenant}",
    "/shared",
    "/v1/",
    "/acme/",
    "/files/",
];

/// How a path may try to be another's. `T` is a tenant.
const PATHS: [&str; 24] = [
    "/v1/tenants/T/predict",
    "/v1/tenants/T/x",
    "/T/files/a",
    "/t/T",
    "/shared",
    "/v1/x",
    "/files/a",
    "/none",
    "/v1/tenants/acme/../T/predict",
    "/v1/tenants/acme/%2e%2e/T/predict",
    "/v1/tenants/acme%2f..%2fT/predict",
    "/v1/tenants/T;acme/predict",
    "/v1/tenants/acme;T/predict",
    "/v1/tenants/T%20/predict",
    "/v1/tenants/%2520T/predict",
    "/v1/tenants//T//predict",
    "/v1/tenants/T/predict/",
    "/v1/tenants/T%2e/predict",
    "/V1/TENANTS/T/PREDICT",
    "/t/T,acme",
    "/t/T?tenant=acme",
    "/t/acme/../T",
    "/t/acme\\..\\T",
    "/acme/../T/files/a",
];

#[derive(Debug, Clone)]
pub(crate) struct World {
    /// Which tenants each issuer speaks for.
    issuers: Vec<Vec<String>>,
    hierarchy: Vec<(String, Vec<String>)>,
    pub(crate) routes: Vec<Route>,
    remembered: u32,
    pub(crate) acts: Vec<Act>,
}

#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) pattern: String,
    methods: Vec<String>,
    pub(crate) tenants: Option<Vec<String>>,
    roles: Vec<String>,
    scopes: Vec<String>,
    limits: Vec<(String, u32)>,
}

impl Route {
    /// Whether the route is for a request, in the plainest words. `path` is normalised.
    pub(crate) fn is_for(&self, method: &str, path: &str) -> bool {
        let wanted: Vec<&str> = self.pattern.split('/').collect();
        let found: Vec<&str> = path.split('/').collect();
        let is_prefix = self.pattern.ends_with('/');
        let wanted = if is_prefix { &wanted[..wanted.len() - 1] } else { &wanted[..] };
        let long_enough =
            if is_prefix { found.len() > wanted.len() } else { found.len() == wanted.len() };
        let segments = wanted.iter().zip(&found);
        let alike = segments.into_iter().all(|(wanted, found)| match *wanted {
            "{tenant}" => !found.is_empty(),
            literal => literal == *found,
        });
        long_enough
            && alike
            && (self.methods.is_empty() || self.methods.iter().any(|own| own == method))
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) method: &'static str,
    path: &'static str,
    /// Whose path it is; none: the caller's own.
    target: Option<&'static str>,
    credential: Credential,
    /// How much later it comes than the one before, in seconds.
    pause: u64,
}

#[derive(Debug, Clone)]
enum Credential {
    None,
    Token {
        issuer: usize,
        tenant: Claimed,
        subject: &'static str,
        roles: Vec<&'static str>,
        scopes: Vec<&'static str>,
        forged: bool,
    },
    ApiKey {
        tenant: Option<&'static str>,
        wrong: bool,
    },
}

/// The tenant that a token names.
#[derive(Debug, Clone, Copy)]
enum Claimed {
    None,
    /// One that its issuer speaks for.
    Own(usize),
    /// Any.
    Any(&'static str),
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

prop_compose! {
    fn route()(
        pattern in select(&PATTERNS[..]),
        methods in prop_oneof![2 => Just(vec![]), 1 => Just(vec!["GET"]), 1 => Just(vec!["POST", "HEAD"])],
        tenants in proptest::option::weighted(0.2, subsequence(&TENANTS[..], 1..3)),
        roles in prop_oneof![4 => Just(vec![]), 1 => subsequence(&ROLES[..], 1..3)],
        scopes in prop_oneof![4 => Just(vec![]), 1 => subsequence(&SCOPES[..], 1)],
        limits in subsequence(&["principal", "tenant"][..], 0..=2),
        burst in 1u32..4,
    ) -> Route {
        Route {
            name: String::new(),
            pattern: pattern.to_owned(),
            methods: names(&methods),
            tenants: tenants.map(|tenants| names(&tenants)),
            roles: names(&roles),
            scopes: names(&scopes),
            limits: limits.into_iter().map(|key| (key.to_owned(), burst)).collect(),
        }
    }
}

prop_compose! {
    pub(crate) fn worlds()(
        issuers in proptest::collection::vec(subsequence(&TENANTS[..], 1..=3), ISSUERS),
        // Each role inherits some of those before it: no cycles.
        parents in proptest::collection::vec(subsequence(&ROLES[..], 0..3), ROLES.len()),
        routes in proptest::collection::vec(route(), 2..8),
        remembered in prop_oneof![Just(0), Just(2), Just(64)],
    ) -> World {
        let place = |role: &str| ROLES.iter().position(|other| *other == role).unwrap();
        let hierarchy = ROLES.iter().enumerate().map(|(index, role)| {
            let parents = parents[index].iter().filter(|parent| place(parent) < index);
            ((*role).to_owned(), parents.map(|parent| (*parent).to_owned()).collect())
        });
        let routes = routes.into_iter().enumerate();
        World {
            issuers: issuers.iter().map(|tenants| names(tenants)).collect(),
            hierarchy: hierarchy.collect(),
            routes: routes.map(|(index, route)| Route { name: format!("route{index}"), ..route }).collect(),
            remembered,
            acts: Vec::new(),
        }
    }
}

fn credential() -> impl Strategy<Value = Credential> {
    let tenant = || proptest::option::weighted(0.9, select(&TENANTS[..]));
    let claimed = prop_oneof![
        1 => Just(Claimed::None),
        8 => (0..TENANTS.len()).prop_map(Claimed::Own),
        2 => select(&TENANTS[..]).prop_map(Claimed::Any),
    ];
    let token = (
        0..ISSUERS,
        claimed,
        select(&["alice", "bob"][..]),
        subsequence(&ROLES[..], 0..3),
        subsequence(&SCOPES[..], 0..3),
        proptest::bool::weighted(0.05),
    );
    prop_oneof![
        1 => Just(Credential::None),
        8 => token.prop_map(|(issuer, tenant, subject, roles, scopes, forged)| {
            Credential::Token { issuer, tenant, subject, roles, scopes, forged }
        }),
        3 => (tenant(), proptest::bool::weighted(0.1))
            .prop_map(|(tenant, wrong)| Credential::ApiKey { tenant, wrong }),
    ]
}

pub(crate) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = (
        select(&["GET", "POST", "HEAD"][..]),
        prop_oneof![2 => select(&PATHS[..5]), 1 => select(&PATHS[..])],
        proptest::option::weighted(0.4, select(&TENANTS[..])),
        credential(),
        prop_oneof![6 => Just(0u64), 1 => 0u64..40],
    );
    let act = act.prop_map(|(method, path, target, credential, pause)| Act {
        method,
        path,
        target,
        credential,
        pause,
    });
    proptest::collection::vec(act, 1..40)
}

/// What became of a request, as far as its sender and the operator see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) refused: Option<Reason>,
    reply: Option<(u16, Vec<(&'static str, String)>)>,
    /// What the upstream is asked for, if it is asked.
    pub(crate) judged_path: Option<String>,
    pub(crate) route: Option<String>,
    /// What the sender is told of its limits.
    limits: Vec<HeaderEdit>,
    pub(crate) record: String,
}

impl World {
    pub(crate) fn with(self, acts: Vec<Act>) -> Self {
        Self { acts, ..self }
    }

    pub(crate) fn document(&self) -> Document {
        let issuers = self.issuers.iter().enumerate().map(|(index, tenants)| {
            json!({"issuer": issuer(index), "audiences": ["a"], "tenants": tenants,
                "jwks": {"env": format!("KEYS{index}")}})
        });
        let roles = self
            .hierarchy
            .iter()
            .map(|(name, parents)| (name.clone(), json!({"inherits": parents})));
        let routes = self.routes.iter().map(|route| {
            let kind = if route.pattern.ends_with('/') { "prefix" } else { "path" };
            let limits = route.limits.iter().map(|(key, burst)| {
                json!({"name": format!("{}-{key}", route.name), "key": key, "requests": 1, "per_seconds": 20, "burst": burst})
            });
            json!({
                "name": route.name, "match": {kind: route.pattern, "methods": route.methods},
                "authorisation": {"roles": route.roles, "scopes": route.scopes,
                    "tenants": route.tenants.clone().unwrap_or_default()},
                "limits": limits.collect::<Value>(),
            })
        });
        let keys = TENANTS.iter().map(|tenant| Some(*tenant)).chain([None]);
        let keys = keys.map(|tenant| {
            let key = api_key(tenant, 1);
            ApiKeyEntry {
                tenant: tenant.map(str::to_owned),
                roles: vec!["caller".to_owned()],
                // The same owner in every tenant.
                ..ApiKeyEntry::new(key.id(), key.digest(&pepper()), "alice")
            }
        });
        let document = json!({
            "version": 1,
            "identity": {
                "jwt": {"issuers": issuers.collect::<Value>(), "remembered_tokens": self.remembered},
                "api_keys": {"pepper": {"env": "PEPPER"}, "keys": serde_json::to_value(keys.collect::<Vec<_>>()).unwrap()},
            },
            "roles": Value::Object(roles.collect()),
            "routes": routes.collect::<Value>(),
        });
        serde_json::from_value(document).unwrap()
    }

    pub(crate) fn policy(&self) -> Result<Arc<Policy>, CompileError> {
        let keys = (0..ISSUERS).map(|index| {
            let k = URL_SAFE_NO_PAD.encode(issuer_key(index));
            let set = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "k", "k": k}]});
            (format!("KEYS{index}"), set.to_string())
        });
        let pepper = ("PEPPER".to_owned(), URL_SAFE_NO_PAD.encode(PEPPER));
        let secrets: BTreeMap<String, String> = keys.chain([pepper]).collect();
        Policy::compile(&self.document(), &secrets, Stages::ALL).map(Arc::new)
    }

    /// Whose request it is: the tenant of a credential that is good. None where there is none, or it is not.
    pub(crate) fn owner(&self, act: usize) -> Option<String> {
        match &self.acts[act].credential {
            Credential::Token { issuer, tenant, forged: false, .. } => {
                let claimed = self.claimed(*issuer, *tenant)?;
                self.issuers[*issuer].iter().find(|own| **own == claimed).cloned()
            }
            Credential::ApiKey { tenant, wrong: false } => tenant.map(str::to_owned),
            _ => None,
        }
    }

    fn claimed(&self, issuer: usize, tenant: Claimed) -> Option<String> {
        let own = &self.issuers[issuer];
        match tenant {
            Claimed::None => None,
            Claimed::Own(number) => Some(own[number % own.len()].clone()),
            Claimed::Any(tenant) => Some(tenant.to_owned()),
        }
    }

    pub(crate) fn route_of(&self, verdict: &Verdict) -> Option<&Route> {
        self.routes.iter().find(|route| Some(&route.name) == verdict.route.as_ref())
    }

    /// The credential as it is sent.
    pub(crate) fn credential(&self, act: usize) -> Option<String> {
        match &self.acts[act].credential {
            Credential::None => None,
            Credential::ApiKey { tenant, wrong } => {
                Some(api_key(*tenant, if *wrong { 2 } else { 1 }).expose().to_owned())
            }
            Credential::Token { issuer: index, tenant, subject, roles, scopes, forged } => {
                let mut claims = json!({"iss": issuer(*index), "aud": "a", "sub": subject, "roles": roles,
                    "scope": scopes.join(" "), "iat": START, "exp": START + 100_000});
                if let Some(tenant) = self.claimed(*index, *tenant) {
                    claims["tenant"] = json!(tenant);
                }
                let key = if *forged { [0x66; 32] } else { issuer_key(*index) };
                Some(sign(&claims, &key))
            }
        }
    }

    /// When it comes: the same whoever else comes.
    fn time(&self, act: usize) -> Timestamp {
        let seconds: u64 = self.acts[..=act].iter().map(|act| act.pause).sum();
        Timestamp((START + seconds) * 1_000_000_000)
    }

    pub(crate) fn run(&self, policy: &Arc<Policy>, act: usize, runtime: &mut Runtime) -> Verdict {
        let Act { method, path, target, credential, .. } = &self.acts[act];
        let own = self.owner(act);
        let sent = path.replace('T', target.or(own.as_deref()).unwrap_or(TENANTS[0]));
        let presented = self.credential(act).map(|text| match credential {
            Credential::ApiKey { .. } => ("x-api-key", text),
            _ => ("authorization", format!("Bearer {text}")),
        });
        let mut headers: Vec<Header<'_>> =
            [(":method", *method), (":path", &sent), (":authority", "api.example")]
                .map(|(name, value)| (name, value.as_bytes()))
                .into();
        headers.extend(presented.as_ref().map(|(name, value)| (*name, value.as_bytes())));
        runtime.now = self.time(act);
        let mut exchange = policy.begin(runtime.now);
        let head = RequestHead { headers: &headers, has_body: false };
        let step = exchange.request_head(&head, runtime);
        let (reply, judged_path) = match step {
            Step::Continue(edits) => {
                let rewritten = edits.into_iter().find_map(|edit| match edit {
                    HeaderEdit::Set(name, value) if name == ":path" => Some(value),
                    _ => None,
                });
                let path = rewritten.unwrap_or(sent);
                (None, Some(path.split('?').next().unwrap().to_owned()))
            }
            Step::Respond(reply) => (Some((reply.status, reply.headers)), None),
            step => panic!("{step:?}"),
        };
        let limits = exchange.response_head(&[(":status", b"200")]);
        let record = exchange.finish(runtime).unwrap();
        let parsed: Value = serde_json::from_str(&record).unwrap();
        Verdict {
            refused: exchange.refused().map(|(reason, _)| reason),
            reply,
            judged_path,
            route: parsed.pointer("/portcullis/route").and_then(Value::as_str).map(str::to_owned),
            limits,
            record,
        }
    }
}

fn issuer(index: usize) -> String {
    format!("https://issuer{index}.example")
}

fn issuer_key(index: usize) -> [u8; 32] {
    [u8::try_from(index).unwrap() + 0x10; 32]
}

fn pepper() -> Secret {
    Secret::from_bytes(PEPPER.to_vec().into()).unwrap()
}

const PEPPER: [u8; 32] = [0x51; 32];

fn api_key(tenant: Option<&str>, secret: u8) -> ApiKey {
    let place = TENANTS.iter().position(|other| Some(*other) == tenant).unwrap_or(TENANTS.len());
    ApiKey::new(&format!("key{place}"), &[secret; 32]).unwrap()
}

/// An HS256 token over claims.
fn sign(claims: &Value, key: &[u8]) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A machine, whose shared store outlives requests.
pub(crate) struct Runtime {
    pub(crate) now: Timestamp,
    pub(crate) trace: Option<Trace>,
    store: MemoryStore,
    /// How often a signature was to be verified by the host.
    pub(crate) signatures: usize,
}

impl Runtime {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp(START * 1_000_000_000),
            trace: None,
            store: MemoryStore::default(),
            signatures: 0,
        }
    }

    pub(crate) fn traced() -> Self {
        Self { trace: Some(Trace::default()), ..Self::new() }
    }
}

impl Environment for Runtime {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill(6);
        Ok(())
    }

    fn source(&mut self) -> Option<IpAddr> {
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
        self.signatures += 1;
        None
    }

    fn trace(&mut self) -> Option<&mut Trace> {
        self.trace.as_mut()
    }
}
