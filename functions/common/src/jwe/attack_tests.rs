//! What must be refused, and in one way.

use serde_json::{Value, json};

use super::compact::encode;
use super::content::seal;
use super::testing::*;
use super::*;

const FORM: &str = "expected five parts in base64url without padding, dots between them";
const UNCHANGED: &str = "expected a message that was encrypted to this key, unchanged";
const UNKNOWN_KEY: &str = "expected the kid of a key for this alg";
const ALGORITHM: &str = "expected an alg of RSA-OAEP-256 or ECDH-ES+A256KW";
const EPK: &str = "expected an epk that is a public key on P-256";

/// The parts of a good message.
fn parts(kty: &str) -> (DecryptionKeys<'static>, [String; 5]) {
    let keys = keys();
    let message = Message::to(&published(&keys, kty)).write();
    let parts: Vec<String> = message.split('.').map(str::to_owned).collect();
    (keys, parts.try_into().unwrap())
}

#[test]
fn headers_choose_nothing() {
    let keys = keys();
    for kty in ["EC", "RSA"] {
        let key = published(&keys, kty);
        let with = |name: &str, value: Value| {
            refused(&keys, &Message::to(&key).header(name, value).write())
        };
        for algorithm in [
            "none",
            "dir",
            "A128KW",
            "A192KW",
            "A256KW",
            "A128GCMKW",
            "A256GCMKW",
            "RSA1_5",
            "RSA-OAEP",
            "RSA-OAEP-384",
            "RSA-OAEP-512",
            "ECDH-ES",
            "ECDH-ES+A128KW",
            "ECDH-ES+A192KW",
            "PBES2-HS256+A128KW",
            "PBES2-HS512+A256KW",
            "rsa-oaep-256",
            "RSA-OAEP-256 ",
            "",
            "HS256",
        ] {
            assert_eq!(with("alg", algorithm.into()), ALGORITHM, "{algorithm}");
        }
        for value in [json!(null), json!(["ECDH-ES+A256KW"]), json!(1)] {
            assert_eq!(with("alg", value), ALGORITHM);
        }
        for encryption in
            ["A128GCM", "A192GCM", "A128CBC-HS256", "A256CBC-HS512", "a256gcm", "", "XC20P"]
        {
            assert_eq!(with("enc", encryption.into()), "expected an enc of A256GCM");
        }
        for (name, value) in [
            ("zip", json!("DEF")),
            ("zip", json!(null)),
            ("crit", json!([])),
            ("crit", json!(["exp"])),
            ("crit", json!(["reply_jwk"])),
            ("b64", json!(false)),
            ("p2c", json!(2_147_483_647_u64)),
            ("p2s", json!("AAAA")),
            ("iv", json!("AAAA")),
            ("tag", json!("AAAA")),
        ] {
            assert_eq!(with(name, value), "expected no zip, crit, b64, p2s, p2c, iv or tag");
        }
        for nested in
            ["JWT", "jwt", "JOSE", "jose+json", "application/jose", "application/JWT; a=b"]
        {
            assert!(with("cty", nested.into()).contains("no JWE or JWS"), "{nested}");
        }
        for cty in [
            json!(""),
            json!("a".repeat(200)),
            json!("json\r\nx: y"),
            json!("é"),
            json!(1),
            json!(null),
        ] {
            assert!(with("cty", cty).contains("expected a cty"));
        }
        for name in ["alg", "enc", "kid"] {
            refused(&keys, &Message::to(&key).without(name).write());
        }
    }
}

/// To guess a password takes as long as the sender says: it is not even begun.
#[test]
fn no_iteration_count_is_carried_out() {
    let started = std::time::Instant::now();
    let message = Message::to(&published(&keys(), "EC"))
        .header("alg", "PBES2-HS512+A256KW")
        .header("p2c", u32::MAX)
        .header("p2s", "AAAAAAAAAAA")
        .write();
    refused(&keys(), &message);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn a_member_is_there_once() {
    let keys = keys();
    let message = Message::to(&published(&keys, "EC"));
    let header = message.header.to_string();
    let also = |member: &str| header.replacen('{', &format!("{{{member},"), 1);
    let epk = message.header["epk"].to_string();
    let epk_twice = header.replace(&epk, &epk.replacen('{', r#"{"kty":"oct","#, 1));
    for changed in [
        also(r#""alg":"dir""#),
        also(r#""\u0061lg":"dir""#),
        also(r#""zzz":1,"zzz":2"#),
        epk_twice,
        format!("{header}{header}"),
        format!("{header}x"),
        format!("[{header}]"),
        "null".to_owned(),
        String::new(),
        format!("\u{feff}{header}"),
    ] {
        let reason = refused(&keys, &message.write_with_header(&changed));
        assert_eq!(
            reason, "expected a header that is a JSON object, each member once",
            "{changed}"
        );
    }
    assert!(keys.decrypt(message.write_with_header(&format!(" {header}\n")).as_bytes()).is_ok());
}

#[test]
fn a_key_is_named_and_serves_one_algorithm() {
    let keys = keys();
    let [own, rsa] = ["EC", "RSA"].map(|kty| published(&keys, kty));
    for (to, kid) in [(&own, &rsa["kid"]), (&rsa, &own["kid"])] {
        let message = Message::to(to).header("kid", kid.clone());
        assert_eq!(refused(&keys, &message.write()), UNKNOWN_KEY);
    }
    // The algorithm of the other key, with its kid or this one's.
    let message = Message::to(&own).header("alg", "RSA-OAEP-256");
    assert_eq!(refused(&keys, &message.write()), UNKNOWN_KEY);
    let message = Message::to(&own).header("alg", "RSA-OAEP-256").header("kid", rsa["kid"].clone());
    assert_eq!(refused(&keys, &message.write()), UNCHANGED);
    for kid in [json!(""), json!("x"), json!("../../etc/passwd"), json!("' or 1=1")] {
        assert_eq!(refused(&keys, &Message::to(&own).header("kid", kid).write()), UNKNOWN_KEY);
    }
    for kid in [json!(null), json!(1), json!([own["kid"]])] {
        assert_eq!(refused(&keys, &Message::to(&own).header("kid", kid).write()), "expected a kid");
    }
    // Another instance's, or one that is long gone.
    let other = super::testing::keys();
    assert_eq!(refused(&keys, &Message::to(&published(&other, "EC")).write()), UNKNOWN_KEY);
    let message = Message::to(&published(&other, "EC")).header("kid", own["kid"].clone());
    assert_eq!(refused(&keys, &message.write()), UNCHANGED);
}

/// With points of small order on other curves, the private key could be found out piece by piece.
#[test]
fn the_ephemeral_key_is_on_the_curve() {
    let keys = keys();
    let key = published(&keys, "EC");
    let good = Message::to(&key).header["epk"].clone();
    let with = |name: &str, value: Value| {
        let mut epk = good.clone();
        epk[name] = value;
        epk
    };
    let zeros = encode([0; 32]);
    // The prime of the field, which is zero in it; and all ones.
    let prime = encode([[0xff; 4].as_slice(), &[0, 0, 0, 1], &[0; 12], &[0xff; 12]].concat());
    let shorter = encode([1; 31]);
    let longer = encode([[0].as_slice(), &[1; 32]].concat());
    let (x, y) = (good["x"].clone(), good["y"].clone());
    let mut points = vec![
        json!({ "kty": "EC", "crv": "P-256", "x": zeros, "y": zeros }),
        json!({ "kty": "EC", "crv": "P-256", "x": y, "y": x }),
        with("x", prime.clone().into()),
        with("y", prime.into()),
        with("y", encode([0xff; 32]).into()),
        with("y", zeros.into()),
        with("x", shorter.clone().into()),
        with("y", shorter.into()),
        with("x", longer.into()),
        with("x", format!("{}=", good["x"].as_str().unwrap()).into()),
        with("x", json!(1)),
        with("kty", "OKP".into()),
        with("kty", "RSA".into()),
        with("crv", "P-384".into()),
        with("crv", "secp256k1".into()),
        with("crv", "p-256".into()),
        with("d", encode([1; 32]).into()),
        json!(good.to_string()),
        json!([good]),
        json!(null),
        json!({}),
    ];
    // The point of order 4 on a curve of the same form with another last coefficient, and some at random.
    for byte in 0..32 {
        points.push(with("y", encode([byte; 32]).into()));
    }
    for epk in points {
        let message = Message::to(&key).header("epk", epk.clone()).write();
        assert_eq!(refused(&keys, &message), EPK, "{epk}");
    }
    assert_eq!(refused(&keys, &Message::to(&key).without("epk").write()), EPK);
    // One that is on the curve, and not the one that was agreed with.
    let other = Message::to(&key).header["epk"].clone();
    assert_eq!(refused(&keys, &Message::to(&key).header("epk", other).write()), UNCHANGED);
}

#[test]
fn parties_are_bounded_and_part_of_the_agreement() {
    let keys = keys();
    let key = published(&keys, "EC");
    for (name, value) in [
        ("apu", json!(encode([0; 257]))),
        ("apv", json!("A".repeat(5000))),
        ("apu", json!("QUxJQ0U=")),
        ("apv", json!("AR")),
        ("apu", json!(1)),
        ("apv", json!(null)),
    ] {
        let message = Message::to(&key).header(name, value).write();
        assert!(refused(&keys, &message).starts_with("expected an apu and an apv"));
    }
    let message = Message::with_parties(&key, Some((b"Alice", b"Bob")));
    assert_eq!(refused(&keys, &message.header("apu", encode("Alicf")).write()), UNCHANGED);
    let message = Message::with_parties(&key, Some((b"ab", b"c")));
    let moved = message.header("apu", encode("a")).header("apv", encode("bc"));
    assert_eq!(refused(&keys, &moved.write()), UNCHANGED);
}

#[test]
fn there_is_one_serialisation_and_one_way_to_write_it() {
    for kty in ["EC", "RSA"] {
        let (keys, parts) = parts(kty);
        let good = parts.join(".");
        assert!(keys.decrypt(good.as_bytes()).is_ok());
        let json = json!({
            "protected": parts[0], "encrypted_key": parts[1], "iv": parts[2], "ciphertext": parts[3], "tag": parts[4],
        });
        for other in [
            String::new(),
            ".".repeat(4),
            parts[..4].join("."),
            format!("{good}."),
            format!("{good}.AAAA"),
            format!("{good}\n"),
            format!(" {good}"),
            format!("\"{good}\""),
            good.replacen('.', "..", 1),
            format!("{good}="),
            good.replace('.', " . "),
            json.to_string(),
            json!({ "recipients": [{}], "protected": parts[0] }).to_string(),
            format!("é{good}"),
        ] {
            refused(&keys, &other);
        }
        assert_eq!(keys.decrypt(b"\xff.a.b.c.d").unwrap_err(), JweError::Refused(FORM));
        // The tag has bits that mean nothing: 16 bytes are 22 characters.
        let mut same_tag = parts.clone();
        let last = same_tag[4].pop().unwrap();
        let next = char::from(u8::try_from(last).unwrap() + 1);
        same_tag[4].push(if next.is_ascii_alphanumeric() { next } else { 'B' });
        assert_eq!(refused(&keys, &same_tag.join(".")), FORM);
        let large = format!("{good}{}", "A".repeat(BODY_LIMIT.bytes));
        assert_eq!(refused(&keys, &large), "expected a shorter message");
        let mut header = parts.clone();
        header[0] = "A".repeat(9000);
        assert_eq!(refused(&keys, &header.join(".")), "expected a shorter header");
        header[0] = parts[0].clone();
        header[1] = "A".repeat(700);
        assert_eq!(refused(&keys, &header.join(".")), "expected a shorter encrypted key");
        for (part, bytes) in [(2, 11), (2, 13), (2, 0), (2, 16), (4, 15), (4, 17), (4, 0), (4, 4)] {
            let mut changed = parts.clone();
            changed[part] = encode(vec![1; bytes]);
            assert_eq!(
                refused(&keys, &changed.join(".")),
                "expected an iv of 12 bytes and a tag of 16"
            );
        }
    }
}

/// One answer, whatever is wrong once a private key has been used: no oracle for paddings, lengths or tags.
#[test]
fn keys_and_contents_that_are_no_good_look_the_same() {
    for kty in ["EC", "RSA"] {
        let keys = keys();
        let key = published(&keys, kty);
        let (_, parts) = parts(kty);
        let size = Message::to(&key).encrypted_key.len();
        let mut encrypted_keys =
            vec![vec![], vec![0; size], vec![0xff; size], vec![1; size - 8], vec![1; size + 1]];
        for index in [0, 1, size / 2, size - 1] {
            let mut changed = Message::to(&key).encrypted_key;
            changed[index] ^= 1;
            encrypted_keys.push(changed);
        }
        for encrypted_key in encrypted_keys {
            let message = Message { encrypted_key, ..Message::to(&key) }.write();
            assert_eq!(refused(&keys, &message), UNCHANGED);
        }
        // Another key than the one that was told, all zeros and ones among them.
        for byte in [0, 0xff, 4] {
            let message = Message { content_key: [byte; 32].into(), ..Message::to(&key) }.write();
            assert_eq!(refused(&keys, &message), UNCHANGED);
        }
        for (part, at) in [(2, 0), (3, 0), (3, 5), (4, 0)] {
            let mut changed = Message::to(&key).write();
            let start = changed.match_indices('.').nth(part - 1).unwrap().0 + 1 + at;
            let other = if changed.as_bytes()[start] == b'A' { "B" } else { "A" };
            changed.replace_range(start..=start, other);
            assert_eq!(refused(&keys, &changed), UNCHANGED);
        }
        // The header of another message to the same key, with the same members.
        let message = Message::to(&key).write();
        let (_, rest) = message.split_once('.').unwrap();
        let header = encode(Message::to(&key).header("cty", "text/plain").header.to_string());
        assert_eq!(refused(&keys, &format!("{header}.{rest}")), UNCHANGED);
        refused(&keys, &format!("{}.{rest}", parts[0]));
    }
}

/// A key of another length for the content, encrypted as it should be.
#[test]
fn the_contents_key_has_its_length() {
    let keys = keys();
    let rsa = published(&keys, "RSA");
    let public = oaep::public_key(rsa.as_object().unwrap()).unwrap();
    for length in [0, 16, 24, 31, 33, 64] {
        let encrypted_key = public.oaep_encrypt::<sha2::Sha256>(&vec![5; length]).unwrap();
        let message = Message { encrypted_key, ..Message::to(&rsa) }.write();
        assert_eq!(refused(&keys, &message), UNCHANGED, "{length}");
    }
}

/// The mint of these tests is right about what it changes: unchanged, its parts are what decrypts.
#[test]
fn the_tag_is_over_the_header_as_written() {
    let keys = keys();
    let message = Message::to(&published(&keys, "EC"));
    let header = encode(message.header.to_string());
    let mut content = CONTENT.to_vec();
    let tag = seal(&message.content_key, &IV, "another header", &mut content).unwrap();
    let text = [encode(&message.encrypted_key), encode(IV), encode(content), encode(tag)].join(".");
    assert_eq!(refused(&keys, &format!("{header}.{text}")), UNCHANGED);
}
