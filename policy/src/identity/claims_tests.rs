use serde_json::{Map, Value, json};

use super::*;

const NOW: u64 = 1_700_000_000;

fn check(change: Value) -> Result<Principal, Reason> {
    check_with(json!({}), change)
}

/// `settings` are members of the issuer's section.
fn check_with(settings: Value, change: Value) -> Result<Principal, Reason> {
    let mut issuer = json!({
        "issuer": "https://issuer.example", "audiences": ["scam-detector"], "jwks": { "env": "KEYS" },
    });
    for (name, value) in settings.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    let issuer: Issuer = serde_json::from_value(issuer).unwrap();
    let rules = ClaimRules::compile(&issuer, "issuer").unwrap();
    let mut claims = json!({
        "iss": "https://issuer.example", "sub": "alice", "aud": "scam-detector",
        "exp": NOW + 60, "nbf": NOW, "iat": NOW, "jti": "t1",
        "roles": ["caller", "admin", "caller"], "scope": "b a", "tenant": "acme",
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let claims: Map<String, Value> = claims
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .filter(|(_, v)| *v != json!("absent"))
        .collect();
    let claims = Value::Object(claims).to_string();
    rules
        .check(&Members::of(&claims), NOW)
        .map(|(principal, _)| principal)
        .map_err(|refusal| refusal.reason)
}

#[test]
fn a_good_token_names_its_principal() {
    let principal = check(json!({})).unwrap();
    assert_eq!(principal.subject, "alice");
    assert_eq!(principal.tenant.as_deref(), Some("acme"));
    assert_eq!(principal.roles, ["admin", "caller"]);
    assert_eq!(principal.scopes, ["a", "b"]);
    assert_eq!(principal.credential_id.as_deref(), Some("t1"));
    assert!(check(json!({"aud": ["x", "scam-detector"]})).is_ok());
}

#[test]
fn time_is_checked_with_leeway() {
    assert!(check(json!({"exp": NOW - 29})).is_ok());
    assert_eq!(check(json!({"exp": NOW - 30})), Err(Reason::TokenExpired));
    assert!(check(json!({"nbf": NOW + 30})).is_ok());
    assert_eq!(check(json!({"nbf": NOW + 31})), Err(Reason::TokenNotYetValid));
    assert_eq!(check(json!({"iat": NOW + 31})), Err(Reason::TokenNotYetValid));
    assert_eq!(check(json!({"exp": "absent"})), Err(Reason::TokenMalformed));
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    for claims in [
        json!({"exp": "9999999999"}),
        json!({"exp": 1e18}),
        json!({"exp": -1}),
        json!({"exp": 1_800_000_000.5}),
        json!({"exp": null}),
        json!({"exp": [NOW + 60]}),
        json!({"nbf": "0"}),
        json!({"sub": 1}),
        json!({"sub": ""}),
        json!({"sub": "absent"}),
        json!({"iss": ["https://issuer.example"]}),
        json!({"aud": {"scam-detector": 1}}),
        json!({"aud": ["scam-detector", 1]}),
        json!({"roles": {"admin": true}}),
        json!({"roles": ["a", 1]}),
        json!({"tenant": ["acme"]}),
    ] {
        assert_eq!(check(claims.clone()), Err(Reason::TokenMalformed), "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_compared_exactly() {
    for issuer in ["https://issuer.example/", "HTTPS://issuer.example", "", "absent"] {
        assert_eq!(check(json!({"iss": issuer})), Err(Reason::TokenIssuerUnknown), "{issuer}");
    }
    for audience in [json!("scam"), json!("scam-detector "), json!([]), json!("absent")] {
        assert_eq!(check(json!({"aud": audience})), Err(Reason::TokenAudienceMismatch));
    }
}

#[test]
fn an_issuer_can_ask_for_more() {
    let lifetime = json!({"max_lifetime_seconds": 60});
    assert!(check_with(lifetime.clone(), json!({})).is_ok());
    assert_eq!(
        check_with(lifetime.clone(), json!({"exp": NOW + 61})),
        Err(Reason::TokenLifetimeTooLong)
    );
    // Issued in the future is no way to a longer life, and neither is not saying when.
    assert_eq!(
        check_with(lifetime.clone(), json!({"exp": NOW + 95, "iat": NOW + 35})),
        Err(Reason::TokenNotYetValid)
    );
    assert_eq!(check_with(lifetime, json!({"iat": "absent"})), Err(Reason::TokenMalformed));

    let subjects = json!({"subjects": {"exact": ["alice"], "prefix": ["svc-"]}});
    assert!(check_with(subjects.clone(), json!({})).is_ok());
    assert!(check_with(subjects.clone(), json!({"sub": "svc-a"})).is_ok());
    for subject in ["Alice", "alice2", "a-svc-a"] {
        let refused = check_with(subjects.clone(), json!({"sub": subject}));
        assert_eq!(refused, Err(Reason::TokenSubjectDenied));
    }

    let tenants = json!({"tenants": ["acme"]});
    assert!(check_with(tenants.clone(), json!({})).is_ok());
    assert!(check_with(tenants.clone(), json!({"tenant": "absent"})).is_ok());
    assert_eq!(check_with(tenants, json!({"tenant": "globex"})), Err(Reason::TokenTenantDenied));

    let required = json!({"required_claims": [{"claim": "email_verified", "any_of": [true]}]});
    assert!(check_with(required.clone(), json!({"email_verified": true})).is_ok());
    for claims in [json!({}), json!({"email_verified": "true"}), json!({"email_verified": null})] {
        assert_eq!(check_with(required.clone(), claims), Err(Reason::TokenClaimMissing));
    }

    let nested = json!({"roles_claim": "/realm_access/roles"});
    let principal = check_with(nested, json!({"realm_access": {"roles": ["x"]}})).unwrap();
    assert_eq!(principal.roles, ["x"]);
}

#[test]
fn a_claim_in_a_field_stays_in_it() {
    for (value, expected) in [
        (json!("alice"), Some("alice")),
        (json!("a\r\nx-admin: 1"), Some("a%0D%0Ax-admin: 1")),
        (json!("Zoë 100%"), Some("Zo%C3%AB 100%25")),
        (json!(["a,b", 1, true]), Some("a%2Cb,1,true")),
        (json!(" admin "), Some("%20admin%20")),
        (json!(" "), Some("%20")),
        (json!(["a", " b"]), Some("a,%20b")),
        (json!([]), Some("")),
        (json!({"a": 1}), None),
        (json!([["a"]]), None),
        (json!("a".repeat(MAXIMUM_FIELD_BYTES + 1)), None),
    ] {
        let text = json!({ "a": value }).to_string();
        let members = Members::of(&text);
        let written = field_value(members.get("a").unwrap());
        assert_eq!(written.as_deref(), expected, "{value}");
    }
    for name in [
        "host",
        "cookie",
        "portcullis_principal",
        "Portcullis-Principal",
        "x y",
        "",
        "x-forwarded-for",
        ":path",
        "x-request-id",
    ] {
        assert!(header_name(name, "header").is_err(), "{name}");
    }
    assert_eq!(header_name("X-User", "header").unwrap(), "x-user");
}
