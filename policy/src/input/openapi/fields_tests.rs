use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::FileType;

fn fields(media_type: &Value) -> Result<Fields, CompileError> {
    Fields::compile(&Node::root(media_type, "f").unwrap())
}

fn read(fields: &Fields, sent: &[(&str, &str)]) -> Result<Value, (String, String)> {
    let sent: Vec<_> = sent.iter().map(|(name, text)| (*name, Sent::Text(text))).collect();
    fields.object(&sent).map_err(|mut violations| {
        let Violation { at, expected } = violations.remove(0);
        (at, expected)
    })
}

#[test]
fn texts_become_what_their_schema_says() {
    let media_type = json!({
        "schema": {
            "properties": {
                "n": {"type": "integer"},
                "list": {"type": "array", "items": {"type": "integer"}},
                "commas": {"type": "array", "items": {"type": "string"}},
                "either": {"anyOf": [{"type": "string"}, {"type": "array"}]},
                "object": {"type": "object"},
                "objects": {"type": "array", "items": {"type": "object"}},
                "json": {"type": "array", "items": {"type": ["object", "string"]}},
                "listed": {"enum": ["1", "2"]},
                "any": {},
            },
            "allOf": [{"$ref": "#/more"}, {"additionalProperties": {"type": "boolean"}}],
        },
        "more": {"properties": {"m": {"type": "number"}}},
        "encoding": {"commas": {"style": "form", "explode": false},
                     "json": {"contentType": "application/json"}},
    });
    let fields = fields(&media_type).unwrap();
    for (sent, expected) in [
        (&[("n", "7"), ("m", "1.5")][..], json!({"n": 7, "m": 1.5})),
        (&[("n", "x"), ("more", "true")], json!({"n": "x", "more": true})),
        (&[("list", "1")], json!({"list": [1]})),
        (&[("list", "1"), ("n", "2"), ("list", "x")], json!({"list": [1, "x"], "n": 2})),
        (&[("commas", "a,b")], json!({"commas": ["a", "b"]})),
        (&[("either", "a")], json!({"either": "a"})),
        (&[("either", "a"), ("either", "b")], json!({"either": ["a", "b"]})),
        (&[("object", "{\"a\": 1}")], json!({"object": {"a": 1}})),
        (&[("objects", "{}"), ("objects", "{\"a\": 1}")], json!({"objects": [{}, {"a": 1}]})),
        (&[("json", "[{}]")], json!({"json": [{}]})),
        (&[("json", "{}")], json!({"json": [{}]})),
        (&[("json", "{}"), ("json", "7")], json!({"json": [{}, 7]})),
        (&[("listed", "1"), ("any", "2")], json!({"listed": "1", "any": "2"})),
    ] {
        assert_eq!(read(&fields, sent), Ok(expected), "{sent:?}");
    }
    let refused = read(&fields, &[("object", "{\"a\": 1, \"a\": 2}")]).unwrap_err();
    assert_eq!(refused, ("/object".to_owned(), "JSON: each member name once".to_owned()));
    for (name, is_list) in [("list", true), ("either", true), ("commas", false), ("n", false)] {
        assert_eq!(fields.is_list(name), is_list, "{name}");
    }
    assert!(!fields.is_list("unknown") && !fields.is_list("any"));
}

#[test]
fn files_are_where_files_are_described() {
    let media_type = json!({
        "schema": {"properties": {
            "text": {"type": "string"},
            "file": {"type": "string", "format": "binary", "maxLength": 9},
            "octets": {"type": "string", "contentMediaType": "application/octet-stream"},
            "optional": {"anyOf": [{"type": "string", "format": "binary"}, {"type": "null"}]},
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "any": {},
            "picture": {"type": "string"},
            "n": {"type": "integer"},
        }},
        "encoding": {"picture": {"contentType": "image/jpeg, image/gif"}},
    });
    let fields = fields(&media_type).unwrap();
    let file = |name| fields.object(&[(name, Sent::File { file_type: FileType::Png, length: 4 })]);
    for name in ["octets", "optional", "any", "unknown"] {
        assert_eq!(file(name), Ok(json!({name: ""})), "{name}");
    }
    assert_eq!(file("file"), Ok(json!({"file": "xxxx"})));
    assert_eq!(file("files"), Ok(json!({"files": [""]})));
    for (name, expected) in [
        ("text", "text, and no file name"),
        ("n", "text, and no file name"),
        ("picture", "a file of image/jpeg or image/gif"),
    ] {
        assert_eq!(file(name).unwrap_err()[0].expected, expected, "{name}");
    }
    for name in ["file", "octets", "optional", "files", "picture"] {
        let refused = read(&fields, &[(name, "x")]).unwrap_err();
        assert_eq!(refused, (format!("/{name}"), "a file, with a file name".to_owned()));
    }
}

#[test]
fn members_and_items_may_be_in_brackets() {
    let media_type = json!({
        "schema": {"properties": {
            "after": {"type": "object", "properties": {"days": {"type": "integer"}}},
            "meta": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
            "deep": {"type": "object", "properties": {"of": {"type": "object"}}},
            "list": {"type": "array", "items": {"type": "integer"}},
            "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "commas": {"type": "array", "items": {"type": "string"}},
            "json": {"type": "object", "properties": {"a": {}}},
            "mode": {"anyOf": [{"enum": ["auto"]}, {"type": "object", "properties": {"on": {"type": "boolean"}}}]},
            "items[]": {"type": "array", "items": {"type": "string"}},
            "n": {"type": "integer"},
        }},
        "encoding": {"commas": {"style": "form", "explode": false}, "json": {"contentType": "application/json"}},
    });
    let fields = fields(&media_type).unwrap();
    for (sent, expected) in [
        (&[("after[days]", "7")][..], json!({"after": {"days": 7}})),
        (
            &[("meta[a]", "7"), ("n", "1"), ("meta[b]", "")],
            json!({"meta": {"a": "7", "b": ""}, "n": 1}),
        ),
        (&[("list[]", "1"), ("list[]", "x")], json!({"list": [1, "x"]})),
        (&[("either[]", "a")], json!({"either": ["a"]})),
        (&[("mode", "auto")], json!({"mode": "auto"})),
        (&[("mode[on]", "true")], json!({"mode": {"on": true}})),
        (&[("items[]", "a")], json!({"items[]": ["a"]})),
        (&[("other[a]", "7")], json!({"other[a]": "7"})),
    ] {
        assert_eq!(read(&fields, sent), Ok(expected), "{sent:?}");
    }
    for (sent, at, expected) in [
        (&[("after[days]", "x")][..], "/after/days", "integer"),
        (&[("after[days]", "1"), ("after", "{}")], "/after", "it in one spelling"),
        (&[("list[]", "1"), ("list", "1")], "/list", "it in one spelling"),
        (&[("meta[a]", "1"), ("meta[A]", "1")], "/meta/A", "it once"),
        (&[("after[Days]", "x")], "/after[Days]", "no such field"),
        (&[("after[more]", "x")], "/after[more]", "no such field"),
        (&[("meta[0]", "x")], "/meta[0]", "no such field"),
        (&[("meta[__proto__]", "x")], "/meta[__proto__]", "no such field"),
        (&[("meta[a][b]", "x")], "/meta[a][b]", "no such field"),
        (&[("meta[]", "x")], "/meta[]", "no such field"),
        (&[("deep[of]", "{}")], "/deep[of]", "no such field"),
        (&[("commas[]", "x")], "/commas[]", "no such field"),
        (&[("json[a]", "x")], "/json[a]", "no such field"),
        (&[("n[]", "1")], "/n[]", "no such field"),
        (&[("n[", "1")], "/n[", "no such field"),
    ] {
        let refused = (at.to_owned(), expected.to_owned());
        assert_eq!(read(&fields, sent), Err(refused), "{sent:?}");
    }
    let sent = [("meta[a]", Sent::File { file_type: FileType::Png, length: 4 })];
    assert_eq!(fields.object(&sent).unwrap_err()[0].expected, "text, and no file name");
    assert!(fields.is_list("list[]") && fields.is_list("items[]"));
    for name in ["n[]", "meta[]", "commas[]", "meta[a]", "other[]"] {
        assert!(!fields.is_list(name), "{name}");
    }
}

#[test]
fn styles_that_are_none_of_forms_are_errors() {
    let media_type = json!({
        "schema": {"properties": {"a": {"type": "object"}}},
        "encoding": {"a": {"style": "deepObject", "explode": true}},
    });
    let error = fields(&media_type).unwrap_err().to_string();
    assert!(error.contains("/encoding/a/style: expected form"), "{error}");
}

proptest! {
    /// Whatever is sent, each field is in the object once, or told of.
    #[test]
    fn any_fields_have_an_answer(sent in prop::collection::vec(("[a-d]", "[0-9{}\\[\\],:\"a-z]{0,12}", any::<bool>()), 0..8)) {
        let media_type = json!({"schema": {"properties": {
            "a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "object"}},
            "c": {"type": ["object", "array"]},
        }}});
        let fields = fields(&media_type).unwrap();
        let sent: Vec<(&str, Sent<'_>)> = sent.iter().map(|(name, text, is_file)| {
            let file = Sent::File { file_type: FileType::Png, length: text.len() };
            (name.as_str(), if *is_file { file } else { Sent::Text(text) })
        }).collect();
        match fields.object(&sent) {
            Ok(object) => prop_assert!(sent.iter().all(|(name, _)| object.get(name).is_some())),
            Err(violations) => prop_assert!(!violations.is_empty()),
        }
    }
}
