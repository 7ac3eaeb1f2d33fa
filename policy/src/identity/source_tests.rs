use super::*;

fn source(section: serde_json::Value) -> Source {
    let section: CredentialSource = serde_json::from_value(section).unwrap();
    Source::compile_all(&[section], "sources").unwrap().remove(0)
}

fn request<'a>(path: &'a str, fields: &[(&'a str, &'a str)]) -> (Vec<Header<'a>>, Target) {
    let mut headers = vec![(":path", path.as_bytes())];
    headers.extend(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
    let target = Target::read(&headers).unwrap();
    (headers, target)
}

fn found(
    section: serde_json::Value,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<Option<String>, Reason> {
    let (headers, target) = request(path, fields);
    let source = source(section);
    let found = source.find(&headers, &target, false);
    found.map(|found| found.map(|found| found.text.into_owned())).map_err(|refusal| refusal.reason)
}

#[test]
fn bearer_tokens_are_read_strictly() {
    let bearer = || serde_json::json!({"header": "Authorization"});
    let read = |value: &str| found(bearer(), "/", &[("authorization", value)]);
    assert_eq!(read("Bearer a.b.c"), Ok(Some("a.b.c".to_owned())));
    assert_eq!(read("bEARER  a"), Ok(Some("a".to_owned())));
    assert_eq!(read("Basic a"), Ok(None));
    assert_eq!(read("DPoP a"), Ok(None));
    for value in
        ["", "Bearer", "Bearer ", "Bearer\ta", "Bearer a b", "Bearer a,b", "a", "Bearer a\u{a0}"]
    {
        assert_eq!(read(value), Err(Reason::CredentialMalformed), "{value:?}");
    }
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(found(bearer(), "/", &twice), Err(Reason::CredentialConflict));
}

#[test]
fn queries_and_cookies_are_read_as_upstreams_do() {
    let query = || serde_json::json!({"query": "access_token"});
    let read = |path: &str| found(query(), path, &[]);
    assert_eq!(read("/?x=1&access_token=a.b"), Ok(Some("a.b".to_owned())));
    assert_eq!(read("/?access%5Ftoken=a%2Eb"), Ok(Some("a.b".to_owned())));
    assert_eq!(read("/?Access_token=a"), Ok(None));
    assert_eq!(read("/?access_token=a&access_token=b"), Err(Reason::CredentialConflict));
    assert_eq!(read("/?access_token=a&access%5ftoken=b"), Err(Reason::CredentialConflict));
    assert_eq!(read("/?access_token="), Err(Reason::CredentialMalformed));
    assert_eq!(read("/?access_token=a%0d%0ab"), Err(Reason::CredentialMalformed));

    let cookie = || serde_json::json!({"cookie": "session"});
    let read = |value: &str| found(cookie(), "/", &[("cookie", value)]);
    assert_eq!(read("a=1; session=x.y; b=2"), Ok(Some("x.y".to_owned())));
    assert_eq!(read("session=\"x\""), Ok(Some("x".to_owned())));
    assert_eq!(read("xsession=x"), Ok(None));
    assert_eq!(read("session=a; session=b"), Err(Reason::CredentialConflict));
    assert_eq!(read("=session=x"), Ok(Some("x".to_owned())));
    assert_eq!(read("session=a; ==session=b"), Err(Reason::CredentialConflict));
    let split = [("cookie", "session=a"), ("cookie", "session=b")];
    assert_eq!(found(cookie(), "/", &split), Err(Reason::CredentialConflict));
}

#[test]
fn what_is_hidden_leaves_the_rest_as_it_was() {
    let sources = [
        source(serde_json::json!({"header": "authorization"})),
        source(serde_json::json!({"query": "access_token"})),
        source(serde_json::json!({"cookie": "session"})),
        source(serde_json::json!({"header": "x-kept", "forward": true})),
    ];
    let (headers, mut target) = request(
        "/?a=%20&access%5Ftoken=t&b",
        &[
            ("authorization", "Bearer t"),
            ("cookie", "a=\"1\"; session=t"),
            ("cookie", "b=2"),
            ("x-kept", "t"),
        ],
    );
    let edits = hide(sources.iter(), &headers, &mut target);
    assert_eq!(
        edits,
        [
            HeaderEdit::Remove("authorization".into()),
            HeaderEdit::Set("cookie".into(), "a=\"1\"; b=2".into()),
        ]
    );
    assert_eq!(target.query.as_deref(), Some("a=%20&b"));
    let (headers, mut target) = request("/", &[("cookie", "session=t; =x; = other=1; y")]);
    let left = HeaderEdit::Set("cookie".into(), "x; other=1; y".into());
    assert_eq!(hide(sources.iter(), &headers, &mut target), [left]);
    let (headers, mut target) = request("/?access_token=t", &[("cookie", "session=t")]);
    assert_eq!(hide(sources.iter(), &headers, &mut target), [HeaderEdit::Remove("cookie".into())]);
    assert_eq!(target.query, None);
}

#[test]
fn places_that_mean_something_else_are_errors() {
    for section in [
        serde_json::json!({}),
        serde_json::json!({"header": "a", "query": "b"}),
        serde_json::json!({"header": "cookie"}),
        serde_json::json!({"header": "host"}),
        serde_json::json!({"header": "x y"}),
        serde_json::json!({"query": "a&b"}),
        serde_json::json!({"cookie": "a=b"}),
        serde_json::json!({"query": "a", "prefix": "Bearer"}),
        serde_json::json!({"header": "a", "prefix": "Bearer "}),
    ] {
        let section: CredentialSource = serde_json::from_value(section).unwrap();
        assert!(
            Source::compile_all(std::slice::from_ref(&section), "sources").is_err(),
            "{section:?}"
        );
    }
    assert!(Source::compile_all(&[], "sources").is_err());
}
