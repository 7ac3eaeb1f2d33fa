//! Whatever comes: nothing panics, and nothing comes out that was not sent.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::compact::encode;
use super::testing::*;
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(keys().decrypt(&bytes).is_err());
    }

    #[test]
    fn no_parts_panic(
        header in "[ -~]{0,60}",
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 4),
    ) {
        let parts: Vec<_> = parts.into_iter().map(encode).collect();
        let message = format!("{}.{}", encode(&header), parts.join("."));
        prop_assert!(keys().decrypt(message.as_bytes()).is_err());
    }

    /// Whatever of a header's members is changed, nothing else comes out than what was sent.
    #[test]
    fn no_header_panics(
        name in "alg|enc|kid|epk|apu|apv|cty|zip|reply_jwk|x",
        value in prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,30}".prop_map(Value::from),
            prop::collection::btree_map("kty|crv|x|y|n|e|kid|alg|use|key_ops", "EC|RSA|P-256|AQAB|[A-Za-z0-9_-]{0,50}", 0..6)
                .prop_map(|members| json!(members)),
        ],
    ) {
        let keys = keys();
        let message = Message::to(&published(&keys, "EC")).header(&name, value).write();
        if let Ok(decrypted) = keys.decrypt(message.as_bytes()) {
            prop_assert_eq!(decrypted.content.as_slice(), CONTENT);
        }
    }

    /// No character can be changed, left out or put in.
    #[test]
    fn no_changed_message_is_decrypted(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]", kind in 0..3) {
        let keys = keys();
        let good = Message::to(&published(&keys, "EC")).write();
        let mut changed = good.clone();
        let at = at.index(good.len());
        match kind {
            0 => changed.replace_range(at..=at, &to),
            1 => changed.replace_range(at..=at, ""),
            _ => changed.insert_str(at, &to),
        }
        prop_assert_eq!(keys.decrypt(changed.as_bytes()).is_ok(), changed == good);
    }

    /// Whatever number a caller's modulus is: no key of ours depends on it, and nothing panics.
    #[test]
    fn any_odd_modulus_can_be_answered(
        mut modulus in prop::collection::vec(any::<u8>(), 250..520),
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Some(last) = modulus.last_mut() { *last |= 1; }
        let jwk = json!({ "kty": "RSA", "e": "AQAB", "n": encode(&modulus) });
        if let Ok(key) = ReplyKey::from_jwk(&jwk) {
            let answer = key.encrypt(&content, "text/plain").unwrap();
            prop_assert_eq!(answer.split('.').count(), 5);
        }
    }

    #[test]
    fn contents_come_out_as_they_went_in(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        let keys = keys();
        let message = Message { content: content.clone(), ..Message::to(&published(&keys, "EC")) };
        let decrypted = keys.decrypt(message.write().as_bytes()).unwrap();
        prop_assert_eq!(decrypted.content.as_slice(), content.as_slice());
    }
}
