//! Tokens that are bound to a client certificate (RFC 8705 §3).

use portcullis_policy::Reason;
use serde_json::{Value, json};

use crate::gate::{Gate, Holder, Request, encode};

const OWN: [u8; 32] = [0x11; 32];
const OTHER: [u8; 32] = [0x22; 32];

fn bound() -> String {
    Holder::token(json!({"x5t#S256": encode(OWN)}))
}

#[test]
fn only_the_connection_says_which_certificate_it_is() {
    let mut gate = Gate::new(json!({}));
    let request = Request::bearer(&bound());
    assert_eq!(gate.reason(&request.clone().on(OWN)), Ok(()));
    assert_eq!(gate.reason(&request), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.reason(&request.clone().on(OTHER)), Err(Reason::TokenBindingMismatch));
    // What clients can write is never read.
    let hex: String = OWN.iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, value) in [
        ("x-forwarded-client-cert", format!("Hash={hex};Subject=\"CN=alice\"")),
        ("x-forwarded-client-cert", format!("By=spiffe://a;Hash={hex}")),
        ("ssl-client-cert", "-----BEGIN%20CERTIFICATE-----".to_owned()),
        ("x-ssl-client-cert", hex.clone()),
        ("x-client-cert-sha256", hex.clone()),
        ("client-cert", format!(":{}:", encode(OWN))),
        ("x5t#s256", encode(OWN)),
    ] {
        let forged = request.clone().with(name, &value);
        assert_eq!(gate.reason(&forged), Err(Reason::TokenBindingMismatch), "{name}");
        assert_eq!(gate.reason(&forged.on(OTHER)), Err(Reason::TokenBindingMismatch), "{name}");
    }
}

#[test]
fn the_runtime_is_asked_only_where_it_matters() {
    let mut gate = Gate::new(json!({}));
    assert_eq!(gate.reason(&Request::bearer(&Holder::token(Value::Null)).on(OWN)), Ok(()));
    assert_eq!(gate.host.asked, 0);
    assert_eq!(gate.reason(&Request::bearer(&bound()).on(OWN)), Ok(()));
    assert_eq!(gate.host.asked, 1);
}

#[test]
fn a_remembered_token_is_bound_as_well() {
    let mut gate = Gate::new(json!({}));
    let request = Request::bearer(&bound());
    assert_eq!(gate.reason(&request.clone().on(OWN)), Ok(()));
    assert_eq!(gate.reason(&request.clone().on(OTHER)), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.reason(&request), Err(Reason::TokenBindingMismatch));
}

#[test]
fn a_token_that_is_bound_to_both_needs_both() {
    let client = Holder::new(2);
    let token = Holder::token(json!({"x5t#S256": encode(OWN), "jkt": client.thumbprint()}));
    let mut gate = Gate::new(json!({}));
    let proved = Request::dpop(&token, &client.proof(&token, "a"));
    assert_eq!(gate.reason(&proved), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.reason(&proved.clone().on(OTHER)), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.reason(&Request::bearer(&token).on(OWN)), Err(Reason::DpopProofMissing));
    let stranger = Holder::new(3);
    let stolen = Request::dpop(&token, &stranger.proof(&token, "a")).on(OWN);
    assert_eq!(gate.reason(&stolen), Err(Reason::TokenBindingMismatch));
    assert_eq!(gate.reason(&proved.on(OWN)), Ok(()));
}

#[test]
fn an_issuer_can_ask_for_a_certificate() {
    let mut jwk = Holder::new(1).jwk();
    jwk["alg"] = "ES256".into();
    let jwt = json!({"issuers": [{"issuer": "https://issuer.example", "audiences": ["api"],
        "binding": "certificate", "jwks": {"inline": {"keys": [jwk]}}}]});
    let mut gate = Gate::of(json!({}), json!({ "jwt": jwt }));
    let unbound = Request::bearer(&Holder::token(Value::Null)).on(OWN);
    assert_eq!(gate.reason(&unbound), Err(Reason::TokenBindingMissing));
    assert_eq!(gate.reason(&Request::bearer(&bound()).on(OWN)), Ok(()));
    // RFC 8705 §3.1 knows one digest; what cannot be checked is not let pass.
    for cnf in
        [json!({"x5t": encode(OWN)}), json!({}), json!({"x5t#S256": encode(OWN), "kid": "a"})]
    {
        let request = Request::bearer(&Holder::token(cnf.clone())).on(OWN);
        assert_eq!(gate.reason(&request), Err(Reason::TokenUnsupported), "{cnf}");
    }
}
