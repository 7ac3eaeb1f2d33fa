use serde_json::json;

use super::*;

fn told(schema: &Value, value: &Value) -> Vec<(String, String)> {
    let validator = jsonschema::validator_for(schema).unwrap();
    let violations = Names::of(schema).tell(validator.iter_errors(value));
    violations.into_iter().map(|Violation { at, expected }| (at, expected)).collect()
}

fn at(place: &str, expected: &str) -> (String, String) {
    (place.to_owned(), expected.to_owned())
}

/// The schema of the scam detector's route.
fn predict() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
        "properties": {
            "text": {"type": "string", "minLength": 1},
            "texts": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "explain": {"type": "boolean"},
        },
    })
}

#[test]
fn it_is_said_what_to_send() {
    for (body, expected) in [
        (
            json!({}),
            vec![at("", "an object with the member `text`, or an object with the member `texts`")],
        ),
        (json!([]), vec![at("", "an object")]),
        (json!({"text": ""}), vec![at("/text", "a string of at least 1 character")]),
        (json!({"text": 1}), vec![at("/text", "a string")]),
        (json!({"texts": ["a", null]}), vec![at("/texts/1", "a string")]),
        (
            json!({"text": "a", "texts": ["b"]}),
            vec![at("", "one alone of these members: `text`, `texts`")],
        ),
        (
            json!({"text": "a", "a/b": 1, "secret": 2}),
            vec![
                at("/a~1b", "no member of this name, but one of `text`, `texts`, `explain`"),
                at("/secret", "no member of this name, but one of `text`, `texts`, `explain`"),
            ],
        ),
    ] {
        let mut found = told(&predict(), &body);
        let mut expected = expected;
        found.sort();
        expected.sort();
        // The order of a schema's members is not kept everywhere.
        let sorted = |all: &mut Vec<(String, String)>| {
            for (_, text) in all {
                *text = text.replace("`explain`, `text`, `texts`", "`text`, `texts`, `explain`");
            }
        };
        sorted(&mut found);
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn every_keyword_has_its_sentence() {
    for (schema, value, expected) in [
        (json!({"type": ["string", "null"]}), json!(1), "null or a string"),
        (json!({"const": "a"}), json!("secret"), "\"a\""),
        (json!({"enum": ["a", 1]}), json!("secret"), "one of \"a\", 1"),
        (json!({"enum": ["a"]}), json!("secret"), "\"a\""),
        (json!({"minimum": 5}), json!(4), "a number of at least 5"),
        (json!({"maximum": 5}), json!(6), "a number of at most 5"),
        (json!({"exclusiveMinimum": 5}), json!(5), "a number above 5"),
        (json!({"exclusiveMaximum": 5}), json!(5), "a number below 5"),
        (json!({"multipleOf": 2}), json!(3), "a multiple of 2"),
        (json!({"maxLength": 1}), json!("secret"), "a string of at most 1 character"),
        (json!({"pattern": "^[a-z]$"}), json!("secret"), "a string that matches ^[a-z]$"),
        (json!({"minItems": 2}), json!([]), "an array of at least 2 items"),
        (json!({"maxItems": 1}), json!([1, 2]), "an array of at most 1 item"),
        (json!({"uniqueItems": true}), json!(["s", "s"]), "an array with each item once"),
        (
            json!({"contains": {"const": 1}}),
            json!([]),
            "an array with the items that are described",
        ),
        (json!({"minProperties": 1}), json!({}), "an object of at least 1 member"),
        (json!({"maxProperties": 1}), json!({"a": 1, "b": 2}), "an object of at most 1 member"),
        (json!({"required": ["a"]}), json!({}), "the member `a`"),
        (json!({"not": {}}), json!("secret"), "something else than what is excluded here"),
        (json!(false), json!("secret"), "nothing"),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"secret": 1}),
            "names of members that are each a string of at most 1 character",
        ),
        (json!({"prefixItems": [true], "items": false}), json!([1, "secret"]), "nothing"),
    ] {
        let found = told(&schema, &value);
        assert_eq!(found.len(), 1, "{schema}: {found:?}");
        assert_eq!(found[0].1, expected, "{schema}");
    }
}

#[test]
fn the_alternative_that_was_meant_is_told() {
    let part = |name: &str| {
        json!({"type": "object", "required": ["type", name],
               "properties": {"type": {"const": name}, name: {"type": "string"}}})
    };
    let schema = json!({
        "$ref": "#/$defs/content",
        "$defs": {"content": {"anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"oneOf": [part("text"), part("url")]}},
        ]}},
    });
    assert_eq!(told(&schema, &json!(7)), [at("", "a string, or an array")]);
    let parts = json!([{"type": "text", "text": "a"}, {"type": "url", "url": 7}]);
    assert_eq!(told(&schema, &parts), [at("/1/url", "a string")]);
    let neither = json!([{"type": "file"}]);
    let found = told(&schema, &neither);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "/0");
    assert!(!found[0].1.contains("file"), "{found:?}");
}

#[test]
fn what_is_told_is_bounded() {
    let long = "x".repeat(10_000);
    let names: Vec<String> = (0..5_000).map(|number| format!("{number}{long}")).collect();
    let known: serde_json::Map<String, Value> =
        (0..500).map(|number| (format!("name{number}"), json!(true))).collect();
    let schema = json!({"additionalProperties": false, "properties": known});
    let value: serde_json::Map<String, Value> =
        names.iter().take(20).map(|name| (name.clone(), json!(1))).collect();
    for (schema, value) in [
        (schema, Value::Object(value)),
        (json!({"enum": names}), json!(1)),
        (json!({"const": long}), json!(1)),
        (json!({"required": names}), json!({})),
        (json!({"additionalProperties": {"type": "string"}}), json!({long: 1})),
    ] {
        let found = told(&schema, &value);
        assert!(!found.is_empty() && found.len() <= MAXIMUM_ERRORS, "{}", found.len());
        for (place, expected) in found {
            assert!(place.chars().count() <= MAXIMUM_POINTER + 1);
            assert!(expected.chars().count() <= MAXIMUM_SENTENCE + 1, "{expected}");
        }
    }
}
