use super::*;

fn check(headers: &[(&str, &str)]) -> Result<(), Reason> {
    check_bytes(&headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect::<Vec<_>>())
}

fn check_bytes(headers: &[(&str, &[u8])]) -> Result<(), Reason> {
    HeaderRules::new(
        HeaderLimits { max_count: 8, max_bytes: 200 },
        &["authorization", "x-api-key"],
        &["x-user"],
    )
    .check(headers)
    .map_err(|refusal| refusal.reason)
}

#[test]
fn ordinary_requests_pass() {
    let headers = [(":method", "POST"), (":path", "/"), ("accept", "a, b"), ("x-name", "Zoë")];
    assert_eq!(check(&headers), Ok(()));
    assert_eq!(check(&[("content-length", "12")]), Ok(()));
    assert_eq!(check(&[("transfer-encoding", "Chunked")]), Ok(()));
    assert_eq!(check(&[(":authority", "A.b:1"), ("host", "a.B:1")]), Ok(()));
}

#[test]
fn smuggling_is_refused() {
    let conflict = Err(Reason::HeaderConflict);
    let invalid = Err(Reason::HeaderInvalid);
    assert_eq!(check(&[("content-length", "1"), ("transfer-encoding", "chunked")]), conflict);
    assert_eq!(check(&[("content-length", "1"), ("content-length", "1")]), conflict);
    assert_eq!(check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "x")]), conflict);
    assert_eq!(check(&[(":authority", "a"), ("host", "b")]), conflict);
    assert_eq!(check(&[("authorization", "a"), ("authorization", "a")]), conflict);
    assert_eq!(check(&[("x-api-key", "a"), ("x-api-key", "b")]), conflict);
    assert_eq!(check(&[(":path", "/a"), (":path", "/b")]), conflict);
    assert_eq!(check(&[(":path", "/a,b")]), Ok(()));
    // As a proxy that joins fields hands them over.
    assert_eq!(check(&[("authorization", "Bearer a,Bearer b")]), conflict);
    assert_eq!(check(&[("content-length", "1,1")]), conflict);
    assert_eq!(check(&[("transfer-encoding", "chunked, chunked")]), conflict);
    assert_eq!(check(&[("transfer-encoding", "gzip, chunked")]), conflict);
    for length in ["+1", "-1", "1 ", "0x1", "", "99999999999999999999"] {
        assert_eq!(check(&[("content-length", length)]), invalid, "{length:?}");
    }
    for coding in ["identity", "gzip", " chunked", "xchunked"] {
        assert_eq!(check(&[("transfer-encoding", coding)]), invalid, "{coding:?}");
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let invalid = Err(Reason::HeaderInvalid);
    for name in ["", ":", "a b", "a\0", "é", "a:"] {
        assert_eq!(check(&[(name, "")]), invalid, "{name:?}");
    }
    for value in [b"\xff".as_slice(), b"a\0", b"a\r\nb: c", b"a\nb", b"\x7f", b"\xc0\x80"] {
        assert_eq!(check_bytes(&[("x-a", value)]), invalid, "{value:?}");
    }
}

#[test]
fn the_section_is_bounded() {
    let many: Vec<_> = (0..9).map(|_| ("a", "b")).collect();
    assert_eq!(check(&many), Err(Reason::HeadersTooLarge));
    assert_eq!(check(&[("a", &"b".repeat(200))]), Err(Reason::HeadersTooLarge));
}

#[test]
fn fields_that_upstreams_take_for_others_are_not_let_through() {
    let rules = HeaderRules::new(HeaderLimits::default(), &["x-api-key", "my_token"], &["x-user"]);
    for name in [
        "x_api_key",
        "x-api_key",
        "my_Token",
        "X_User",
        "x-http-method-override",
        "x_rewrite-url",
        "content_length",
        "x_forwarded_for",
        "transfer_encoding",
    ] {
        assert!(rules.is_reserved(name), "{name}");
    }
    for name in
        ["x-api-key", "my_token", "x-forwarded-for", "content-length", "x_own", "x-original"]
    {
        assert!(!rules.is_reserved(name), "{name}");
    }
}

#[test]
fn reserved_names_in_every_spelling() {
    for name in [
        "portcullis-principal",
        "Portcullis_Principal",
        "portcullis_x",
        "signature",
        "Signature_Input",
        "content-digest",
    ] {
        assert!(is_reserved(name), "{name}");
    }
    for name in ["x-portcullis", "authorization", "x-signature", "digest"] {
        assert!(!is_reserved(name), "{name}");
    }
}
