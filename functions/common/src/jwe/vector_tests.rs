//! Vectors of the standards, and of others' implementations.

use serde_json::{Value, json};

use super::compact::{Compact, decode, encode};
use super::testing::*;
use super::*;
use crate::keys::Kind as _;

/// RFC 7518 appendix C: Alice's ephemeral key and Bob's, for A128GCM.
#[test]
fn concat_kdf_is_that_of_the_standard() {
    let alice = json!({
        "kty": "EC", "crv": "P-256",
        "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    });
    let bob = decode("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw").unwrap();
    let bob = p256::SecretKey::from_slice(&bob).unwrap();
    let alice = agreement::public_key(alice.as_object().unwrap()).unwrap();
    let shared = bob.diffie_hellman(&alice);
    let shared = shared.raw_secret_bytes().as_slice();
    assert_eq!(shared[..4], [158, 86, 217, 29]);
    assert_eq!(shared[28..], [140, 254, 144, 196]);
    let key = kdf::concat_kdf(shared, "A128GCM", b"Alice", b"Bob", 128);
    assert_eq!(encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
}

/// A message by joserfc 1.8 to the key of RFC 7518 appendix C, with apu and apv.
#[test]
fn another_implementations_message_is_unwrapped() {
    let key = AgreementKey::from_bytes(&decode(BOB).unwrap()).unwrap();
    let Compact { encoded_header, header, encrypted_key, iv, mut ciphertext, tag } =
        Compact::split(MESSAGE.as_bytes()).unwrap();
    let header = header::Header::read(&header).unwrap();
    let header::Recipient::Agreement(agreement) = &header.recipient else { panic!() };
    assert_eq!(
        (agreement.apu.as_slice(), agreement.apv.as_slice()),
        (b"Alice".as_slice(), b"Bob".as_slice())
    );
    let content_key = key.unwrap(agreement, &encrypted_key).unwrap();
    content::open(&content_key, &iv, encoded_header, &mut ciphertext, &tag).unwrap();
    assert_eq!(ciphertext.as_slice(), CONTENT);
    // And the same agreement without the parties is another one.
    assert!(key.unwrap(&agreement_of(agreement.ephemeral), &encrypted_key).is_none());
}

const BOB: &str = "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw";
const MESSAGE: &str = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJraWQiOiJib2IiLCJhcHUiOiJRV3hwWTJVIi\
    wiYXB2IjoiUW05aSIsImVwayI6eyJjcnYiOiJQLTI1NiIsIngiOiIzTWpYTjg5eXVDejN3SkpRVENFYm1HUHl4dUJ0\
    X3Bkb1h5aFNTMkR0QkJvIiwieSI6Im1CRnE5ZE9tcVh3SEdQNC1VSFNZWGlxbUFudVdEblQzX0J3UTVobERFX2ciLC\
    JrdHkiOiJFQyJ9fQ.F6CcRcU-t2m7QZxEcZrW5jm3u97-d5MQdWEKz-hpd9YCM6obsDX7kg.yQ9gpoi9e2FQt_HE.h\
    zC4gnPyWVbqB_7qvq1mnw.J2P0GuMnSv-Jk5DQ2CakwA";

/// RFC 7520, from the folder of corpora: what of it is ours fits, and nothing of it is accepted.
#[test]
fn the_cookbook_fits_where_it_is_ours() {
    let folder = std::env::var_os("PORTCULLIS_CORPORA").filter(|folder| !folder.is_empty());
    let Some(folder) = folder else {
        crate::log!("!! SKIPPED: PORTCULLIS_CORPORA is not set, the JOSE cookbook was not tried");
        return;
    };
    let folder = std::path::Path::new(&folder).join("jose_cookbook/jwe");
    if !folder.is_dir() {
        crate::log!(
            "!! SKIPPED: {} is not there, the JOSE cookbook was not tried",
            folder.display()
        );
        return;
    }
    let (keys, mut tried) = (keys(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for form in case["output"].as_object().unwrap().values() {
            let text = form.as_str().map_or_else(|| form.to_string(), str::to_owned);
            refused(&keys, &text);
        }
        if name.starts_with("5_2.") {
            a256gcm(&case);
            tried.push("A256GCM");
        } else if name.starts_with("5_5.") {
            agreement_on_p256(&case);
            tried.push("ECDH-ES");
        }
    }
    tried.sort_unstable();
    assert_eq!(tried, ["A256GCM", "ECDH-ES"]);
}

/// RSA-OAEP with A256GCM: the content under its key.
fn a256gcm(case: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let Compact { encoded_header, iv, mut ciphertext, tag, .. } =
        Compact::split(case["output"]["compact"].as_str().unwrap().as_bytes())
            .map_err(|error| panic!("{error}"))
            .unwrap();
    let key: [u8; 32] = decode(&text(&case["generated"]["cek"])).unwrap().try_into().unwrap();
    content::open(&key.into(), &iv, encoded_header, &mut ciphertext, &tag).unwrap();
    assert_eq!(ciphertext.as_slice(), text(&case["input"]["plaintext"]).as_bytes());
}

/// ECDH-ES on P-256 for A128CBC-HS256: the key that is agreed upon.
fn agreement_on_p256(case: &Value) {
    let private = decode(case["input"]["key"]["d"].as_str().unwrap()).unwrap();
    let private = p256::SecretKey::from_slice(&private).unwrap();
    let epk = &case["encrypting_content"]["protected"]["epk"];
    let epk = agreement::public_key(epk.as_object().unwrap()).unwrap();
    let shared = private.diffie_hellman(&epk);
    let key = kdf::concat_kdf(shared.raw_secret_bytes(), "A128CBC-HS256", b"", b"", 256);
    assert_eq!(encode(key.as_slice()), case["encrypting_key"]["cek"].as_str().unwrap());
}
