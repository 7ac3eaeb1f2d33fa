//! Whatever stands where a token may: no panic, and nobody gets in but with what the issuer signed.

mod common;
#[path = "common/issuer.rs"]
mod issuer;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::gate::{AUDIENCE, Gate, Head, Place};
use issuer::{Issuer, encode};
use portcullis_policy::identity::Algorithm;
use proptest::prelude::*;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value, json};

const ISSUER: &str = "https://issuer.example";

fn gate(issuer: &Issuer) -> Gate {
    Gate::new(&json!({
        "version": 1,
        "access": { "headers": { "max_count": 100, "max_bytes": 131_072 } },
        "identity": { "jwt": {
            "sources": Place::sources(),
            "issuers": [{ "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "inline": issuer.keys() } }],
        }},
        "routes": [{ "name": "all", "match": { "prefix": "/" } }],
    }))
}

/// Whether a token is good, judged by another library's verification and by nothing of what is under test.
fn is_good(issuer: &Issuer, token: &[u8], now: u64) -> bool {
    let judge = || {
        let text = std::str::from_utf8(token).ok()?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else { return None };
        let part = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Map<String, Value> = serde_json::from_slice(&part(header)?).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&part(payload)?).ok()?;
        let key = part(issuer.jwk["x"].as_str()?)?;
        let signed = text.rsplit_once('.')?.0;
        let key = UnparsedPublicKey::new(&ED25519, key);
        let is_signed = key.verify(signed.as_bytes(), &part(signature)?).is_ok();
        let is_for_us = match claims.get("aud")? {
            Value::Array(several) => several.contains(&AUDIENCE.into()),
            one => one == AUDIENCE,
        };
        let is_eddsa = header.get("alg")? == "EdDSA" || header.get("alg")? == "Ed25519";
        let is_the_key = header.get("kid").is_none_or(|kid| kid == "k");
        let holds = claims.get("iss")? == ISSUER
            && is_for_us
            && claims.get("exp")?.as_u64()? + 30 > now
            && claims
                .get("nbf")
                .is_none_or(|begin| begin.as_u64().is_some_and(|begin| begin <= now + 30));
        (is_signed && is_eddsa && is_the_key && holds).then_some(())
    };
    judge().is_some()
}

fn place() -> impl Strategy<Value = Place> {
    proptest::sample::select(Place::ALL.to_vec())
}

/// JSON of every kind, with texts that mean something to somebody.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,20}".prop_map(Value::from),
        proptest::sample::select(vec![
            "EdDSA", "Ed25519", "none", "HS256", "RS256", "k", "JWT", "at+jwt", "dpop+jwt", "b64",
            "exp", ISSUER, AUDIENCE, "alice"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// Changes to the members of an object: some of those that mean something, and some that do not.
fn changes(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, Value)>> {
    let name =
        prop_oneof![4 => proptest::sample::select(names).prop_map(str::to_owned), 1 => ".{0,12}"];
    proptest::collection::vec((name, any_json()), 0..3)
}

const PARAMETERS: &[&str] = &[
    "alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256",
    "enc", "zip", "p2c", "epk",
];
const CLAIMS: &[&str] = &[
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "roles", "scope", "tenant", "cnf", "nonce",
    "kid", "azp", "act",
];

fn changed(mut members: Value, changes: Vec<(String, Value)>) -> String {
    for (name, value) in changes {
        members[name] = value;
    }
    members.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), place in place()) {
        let issuer = Issuer::new(Algorithm::EdDsa);
        prop_assert!(gate(&issuer).send(&Head::presenting(&bytes, place)).is_err());
    }

    #[test]
    fn any_text_where_headers_and_paths_are(text in ".{0,200}", name in "[a-z:-]{1,20}", place in place()) {
        let issuer = Issuer::new(Algorithm::EdDsa);
        let head = Head::presenting(&text, place).with(&name, &text).with("cookie", &text);
        prop_assert!(gate(&issuer).send(&head).is_err());
        prop_assert!(gate(&issuer).send(&Head::get(&text)).is_err());
    }

    #[test]
    fn any_three_parts(parts in proptest::array::uniform3(proptest::collection::vec(any::<u8>(), 0..200)), place in place()) {
        let issuer = Issuer::new(Algorithm::EdDsa);
        let token = parts.map(encode).join(".");
        prop_assert!(gate(&issuer).send(&Head::presenting(token, place)).is_err());
    }

    /// Any header and any claims, signed by the issuer, by a stranger, or changed afterwards. The gate is asked twice: what it
    /// remembers is no way in either.
    #[test]
    fn any_header_and_claims(
        header in changes(PARAMETERS),
        claims in changes(CLAIMS),
        by in 0..4_u8,
        flip in proptest::option::weighted(0.3, (any::<proptest::sample::Index>(), 0..8_u8)),
        place in place(),
    ) {
        let issuer = Issuer::new(Algorithm::EdDsa);
        let mut gate = gate(&issuer);
        let header = changed(json!({"alg": "EdDSA", "kid": "k"}), header);
        let claims = changed(gate.claims(ISSUER, &json!({})), claims);
        let signer = match by {
            0 => &Issuer::new(Algorithm::EdDsa),
            _ => &issuer,
        };
        let mut token = signer.signed(header, claims).into_bytes();
        if let Some((index, bit)) = flip {
            let place = index.index(token.len());
            token[place] ^= 1 << bit;
        }
        let now = gate.now();
        for _ in 0..2 {
            let accepted = gate.send(&Head::presenting(&token, place)).is_ok();
            prop_assert!(!accepted || is_good(&issuer, &token, now), "{}", String::from_utf8_lossy(&token));
        }
    }
}

/// The judge above is no rubber stamp, and neither is it always in the way.
#[test]
fn the_judge_knows_good_from_bad() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let mut gate = gate(&issuer);
    let now = gate.now();
    let header = issuer.header(&json!({}));
    let good = issuer.signed(&header, gate.claims(ISSUER, &json!({})).to_string());
    assert!(is_good(&issuer, good.as_bytes(), now));
    assert!(Place::ALL.into_iter().all(|place| gate.send(&Head::presenting(&good, place)).is_ok()));
    let stranger = Issuer::new(Algorithm::EdDsa);
    for bad in [
        stranger.signed(&header, gate.claims(ISSUER, &json!({})).to_string()),
        issuer.signed(&header, gate.claims(ISSUER, &json!({"exp": now - 31})).to_string()),
        issuer.signed(&header, gate.claims("https://evil.example", &json!({})).to_string()),
        good.replace('.', ""),
    ] {
        assert!(!is_good(&issuer, bad.as_bytes(), now));
    }
}
