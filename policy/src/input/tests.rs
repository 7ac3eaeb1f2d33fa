use serde_json::json;

use super::*;
use crate::document::{ContentEncoding, InputSection, SchemaSource};

fn rules() -> InputRules {
    let section = InputSection {
        max_body_bytes: Some(100),
        schema: Some(SchemaSource::Inline(json!({
            "type": "object", "required": ["text"], "additionalProperties": false,
            "properties": {"text": {"type": "string", "minLength": 1}},
        }))),
        ..Default::default()
    };
    InputRules::of(&section).unwrap()
}

fn headers<'a>(fields: &[(&'a str, &'a str)]) -> Vec<Header<'a>> {
    fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

fn announced(media_type: &str) -> Announced {
    let content_type = Some(media_type.as_bytes().to_vec());
    Announced { content_type, ..Default::default() }
}

fn json() -> Announced {
    announced("application/json")
}

fn head(fields: &[(&str, &str)]) -> Result<(), Reason> {
    rules().check_head(&headers(fields), None, true).map(drop).map_err(|refusal| refusal.reason)
}

fn body(body: &[u8]) -> Result<(), Reason> {
    rewritten(body).map(drop)
}

fn rewritten(body: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
    let inspected = rules().check_body(&json(), body, &Principal::anonymous());
    inspected.map(|inspected| inspected.rewritten).map_err(|refusal| refusal.reason)
}

#[test]
fn the_head_is_judged_before_the_body() {
    let json = ("content-type", "application/json; charset=UTF-8");
    assert_eq!(head(&[json]), Ok(()));
    assert_eq!(head(&[json, ("content-length", "101")]), Err(Reason::BodyTooLarge));
    assert_eq!(
        head(&[json, ("content-encoding", "gzip")]),
        Err(Reason::ContentEncodingUnsupported)
    );
    let unsupported = Err(Reason::ContentTypeUnsupported);
    for fields in [
        [].as_slice(),
        &[("content-type", "text/html")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "application/jsonx")],
    ] {
        assert_eq!(head(fields), unsupported, "{fields:?}");
    }
}

#[test]
fn one_coding_is_taken_off_where_it_is_to_be() {
    let section = InputSection {
        content_encoding: Some(ContentEncoding::Decode),
        max_body_bytes: Some(100),
        ..Default::default()
    };
    let decoding = InputRules::of(&section).unwrap();
    let coding = |fields: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/json")];
        all.extend(fields);
        let announced = decoding.check_head(&headers(&all), None, true);
        announced.map(|(announced, _)| announced.coding).map_err(|refusal| refusal.reason)
    };
    let named = |name| ("content-encoding", name);
    assert_eq!(coding(&[]), Ok(None));
    assert_eq!(coding(&[named("identity")]), Ok(None));
    assert_eq!(coding(&[named("x-gzip")]), Ok(Some(Coding::Gzip)));
    assert_eq!(coding(&[named("br")]), Ok(Some(Coding::Brotli)));
    for fields in [
        &[named("gzip"), named("gzip")][..],
        &[named("identity"), named("gzip")],
        &[named("gzip"), named("identity")],
        &[named("gzip, br")],
        &[named("deflate")],
    ] {
        assert_eq!(coding(fields), Err(Reason::ContentEncodingUnsupported), "{fields:?}");
    }
    let announced = Announced { coding: Some(Coding::Gzip), ..json() };
    let decoded = |body: &[u8]| decoding.decode(&announced, body).map_err(|refusal| refusal.reason);
    assert_eq!(decoded(b""), Ok(None));
    assert_eq!(decoded(b"{}"), Err(Reason::ContentEncodingInvalid));
    assert_eq!(decoded(&[0; 101]), Err(Reason::BodyTooLarge));
    let section = InputSection { max_expansion: Some(0), ..Default::default() };
    assert_eq!(InputRules::of(&section).unwrap_err().field, "input.max_expansion");
}

#[test]
fn bodies_are_judged_whole() {
    assert_eq!(body(br#"{"text":"hello"}"#), Ok(()));
    assert_eq!(body(b""), Err(Reason::BodyMissing));
    assert_eq!(body(&[b' '; 101]), Err(Reason::BodyTooLarge));
    assert_eq!(body(b"text=hello"), Err(Reason::JsonInvalid));
    assert_eq!(body(br#"{"text":"a","text":"b"}"#), Err(Reason::JsonInvalid));
    assert_eq!(body(br#"{"text":7}"#), Err(Reason::SchemaViolated));
    assert_eq!(body(br#"{"text":""}"#), Err(Reason::SchemaViolated));
    assert_eq!(body(br#"{"text":"a","x":1}"#), Err(Reason::SchemaViolated));
    assert_eq!(body(br#"{"text":"a\u0007b"}"#), Err(Reason::ControlCharacter));
    assert_eq!(body(br#"{"te\u0000xt":"a"}"#), Err(Reason::ControlCharacter));
    assert_eq!(body("[".repeat(50).as_bytes()), Err(Reason::JsonTooComplex));
}

#[test]
fn what_nobody_sees_is_taken_out_and_all_else_stays() {
    assert_eq!(rewritten(br#"{"text":"hello"}"#), Ok(None));
    assert_eq!(
        rewritten(b"{ \"text\" : \"a\\u202eb\xe2\x80\x8b\" }"),
        Ok(Some(br#"{ "text" : "ab" }"#.to_vec()))
    );
    // A name that would become another one.
    assert_eq!(rewritten(br#"{"te\u200bxt":"a"}"#), Err(Reason::InvisibleCharacter));
    // What is left is not what the route takes.
    assert_eq!(rewritten(br#"{"text":"\u200b"}"#), Err(Reason::SchemaViolated));
}

#[test]
fn heads_have_the_characters_that_texts_have() {
    let rules = InputRules::of(&InputSection::default()).unwrap();
    let check = |path: &str, field: (&str, &str)| {
        let fields = [(":method", "GET"), (":authority", "a"), (":path", path), field];
        let headers = headers(&fields);
        let target = Target::read(&headers).unwrap();
        let checked = rules.check_head(&headers, Some(&target), false);
        checked.map(drop).map_err(|refusal| refusal.reason)
    };
    let agent = ("user-agent", "curl/8.5.0");
    assert_eq!(check("/x?q=a%20b", agent), Ok(()));
    assert_eq!(check("/x?q=a%00b", agent), Err(Reason::ControlCharacter));
    assert_eq!(check("/x?q=a%E2%80%AEb", agent), Err(Reason::InvisibleCharacter));
    assert_eq!(check("/x/a%E2%80%AEb", agent), Err(Reason::InvisibleCharacter));
    assert_eq!(check("/x?q=%ff", agent), Err(Reason::TextInvalid));
    assert_eq!(check("/x", ("x-a", "a\u{202e}b")), Err(Reason::InvisibleCharacter));
}

#[test]
fn findings_say_where() {
    let section = InputSection::default();
    let rules = InputRules::of(&section).unwrap();
    let body = br#"{"a/b": [{"c": "x\u0000"}]}"#;
    let refusal = rules.check_body(&json(), body, &Principal::anonymous()).unwrap_err();
    assert_eq!(refusal.findings[0].at, "/a~1b/0/c");
    assert_eq!(refusal.findings[0].expected, "no U+0000, found at character 1");
}

#[test]
fn forms_are_read_as_strictly() {
    let form = "application/x-www-form-urlencoded";
    let section = InputSection {
        content_types: Some(vec![form.to_owned()]),
        json: Some(crate::document::JsonSection { max_values: 4, ..Default::default() }),
        ..Default::default()
    };
    let rules = InputRules::of(&section).unwrap();
    let rewritten = |body: &[u8]| {
        let inspected = rules.check_body(&announced(form), body, &Principal::anonymous());
        inspected.map(|inspected| inspected.rewritten).map_err(|refusal| refusal.reason)
    };
    let body = |body: &[u8]| rewritten(body).map(drop);
    assert_eq!(body(b"grant_type=client_credentials&scope=a+b"), Ok(()));
    assert_eq!(body(b"scope=a&sc%6fpe=b"), Err(Reason::FormInvalid));
    assert_eq!(body(b"a=%zz"), Err(Reason::FormInvalid));
    assert_eq!(body(br#"{"a":"b"}"#), Err(Reason::FormInvalid));
    assert_eq!(body(b"a=1&b=2&c=3&d=4&e=5"), Err(Reason::FormInvalid));
    assert_eq!(body(b"a=%00"), Err(Reason::ControlCharacter));
    assert_eq!(body(b"a%E2%80%AE=a"), Err(Reason::InvisibleCharacter));
    assert_eq!(rewritten(b"a=b+c&d=x%E2%80%AE%26"), Ok(Some(b"a=b+c&d=x%26".to_vec())));
    assert_eq!(rewritten(b"a=b+c&d=x%26"), Ok(None));
    assert_eq!(body(b"%00=a"), Err(Reason::ControlCharacter));
}

#[test]
fn what_cannot_be_inspected_cannot_be_allowed() {
    let with = |types: &[&str], schema| {
        let content_types = Some(types.iter().map(|name| (*name).to_owned()).collect());
        InputRules::of(&InputSection { content_types, schema, ..Default::default() })
            .map(|_| ())
            .map_err(|error| error.field)
    };
    assert_eq!(with(&["image/png"], None), Err("input.content_types[0]".to_owned()));
    assert_eq!(with(&["text/plain", "application/ld+json"], None), Ok(()));
    let schema = Some(SchemaSource::Inline(json!({})));
    assert_eq!(with(&["text/plain"], schema), Err("input.schema".to_owned()));
}

/// What is encrypted for the upstream is held against the rules there: here it is only what it says it is.
#[test]
fn encrypted_bodies_go_by_where_they_are_named() {
    let schema = || Some(SchemaSource::Inline(json!({ "type": "object" })));
    let with = |types: &[&str], schema| {
        let content_types = Some(types.iter().map(|&name| name.to_owned()).collect());
        InputRules::of(&InputSection { content_types, schema, ..Default::default() })
    };
    let message = b"eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.AA.AA.AA.AA";
    let check = |rules: &InputRules, body: &[u8], content_type: &str| {
        let checked = rules.check_body(&announced(content_type), body, &Principal::anonymous());
        checked.map(|inspected| inspected.rewritten).map_err(|refusal| refusal.reason)
    };
    let unsupported = Err(Reason::ContentTypeUnsupported);
    let both = with(&["application/json", "application/jose"], schema()).unwrap();
    assert_eq!(check(&both, message, "application/jose"), Ok(None));
    assert_eq!(check(&both, b"{}", "application/json"), Ok(None));
    assert_eq!(check(&both, b"{}", "application/jose"), unsupported);
    assert_eq!(check(&both, message, "application/json"), Err(Reason::JsonInvalid));
    assert_eq!(
        check(&with(&["application/json"], None).unwrap(), message, "application/jose"),
        unsupported
    );
    assert!(with(&["application/jose", "text/plain"], schema()).is_err());
    assert!(with(&["application/jose+json"], None).is_ok(), "JSON, which is looked into");
}
