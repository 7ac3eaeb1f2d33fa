use proptest::prelude::*;

use super::*;

fn token(header: &str, claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
}

fn reason(text: &str) -> Reason {
    Token::parse(text).unwrap_err().reason
}

#[test]
fn takes_tokens_apart() {
    let text = token(r#"{"alg":"ES256","kid":"k"}"#, r#"{"sub":"a"}"#);
    let token = Token::parse(&text).unwrap();
    assert_eq!((token.algorithm(), token.key_id()), ("ES256", Some("k")));
    assert_eq!(token.signature, b"signature");
}

#[test]
fn refuses_what_is_not_compact_jws() {
    let good = token(r#"{"alg":"ES256"}"#, "{}");
    assert!(Token::parse(&good).is_ok());
    let (rest, _) = good.rsplit_once('.').unwrap();
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        rest.to_owned(),
        format!("{rest}."),
        format!("{good}.x"),
        format!("{good}="),
        format!("{good}.."),
        format!(" {good}"),
        good.replace('.', ".."),
        ".".repeat(10_000),
        "a".repeat(MAXIMUM_TOKEN_BYTES + 1),
        r#"{"payload":"","signatures":[]}"#.to_owned(),
    ] {
        assert_eq!(reason(&text), Reason::TokenMalformed, "{text:.60}");
    }
    // "eyJ9" with a stray last bit is another spelling of the same bytes.
    let decodes = |text| decode(text, &mut [0; 16]).is_some();
    assert!(decodes("QQ") && !decodes("QR"));
    assert!(!decodes("Q+") && !decodes("Q/") && !decodes("QQ=="));
}

#[test]
fn types_are_compared_without_case_and_what_may_be_left_out() {
    for (name, known, is_it) in [
        ("JWT", "jwt", true),
        ("application/at+JWT", "at+jwt", true),
        ("Application/JWT", "jwt", true),
        ("application/application/jwt", "jwt", false),
        ("application/", "", true),
        ("application", "jwt", false),
        ("applicatioñ/jwt", "jwt", false),
        ("jwt ", "jwt", false),
    ] {
        assert_eq!(is_media_type(name, known), is_it, "{name}");
        assert_eq!(media_type(name) == known, is_it, "{name}");
    }
}

/// Parts of every length modulo four, beside each other in one buffer.
#[test]
fn the_room_for_what_is_decoded_is_enough() {
    for (blanks, length) in (0..8).zip([1, 2, 3, 4, 5, 62, 63, 64]) {
        let header = format!("{}{{\"alg\":\"ES256\"}}", " ".repeat(blanks));
        let claims = format!("{{\"a\":\"{}\"}}", "b".repeat(length));
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signature = vec![7; length];
        let text = format!(
            "{}.{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes()),
            encode(&signature)
        );
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.claims["a"].as_str().unwrap().len(), length);
        assert_eq!(token.signature, signature);
    }
}

#[test]
fn refuses_hostile_headers() {
    for header in [
        r#"{"alg":["ES256"]}"#,
        r#"{"alg":null}"#,
        r#"{}"#,
        r#"{"alg":"ES256","kid":1}"#,
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256"}x"#,
        "\u{feff}{\"alg\":\"ES256\"}",
        "[]",
        r#"{"alg":"ES256","x5c":"a"}"#,
    ] {
        assert_eq!(reason(&token(header, "{}")), Reason::TokenMalformed, "{header}");
    }
    for header in [
        r#"{"alg":"ES256","crit":[]}"#,
        r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","b64":false}"#,
        r#"{"alg":"ES256","jwk":{}}"#,
        r#"{"alg":"ES256","zip":"DEF"}"#,
        r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
        r#"{"alg":"ES256","cty":"JWT"}"#,
    ] {
        assert_eq!(reason(&token(header, "{}")), Reason::TokenUnsupported, "{header}");
    }
    assert_eq!(reason(&token(r#"{"alg":"ES256"}"#, "[]")), Reason::TokenMalformed);
    assert_eq!(reason(&token(r#"{"alg":"ES256"}"#, r#"{"a":1,"a":2}"#)), Reason::TokenMalformed);
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,200}") {
        let _ = Token::parse(&text);
    }
}
