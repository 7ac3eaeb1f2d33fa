//! What a policy can say of issuers, of where tokens stand, and of what upstreams are told: through whole exchanges.

mod common;
#[path = "common/issuer.rs"]
mod issuer;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::gate::{AUDIENCE, Gate, Head};
use issuer::Issuer;
use portcullis_policy::assertion::{Received, Verifier};
use portcullis_policy::document::ApiKeyEntry;
use portcullis_policy::identity::{Algorithm, ApiKey};
use portcullis_policy::{Principal, Reason, Secret, Stage, Stages};
use serde_json::{Value, json};

const ONE: &str = "https://one.example";
const OTHER: &str = "https://other.example";
const PEPPER: [u8; 32] = [7; 32];

/// Two issuers whose keys have the same name, and a gate.
struct World {
    one: Issuer,
    other: Issuer,
    gate: Gate,
}

impl World {
    /// `changes` are members of the first issuer's section, `jwt` of the section of tokens, `document` of the document.
    fn new(changes: &Value, jwt: &Value, document: &Value) -> Self {
        Self::of(changes, jwt, document, Stages::ALL)
    }

    fn of(changes: &Value, jwt: &Value, document: &Value, stages: Stages) -> Self {
        let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::Es256));
        let document = Self::document(&one, &other, changes, jwt, document);
        let pepper = ("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER));
        let assertion = ("ASSERTION", URL_SAFE_NO_PAD.encode(PEPPER));
        let gate = Gate::of(&document, &[pepper, assertion], stages);
        Self { one, other, gate }
    }

    fn document(one: &Issuer, other: &Issuer, changes: &Value, jwt: &Value, more: &Value) -> Value {
        let issuer = |issuer: &Issuer, name: &str, url: &str| json!({"name": name, "issuer": url, "audiences": [AUDIENCE], "jwks": {"inline": issuer.keys()}});
        let mut first = issuer(one, "one", ONE);
        merge(&mut first, changes);
        let mut section = json!({ "issuers": [first, issuer(other, "other", OTHER)] });
        merge(&mut section, jwt);
        let key = api_key();
        let entry = ApiKeyEntry {
            tenant: Some("acme".to_owned()),
            ..ApiKeyEntry::new(
                key.id(),
                key.digest(&Secret::from_bytes(PEPPER.to_vec().into()).unwrap()),
                "batch",
            )
        };
        let mut document = json!({
            "version": 1,
            "identity": {
                "jwt": section,
                "api_keys": { "pepper": { "env": "PEPPER" }, "keys": [serde_json::to_value(entry).unwrap()] },
            },
            "routes": [
                { "name": "open", "match": { "prefix": "/open/" }, "authorisation": { "require": "anonymous" } },
                { "name": "all", "match": { "prefix": "/" } },
            ],
        });
        merge(&mut document, more);
        document
    }

    fn token(&self, issuer: &Issuer, url: &str, header: &Value, claims: &Value) -> String {
        issuer.signed(issuer.header(header), self.gate.claims(url, claims).to_string())
    }

    fn by_one(&self, claims: &Value) -> String {
        self.token(&self.one, ONE, &json!({}), claims)
    }

    fn by_other(&self, claims: &Value) -> String {
        self.token(&self.other, OTHER, &json!({}), claims)
    }

    fn typed(&self, typ: &Value) -> String {
        self.token(&self.one, ONE, &json!({ "typ": typ }), &json!({}))
    }

    fn verdict(&mut self, token: &str) -> Result<String, Reason> {
        self.send(&Head::get("/").bearer(token))
    }

    fn send(&mut self, head: &Head) -> Result<String, Reason> {
        self.gate.send(head).map(|upstream| upstream.subject)
    }
}

fn merge(into: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        into[name] = value.clone();
    }
}

/// What is wrong with a document.
fn error(document: &Value) -> String {
    Gate::error(document, &[("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER))])
}

fn api_key() -> ApiKey {
    ApiKey::new("batch1", &[9; 32]).unwrap()
}

fn none() -> Value {
    json!({})
}

fn alice() -> Result<String, Reason> {
    Ok("alice".to_owned())
}

// === Several issuers ===

#[test]
fn no_issuer_speaks_for_another() {
    let mut world = World::new(&none(), &none(), &none());
    let (one, other) = (world.by_one(&none()), world.by_other(&none()));
    assert_eq!(world.verdict(&one), alice());
    assert_eq!(world.verdict(&other), alice());
    // Their keys have the same name. One's key under the other's name, and the other way round.
    let forged = world.token(&world.one, OTHER, &none(), &none());
    assert_eq!(world.verdict(&forged), Err(Reason::TokenUnsupported));
    let forged = world.token(&world.other, ONE, &none(), &none());
    assert_eq!(world.verdict(&forged), Err(Reason::TokenUnsupported));
    let forged = world.token(&world.one, OTHER, &json!({"alg": "ES256"}), &none());
    assert_eq!(world.verdict(&forged), Err(Reason::TokenSignatureInvalid));
    for issuer in
        ["https://third.example", "", "one", "https://one.example/", "HTTPS://ONE.EXAMPLE"]
    {
        let token = world.token(&world.one, issuer, &none(), &none());
        assert_eq!(world.verdict(&token), Err(Reason::TokenIssuerUnknown), "{issuer}");
    }
}

#[test]
fn subjects_of_one_name_do_not_share_their_limits() {
    let limits = json!({"limits": [{"name": "each", "key": "principal", "requests": 1, "per_seconds": 3600}]});
    let mut world = World::new(&none(), &none(), &limits);
    let (one, other) = (world.by_one(&none()), world.by_other(&none()));
    // Another token of the same caller is the same caller.
    let again = world.by_one(&json!({"jti": "2"}));
    assert_eq!(world.verdict(&one), alice());
    assert_eq!(world.verdict(&again), Err(Reason::RateExceeded));
    assert_eq!(world.verdict(&other), alice());
    assert_eq!(world.verdict(&other), Err(Reason::RateExceeded));
    // Nor does an API key's owner who happens to be called so.
    let key = Head::get("/").with("x-api-key", api_key().expose());
    assert_eq!(world.send(&key), Ok("batch".to_owned()));
}

#[test]
fn issuers_and_names_are_listed_once() {
    let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::EdDsa));
    for changes in [json!({"issuer": OTHER}), json!({"name": "other"})] {
        let message = error(&World::document(&one, &other, &changes, &none(), &none()));
        assert!(message.contains("identity.jwt.issuers[1]"), "{message}");
    }
    let message =
        error(&World::document(&one, &other, &json!({"name": "api_key"}), &none(), &none()));
    assert!(message.contains("identity.jwt.issuers[0].name"), "{message}");
}

// === What an issuer's tokens must be ===

#[test]
fn only_access_tokens_where_they_are_asked_for() {
    let mut world = World::new(&json!({"token_types": ["at+jwt"]}), &none(), &none());
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        let token = world.typed(&json!(typ));
        assert_eq!(world.verdict(&token), alice(), "{typ}");
    }
    for typ in ["JWT", "jwt", "id+jwt", "at", "at+jwt ", "application/application/at+jwt", ""] {
        let token = world.typed(&json!(typ));
        assert_eq!(world.verdict(&token), Err(Reason::TokenUnsupported), "{typ}");
    }
    let untyped = world.by_one(&none());
    assert_eq!(world.verdict(&untyped), Err(Reason::TokenUnsupported));
    // It holds for that issuer alone.
    let other = world.by_other(&none());
    assert_eq!(world.verdict(&other), alice());
}

#[test]
fn tokens_for_other_purposes_are_none_for_access() {
    let mut world = World::new(&none(), &none(), &none());
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "kb+jwt",
        "entity-statement+jwt",
    ] {
        let token = world.typed(&json!(typ));
        assert_eq!(world.verdict(&token), Err(Reason::TokenUnsupported), "{typ}");
    }
}

#[test]
fn subjects_claims_lifetimes_and_tenants_are_those_of_the_issuer() {
    let rules = json!({
        "subjects": {"exact": ["alice"], "prefix": ["svc-"]},
        "required_claims": [{"claim": "/address/country", "any_of": ["FI", "SE"]}, {"claim": "groups", "all_of": ["a"], "none_of": ["z"]}],
        "max_lifetime_seconds": 300,
        "tenants": ["acme"],
    });
    let mut world = World::new(&rules, &none(), &none());
    let good = json!({"address": {"country": "FI"}, "groups": ["a", "b"], "tenant": "acme"});
    let later = world.gate.now() + 301;
    for (changes, expected) in [
        (json!({}), Ok("alice".to_owned())),
        (json!({"sub": "svc-7"}), Ok("svc-7".to_owned())),
        (json!({"sub": "mallory"}), Err(Reason::TokenSubjectDenied)),
        (json!({"sub": "Alice"}), Err(Reason::TokenSubjectDenied)),
        (json!({"sub": "alice\u{0}"}), Err(Reason::TokenSubjectDenied)),
        (json!({"sub": "x-svc-7"}), Err(Reason::TokenSubjectDenied)),
        (json!({"address": {"country": "US"}}), Err(Reason::TokenClaimMissing)),
        (json!({"address": {"country": null}}), Err(Reason::TokenClaimMissing)),
        (json!({"address": "FI"}), Err(Reason::TokenClaimMissing)),
        (json!({"address": null}), Err(Reason::TokenClaimMissing)),
        (json!({"groups": ["b"]}), Err(Reason::TokenClaimMissing)),
        (json!({"groups": ["a", "z"]}), Err(Reason::TokenClaimMissing)),
        (json!({"groups": "a"}), Ok("alice".to_owned())),
        (json!({"exp": later}), Err(Reason::TokenLifetimeTooLong)),
        (json!({"iat": null}), Err(Reason::TokenMalformed)),
        (json!({"tenant": "globex"}), Err(Reason::TokenTenantDenied)),
        (json!({"tenant": "Acme"}), Err(Reason::TokenTenantDenied)),
        (json!({"tenant": ["acme"]}), Err(Reason::TokenMalformed)),
    ] {
        let mut claims = good.clone();
        merge(&mut claims, &changes);
        let token = world.by_one(&claims);
        assert_eq!(world.verdict(&token), expected, "{changes}");
    }
    // The other issuer has none of these rules.
    let other = world.by_other(&json!({"sub": "mallory", "tenant": "globex", "exp": later}));
    assert_eq!(world.verdict(&other), Ok("mallory".to_owned()));
}

#[test]
fn a_list_of_algorithms_leaves_the_others_out() {
    let rsa = |declared: bool, algorithm: Algorithm| {
        let mut issuer = Issuer::new(algorithm);
        if !declared {
            issuer.jwk.as_object_mut().unwrap().remove("alg");
        }
        issuer
    };
    for (declared, accepted, used, expected) in [
        (true, json!(["RS256"]), Algorithm::Rs256, Ok(())),
        (false, json!(["RS256", "PS256"]), Algorithm::Ps256, Ok(())),
        (false, json!(["PS256"]), Algorithm::Rs256, Err(Reason::TokenUnsupported)),
        (false, json!(["PS256", "ES256"]), Algorithm::Rs512, Err(Reason::TokenUnsupported)),
    ] {
        let issuer = rsa(declared, used);
        let mut gate = Gate::new(&json!({
            "version": 1,
            "identity": { "jwt": { "issuers": [{"issuer": ONE, "audiences": [AUDIENCE],
                "algorithms": accepted, "jwks": {"inline": issuer.keys()}}] } },
            "routes": [{ "name": "all", "match": { "prefix": "/" } }],
        }));
        let token = issuer.signed(issuer.header(&none()), gate.claims(ONE, &none()).to_string());
        let verdict = gate.send(&Head::get("/").bearer(&token)).map(|_| ());
        assert_eq!(verdict, expected, "{used:?} of {accepted}");
    }
    let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::EdDsa));
    for algorithms in [json!([]), json!(["ES256"]), json!(["none"]), json!(["eddsa"])] {
        let changes = json!({ "algorithms": algorithms });
        let message = error(&World::document(&one, &other, &changes, &none(), &none()));
        assert!(message.contains("identity.jwt.issuers[0].algorithms"), "{message}");
    }
}

#[test]
fn tokens_without_an_audience_only_where_the_policy_says_so() {
    let rules = json!({"requires_audience": false, "required_claims": [{"claim": "client_id", "any_of": ["web"]}]});
    let mut world = World::new(&rules, &none(), &none());
    for (claims, expected) in [
        (json!({"client_id": "web", "aud": 7}), Err(Reason::TokenMalformed)),
        (json!({"client_id": "web", "aud": "elsewhere"}), Err(Reason::TokenAudienceMismatch)),
        (json!({"client_id": "web", "aud": []}), Err(Reason::TokenAudienceMismatch)),
        (json!({"client_id": "web"}), alice()),
    ] {
        let token = world.by_one(&claims);
        assert_eq!(world.verdict(&token), expected, "{claims}");
    }
    let without = |world: &World, claims: &Value| {
        let mut all = world.gate.claims(ONE, claims);
        all.as_object_mut().unwrap().remove("aud");
        world.one.signed(world.one.header(&none()), all.to_string())
    };
    let token = without(&world, &json!({"client_id": "web"}));
    assert_eq!(world.verdict(&token), alice());
    let token = without(&world, &json!({"client_id": "batch"}));
    assert_eq!(world.verdict(&token), Err(Reason::TokenClaimMissing));
    let mut strict = World::new(&none(), &none(), &none());
    let token = without(&strict, &none());
    assert_eq!(strict.verdict(&token), Err(Reason::TokenAudienceMismatch));

    let document = World::document(
        &world.one,
        &world.other,
        &json!({"requires_audience": false}),
        &none(),
        &none(),
    );
    assert!(error(&document).contains("issuers[0].requires_audience"), "{}", error(&document));
}

#[test]
fn a_plan_is_what_the_claim_says() {
    let limits = json!({"limits": [{"name": "l", "key": "principal", "requests": 1, "per_seconds": 3600, "plans": {"gold": {"requests": 3}}}]});
    let mut world = World::new(&json!({"plan_claim": "/custom/plan"}), &none(), &limits);
    for (subject, plan, admitted) in
        [("alice", json!("gold"), 3), ("bob", json!("silver"), 1), ("carol", json!(null), 1)]
    {
        let token = world.by_one(&json!({"sub": subject, "custom": {"plan": plan}}));
        for _ in 0..admitted {
            assert_eq!(world.verdict(&token), Ok(subject.to_owned()));
        }
        assert_eq!(world.verdict(&token), Err(Reason::RateExceeded), "{subject}");
    }
    let token = world.by_one(&json!({"sub": "dave", "custom": {"plan": ["gold"]}}));
    assert_eq!(world.verdict(&token), Err(Reason::TokenMalformed));
    // The other issuer names none.
    let token = world.by_other(&json!({"sub": "erin", "custom": {"plan": "gold"}}));
    assert_eq!(world.verdict(&token), Ok("erin".to_owned()));
    assert_eq!(world.verdict(&token), Err(Reason::RateExceeded));
}

/// What does not fit into 64 bits is compared with nothing and written nowhere: rounded, two of them are one.
#[test]
fn numbers_are_compared_as_they_are_or_not_at_all() {
    let rules = json!({"required_claims": [{"claim": "level", "any_of": [3, u64::MAX]}], "claim_headers": [{"claim": "level", "header": "x-level"}]});
    let mut world = World::new(&rules, &none(), &none());
    for (level, expected) in [
        ("3", alice()),
        ("18446744073709551615", alice()),
        ("18446744073709551616", Err(Reason::TokenClaimMissing)),
        ("3.0", Err(Reason::TokenClaimMissing)),
        ("\"3\"", Err(Reason::TokenClaimMissing)),
    ] {
        let claims = world.gate.claims(ONE, &json!({"level": "LEVEL"}));
        let payload = claims.to_string().replace("\"LEVEL\"", level);
        let token = world.one.signed(world.one.header(&none()), payload);
        assert_eq!(world.verdict(&token), expected, "{level}");
    }
    for value in [json!(1.5), json!(1e30), json!(null), json!([1])] {
        let rules = json!({"required_claims": [{"claim": "level", "any_of": [value]}]});
        let document = World::document(&world.one, &world.other, &rules, &none(), &none());
        assert!(error(&document).contains("required_claims[0].any_of"), "{value}");
    }
}

#[test]
fn a_key_without_a_name_is_for_all_tokens_where_it_is_alone() {
    let world = World::new(&none(), &none(), &none());
    let mut keys = world.one.keys();
    keys["keys"][0].as_object_mut().unwrap().remove("kid");
    let document = World::document(
        &world.one,
        &world.other,
        &json!({"jwks": {"inline": keys}}),
        &none(),
        &none(),
    );
    let secrets = [("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER))];
    let mut gate = Gate::with_secrets(&document, &secrets);
    let mut verdict =
        |token: &str| gate.send(&Head::get("/").bearer(token)).map(|upstream| upstream.subject);
    assert_eq!(verdict(&world.by_one(&none())), alice(), "its tokens name `k`");
    let nameless = world.token(&world.one, ONE, &json!({"kid": null}), &none());
    assert_eq!(verdict(&nameless), Err(Reason::TokenMalformed));
    let forged = world.token(&world.other, ONE, &json!({"alg": "EdDSA"}), &none());
    assert_eq!(verdict(&forged), Err(Reason::TokenSignatureInvalid));
}

// === Which credentials a route wants ===

fn requiring(requirement: &Value) -> World {
    World::new(
        &none(),
        &json!({"sources": [{"header": "authorization"}, {"header": "x-second"}]}),
        &json!({"routes": [{"name": "all", "match": {"prefix": "/"}, "authorisation": {"require": requirement}}]}),
    )
}

#[test]
fn any_of_those_that_are_listed() {
    let mut world = requiring(&json!({"any": ["one", "api_key"]}));
    let (one, other) = (world.by_one(&none()), world.by_other(&none()));
    let key = api_key();
    assert_eq!(world.verdict(&one), alice());
    assert_eq!(world.send(&Head::get("/").with("x-api-key", key.expose())), Ok("batch".to_owned()));
    assert_eq!(world.verdict(&other), Err(Reason::CredentialMissing));
    assert_eq!(world.send(&Head::get("/")), Err(Reason::CredentialMissing));
    let both = Head::get("/").bearer(&one).with("x-api-key", key.expose());
    assert_eq!(world.send(&both), Err(Reason::CredentialConflict));
}

#[test]
fn all_of_those_that_are_listed() {
    let mut world = requiring(&json!({"all": ["one", "api_key"]}));
    let (one, other) = (world.by_one(&none()), world.by_other(&none()));
    let key = api_key();
    let with_key = |head: Head| head.with("x-api-key", key.expose());
    // The caller is who the first one names.
    assert_eq!(world.send(&with_key(Head::get("/").bearer(&one))), alice());
    assert_eq!(world.verdict(&one), Err(Reason::CredentialMissing));
    assert_eq!(world.send(&with_key(Head::get("/"))), Err(Reason::CredentialMissing));
    assert_eq!(world.send(&Head::get("/")), Err(Reason::CredentialMissing));
    assert_eq!(
        world.send(&with_key(Head::get("/").bearer(&other))),
        Err(Reason::CredentialMissing)
    );
    // Two of a kind are not two kinds.
    let twice = Head::get("/").bearer(&one).with("x-second", &one);
    assert_eq!(world.send(&twice), Err(Reason::CredentialMissing));
    // Nor is one more than is wanted.
    let three = with_key(Head::get("/").bearer(&one).with("x-second", &other));
    assert_eq!(world.send(&three), Err(Reason::CredentialConflict));
    // One that is bad is not made up for by the others.
    let expired = world.by_one(&json!({"exp": 1}));
    assert_eq!(world.send(&with_key(Head::get("/").bearer(&expired))), Err(Reason::TokenExpired));
    let wrong = Head::get("/").bearer(&one).with("x-api-key", format!("{}x", key.expose()));
    assert_eq!(world.send(&wrong), Err(Reason::ApiKeyInvalid));
}

#[test]
fn credentials_of_two_tenants_are_not_one_caller() {
    let mut world = requiring(&json!({"all": ["one", "api_key"]}));
    let key = api_key();
    for (tenant, expected) in [
        (json!(null), alice()),
        (json!("acme"), alice()),
        (json!("globex"), Err(Reason::CredentialConflict)),
    ] {
        let token = world.by_one(&json!({ "tenant": tenant }));
        let head = Head::get("/").bearer(&token).with("x-api-key", key.expose());
        assert_eq!(world.send(&head), expected, "{tenant}");
    }
}

/// Also where the first names no tenant and the others do not agree.
#[test]
fn all_that_name_a_tenant_name_the_same() {
    let mut world = requiring(&json!({"all": ["one", "other", "api_key"]}));
    let key = api_key();
    for (tenant, expected) in [("acme", alice()), ("globex", Err(Reason::CredentialConflict))] {
        let (one, other) = (world.by_one(&none()), world.by_other(&json!({ "tenant": tenant })));
        let head =
            Head::get("/").bearer(&one).with("x-second", &other).with("x-api-key", key.expose());
        assert_eq!(world.send(&head), expected, "{tenant}");
    }
}

#[test]
fn one_that_is_not_needed_must_be_good_all_the_same() {
    let mut world = requiring(&json!("anonymous"));
    assert_eq!(world.send(&Head::get("/")), Ok(String::new()));
    let (good, expired) = (world.by_one(&none()), world.by_one(&json!({"exp": 1})));
    assert_eq!(world.verdict(&good), alice());
    assert_eq!(world.verdict(&expired), Err(Reason::TokenExpired));
    assert_eq!(
        world.send(&Head::get("/").with("authorization", "Basic eDp5")),
        Err(Reason::CredentialMalformed)
    );
    assert_eq!(world.send(&Head::get("/").with("x-api-key", "pcl_x")), Err(Reason::ApiKeyInvalid));
}

// === What the upstream is told ===

fn claim_headers() -> Value {
    json!({
        "claim_headers": [
            {"claim": "email", "header": "X-User-Email"},
            {"claim": "/realm/groups", "header": "x-user-groups"},
        ],
        "payload_header": "x-payload",
    })
}

/// What a client may set, a client may forge: in every spelling, on every route, whether it is set again or not.
#[test]
fn clients_cannot_send_what_is_made_of_claims() {
    let spellings = ["x-user-email", "x_user_email", "x-user_email", "x_user-email"];
    let forged = |head: Head| {
        let head = spellings.iter().fold(head, |head, name| head.with(name, "admin@evil.example"));
        let head = head
            .with("x-user-groups", "admin@evil.example")
            .with("x_user_groups", "admin@evil.example");
        head.with("x-payload", "admin@evil.example").with("x_payload", "admin@evil.example")
    };
    // All stages in one filter, and those of the filter for identity alone.
    for stages in [Stages::ALL, Stages::of(&[Stage::Identity, Stage::Authorisation])] {
        let mut world = World::of(&claim_headers(), &none(), &none(), stages);
        let (with, without) = (world.by_one(&json!({"email": "a@b"})), world.by_one(&none()));
        let (other, key) = (world.by_other(&json!({"email": "a@b"})), api_key());
        for (head, expected) in [
            (Head::get("/").bearer(&with), vec!["a@b"]),
            (Head::get("/").bearer(&without), vec![]),
            // The other issuer's claims are not what these fields are made of.
            (Head::get("/").bearer(&other), vec![]),
            (Head::get("/").with("x-api-key", key.expose()), vec![]),
            (Head::get("/open/"), vec![]),
            (Head::get("/open/").bearer(&without), vec![]),
        ] {
            let upstream = world.gate.send(&forged(head.clone())).unwrap();
            assert!(!upstream.shows("evil"), "{head:?}: {upstream:?}");
            assert_eq!(upstream.all("x-user-email"), expected, "{head:?}");
        }
    }
}

#[test]
fn claims_arrive_as_they_are_and_stay_in_their_field() {
    let mut world = World::new(&claim_headers(), &none(), &none());
    for (email, expected) in [
        (json!("a@b"), Some("a@b")),
        (json!("a\r\nx-admin: 1"), Some("a%0D%0Ax-admin: 1")),
        (json!("a\u{0}\u{7f}\tb"), Some("a%00%7F%09b")),
        (json!("Zoë"), Some("Zo%C3%AB")),
        (json!("100%41"), Some("100%2541")),
        // Blanks at the ends are no part of a field's value (RFC 9110 §5.5): they would be lost, and `admin ` be `admin`.
        (json!(" admin "), Some("%20admin%20")),
        (json!("  "), Some("%20%20")),
        (json!(["a", "b,c", " d"]), Some("a,b%2Cc,%20d")),
        (json!([1, true]), Some("1,true")),
        (json!(7), Some("7")),
        (json!(null), None),
    ] {
        let token = world.by_one(&json!({ "email": email, "realm": {"groups": ["x", "y"]} }));
        let upstream = world.gate.send(&Head::get("/").bearer(&token)).unwrap();
        assert_eq!(upstream.all("x-user-email").first().copied(), expected, "{email}");
        assert_eq!(upstream.all("x-user-groups"), ["x,y"]);
        assert_eq!(upstream.all("x-admin"), Vec::<&str>::new());
        // The claims as they were signed, and nothing of the signature.
        assert_eq!(upstream.all("x-payload"), [token.split('.').nth(1).unwrap()]);
        assert!(!upstream.shows(token.rsplit('.').next().unwrap()));
    }
    for email in [json!({"a": 1}), json!([["a"]]), json!([null]), json!("x".repeat(5000))] {
        let token = world.by_one(&json!({ "email": email }));
        assert_eq!(world.verdict(&token), Err(Reason::TokenMalformed), "{email:.20}");
    }
}

/// Where a route wants two, the caller is who the first names, and no field may be about the second instead.
#[test]
fn a_second_credential_does_not_rename_the_caller() {
    let document = |field: &str| {
        let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::Es256));
        let mut document = World::document(
            &one,
            &other,
            &claim_headers(),
            &json!({"sources": [{"header": "authorization"}, {"header": "x-second"}]}),
            &json!({"routes": [{"name": "all", "match": {"prefix": "/"}, "authorisation": {"require": {"all": ["one", "other"]}}}]}),
        );
        document["identity"]["jwt"]["issuers"][1]["claim_headers"] =
            json!([{"claim": "client", "header": field}]);
        (one, other, document)
    };
    for field in ["x-user-email", "X-User-Groups", "x-payload"] {
        let message = error(&document(field).2);
        assert!(message.contains("routes[0].authorisation.require.all"), "{message}");
    }
    let (one, other, document) = document("x-client");
    let gate = Gate::with_secrets(&document, &[("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER))]);
    let mut world = World { one, other, gate };
    let first = world.by_one(&json!({"email": "alice@one"}));
    let second =
        world.by_other(&json!({"sub": "mallory", "client": "app", "email": "mallory@other"}));
    for (bearer, further) in [(&first, &second), (&second, &first)] {
        let head = Head::get("/").bearer(bearer).with("x-second", further);
        let upstream = world.gate.send(&head).unwrap();
        assert_eq!(upstream.subject, "alice");
        assert_eq!(upstream.all("x-user-email"), ["alice@one"]);
        assert_eq!(upstream.all("x-client"), ["app"]);
    }
}

/// Such a route would refuse everybody.
#[test]
fn two_tokens_want_two_places() {
    let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::Es256));
    let document = |sources: &Value, wanted: &Value| {
        let sources = json!({ "sources": sources });
        let routes = json!({"routes": [{"name": "all", "match": {"prefix": "/"}, "authorisation": {"require": {"all": wanted}}}]});
        World::document(&one, &other, &none(), &sources, &routes)
    };
    let (bearer, second) = (json!({"header": "authorization"}), json!({"query": "token"}));
    let message = error(&document(&json!([bearer]), &json!(["one", "other"])));
    let expected = "routes[0].authorisation.require.all: expected no more issuers than there are places for tokens";
    assert!(message.contains(expected), "{message}");
    for (sources, wanted) in [
        (json!([bearer, second]), json!(["one", "other"])),
        (json!([bearer]), json!(["one", "api_key"])),
    ] {
        let secrets = [("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER))];
        Gate::with_secrets(&document(&sources, &wanted), &secrets);
    }
}

#[test]
fn fields_that_mean_something_else_are_not_made_of_claims() {
    let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::EdDsa));
    let claim = |header: &str| json!([{"claim": "a", "header": header}]);
    for (changes, field) in [
        (json!({"claim_headers": claim("authorization")}), "claim_headers[0].header"),
        (json!({"claim_headers": claim("Content-Length")}), "claim_headers[0].header"),
        (json!({"claim_headers": claim("portcullis_principal")}), "claim_headers[0].header"),
        (json!({"claim_headers": claim(":path")}), "claim_headers[0].header"),
        (json!({"claim_headers": claim("x-forwarded-for")}), "claim_headers[0].header"),
        (json!({"claim_headers": claim("x y")}), "claim_headers[0].header"),
        (json!({"claim_headers": [claim("x-a")[0], claim("X-A")[0]]}), "claim_headers[1].header"),
        (json!({"payload_header": "cookie"}), "payload_header"),
        (json!({"claim_headers": claim("x-a"), "payload_header": "x-a"}), "payload_header"),
    ] {
        let message = error(&World::document(&one, &other, &changes, &none(), &none()));
        assert!(
            message.contains(&format!("identity.jwt.issuers[0].{field}")),
            "{changes}: {message}"
        );
    }
}

// === Where tokens stand, and what is left of them ===

#[test]
fn a_token_is_forwarded_only_where_that_is_asked_for() {
    let sources = |forward: bool| {
        json!({"sources": [
            {"header": "authorization", "forward": forward},
            {"query": "access_token", "forward": forward},
            {"cookie": "session", "forward": forward},
            {"header": "x-token", "prefix": "Token", "forward": forward},
        ]})
    };
    for forward in [false, true] {
        let mut world = World::new(&none(), &sources(forward), &none());
        let token = world.by_one(&none());
        for head in [
            Head::get("/").bearer(&token),
            Head::get(&format!("/a?b=%20&access_token={token}&c")),
            Head::get("/").with("cookie", format!("a=1; session={token}")),
            Head::get("/").with("x-token", format!("token {token}")),
        ] {
            let upstream = world.gate.send(&head).unwrap();
            assert_eq!(upstream.shows(&token), forward, "{head:?}");
            if forward {
                assert_eq!(upstream.path().as_bytes(), head.0[1].1);
            }
        }
    }
}

/// The signed statement is about the request that the upstream sees: without the token.
#[test]
fn what_is_hidden_is_not_in_the_assertion_either() {
    let more = json!({"assertion": {"key": {"env": "ASSERTION"}, "key_id": "a"}});
    let mut world = World::new(&none(), &json!({"sources": [{"query": "access_token"}]}), &more);
    let token = world.by_one(&json!({"roles": ["r"]}));
    for (query, left) in [
        (format!("?x=%2f&access_token={token}&y=a+b"), Some("x=%2f&y=a+b")),
        (format!("?access_token={token}"), None),
        (format!("?%61ccess_token={token}&"), Some("")),
    ] {
        let upstream = world.gate.send(&Head::get(&format!("/a{query}"))).unwrap();
        let expected = left.map_or("/a".to_owned(), |left| format!("/a?{left}"));
        assert_eq!(upstream.path(), expected);
        let headers: Vec<(&str, &[u8])> = upstream
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let received = Received {
            method: "GET",
            path: "/a",
            query: left,
            headers: &headers,
            body: b"",
            now: world.gate.now(),
        };
        let key = Secret::from_bytes(PEPPER.to_vec().into()).unwrap();
        let principal: Principal =
            Verifier::new([("a".to_owned(), key)]).verify(&received).unwrap();
        assert_eq!((principal.subject.as_str(), principal.issuer.as_deref()), ("alice", Some(ONE)));
    }
}

/// A key that is taken back is taken back for who does not name it, too.
#[test]
fn a_revoked_key_signs_nothing_any_more() {
    let revocation = |list: Value| {
        let (one, other) = (Issuer::new(Algorithm::EdDsa), Issuer::new(Algorithm::Es256));
        let mut document = World::document(&one, &other, &none(), &none(), &none());
        document["identity"]["revocation"] = json!({ "inline": list });
        let gate = Gate::with_secrets(&document, &[("PEPPER", URL_SAFE_NO_PAD.encode(PEPPER))]);
        World { one, other, gate }
    };
    let mut world = revocation(json!({"kid": ["k"]}));
    let named = world.by_one(&none());
    assert_eq!(world.verdict(&named), Err(Reason::TokenRevoked));
    // The set has one key, so a token need not name it.
    let claims = world.gate.claims(ONE, &none()).to_string();
    let unnamed = world.one.signed(r#"{"alg":"EdDSA"}"#, claims);
    assert_eq!(world.verdict(&unnamed), Err(Reason::TokenRevoked));

    let mut world = revocation(json!({"sub": ["mallory"], "jti": ["t1"]}));
    for (claims, expected) in [
        (json!({}), alice()),
        (json!({"jti": "t2"}), alice()),
        (json!({"jti": "t1"}), Err(Reason::TokenRevoked)),
        (json!({"sub": "mallory"}), Err(Reason::TokenRevoked)),
    ] {
        for token in [world.by_one(&claims), world.by_other(&claims)] {
            // The second time it is remembered.
            assert_eq!(world.verdict(&token), expected, "{claims}");
            assert_eq!(world.verdict(&token), expected, "{claims}");
        }
    }
}
