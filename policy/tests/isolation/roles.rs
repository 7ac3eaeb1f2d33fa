//! The role hierarchy against the plainest reading of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_policy::document::ApiKeyEntry;
use portcullis_policy::identity::ApiKey;
use portcullis_policy::{CompileError, Policy, RequestHead, Stages, Step};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::Runtime;

const COUNT: usize = 6;

fn name(role: usize) -> String {
    format!("r{role}")
}

/// Which role includes which: Warshall's closure of the edges and of each role with itself.
fn closure(edges: &[(usize, usize)]) -> [[bool; COUNT]; COUNT] {
    let mut reaches = [[false; COUNT]; COUNT];
    for (from, to) in edges {
        reaches[*from][*to] = true;
    }
    for middle in 0..COUNT {
        for from in 0..COUNT {
            for to in 0..COUNT {
                reaches[from][to] |= reaches[from][middle] && reaches[middle][to];
            }
        }
    }
    reaches
}

/// A policy with one route that wants `wanted`, and a key that has `held`.
fn policy(
    edges: &[(usize, usize)],
    wanted: &[usize],
    held: &[usize],
) -> Result<Arc<Policy>, CompileError> {
    let names = |roles: &[usize]| roles.iter().map(|role| name(*role)).collect::<Vec<_>>();
    let roles = (0..COUNT).map(|role| {
        let parents: Vec<usize> =
            edges.iter().filter(|(from, _)| *from == role).map(|(_, to)| *to).collect();
        (name(role), json!({"inherits": names(&parents)}))
    });
    let key = key();
    let pepper = portcullis_policy::Secret::from_bytes(vec![0; 32].into()).unwrap();
    let entry = ApiKeyEntry {
        roles: names(held),
        ..ApiKeyEntry::new(key.id(), key.digest(&pepper), "batch")
    };
    let document = json!({
        "version": 1,
        "identity": {"api_keys": {"pepper": {"env": "PEPPER"}, "keys": [serde_json::to_value(entry).unwrap()]}},
        "roles": Value::Object(roles.collect()),
        "routes": [{"name": "r", "match": {"path": "/"}, "authorisation": {"roles": names(wanted)}}],
    });
    let secrets = BTreeMap::from([("PEPPER".to_owned(), "A".repeat(43))]);
    Policy::compile(&serde_json::from_value(document).unwrap(), &secrets, Stages::ALL).map(Arc::new)
}

fn key() -> ApiKey {
    ApiKey::new("key1", &[1; 32]).unwrap()
}

fn is_admitted(policy: &Arc<Policy>) -> bool {
    let mut runtime = Runtime::new();
    let key = key();
    let headers =
        [(":method", "GET"), (":path", "/"), (":authority", "a"), ("x-api-key", key.expose())]
            .map(|(name, value)| (name, value.as_bytes()));
    let head = RequestHead { headers: &headers, has_body: false };
    matches!(policy.begin(runtime.now).request_head(&head, &mut runtime), Step::Continue(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_role_admits_whom_reachability_says(
        edges in proptest::collection::btree_set((0..COUNT, 0..COUNT), 0..7),
        wanted in proptest::sample::subsequence((0..COUNT).collect::<Vec<_>>(), 1..3),
        held in proptest::sample::subsequence((0..COUNT).collect::<Vec<_>>(), 0..3),
    ) {
        let edges: Vec<_> = edges.into_iter().collect();
        let reaches = closure(&edges);
        let has_cycle = (0..COUNT).any(|role| reaches[role][role]);
        match policy(&edges, &wanted, &held) {
            Err(error) => {
                prop_assert!(has_cycle, "{error}");
                prop_assert!(error.field.starts_with("roles.r") && error.message.contains(" -> "), "{error}");
            }
            Ok(policy) => {
                prop_assert!(!has_cycle);
                let expected = held.iter().any(|held| wanted.iter().any(|wanted| held == wanted || reaches[*held][*wanted]));
                prop_assert_eq!(is_admitted(&policy), expected);
            }
        }
    }
}

#[test]
fn roles_that_are_not_listed_are_errors_everywhere() {
    assert_eq!(policy(&[(0, COUNT)], &[0], &[0]).unwrap_err().field, "roles.r0.inherits[0]");
    assert_eq!(
        policy(&[], &[0, COUNT], &[0]).unwrap_err().field,
        "routes[0].authorisation.roles[1]"
    );
    assert_eq!(
        policy(&[], &[0], &[COUNT]).unwrap_err().field,
        "identity.api_keys.keys[0].roles[0]"
    );
}
