//! Tokens that are remembered, as whole exchanges see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jwt_simple::prelude::*;
use portcullis_policy::{Header, Policy, RequestHead, Stages, Step};
use proptest::prelude::*;
use serde_json::json;

use crate::world::Runtime;

#[path = "../common/mod.rs"]
mod common;

const REMEMBERED: u32 = 8;

struct Gate {
    policy: Arc<Policy>,
    keys: ES256KeyPair,
    runtime: Runtime,
}

impl Gate {
    fn new() -> Self {
        let keys = ES256KeyPair::generate().with_key_id("k1");
        let document = json!({
            "version": 1,
            "identity": {"jwt": {"remembered_tokens": REMEMBERED, "issuers": [
                {"issuer": "https://a.example", "audiences": ["a"], "jwks": {"inline": common::jwks(&keys)}},
            ]}},
            "routes": [{"name": "own", "match": {"path": "/t/{tenant}"}}],
        });
        let document = serde_json::from_value(document).unwrap();
        let policy =
            Policy::compile(&document, &BTreeMap::<String, String>::new(), Stages::ALL).unwrap();
        Self { policy: Arc::new(policy), keys, runtime: Runtime::new() }
    }

    fn token(&self, tenant: &str, subject: &str) -> String {
        let now = self.runtime.now.seconds();
        let claims = json!({"iss": "https://a.example", "aud": "a", "sub": subject, "tenant": tenant,
            "jti": format!("{tenant}/{subject}"), "exp": now + 1000});
        common::sign_es256(&self.keys, &claims)
    }

    /// Who the gate says is calling, and whether a signature had to be verified to say so. Each token opens the path of
    /// its own tenant and no other.
    fn call(&mut self, token: &str, tenant: &str, other: &str) -> (String, bool) {
        let before = self.runtime.signatures;
        let mut who = String::new();
        for (path, is_open) in [(format!("/t/{tenant}"), true), (format!("/t/{other}"), false)] {
            let headers = [
                (":method", "GET".to_owned()),
                (":path", path),
                (":authority", "a".to_owned()),
                ("authorization", format!("Bearer {token}")),
            ];
            let headers: Vec<Header<'_>> =
                headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            let head = RequestHead { headers: &headers, has_body: false };
            let mut exchange = self.policy.begin(self.runtime.now);
            let step = exchange.request_head(&head, &mut self.runtime);
            assert_eq!(matches!(step, Step::Continue(_)), is_open, "{step:?}");
            assert_eq!(exchange.principal().tenant.as_deref(), Some(tenant));
            who.clone_from(&exchange.principal().subject);
        }
        (who, self.runtime.signatures > before)
    }
}

#[test]
fn a_flood_of_one_tenant_pushes_out_nobody_elses_token() {
    let mut gate = Gate::new();
    let token = gate.token("globex", "bob");
    assert_eq!(gate.call(&token, "globex", "acme"), ("bob".to_owned(), true));
    assert_eq!(
        gate.call(&token, "globex", "acme"),
        ("bob".to_owned(), false),
        "it is not remembered"
    );
    for number in 0..REMEMBERED * 4 {
        let flood = gate.token("acme", &format!("mallory{number}"));
        for _ in 0..3 {
            assert_eq!(gate.call(&flood, "acme", "globex").0, format!("mallory{number}"));
        }
    }
    assert_eq!(gate.call(&token, "globex", "acme"), ("bob".to_owned(), false), "it was pushed out");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In whatever order tokens come, and whatever is forgotten meanwhile, each names its own caller.
    #[test]
    fn a_remembered_token_is_its_own_callers(order in proptest::collection::vec((0usize..3, 0usize..6), 1..40)) {
        const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
        let mut gate = Gate::new();
        let tokens: Vec<Vec<String>> = TENANTS
            .iter()
            .map(|tenant| (0..6).map(|subject| gate.token(tenant, &format!("s{subject}"))).collect())
            .collect();
        for (tenant, subject) in order {
            let other = TENANTS[(tenant + 1) % 3];
            let (who, _) = gate.call(&tokens[tenant][subject], TENANTS[tenant], other);
            prop_assert_eq!(who, format!("s{subject}"));
        }
    }
}
