use serde_json::{Value, json};

use super::super::tests::{compile, head_of};

fn with(parameters: &Value) -> Value {
    json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": parameters}}}})
}

fn told(parameters: &Value, query: &str) -> Result<(), (&'static str, String)> {
    let api = compile(&with(parameters)).unwrap();
    let told = head_of(&api, "GET", &format!("/a?{query}"), &[]);
    told.map(drop).map_err(|(_, reason, findings)| {
        (reason, findings.first().map(|(at, _)| at.clone()).unwrap_or_default())
    })
}

fn error(parameters: &Value) -> String {
    compile(&with(parameters)).map(drop).unwrap_err()
}

fn deep() -> Value {
    let free = json!({"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string", "maxLength": 4}});
    let named = json!({"type": "object", "minProperties": 1, "properties": {
        "gt": {"type": "integer", "minimum": 1}, "is.on": {"type": "boolean"}}});
    json!([
        {"name": "meta", "in": "query", "style": "deepObject", "explode": true, "schema": {"anyOf": [free, {"type": "null"}]}},
        {"name": "at", "in": "query", "style": "deepObject", "schema": named},
        {"name": "x", "in": "query", "schema": {"type": "string"}},
    ])
}

#[test]
fn properties_in_brackets_are_an_object() {
    let deep = deep();
    for query in [
        "meta[a]=b",
        "meta%5Ba%5D=b&x=1&meta[c]=d",
        "%6deta[a_b-c.d:e]=",
        "meta[a]=true&meta[b]=7",
        "meta=null",
        "at[gt]=5&at[is.on]=true",
        "",
    ] {
        assert_eq!(told(&deep, query), Ok(()), "{query}");
    }
    for (query, reason, at) in [
        ("meta[a]=bcdef", "parameter-invalid", "query/meta/a"),
        ("meta[a]=b&meta[b]=b&meta[c]=b&meta[d]=b", "parameter-invalid", "query/meta"),
        // Twice, for those who tell them apart and for those who do not.
        ("meta[a]=b&meta[a]=c", "parameter-invalid", "query/meta/a"),
        ("meta[a]=b&meta%5Ba%5D=c", "parameter-invalid", "query/meta/a"),
        ("meta[a]=b&meta[A]=c", "parameter-invalid", "query/meta/A"),
        ("meta[a.b]=b&meta[a_b]=c", "parameter-invalid", "query/meta/a_b"),
        ("meta=null&meta[a]=b", "parameter-invalid", "query/meta"),
        ("meta=null&meta=null", "parameter-invalid", "query/meta"),
        ("meta=b", "parameter-invalid", "query/meta"),
        ("meta=%7B%22a%22:%22b%22%7D", "parameter-invalid", "query/meta"),
        ("at=null", "parameter-invalid", "query/at"),
        ("at[gt]=0", "parameter-invalid", "query/at/gt"),
        ("at[gt]=x", "parameter-invalid", "query/at/gt"),
        ("at[gt]=5&at[gt]=5", "parameter-invalid", "query/at/gt"),
        ("at[is.on]=yes", "parameter-invalid", "query/at/is.on"),
        // More levels, arrays, and what programs read in other ways.
        ("meta[a][b]=c", "parameter-unknown", "query/meta[a][b]"),
        ("meta[]=a", "parameter-unknown", "query/meta[]"),
        ("meta[0]=a", "parameter-unknown", "query/meta[0]"),
        ("meta[__proto__]=a", "parameter-unknown", "query/meta[__proto__]"),
        ("meta[Constructor]=a", "parameter-unknown", "query/meta[Constructor]"),
        ("meta[a]b=c", "parameter-unknown", "query/meta[a]b"),
        ("meta[a=c", "parameter-unknown", "query/meta[a"),
        ("meta[[a]]=c", "parameter-unknown", "query/meta[[a]]"),
        ("meta[a%00]=c", "parameter-unknown", "query/meta[a\0]"),
        ("meta[%20a]=c", "parameter-unknown", "query/meta[ a]"),
        ("meta.a=c", "parameter-unknown", "query/meta.a"),
        ("Meta[a]=c", "parameter-unknown", "query/Meta[a]"),
        ("a=b", "parameter-unknown", "query/a"),
        // What is not described is no part of it, though the schema would let it be.
        ("at[lt]=5", "parameter-unknown", "query/at[lt]"),
        ("at[GT]=x", "parameter-unknown", "query/at[GT]"),
        ("gt=5", "parameter-unknown", "query/gt"),
        ("x[]=5", "parameter-unknown", "query/x[]"),
        ("x[a]=5", "parameter-unknown", "query/x[a]"),
    ] {
        assert_eq!(told(&deep, query), Err((reason, at.to_owned())), "{query}");
    }
    let long = "a".repeat(200);
    assert!(told(&deep, &format!("meta[{long}]=a")).is_err());
    let many: Vec<String> = (0..101).map(|number| format!("meta[a{number}]=b")).collect();
    assert_eq!(told(&deep, &many.join("&")).unwrap_err().1, "query/meta");
}

#[test]
fn named_properties_are_as_others_however_they_are_spelled() {
    let schema = json!({"type": "object", "properties": {"gt": {"type": "integer"}},
                        "additionalProperties": {"type": "string"}});
    let parameters = json!([{"name": "at", "in": "query", "style": "deepObject", "required": true, "schema": schema}]);
    assert_eq!(told(&parameters, "at[gt]=1&at[other]=x"), Ok(()));
    for query in ["at[Gt]=x", "at[gt]=1&at[Gt]=x"] {
        assert_eq!(told(&parameters, query).unwrap_err().0, "parameter-unknown", "{query}");
    }
    assert_eq!(told(&parameters, ""), Err(("parameter-invalid", "query/at".to_owned())));
}

#[test]
fn exploded_objects_have_their_members_as_parameters() {
    let schema = json!({"type": "object", "required": ["gt"], "properties": {
        "gt": {"type": "integer"}, "lt": {"type": "integer"}}});
    let mut parameters = json!([{"name": "at", "in": "query", "schema": schema}]);
    for query in ["gt=1", "gt=1&lt=2", "at[gt]=1&at[lt]=2", ""] {
        assert_eq!(told(&parameters, query), Ok(()), "{query}");
    }
    for (query, reason, at) in [
        ("gt=x", "parameter-invalid", "query/at/gt"),
        ("lt=1", "parameter-invalid", "query/at"),
        ("gt=1&gt=2", "parameter-invalid", "query/at/gt"),
        // Each program reads one of the two.
        ("gt=1&at[lt]=2", "parameter-invalid", "query/at"),
        ("gt=1&at[gt]=1", "parameter-invalid", "query/at"),
        ("at=1", "parameter-invalid", "query/at"),
        ("GT=1", "parameter-unknown", "query/GT"),
        ("gt[]=1", "parameter-unknown", "query/gt[]"),
        ("other=1", "parameter-unknown", "query/other"),
    ] {
        assert_eq!(told(&parameters, query), Err((reason, at.to_owned())), "{query}");
    }
    // Where a style is written, it is that one.
    parameters[0]["style"] = json!("form");
    assert_eq!(told(&parameters, "gt=1"), Ok(()));
    assert_eq!(told(&parameters, "at[gt]=1").unwrap_err().0, "parameter-unknown");
}

/// By their own names they would be any parameters.
#[test]
fn members_that_are_not_described_are_in_brackets() {
    let schema = json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}});
    let mut parameters = json!([{"name": "meta", "in": "query", "schema": schema}]);
    assert_eq!(told(&parameters, "meta[a]=b"), Ok(()));
    for query in ["a=b", "_method=DELETE"] {
        assert_eq!(told(&parameters, query).unwrap_err().0, "parameter-unknown", "{query}");
    }
    parameters[0]["style"] = json!("form");
    assert!(
        error(&parameters).contains("/schema: expected `additionalProperties: false` or style")
    );
}

#[test]
fn lists_have_brackets_where_no_style_is_written() {
    let schema = json!({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2});
    let mut parameters = json!([{"name": "include", "in": "query", "schema": schema.clone()}]);
    for query in ["include=a&include=b", "include[]=a", "include[]=a&include%5B%5D=b"] {
        assert_eq!(told(&parameters, query), Ok(()), "{query}");
    }
    for (query, reason) in [
        ("include[]=c", "parameter-invalid"),
        ("include[]=a&include[]=b&include[]=a", "parameter-invalid"),
        ("include=a&include[]=b", "parameter-invalid"),
        ("include[0]=a", "parameter-unknown"),
        ("include[][]=a", "parameter-unknown"),
    ] {
        assert_eq!(told(&parameters, query).unwrap_err().0, reason, "{query}");
    }
    let either = json!({"anyOf": [{"type": "string"}, schema]});
    let either = json!([{"name": "include", "in": "query", "schema": either}]);
    for (query, is_taken) in [
        ("include=c", true),
        ("include[]=a", true),
        ("include[]=c", false),
        ("include[]=a&include[]=c", false),
    ] {
        assert_eq!(told(&either, query).is_ok(), is_taken, "{query}");
    }
    for style in [json!({"style": "form"}), json!({"explode": false})] {
        parameters[0]["style"] = style.get("style").cloned().unwrap_or(json!("form"));
        parameters[0]["explode"] = style.get("explode").cloned().unwrap_or(json!(true));
        assert_eq!(told(&parameters, "include[]=a").unwrap_err().0, "parameter-unknown");
    }
}

#[test]
fn what_can_not_be_told_apart_or_read_is_an_error() {
    let of = |schema: Value| json!({"name": "at", "in": "query", "style": "deepObject", "schema": schema});
    let with = |place: &str, value: Value| {
        let mut parameter = of(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
        parameter[place] = value;
        json!([parameter])
    };
    for (parameters, expected) in [
        (
            json!([of(json!({"type": "object"}))]),
            "schema: expected `properties` or `additionalProperties`",
        ),
        (json!([of(json!({"type": "string"}))]), "schema: expected an object alone"),
        (json!([of(json!({"type": ["object", "string"]}))]), "schema: expected an object alone"),
        (json!([of(json!({}))]), "schema: expected an object alone"),
        (
            json!([of(json!({"type": "object", "properties": {"b": {"type": "object"}}}))]),
            "schema/properties/b: expected a type that a text can be",
        ),
        (
            json!([of(json!({"type": "object", "additionalProperties": {"type": "array"}}))]),
            "schema/additionalProperties: expected a type that a text can be",
        ),
        (
            json!([of(json!({"type": "object", "properties": {"b[]": {"type": "string"}}}))]),
            "schema/properties/b[]: expected a name without brackets",
        ),
        (with("in", json!("header")), "style: expected simple in a path or header field"),
        (with("in", json!("cookie")), "style: expected simple in a path or header field"),
        (with("style", json!("spaceDelimited")), "schema: expected a type that a text can be"),
        (
            json!([{"name": "at", "in": "query", "explode": false, "schema": {"type": "object"}}]),
            "schema: expected a type that a text can be",
        ),
        (
            json!([{"name": "at", "in": "query", "schema": {"type": "object", "properties": {"x": {"type": "string"}}}},
                   {"name": "x", "in": "query", "schema": {"type": "string"}}]),
            "parameters: expected the query's x to be of one parameter",
        ),
        (
            json!([of(json!({"type": "object", "properties": {"x": {"type": "string"}}})),
                   {"name": "at[x]", "in": "query", "schema": {"type": "string"}}]),
            "parameters: expected the query's at[x] to be of one parameter",
        ),
    ] {
        let error = error(&parameters);
        assert!(error.contains(expected), "{error}\n is not {expected}");
    }
}
