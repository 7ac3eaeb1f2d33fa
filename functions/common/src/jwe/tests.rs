use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::testing::*;
use super::*;
use crate::Reply;
use crate::keys::testing::{MemoryStore, NOW, run};
use crate::keys::{GRACE_SECONDS, Keyring, Kind as _, PUBLISHED_BEFORE_SECONDS, Rotation};

#[test]
fn both_algorithms_decrypt() {
    let keys = keys();
    for kty in ["EC", "RSA"] {
        let message = Message::to(&published(&keys, kty));
        let decrypted = keys.decrypt(message.write().as_bytes()).unwrap();
        assert_eq!(decrypted.content.as_slice(), CONTENT);
        assert_eq!(decrypted.content_type, "application/json");
    }
    for parties in [(b"Alice".as_slice(), b"Bob".as_slice()), (b"", b""), (&[7; 256], &[0; 256])] {
        let message = Message::with_parties(&published(&keys, "EC"), Some(parties));
        assert!(keys.decrypt(message.write().as_bytes()).is_ok(), "{parties:?}");
    }
}

#[test]
fn what_is_unknown_and_not_critical_is_ignored() {
    let keys = keys();
    let message = Message::to(&published(&keys, "EC"))
        .header("typ", "JOSE")
        .header("iat", 1_700_000_000)
        .header("jku", "https://attacker.example/keys")
        .header("x5u", "https://attacker.example/chain")
        .header("unknown", json!({ "a": [1, 2.5, null] }));
    assert!(keys.decrypt(message.write().as_bytes()).is_ok());
}

#[test]
fn the_content_type_is_told() {
    let keys = keys();
    let key = published(&keys, "EC");
    for (cty, expected) in [
        ("json", "application/json"),
        ("application/json", "application/json"),
        ("text/plain", "text/plain"),
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ("problem+json", "application/problem+json"),
    ] {
        let message = Message::to(&key).header("cty", cty).write();
        assert_eq!(keys.decrypt(message.as_bytes()).unwrap().content_type, expected);
    }
}

#[test]
fn the_published_keys_say_what_they_are_for_and_nothing_secret() {
    let set = keys().public_set();
    let [own, rsa] = set["keys"].as_array().unwrap().as_slice() else { panic!("{set}") };
    assert_eq!((&own["kty"], &own["crv"]), (&json!("EC"), &json!("P-256")));
    assert_eq!((&own["alg"], &own["use"]), (&json!("ECDH-ES+A256KW"), &json!("enc")));
    assert_eq!((&rsa["kty"], &rsa["e"]), (&json!("RSA"), &json!("AQAB")));
    assert_eq!((&rsa["alg"], &rsa["use"]), (&json!("RSA-OAEP-256"), &json!("enc")));
    for key in [own, rsa] {
        assert!(key["kid"].as_str().unwrap().len() == 43);
        assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|name| key.get(name).is_none()));
    }
}

#[test]
fn a_key_that_was_replaced_decrypts_for_a_day_and_is_told_to_nobody() {
    let store = MemoryStore::default();
    let open = |now| run(DecryptionKeys::open(settings(), &store, now)).unwrap();
    let mut keys = open(NOW);
    let old = published(&keys, "EC");
    assert_eq!(run(keys.rotate(&store)), Ok(Some(Rotation::Begun)));
    assert_eq!(published(&keys, "EC"), old, "not before every instance has it");
    assert_eq!(run(keys.rotate(&store)), Ok(Some(Rotation::Underway)));

    let takes_over = NOW + PUBLISHED_BEFORE_SECONDS;
    assert_eq!(published(&open(takes_over - 1), "EC"), old);
    let keys = open(takes_over);
    let new = published(&keys, "EC");
    assert_ne!(new, old);
    let sealed = [&old, &new].map(|key| Message::to(key).write());
    assert!(sealed.iter().all(|message| keys.decrypt(message.as_bytes()).is_ok()));

    let forgotten = takes_over + AgreementKey::RETAINED_SECONDS + GRACE_SECONDS;
    assert!(open(forgotten).decrypt(sealed[0].as_bytes()).is_ok());
    let keys = open(forgotten + 1);
    assert_eq!(refused(&keys, &sealed[0]), "expected the kid of a key for this alg");
    assert!(keys.decrypt(sealed[1].as_bytes()).is_ok());
}

#[test]
fn keys_are_replaced_without_being_asked() {
    let store = MemoryStore::default();
    let open = |now| run(DecryptionKeys::open(settings(), &store, now)).unwrap();
    let old = published(&open(NOW), "EC");
    let due = NOW + 30 * 24 * 3600;
    assert_eq!(published(&open(due - 3600), "EC"), old);
    assert_ne!(published(&open(due), "EC"), old);
}

#[test]
fn the_operator_replaces_its_own_key_by_writing_another_before_it() {
    let both = format!("{}\n{}\n", *new_pem(2048), pem());
    let read = |text: &str| {
        let text = text.to_owned();
        JweSettings::read(|name| (name == "decryption_keys").then(|| Zeroizing::new(text.clone())))
            .unwrap()
            .unwrap()
    };
    let (before, after) = (read(pem()), read(&both));
    let store = MemoryStore::default();
    let before = run(DecryptionKeys::open(&before, &store, NOW)).unwrap();
    let mut after = run(DecryptionKeys::open(&after, &store, NOW)).unwrap();
    assert!(store.entries.borrow().is_empty(), "nothing is made without a key to encrypt it under");
    assert_eq!(run(after.rotate(&store)), Ok(None));
    let (old, new) = (published(&before, "RSA"), published(&after, "RSA"));
    assert_ne!(old["kid"], new["kid"]);
    assert_eq!(after.public_set()["keys"].as_array().unwrap().len(), 1);
    for key in [&old, &new] {
        assert!(after.decrypt(Message::to(key).write().as_bytes()).is_ok());
    }
    refused(&before, &Message::to(&new).write());
}

#[test]
fn without_keys_nothing_is_configured_and_bad_ones_are_named() {
    let read = |values: &[(&str, &str)]| {
        JweSettings::read(|name| {
            let value = values.iter().find(|(set, _)| *set == name);
            value.map(|(_, value)| Zeroizing::new((*value).to_owned()))
        })
    };
    for nothing in [&[][..], &[("key_encryption_key", " ")], &[("assertion_key", KEY)]] {
        assert!(read(nothing).unwrap().is_none());
    }
    assert!(read(&[("key_encryption_key", KEY), ("assertion_key", OTHER_KEY)]).unwrap().is_some());
    let public = "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----";
    let short = new_pem(1024);
    let many = pem().repeat(5);
    for (name, value, expected) in [
        ("key_encryption_key", "hunter2a", "32 bytes"),
        ("key_encryption_key", "hunter2", "expected base64url"),
        ("decryption_keys", "hunter2", "RSA keys in PKCS #8"),
        ("decryption_keys", public, "RSA keys in PKCS #8"),
        ("decryption_keys", &short, "of 2048 to 4096 bits"),
        ("decryption_keys", &many, "at most 4 keys"),
        ("decryption_rotation_seconds", "hunter2", "a whole number from"),
        ("decryption_rotation_seconds", "3600", "a whole number from"),
    ] {
        let error = read(&[(name, value)]).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("Spin variable {name}: ")), "{error}");
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    let same = read(&[("key_encryption_key", KEY), ("assertion_key", KEY)]);
    assert!(same.map(drop).unwrap_err().to_string().contains("another key than assertion_key"));
}

/// An answer as the caller reads it, who has the other half of the key that it brought.
fn read_answer(answer: &str, caller: &MemoryStore) -> (Value, Vec<u8>) {
    let keys = run(DecryptionKeys::open(settings(), caller, NOW)).unwrap();
    let (_, content) = keys.open_message(answer.as_bytes()).unwrap();
    let header = answer.split('.').next().and_then(compact::decode).unwrap();
    (serde_json::from_slice(&header).unwrap(), content.to_vec())
}

#[test]
fn answers_are_encrypted_to_the_callers_key() {
    let caller = MemoryStore::default();
    let callers_keys = run(DecryptionKeys::open(settings(), &caller, NOW)).unwrap();
    for kty in ["EC", "RSA"] {
        let jwk = published(&callers_keys, kty);
        let keys = keys();
        let message = Message::to(&published(&keys, kty)).header("reply_jwk", jwk.clone());
        let reply_key = keys.decrypt(message.write().as_bytes()).unwrap().reply_key;
        for (content_type, cty) in [("application/json", "json"), ("text/plain", "text/plain")] {
            let answer = reply_key.encrypt(b"an answer", content_type).unwrap();
            let (header, content) = read_answer(&answer, &caller);
            assert_eq!(content, b"an answer");
            assert_eq!((&header["alg"], &header["enc"]), (&jwk["alg"], &json!("A256GCM")));
            assert_eq!((&header["kid"], &header["cty"]), (&jwk["kid"], &json!(cty)));
        }
    }
}

#[test]
fn a_reply_shows_its_status_and_nothing_else() {
    let caller = MemoryStore::default();
    let callers_keys = run(DecryptionKeys::open(settings(), &caller, NOW)).unwrap();
    let reply_key = ReplyKey::from_jwk(&published(&callers_keys, "EC")).unwrap();
    let clear = Reply::new(422, "application/problem+json", b"{\"title\":\"a secret\"}".to_vec());
    let reply = reply_key.seal(clear);
    assert_eq!(reply.status, 422);
    let types: Vec<_> = reply.headers.iter().filter(|(name, _)| *name == "content-type").collect();
    assert_eq!(types, [&("content-type", MEDIA_TYPE)]);
    assert!(reply.headers.contains(&("cache-control", "no-store")));
    let (header, content) = read_answer(std::str::from_utf8(&reply.body).unwrap(), &caller);
    assert_eq!(
        (content, &header["cty"]),
        (b"{\"title\":\"a secret\"}".to_vec(), &json!("problem+json"))
    );
    // No two of them share a key or an iv.
    let twice = [0, 1].map(|_| reply_key.encrypt(b"x", "text/plain").unwrap());
    let parts = twice.each_ref().map(|text| text.split('.').collect::<Vec<_>>());
    assert!((0..5).all(|part| parts[0][part] != parts[1][part]));
}

#[test]
fn keys_stay_what_they_were_in_the_store() {
    let store = MemoryStore::default();
    run(DecryptionKeys::open(settings(), &store, NOW)).unwrap();
    let sealer = settings().sealer.as_ref().unwrap();
    let keyring = run(Keyring::<AgreementKey>::open(&store, sealer, NOW, 1 << 30)).unwrap();
    assert_eq!(keyring.all().count(), 1);
    let private = keyring.current().unwrap().to_bytes();
    let entries = store.entries.borrow();
    let (name, sealed) = entries.first_key_value().unwrap();
    assert!(name.starts_with("jwe/key/"));
    assert!(!sealed.windows(8).any(|window| window == &private[..8]), "encrypted at rest");
}
