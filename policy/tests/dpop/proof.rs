//! Each check of RFC 9449 §4.3, by the attack that it is there for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_policy::{HeaderEdit, Reason};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::gate::{Gate, Holder, NOW, Request, encode, field, reason};

/// What becomes of a proof with these claims and header parameters in place of the good ones.
fn changed(claims: Value, header: Value) -> Result<(), Reason> {
    let client = Holder::new(2);
    let token = client.own_token();
    let proof = client.proof_with(&token, "a", claims, header);
    Gate::new(json!({})).reason(&Request::dpop(&token, &proof))
}

fn with_claims(claims: Value) -> Result<(), Reason> {
    changed(claims, json!({}))
}

#[test]
fn a_good_proof_gets_through_and_goes_no_further() {
    let client = Holder::new(2);
    let token = client.own_token();
    let (edits, response) =
        Gate::new(json!({})).send(&Request::dpop(&token, &client.proof(&token, "a"))).unwrap();
    for name in ["authorization", "dpop"] {
        assert!(edits.contains(&HeaderEdit::Remove(name.to_owned())), "{name}");
    }
    assert!(
        !response
            .iter()
            .any(|edit| matches!(edit, HeaderEdit::Set(name, _) if name == "dpop-nonce"))
    );
    // Also one that nobody has looked at.
    let bearer = Request::bearer(&Holder::token(Value::Null)).with("dpop", "a.b.c");
    let (edits, _) = Gate::new(json!({})).send(&bearer).unwrap();
    assert!(edits.contains(&HeaderEdit::Remove("dpop".to_owned())));
}

#[test]
fn a_proof_goes_where_its_token_goes() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut jwk = Holder::new(1).jwk();
    jwk["alg"] = "ES256".into();
    let jwt = json!({"dpop": {}, "sources": [{"header": "authorization", "forward": true}],
        "issuers": [{"issuer": "https://issuer.example", "audiences": ["api"], "jwks": {"inline": {"keys": [jwk]}}}]});
    let mut gate = Gate::of(json!({}), json!({"jwt": jwt}));
    let (edits, _) = gate.send(&Request::dpop(&token, &client.proof(&token, "a"))).unwrap();
    assert!(edits.is_empty(), "{edits:?}");
}

#[test]
fn a_bound_token_is_no_bearer_token() {
    let client = Holder::new(2);
    let token = client.own_token();
    let proof = client.proof(&token, "a");
    let mut gate = Gate::new(json!({}));
    let reply = gate.send(&Request::bearer(&token)).unwrap_err();
    assert_eq!(reason(&reply), Reason::DpopProofMissing);
    let algorithms = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA";
    let challenge = format!(
        "Bearer realm=\"portcullis\", error=\"invalid_token\", error_description=\"A proof of possession is required\", \
         DPoP realm=\"portcullis\", algs=\"{algorithms}\""
    );
    assert_eq!(field(&reply, "www-authenticate"), Some(challenge.as_str()));
    // Not even with a proof: the scheme says how the token is meant.
    assert_eq!(
        gate.reason(&Request::bearer(&token).with("dpop", &proof)),
        Err(Reason::DpopProofMissing)
    );
    assert_eq!(
        gate.reason(&Request::new(&[("authorization", &format!("DPoP {token}"))])),
        Err(Reason::DpopProofMissing)
    );
    assert_eq!(gate.reason(&Request::dpop(&token, &proof)), Ok(()));
    // Nor elsewhere.
    let mut jwk = Holder::new(1).jwk();
    jwk["alg"] = "ES256".into();
    let sources = json!([{"header": "authorization"}, {"header": "x-token"}, {"query": "token"}, {"cookie": "token"}]);
    let jwt = json!({"dpop": {}, "sources": sources,
        "issuers": [{"issuer": "https://issuer.example", "audiences": ["api"], "jwks": {"inline": {"keys": [jwk]}}}]});
    let mut gate = Gate::of(json!({}), json!({"jwt": jwt}));
    for request in [
        Request::new(&[("x-token", token.as_str())]),
        Request::new(&[("cookie", &format!("token={token}"))]),
        Request::new(&[]).to(":path", &format!("/v1/predict?token={token}")),
    ] {
        assert_eq!(gate.reason(&request.with("dpop", &proof)), Err(Reason::DpopProofMissing));
    }
}

#[test]
fn a_token_that_is_not_bound_is_no_dpop_token() {
    let client = Holder::new(2);
    let token = Holder::token(Value::Null);
    let reply =
        Gate::new(json!({})).send(&Request::dpop(&token, &client.proof(&token, "a"))).unwrap_err();
    assert_eq!(reason(&reply), Reason::TokenBindingMissing);
    let challenge = field(&reply, "www-authenticate").unwrap();
    assert!(
        challenge.starts_with("DPoP realm=\"portcullis\", algs=\"")
            && challenge.ends_with(", Bearer realm=\"portcullis\"")
    );
}

#[test]
fn challenges_name_what_is_accepted() {
    let challenge = |gate: &mut Gate, request: &Request| {
        field(&gate.send(request).unwrap_err(), "www-authenticate").unwrap().to_owned()
    };
    let client = Holder::new(2);
    let token = client.own_token();
    let mut both = Gate::new(json!({}));
    let missing = challenge(&mut both, &Request::new(&[]));
    assert!(
        missing.starts_with("Bearer realm=\"portcullis\", DPoP realm=\"portcullis\", algs=\""),
        "{missing}"
    );
    assert!(!missing.contains("error"));
    let invalid = challenge(&mut both, &Request::dpop(&token, "a.b.c"));
    assert!(
        invalid.starts_with("DPoP ") && invalid.contains("error=\"invalid_dpop_proof\""),
        "{invalid}"
    );
    let mut jwk = Holder::new(1).jwk();
    jwk["alg"] = "ES256".into();
    let jwt = json!({"dpop": {}, "issuers": [{"issuer": "https://issuer.example", "audiences": ["api"],
        "binding": "dpop", "jwks": {"inline": {"keys": [jwk]}}}]});
    let mut bound = Gate::of(json!({}), json!({"jwt": jwt}));
    let missing = challenge(&mut bound, &Request::new(&[]));
    assert!(missing.starts_with("DPoP ") && !missing.contains("Bearer"), "{missing}");
    assert_eq!(
        bound.reason(&Request::bearer(&Holder::token(Value::Null))),
        Err(Reason::TokenBindingMissing)
    );
}

#[test]
fn there_is_one_proof() {
    let client = Holder::new(2);
    let token = client.own_token();
    let (one, other) = (client.proof(&token, "a"), client.proof(&token, "b"));
    let mut gate = Gate::new(json!({}));
    assert_eq!(
        gate.reason(&Request::dpop(&token, &one).with("dpop", &other)),
        Err(Reason::CredentialConflict)
    );
    assert_eq!(
        gate.reason(&Request::dpop(&token, &one).with("dpop", &one)),
        Err(Reason::CredentialConflict)
    );
    assert_eq!(
        gate.reason(&Request::dpop(&token, &format!("{one},{other}"))),
        Err(Reason::CredentialConflict)
    );
    // Nothing of this has used it up.
    assert_eq!(gate.reason(&Request::dpop(&token, &one)), Ok(()));
}

#[test]
fn what_is_no_proof_is_refused() {
    let client = Holder::new(2);
    let token = client.own_token();
    let good = client.proof(&token, "a");
    let (signed, _) = good.rsplit_once('.').unwrap();
    let mut gate = Gate::new(json!({}));
    for proof in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{good}.x"),
        format!("{good}="),
        format!("{good} "),
        format!("DPoP {good}"),
        "a".repeat(1 << 20),
        format!("{good}{}", "A".repeat(1 << 20)),
        ".".repeat(10_000),
        token.clone(),
        r#"{"payload":"","signature":""}"#.replace(",", " "),
    ] {
        assert_eq!(
            gate.reason(&Request::dpop(&token, &proof)),
            Err(Reason::DpopProofInvalid),
            "{proof:.80}"
        );
    }
    // A bit of the signature, and any other signature.
    let mut bytes = URL_SAFE_NO_PAD.decode(good.rsplit_once('.').unwrap().1).unwrap();
    bytes[40] ^= 1;
    for signature in
        [bytes, vec![0; 64], vec![0xff; 64], vec![1; 63], vec![0x30, 6, 2, 1, 1, 2, 1, 1]]
    {
        let proof = format!("{signed}.{}", encode(signature));
        assert_eq!(gate.reason(&Request::dpop(&token, &proof)), Err(Reason::DpopProofInvalid));
    }
    assert_eq!(gate.reason(&Request::dpop(&token, &good)), Ok(()));
}

#[test]
fn the_header_is_that_of_a_proof() {
    let with_header = |header: Value| changed(json!({}), header);
    assert_eq!(
        with_header(json!({"kid": "x", "x5c": ["AA"], "jku": "https://evil.example"})),
        Ok(())
    );
    for header in [
        json!({"typ": null}),
        json!({"typ": "jwt"}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "DPOP+JWT"}),
        json!({"typ": "application/dpop+jwt"}),
        json!({"typ": ["dpop+jwt"]}),
        json!({"alg": null}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "RS256"}),
        json!({"alg": "ES384"}),
        json!({"jwk": null}),
        json!({"jwk": "a"}),
        json!({"jwk": {}}),
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"cty": "JWT"}),
    ] {
        assert_eq!(with_header(header.clone()), Err(Reason::DpopProofInvalid), "{header}");
    }
    // A private key in a proof is nobody's any more.
    let mut jwk = Holder::new(2).jwk();
    jwk["d"] = encode([2; 32]).into();
    assert_eq!(with_header(json!({"jwk": jwk})), Err(Reason::DpopProofInvalid));
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES512")),
        ("alg", json!("none")),
    ] {
        let mut jwk = Holder::new(2).jwk();
        jwk[name] = value.clone();
        assert_eq!(
            with_header(json!({"jwk": jwk})),
            Err(Reason::DpopProofInvalid),
            "{name} {value}"
        );
    }
}

#[test]
fn nobody_signs_with_the_public_key() {
    // RFC 8725 §2.1: the public key as an HMAC secret, and a secret as the proof's key.
    let client = Holder::new(2);
    let claims = |token: &str| {
        json!({"jti": "a", "htm": "POST", "htu": "https://api.example/v1/predict",
        "iat": NOW, "ath": encode(Sha256::digest(token))})
    };
    let hs256 = |secret: &[u8], header: Value, claims: Value| {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", encode(mac.finalize().into_bytes()))
    };
    let mut gate = Gate::new(json!({}));
    let token = client.own_token();
    let header = json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": client.jwk()});
    let proof = hs256(client.jwk().to_string().as_bytes(), header, claims(&token));
    assert_eq!(gate.reason(&Request::dpop(&token, &proof)), Err(Reason::DpopProofInvalid));

    let oct = json!({"k": encode([9; 32]), "kty": "oct"});
    let token = Holder::token(json!({"jkt": encode(Sha256::digest(oct.to_string()))}));
    let header = json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "alg": "HS256", "k": encode([9; 32])}});
    let proof = hs256(&[9; 32], header, claims(&token));
    assert_eq!(gate.reason(&Request::dpop(&token, &proof)), Err(Reason::DpopProofInvalid));

    let header = json!({"typ": "dpop+jwt", "alg": "none", "jwk": client.jwk()});
    let token = client.own_token();
    let unsigned =
        format!("{}.{}.", encode(header.to_string()), encode(claims(&token).to_string()));
    assert_eq!(gate.reason(&Request::dpop(&token, &unsigned)), Err(Reason::DpopProofInvalid));
}

#[test]
fn the_key_is_the_one_the_token_is_bound_to() {
    let (client, thief) = (Holder::new(2), Holder::new(3));
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    assert_eq!(
        gate.reason(&Request::dpop(&token, &thief.proof(&token, "a"))),
        Err(Reason::TokenBindingMismatch)
    );
    // The thief's signature under the client's key, and the other way round.
    for (signer, jwk) in [(&thief, &client), (&client, &thief)] {
        let proof = signer.proof_with(&token, "a", json!({}), json!({"jwk": jwk.jwk()}));
        assert!(gate.reason(&Request::dpop(&token, &proof)).is_err());
    }
    // A token of the thief's own with a proof of the client's, and a proof for one token with another.
    let own = thief.own_token();
    assert_eq!(
        gate.reason(&Request::dpop(&own, &client.proof(&token, "a"))),
        Err(Reason::TokenBindingMismatch)
    );
    let second = Holder::token(json!({"jkt": client.thumbprint(), "x5t#S256": encode([1; 32])}));
    let request = Request::dpop(&second, &client.proof(&token, "a")).on([1; 32]);
    assert_eq!(gate.reason(&request), Err(Reason::DpopProofInvalid));
    assert_eq!(gate.reason(&Request::dpop(&token, &client.proof(&token, "a"))), Ok(()));
}

#[test]
fn the_method_is_the_requests() {
    for htm in [
        json!(null),
        json!("post"),
        json!("GET"),
        json!(" POST"),
        json!(""),
        json!(1),
        json!(["POST"]),
    ] {
        assert_eq!(with_claims(json!({"htm": htm})), Err(Reason::DpopProofInvalid), "{htm}");
    }
    let client = Holder::new(2);
    let token = client.own_token();
    let request = Request::dpop(&token, &client.proof(&token, "a")).to(":method", "PUT");
    assert_eq!(Gate::new(json!({})).reason(&request), Err(Reason::DpopProofInvalid));
}

#[test]
fn the_uri_is_the_requests() {
    for htu in [
        "https://api.example/v1/predict",
        "https://api.example/v1/predict?anything#at-all",
        "HTTPS://API.example:443/v1/predict",
        "https://api.example:/v1/./predict",
        "https://api.example/v1/../v1/%70redict",
    ] {
        assert_eq!(with_claims(json!({"htu": htu})), Ok(()), "{htu}");
    }
    for htu in [
        json!(null),
        json!(["https://api.example/v1/predict"]),
        json!(""),
        json!("/v1/predict"),
        json!("http://api.example/v1/predict"),
        json!("https://api.example:8443/v1/predict"),
        json!("https://evil.example/v1/predict"),
        json!("https://api.example.evil.example/v1/predict"),
        json!("https://api.example@evil.example/v1/predict"),
        json!("https://evil.example@api.example/v1/predict"),
        json!("https://evil.example?https://api.example/v1/predict"),
        json!("https://evil.example#@api.example/v1/predict"),
        json!("https://evil.example\\@api.example/v1/predict"),
        json!("https://api.example/v1/other?/v1/predict"),
        json!("https://api.example/?/v1/predict"),
        json!("https://api.example/v1/predict/"),
        json!("https://api.example/v1/PREDICT"),
        json!("https://api.example/v1%2Fpredict"),
        json!("https://api.example/v1/predict%3F"),
        json!("https://api.example/v1/predict "),
        json!("https://api.example/v1/predict\u{0}"),
    ] {
        assert_eq!(with_claims(json!({"htu": htu})), Err(Reason::DpopProofInvalid), "{htu}");
    }
}

#[test]
fn the_requests_uri_is_what_was_judged() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(json!({}));
    let mut send = |id: &str, htu: &str, authority: &str, path: &str| {
        let proof = client.proof_with(&token, id, json!({"htu": htu}), json!({}));
        gate.reason(&Request::dpop(&token, &proof).to(":authority", authority).to(":path", path))
    };
    let good = "https://api.example/v1/predict";
    assert_eq!(send("1", good, "API.Example:443", "/v1/x/..//%70redict?q=1"), Ok(()));
    assert_eq!(send("2", good, "api.example:8443", "/v1/predict"), Err(Reason::DpopProofInvalid));
    assert_eq!(send("3", good, "other.example", "/v1/predict"), Err(Reason::DpopProofInvalid));
    // What stands in the query is not the path.
    assert_eq!(
        send("4", good, "api.example", "/v1/admin?/v1/predict"),
        Err(Reason::DpopProofInvalid)
    );
    assert_eq!(
        send("5", good, "api.example", "/v1/predict/../admin"),
        Err(Reason::DpopProofInvalid)
    );
    assert_eq!(send("6", good, "api.example", "/v1/predict%3Fx"), Err(Reason::DpopProofInvalid));
    assert_eq!(send("7", "https://api.example/a%2a", "api.example", "/a%2A"), Ok(()));
}

#[test]
fn behind_a_proxy_the_origin_is_the_policys() {
    let client = Holder::new(2);
    let token = client.own_token();
    for (origin, htu, expected) in [
        ("https://public.example", "https://public.example/v1/predict", Ok(())),
        ("https://public.example:443", "https://public.example/v1/predict", Ok(())),
        ("http://localhost:8080", "http://localhost:8080/v1/predict", Ok(())),
        ("https://public.example", "https://api.example/v1/predict", Err(Reason::DpopProofInvalid)),
        (
            "https://public.example",
            "http://public.example/v1/predict",
            Err(Reason::DpopProofInvalid),
        ),
    ] {
        let proof = client.proof_with(&token, "a", json!({"htu": htu}), json!({}));
        let mut gate = Gate::new(json!({"origin": origin}));
        // A client cannot say otherwise.
        let request = Request::dpop(&token, &proof).with("x-forwarded-host", "api.example");
        assert_eq!(
            gate.reason(&request.with("x-forwarded-proto", "https")),
            expected,
            "{origin} {htu}"
        );
    }
}

#[test]
fn a_proof_is_of_these_seconds() {
    for age in [0, 1, 60] {
        assert_eq!(with_claims(json!({"iat": NOW - age})), Ok(()), "{age}");
    }
    assert_eq!(with_claims(json!({"iat": NOW + 30})), Ok(()));
    for iat in [
        json!(NOW - 61),
        json!(NOW + 31),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1.7e9),
        json!(1e308),
        json!(NOW.to_string()),
        json!(null),
    ] {
        assert_eq!(with_claims(json!({"iat": iat})), Err(Reason::DpopProofInvalid), "{iat}");
    }
    // Other bounds hold where they are asked for.
    let client = Holder::new(2);
    let token = client.own_token();
    for (iat, expected) in [
        (NOW - 5, Ok(())),
        (NOW - 6, Err(Reason::DpopProofInvalid)),
        (NOW + 6, Err(Reason::DpopProofInvalid)),
    ] {
        let proof = client.proof_with(&token, "a", json!({"iat": iat}), json!({}));
        let mut gate = Gate::new(json!({"max_age_seconds": 5}));
        assert_eq!(gate.reason(&Request::dpop(&token, &proof)), expected);
    }
}

#[test]
fn the_token_is_the_one_that_was_meant() {
    for ath in [
        json!(null),
        json!(""),
        json!(encode(Sha256::digest("another"))),
        json!([]),
        json!(encode([0; 32])),
    ] {
        assert_eq!(with_claims(json!({"ath": ath})), Err(Reason::DpopProofInvalid), "{ath}");
    }
    let client = Holder::new(2);
    let token = client.own_token();
    let padded = format!("{}=", encode(Sha256::digest(&token)));
    let proof = client.proof_with(&token, "a", json!({"ath": padded}), json!({}));
    assert_eq!(
        Gate::new(json!({})).reason(&Request::dpop(&token, &proof)),
        Err(Reason::DpopProofInvalid)
    );
}

#[test]
fn a_proof_has_a_name() {
    assert_eq!(with_claims(json!({"jti": "a".repeat(256)})), Ok(()));
    for jti in [json!(null), json!(""), json!(1), json!(["a"]), json!("a".repeat(257))] {
        assert_eq!(with_claims(json!({"jti": jti})), Err(Reason::DpopProofInvalid), "{jti:.20}");
    }
}

#[test]
fn other_kinds_of_keys_prove_as_well() {
    fn by(token: &str, jwk: &Value, algorithm: &str, sign: impl Fn(&str) -> Vec<u8>) -> Request {
        let header = json!({"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk});
        let claims = json!({"jti": algorithm, "htm": "POST", "htu": "https://api.example/v1/predict",
            "iat": NOW, "ath": encode(Sha256::digest(token))});
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(sign(&signed));
        Request::dpop(token, &format!("{signed}.{signature}"))
    }
    use ed25519_dalek::Signer as _;
    let mut gate = Gate::new(json!({}));
    let edwards = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
    let jwk =
        json!({"crv": "Ed25519", "kty": "OKP", "x": encode(edwards.verifying_key().as_bytes())});
    let token = Holder::token(json!({"jkt": encode(Sha256::digest(jwk.to_string()))}));
    let sign = |text: &str| edwards.sign(text.as_bytes()).to_bytes().to_vec();
    assert_eq!(gate.reason(&by(&token, &jwk, "EdDSA", sign)), Ok(()));
    assert_eq!(gate.reason(&by(&token, &jwk, "Ed25519", sign)), Ok(()));
    assert_eq!(gate.reason(&by(&token, &jwk, "ES256", sign)), Err(Reason::DpopProofInvalid));
}

#[test]
fn nonces_are_asked_for_given_out_and_renewed() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(json!({"nonce_key": {"env": "NONCE_KEY"}}));
    let with_nonce = |id: &str, nonce: &str, iat: u64| {
        let claims = json!({"nonce": nonce, "iat": iat});
        Request::dpop(&token, &client.proof_with(&token, id, claims, json!({})))
    };
    let reply = gate.send(&Request::dpop(&token, &client.proof(&token, "a"))).unwrap_err();
    assert_eq!(reason(&reply), Reason::DpopNonceRequired);
    assert!(field(&reply, "www-authenticate").unwrap().contains("error=\"use_dpop_nonce\""));
    assert_eq!(field(&reply, "cache-control"), Some("no-store"));
    let nonce = field(&reply, "dpop-nonce").unwrap().to_owned();
    // The proof without a nonce has used nothing up: its name is free.
    let (_, response) = gate.send(&with_nonce("a", &nonce, NOW)).unwrap();
    let next = |response: &[HeaderEdit]| {
        response.iter().find_map(|edit| match edit {
            HeaderEdit::Set(name, value) if name == "dpop-nonce" => Some(value.clone()),
            _ => None,
        })
    };
    assert_eq!(next(&response), None, "the nonce is new");
    let mut other = nonce.clone().into_bytes();
    other[0] ^= 1;
    for forged in [
        "",
        "A",
        &"A".repeat(22),
        std::str::from_utf8(&other).unwrap(),
        &nonce[..21],
        &format!("{nonce}A"),
    ] {
        assert_eq!(
            gate.reason(&with_nonce("b", forged, NOW)),
            Err(Reason::DpopNonceRequired),
            "{forged}"
        );
    }
    // On any worker, and in the window after, which gives out the next one.
    gate.other_worker();
    gate.advance_seconds(60);
    let (_, response) = gate.send(&with_nonce("c", &nonce, NOW + 60)).unwrap();
    let second = next(&response).unwrap();
    assert_ne!(second, nonce);
    assert_eq!(gate.reason(&with_nonce("d", &second, NOW + 60)), Ok(()));
    gate.advance_seconds(60);
    assert_eq!(gate.reason(&with_nonce("e", &nonce, NOW + 120)), Err(Reason::DpopNonceRequired));
    assert_eq!(gate.reason(&with_nonce("f", &second, NOW + 120)), Ok(()));
    // A nonce does not make a proof young.
    assert_eq!(gate.reason(&with_nonce("g", &second, NOW + 59)), Err(Reason::DpopProofInvalid));
}

#[test]
fn without_the_section_bound_tokens_are_refused() {
    let client = Holder::new(2);
    let token = client.own_token();
    let mut gate = Gate::new(Value::Null);
    assert_eq!(gate.reason(&Request::bearer(&token)), Err(Reason::TokenUnsupported));
    let dpop = Request::dpop(&token, &client.proof(&token, "a"));
    assert_eq!(gate.reason(&dpop), Err(Reason::CredentialMalformed));
}

#[test]
fn records_hold_no_proof() {
    let client = Holder::new(2);
    let token = client.own_token();
    let proof = client.proof(&token, "a");
    let mut gate = Gate::new(json!({}));
    let request = Request::dpop(&token, &proof);
    for _ in 0..2 {
        let mut exchange = gate.begin();
        request.judge(&mut exchange, &mut gate.host);
        let record = exchange.finish(&mut gate.host).unwrap_or_default();
        assert!(!record.contains(&proof) && !record.contains(&token));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the field, and however a good proof is damaged.
    #[test]
    fn no_bytes_panic_or_get_through(bytes in prop::collection::vec(any::<u8>(), 0..200), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let client = Holder::new(2);
        let token = client.own_token();
        let good = client.proof(&token, "a");
        let mut gate = Gate::new(json!({}));
        let mut request = Request::dpop(&token, &good);
        request.headers.last_mut().unwrap().1 = bytes;
        prop_assert!(gate.send(&request).is_err());
        let mut damaged = good.into_bytes();
        let place = place.index(damaged.len());
        let is_same = damaged[place] == byte;
        damaged[place] = byte;
        request.headers.last_mut().unwrap().1 = damaged;
        prop_assert_eq!(gate.send(&request).is_ok(), is_same);
    }

    /// Any claims and header parameters under a good signature: at most the good ones get through.
    #[test]
    fn no_member_panics(name in "htm|htu|iat|ath|jti|nonce|typ|alg|jwk|crit|exp", value in "\\PC{0,20}", number in any::<f64>(), kind in 0..4u8) {
        let value = match kind {
            0 => json!(value),
            1 => json!(number),
            2 => json!([value, {"a": number}]),
            _ => json!({"kty": value, "crv": "P-256", "x": value, "n": value}),
        };
        let _ = changed(json!({ name.clone(): value.clone() }), json!({}));
        let _ = changed(json!({}), json!({ name: value }));
    }
}
