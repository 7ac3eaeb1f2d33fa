use serde_json::{Value, json};

use super::super::tests::{compile, head_of};

/// Whether a document with these named schemas takes bodies of the one called `Thing`.
fn takes(schemas: &Value, body: Value) -> bool {
    let api = compile(&document(schemas)).unwrap();
    let operation = api.operation(head_of(&api, "POST", "/a", &[]).unwrap()).unwrap();
    let content = operation.content("application/json").unwrap();
    api.violations(content, body).is_empty()
}

fn document(schemas: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Thing"}}}}}}},
        "components": {"schemas": schemas},
    })
}

fn error(schemas: &Value) -> String {
    compile(&document(schemas)).map(drop).unwrap_err()
}

fn filters() -> Value {
    json!({
        "Thing": {"type": "object", "properties": {"filter": {"$ref": "#/components/schemas/All"}}},
        "All": {
            "$recursiveAnchor": true, "type": "object", "additionalProperties": false, "required": ["type", "of"],
            "properties": {"type": {"enum": ["and", "or"]},
                           "of": {"type": "array", "items": {"oneOf": [{"$ref": "#/components/schemas/Is"}, {"$recursiveRef": "#"}]}}},
        },
        "Is": {"type": "object", "additionalProperties": false, "required": ["type", "key"],
               "properties": {"type": {"const": "eq"}, "key": {"type": "string"}}},
    })
}

#[test]
fn recursion_leads_to_the_schema_around_it() {
    let is = json!({"type": "eq", "key": "a"});
    let all = |of: Value| json!({"type": "and", "of": of});
    let takes = |filter: Value| takes(&filters(), json!({"filter": filter}));
    assert!(takes(all(json!([is, is]))));
    assert!(takes(all(json!([is, all(json!([is, all(json!([]))]))]))));
    // Were the keyword unknown, anything would be a member, and what is described would be two things at once.
    assert!(!takes(all(json!([{"type": "eq", "key": 1}]))));
    assert!(!takes(all(json!([7]))));
    assert!(!takes(all(json!([all(json!([{"type": "eq", "key": "a", "more": 1}]))]))));
    assert!(!takes(all(json!([{"filter": is}]))));
}

#[test]
fn recursion_elsewhere_is_an_error() {
    let with = |pointer: &str, value: Value| {
        let mut changed = filters();
        *changed.pointer_mut(pointer).unwrap() = value;
        error(&changed)
    };
    let place = "/All/properties/of/items/oneOf/1";
    for (error, expected) in [
        (with("/All/$recursiveAnchor", json!(false)), "oneOf/1/$recursiveRef: expected #"),
        (with("/All/$recursiveAnchor", json!("a")), "All/$recursiveAnchor: expected true"),
        (with(place, json!({"$recursiveRef": "#/a"})), "oneOf/1/$recursiveRef: expected #"),
        (
            with(place, json!({"$recursiveRef": "#", "$ref": "#/components/schemas/Is"})),
            "oneOf/1/$recursiveRef: ",
        ),
        (
            with(place, json!({"$id": "a", "items": {"$recursiveRef": "#"}})),
            "items/$recursiveRef: ",
        ),
        (with(place, json!({"$recursiveAnchor": true})), "oneOf/1/$recursiveAnchor: expected true"),
        (with("/Is", json!({"$recursiveRef": "#"})), "Is/$recursiveRef: expected #"),
    ] {
        assert!(error.contains(expected), "{error}\n is not {expected}");
    }
    // What only looks like it is let be.
    let mut changed = filters();
    changed["Is"]["properties"]["$recursiveRef"] =
        json!({"type": "string", "default": {"$recursiveRef": 1}});
    assert!(compile(&document(&changed)).is_ok());
}

#[test]
fn nullable_adds_null_and_nothing_else() {
    let text = json!({"type": "string", "maxLength": 1});
    let reference = json!({"$ref": "#/components/schemas/Text"});
    for schema in [
        json!({"type": "string", "maxLength": 1}),
        json!({"type": ["string", "integer"], "maxLength": 1, "maximum": 0}),
        json!({"type": "string", "enum": ["a"]}),
        json!({"enum": ["a"]}),
        json!({"const": "a"}),
        json!({"anyOf": [text]}),
        json!({"oneOf": [text, {"type": "integer", "maximum": 0}]}),
        json!({"oneOf": [{"type": "string", "maxLength": 1, "nullable": true}, {"type": "array", "maxItems": 0}]}),
        json!({"allOf": [reference]}),
        reference.clone(),
        json!({"type": "string", "allOf": [reference], "anyOf": [text]}),
        json!({"type": "string", "not": {"type": ["null", "number"]}, "maxLength": 1}),
    ] {
        let of = |nullable: Option<bool>| {
            let mut schema = schema.clone();
            if let Some(nullable) = nullable {
                schema["nullable"] = json!(nullable);
            }
            json!({"Thing": {"properties": {"a": schema}}, "Text": text})
        };
        let take = |nullable, value: Value| takes(&of(nullable), json!({"a": value}));
        assert!(take(Some(true), json!(null)), "{schema}");
        for nullable in [None, Some(false), Some(true)] {
            assert!(take(nullable, json!("a")), "{schema}");
            for value in [json!("ab"), json!(1), json!(true), json!({}), json!([null])] {
                assert!(!take(nullable, value.clone()), "{schema} {value}");
            }
        }
        if !schema.to_string().contains("nullable") {
            assert!(!take(None, json!(null)) && !take(Some(false), json!(null)), "{schema}");
        }
    }
    // As it was said of a reference, which could have nothing beside it.
    let beside = json!({"Thing": {"properties": {"a": {"allOf": [reference, {"description": "b", "nullable": true}]}}}, "Text": text});
    assert!(takes(&beside, json!({"a": null})) && takes(&beside, json!({"a": "a"})));
    assert!(!takes(&beside, json!({"a": "ab"})) && !takes(&beside, json!({"a": 1})));
    let within = json!({"Thing": {"properties": {"a": {"allOf": [reference, {"type": "string", "nullable": true}]}}}, "Text": text});
    assert!(!takes(&within, json!({"a": null})));
    // A property of that name is one.
    let named = json!({"Thing": {"properties": {"nullable": {"type": "boolean"}, "a": text}}});
    assert!(
        takes(&named, json!({"nullable": true, "a": "a"})) && !takes(&named, json!({"a": null}))
    );
    let wrong = json!({"Thing": {"type": "string", "nullable": "yes"}});
    assert!(error(&wrong).contains("/Thing/nullable: expected true or false"));
}

#[test]
fn exclusive_bounds_are_bounds() {
    let schemas = |a: Value| json!({"Thing": {"properties": {"a": a}}});
    let above = schemas(
        json!({"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 2, "exclusiveMaximum": false}),
    );
    for (value, is_taken) in
        [(json!(0), false), (json!(0.1), true), (json!(2), true), (json!(2.1), false)]
    {
        assert_eq!(takes(&above, json!({"a": value})), is_taken);
    }
    let below = schemas(json!({"type": "number", "maximum": 2, "exclusiveMaximum": true}));
    assert!(!takes(&below, json!({"a": 2})) && takes(&below, json!({"a": 1})));
    let alone = schemas(json!({"exclusiveMinimum": true}));
    assert!(
        error(&alone).contains("a/exclusiveMinimum: expected a number, or `minimum` beside it")
    );
}

#[test]
fn a_discriminator_says_which_one_is_meant() {
    let of = |name: &str| json!({"type": "object", "required": ["kind", name], "properties": {"kind": {"type": "string"}, name: {"type": "integer"}}});
    let with = |schema: Value| json!({"Thing": schema});
    let both = json!({"kind": "a", "a": 1, "b": 1});
    let either = json!({"oneOf": [of("a"), of("b")]});
    assert!(!takes(&with(either.clone()), both.clone()));
    let mut said = either.clone();
    said["discriminator"] = json!({"propertyName": "kind"});
    assert!(takes(&with(said.clone()), both.clone()));
    for body in [json!({"kind": "a", "a": 1}), json!({"kind": "b", "b": 1})] {
        assert!(takes(&with(said.clone()), body));
    }
    for body in [
        json!({"kind": "a"}),
        json!({"kind": 1, "a": 1}),
        json!({"kind": "a", "a": "x"}),
        json!([both]),
    ] {
        assert!(!takes(&with(said.clone()), body));
    }
    // What else is said of it holds as well.
    let mut more = said;
    more["anyOf"] = json!([{"required": ["c"]}]);
    assert!(!takes(&with(more.clone()), both));
    assert!(takes(&with(more), json!({"kind": "a", "a": 1, "c": 1})));
    // A member of that name is none.
    let named =
        json!({"properties": {"discriminator": {"type": "object"}}, "oneOf": [of("a"), of("b")]});
    assert!(!takes(&with(named), json!({"kind": "a", "a": 1, "b": 1})));
}

#[test]
fn what_is_required_twice_is_required() {
    let schemas = |required: Value| json!({"Thing": {"required": required, "properties": {"required": {"enum": ["a", "a"]}}}});
    let twice = schemas(json!(["a", "b", "a"]));
    assert!(takes(&twice, json!({"a": 1, "b": 1})));
    assert!(!takes(&twice, json!({"b": 1})) && !takes(&twice, json!({"a": 1})));
    assert!(error(&schemas(json!(["a", 1]))).contains("/Thing/required"));
}
