//! The known attacks on JWTs that choose another algorithm or key, against every algorithm.

use jwt_simple::prelude::*;
use portcullis_policy::Reason;
use portcullis_policy::identity::Algorithm;
use ring::hmac;
use serde_json::{Value, json};

use crate::issuer::{
    Host, Issuer, RSA_PEM, by_hmac, decode, encode, verify, verify_on, with_signature,
};

/// No algorithm, in all the ways that it has been written (CVE-2015-9235 and its kin).
#[test]
fn none_is_no_algorithm() {
    for issuer in Issuer::all() {
        let signed = |alg: &str| {
            format!("{}.{}", encode(format!(r#"{{"kid":"k"{alg}}}"#)), encode(r#"{"sub":"admin"}"#))
        };
        let good = issuer.token(&json!({}));
        let (_, borrowed) = good.rsplit_once('.').unwrap();
        for alg in [
            r#","alg":"none""#,
            r#","alg":"None""#,
            r#","alg":"nOnE""#,
            r#","alg":"NONE""#,
            r#","alg":"none ""#,
            r#","alg":"\u0000none""#,
            r#","alg":"""#,
            r#","alg":null"#,
            r#","alg":["none"]"#,
            r#","alg":0"#,
            r#","alg":true"#,
            "",
        ] {
            let signed = signed(alg);
            for signature in ["", "AA", borrowed] {
                // Even a host that would say yes to anything is not asked.
                let mut host = Host::gullible();
                let token = format!("{signed}.{signature}");
                let verdict = verify_on(&issuer.keys(), &token, &mut host);
                let expected = [Reason::TokenMalformed, Reason::TokenUnsupported];
                assert!(verdict.is_err_and(|reason| expected.contains(&reason)), "{token}");
                assert!(host.asked.is_empty());
            }
        }
    }
}

#[test]
fn names_of_algorithms_are_compared_exactly() {
    for issuer in Issuer::all() {
        let name = issuer.algorithm.as_str();
        for other in
            [name.to_lowercase(), format!("{name} "), format!(" {name}"), format!("{name}\0")]
        {
            let mut host = Host::gullible();
            let token = issuer.token(&json!({"alg": other}));
            let verdict = verify_on(&issuer.keys(), &token, &mut host);
            assert_eq!(verdict, Err(Reason::TokenUnsupported), "{other:?}");
            assert!(host.asked.is_empty());
        }
    }
}

/// A public key as the secret of an HMAC (CVE-2016-10555 and its kin), in every form that it may be had in, with every
/// hash.
#[test]
fn a_public_key_is_no_hmac_secret() {
    let rsa = RS256KeyPair::from_pem(RSA_PEM).unwrap().public_key();
    for issuer in Issuer::all().filter(|issuer| !issuer.algorithm.is_symmetric()) {
        let jwk = issuer.jwk.to_string();
        let mut secrets = vec![jwk.clone().into_bytes(), issuer.keys().to_string().into_bytes()];
        for member in ["n", "x", "y"] {
            if let Some(text) = issuer.jwk[member].as_str() {
                secrets.extend([decode(text), text.as_bytes().to_vec()]);
            }
        }
        if issuer.jwk["kty"] == "RSA" {
            let pem = rsa.to_pem().unwrap();
            secrets.extend([
                pem.clone().into_bytes(),
                pem.trim_end().as_bytes().to_vec(),
                format!(" {pem}").into_bytes(),
                format!("\n{pem}\n").into_bytes(),
                pem.replace('\n', "\r\n").into_bytes(),
                rsa.to_der().unwrap(),
            ]);
        }
        secrets.push(Vec::new());
        for secret in secrets {
            for (name, algorithm) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                let token = by_hmac(algorithm, &secret, &issuer.header(&json!({"alg": name})));
                let verdict = verify_on(&issuer.keys(), &token, &mut Host::gullible());
                assert_eq!(verdict, Err(Reason::TokenUnsupported), "{jwk}");
                // Nor under the algorithm's own name.
                let token = by_hmac(algorithm, &secret, &issuer.header(&json!({})));
                let verdict = verify(&issuer.keys(), &token);
                assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{jwk}");
            }
        }
    }
}

/// Keys that the token brings along (CVE-2018-0114): `jwk` is refused, the others are not looked at.
#[test]
fn keys_are_never_taken_from_the_token() {
    for issuer in Issuer::all() {
        let attacker = Issuer::new(match issuer.algorithm.as_str().starts_with(['R', 'P']) {
            // There is one RSA key: the attacker has another algorithm.
            true => Algorithm::Es256,
            false => issuer.algorithm,
        });
        let url = "https://attacker.example/jwks.json";
        for parameters in [
            json!({"jwk": attacker.jwk}),
            json!({"jwk": attacker.jwk, "kid": "attacker"}),
            json!({"jku": url}),
            json!({"x5u": url}),
            json!({"x5c": ["MIIB"]}),
            json!({"x5t": "AA", "x5t#S256": "AA"}),
        ] {
            let verdict = verify(&issuer.keys(), &attacker.token(&parameters));
            assert!(verdict.is_err(), "{parameters}");
            if parameters.get("jwk").is_some() {
                assert_eq!(verdict, Err(Reason::TokenUnsupported));
            }
        }
    }
}

/// No signature, or nearly none (CVE-2020-28042), and secrets that are blank (CVE-2019-20933).
#[test]
fn stripped_signatures_are_refused() {
    for issuer in Issuer::all() {
        let (keys, token) = (issuer.keys(), issuer.token(&json!({})));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for stripped in [signed.to_owned(), format!("{signed}."), format!("{signed}..")] {
            assert_eq!(verify(&keys, &stripped), Err(Reason::TokenMalformed), "{stripped}");
        }
        let signature = decode(signature);
        for length in [1, 16, 31, 32, signature.len() - 1] {
            let Some(short) = signature.get(..length).filter(|s| s.len() < signature.len()) else {
                continue;
            };
            let mut host = Host::gullible();
            let verdict = verify_on(&keys, &with_signature(signed, short), &mut host);
            assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{:?}", issuer.algorithm);
            assert!(host.asked.is_empty());
        }
        let zeros = with_signature(signed, &vec![0; signature.len()]);
        assert_eq!(verify(&keys, &zeros), Err(Reason::TokenSignatureInvalid));
    }
    for (algorithm, code) in [
        (Algorithm::Hs256, hmac::HMAC_SHA256),
        (Algorithm::Hs384, hmac::HMAC_SHA384),
        (Algorithm::Hs512, hmac::HMAC_SHA512),
    ] {
        let issuer = Issuer::new(algorithm);
        for blank in [b"".as_slice(), b" ", &[0; 64]] {
            let token = by_hmac(code, blank, &issuer.header(&json!({})));
            assert_eq!(verify(&issuer.keys(), &token), Err(Reason::TokenSignatureInvalid));
        }
    }
}

/// What is signed for one algorithm of an RSA key is no signature for another, whatever the header says.
#[test]
fn rsa_algorithms_do_not_stand_in_for_each_other() {
    let issuers: Vec<Issuer> = Issuer::all().filter(|issuer| issuer.jwk["kty"] == "RSA").collect();
    for signer in &issuers {
        for verifier in issuers.iter().filter(|other| other.algorithm != signer.algorithm) {
            let header: Value = json!({"alg": verifier.algorithm.as_str()});
            let verdict = verify(&verifier.keys(), &signer.token(&header));
            assert_eq!(verdict, Err(Reason::TokenSignatureInvalid), "{header}");
        }
    }
}
