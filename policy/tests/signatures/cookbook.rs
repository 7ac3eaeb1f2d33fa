//! The vectors of RFC 7520, RFC 7797 and RFC 8037. They are not part of the project: these tests run where
//! `PORTCULLIS_CORPORA` names their folder, and say so where they do not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_policy::Reason;
use portcullis_policy::identity::{Algorithm, JwsSignature, KeySet, SignatureError, Token};
use serde_json::{Value, json};

use crate::issuer::{Host, decode};

#[test]
fn every_signature_of_the_cookbook_verifies() {
    let Some(folder) = cookbook() else { return };
    let mut seen = BTreeMap::new();
    for (name, vector) in vectors(&folder, &["jws", "curve25519"]) {
        // One key and signature, or several of each.
        let keys = several(&vector["input"]["key"]);
        let algorithms = several(&vector["input"]["alg"]);
        for (index, signing) in several(&vector["signing"]).iter().enumerate() {
            let Some(input) = signing["sig-input"].as_str() else { continue };
            let (mut jwk, alg) = (keys[index].clone(), algorithms[index].as_str().unwrap());
            let members = jwk.as_object_mut().unwrap();
            for private in ["d", "p", "q", "dp", "dq", "qi"] {
                members.remove(private);
            }
            members.insert("alg".to_owned(), alg.into());
            let signature = decode(signing["sig"].as_str().unwrap());
            let keys = KeySet::from_value(&json!({"keys": [jwk]})).unwrap();
            let verify = |algorithm: &str, input: &str, signature: &[u8]| {
                let signing_input = input.as_bytes();
                let jws = JwsSignature { key_id: None, algorithm, signing_input, signature };
                keys.verify_signature(&jws, &mut Host::default())
            };
            assert_eq!(verify(alg, input, &signature), Ok(()), "{name} {alg}");
            // The same in one text, whatever is signed; RFC 7797's are not such texts.
            let text = format!("{input}.{}", signing["sig"].as_str().unwrap());
            if vector["output"]["compact"].is_string() {
                assert_eq!(keys.verify_compact(&text, &mut Host::default()).err(), None, "{name}");
            }
            let longer = format!("{input}A");
            assert_eq!(verify(alg, &longer, &signature), Err(SignatureError::Invalid), "{name}");
            for other in Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()) {
                assert_eq!(
                    verify(other, input, &signature).is_ok(),
                    other == alg,
                    "{name} {other}"
                );
            }
            *seen.entry(alg.to_owned()).or_insert(0) += 1;
        }
    }
    println!("cookbook: verified {seen:?}");
    let expected = [("ES512", 2), ("EdDSA", 1), ("HS256", 5), ("PS384", 1), ("RS256", 2)];
    assert!(seen.iter().map(|(name, count)| (name.as_str(), *count)).eq(expected), "{seen:?}");
}

/// A signature alone does not make a token: the payload of these is prose, and other serialisations, detached and unencoded
/// payloads and encryption are not taken.
#[test]
fn nothing_of_the_cookbook_is_a_token() {
    let Some(folder) = cookbook() else { return };
    let mut refused = BTreeMap::new();
    let folders = ["jws", "curve25519", "jwe", "rfc7797", "."];
    for (name, vector) in vectors(&folder, &folders) {
        let Some(outputs) = vector["output"].as_object() else { continue };
        for (form, output) in outputs {
            let text = output.as_str().map_or_else(|| output.to_string(), str::to_owned);
            let reason = Token::parse(&text).unwrap_err().reason;
            assert!(
                matches!(reason, Reason::TokenMalformed | Reason::TokenUnsupported),
                "{name} {form}: {reason:?}"
            );
            if name.starts_with("rfc7797") && form == "compact" {
                assert_eq!(
                    reason,
                    Reason::TokenUnsupported,
                    "b64 must be understood (RFC 7797 §6)"
                );
            }
            *refused.entry(form.clone()).or_insert(0) += 1;
        }
    }
    println!("cookbook: refused {refused:?}");
    assert!(refused.get("compact") > Some(&10) && refused.get("json") > Some(&10), "{refused:?}");
}

/// Public keys load, private ones do not, and what is for encryption is no key for signatures.
#[test]
fn keys_of_the_cookbook_load_if_they_are_for_signatures() {
    let Some(folder) = cookbook() else { return };
    let mut seen = 0;
    for (name, jwk) in vectors(&folder, &["jwk"]) {
        let loaded = KeySet::from_value(&json!({"keys": [jwk]}));
        let expected = match name.rsplit_once('/').unwrap().1 {
            "3_1.ec_public_key.json" | "3_3.rsa_public_key.json" => None,
            "3_5.symmetric_key_mac_computation.json" => None,
            "3_2.ec_private_key.json" | "3_4.rsa_private_key.json" => Some("keys[0].d"),
            "3_6.symmetric_key_encryption.json" => Some("keys"),
            other => panic!("{other}"),
        };
        assert_eq!(loaded.err().map(|error| error.field).as_deref(), expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 6);
}

fn several(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn cookbook() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CORPORA").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        eprintln!("!! SKIPPED: PORTCULLIS_CORPORA is not set, the JOSE cookbook was not tried");
    }
    folder.map(|folder| PathBuf::from(folder).join("jose_cookbook"))
}

fn vectors(cookbook: &Path, folders: &[&str]) -> Vec<(String, Value)> {
    let mut vectors = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(cookbook.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
                vectors.push((name, serde_json::from_str(&text).unwrap()));
            }
        }
    }
    assert!(!vectors.is_empty(), "no vectors in {}", cookbook.display());
    vectors
}
