use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::form::Form;

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "1"},
        "servers": [{"url": "https://api.example/{version}", "variables": {"version": {"default": "v1"}}}],
        "paths": {
            "/things": {
                "parameters": [{"$ref": "#/components/parameters/Limit"}],
                "get": {
                    "parameters": [
                        {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string", "maxLength": 5}}},
                        {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}},
                        {"name": "since", "in": "query", "schema": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
                        {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
                        {"name": "where", "in": "query", "content": {"application/json": {"schema": {"type": "object", "maxProperties": 1}}}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string", "maxLength": 4}},
                        {"name": "X-Kinds", "in": "header", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}},
                        {"name": "theme", "in": "cookie", "schema": {"enum": ["dark", "light"]}},
                    ],
                    "responses": {"200": {"description": "All", "content": {"application/json": {"schema": {"type": "array"}}}}},
                },
                "post": {
                    "requestBody": {"$ref": "#/components/requestBodies/Thing"},
                    "responses": {"default": {"description": "Done"}},
                },
            },
            "/things/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
                "get": {"parameters": [{"name": "fields", "in": "query", "required": true, "schema": {"type": "string"}}]},
                "delete": {},
            },
            "/things/new": {"get": {}},
        },
        "components": {
            "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}},
            "requestBodies": {"Thing": {"required": true, "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Thing"}},
            }}},
            "schemas": {"Thing": {
                "type": "object", "required": ["name"], "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "size": {"type": "integer"},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            }},
            "securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "api_key"}},
        },
    })
}

pub(super) fn compile(document: &Value) -> Result<OpenApi, String> {
    OpenApi::compile(document, "input.openapi").map_err(|error| error.to_string())
}

pub(super) type Told = (u16, &'static str, Vec<(String, String)>);

pub(super) fn head_of(
    api: &OpenApi,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<usize, Told> {
    let pseudo = [(":method", method), (":path", path), (":authority", "a.example")];
    let headers: Vec<Header<'_>> =
        pseudo.iter().chain(fields).map(|(name, value)| (*name, value.as_bytes())).collect();
    let told = |refusal: Refusal| {
        let findings = refusal.findings.into_iter();
        let findings = findings.map(|finding| (finding.at, finding.expected)).collect();
        (refusal.reason.status(), refusal.reason.as_str(), findings)
    };
    let target = Target::read(&headers).map_err(told)?;
    api.check_head(&target, &headers).map_err(told)
}

fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Result<usize, Told> {
    head_of(&compile(&document()).unwrap(), method, path, fields)
}

fn reason(path: &str) -> Result<(), (&'static str, String)> {
    let told = head("GET", path, &[]);
    told.map(drop).map_err(|(_, reason, findings)| {
        (reason, findings.first().map(|(at, _)| at.clone()).unwrap_or_default())
    })
}

fn body(
    method: &str,
    path: &str,
    media_type: &str,
    body: &[u8],
) -> Result<(), Vec<(String, String)>> {
    let api = compile(&document()).unwrap();
    let operation = api.operation(head_of(&api, method, path, &[]).unwrap()).unwrap();
    let content = operation.content(media_type).unwrap();
    let checked = match media_type {
        "application/json" => api.check_value(content, serde_json::from_slice(body).unwrap()),
        _ => {
            let form = Form::parse_lists(body, 100, |name| content.is_list(name)).unwrap();
            let fields: Vec<_> =
                form.iter().map(|(name, text)| (name, SentField::Text(text))).collect();
            api.check_fields(content, &fields)
        }
    };
    checked.map_err(|refusal| {
        refusal.findings.into_iter().map(|finding| (finding.at, finding.expected)).collect()
    })
}

#[test]
fn what_is_not_described_is_refused() {
    assert!(head("GET", "/v1/things", &[]).is_ok());
    assert!(head("HEAD", "/v1/things", &[]).is_ok());
    for path in [
        "/things",
        "/v1/things/",
        "/v1/Things",
        "/V1/things",
        "/v2/things",
        "/v1/things/1/parts",
        "/v1/things.json",
        "/v1/things;a=b",
        "/v1/../things",
        "/",
    ] {
        assert_eq!(reason(path), Err(("path-unknown", String::new())), "{path}");
    }
    for path in ["/v1%2fthings", "/v1/things%5c1", "/v1/things/%00"] {
        assert_eq!(reason(path), Err(("path-invalid", ":path".to_owned())), "{path}");
    }
    for method in ["PUT", "get", "TRACE", "OPTIONS", "X"] {
        let (status, name, _) = head(method, "/v1/things", &[]).unwrap_err();
        assert_eq!((status, name), (405, "method-unknown"), "{method}");
    }
    // However it is spelled, it is one path.
    for path in ["/v1//things", "/v1/./things", "/x/../v1/things", "/v1/thing%73", "\\v1\\things"] {
        assert_eq!(reason(path), Ok(()), "{path}");
    }
}

#[test]
fn the_path_s_own_parameters_are_checked() {
    assert!(head("DELETE", "/v1/things/7", &[]).is_ok());
    assert!(head("GET", "/v1/things/new", &[]).is_ok());
    for id in ["0", "-1", "07", "1.5", "x", "1;x", "1%20", "new%20", "%252e"] {
        let (status, name, findings) =
            head("DELETE", &format!("/v1/things/{id}"), &[]).unwrap_err();
        assert_eq!((status, name), (422, "parameter-invalid"), "{id}");
        assert_eq!(findings[0].0, "path/id", "{id}");
    }
    // The specific one has no DELETE, and nobody is to find out what a server makes of that.
    assert_eq!(head("DELETE", "/v1/things/new", &[]).unwrap_err().0, 405);
}

#[test]
fn query_parameters_are_read_strictly() {
    for query in [
        "limit=100",
        "limit=0&tag=a&tag=b",
        "tag=a%2Cb",
        "ids=1,2,3",
        "ids=1%2C2",
        "since=5",
        "deep=true",
        "where=%7B%22a%22%3A1%7D",
        "api_key=anything",
        "l%69mit=5",
        "",
    ] {
        assert_eq!(reason(&format!("/v1/things?{query}")), Ok(()), "{query}");
    }
    for (query, name, at) in [
        ("limit=101", "parameter-invalid", "query/limit"),
        ("limit=abc", "parameter-invalid", "query/limit"),
        ("limit=", "parameter-invalid", "query/limit"),
        ("limit", "parameter-invalid", "query/limit"),
        ("limit=1&limit=1", "parameter-invalid", "query/limit"),
        ("limit=1&l%69mit=2", "parameter-invalid", "query/limit"),
        ("limit=1;limit=2", "parameter-invalid", "query"),
        ("limit=%ff", "parameter-invalid", "query"),
        ("limit=%zz", "parameter-invalid", "query"),
        ("tag=abcdef", "parameter-invalid", "query/tag/0"),
        ("tag=a&tag=abcdef", "parameter-invalid", "query/tag/1"),
        ("ids=1,x", "parameter-invalid", "query/ids"),
        ("ids=1,2,3,4", "parameter-invalid", "query/ids"),
        ("ids=1&ids=2", "parameter-invalid", "query/ids"),
        ("since=x", "parameter-invalid", "query/since"),
        ("deep=yes", "parameter-invalid", "query/deep"),
        ("where=%7B%22a%22%3A1%2C%22b%22%3A2%7D", "parameter-invalid", "query/where"),
        ("where=%7B%22a%22%3A1%2C%22a%22%3A2%7D", "parameter-invalid", "query/where"),
        ("Limit=1", "parameter-unknown", "query/Limit"),
        ("limit[]=1", "parameter-unknown", "query/limit[]"),
        ("_method=DELETE", "parameter-unknown", "query/_method"),
        ("a=1&b=2", "parameter-unknown", "query/a"),
    ] {
        let refused = reason(&format!("/v1/things?{query}"));
        assert_eq!(refused, Err((name, at.to_owned())), "{query}");
    }
    assert_eq!(reason("/v1/things/7"), Err(("parameter-invalid", "query/fields".to_owned())));
    assert_eq!(reason("/v1/things/7?fields="), Ok(()));
    let (_, _, findings) = head("GET", "/v1/things?limit=x", &[]).unwrap_err();
    assert_eq!(findings, [("query/limit".to_owned(), "integer".to_owned())]);
    let long = "x".repeat(10_000);
    assert!(reason(&format!("/v1/things?{long}=1")).unwrap_err().1.len() < 100);
}

#[test]
fn header_fields_and_cookies_are_checked_where_they_are_described() {
    let check = |fields: &[(&str, &str)]| {
        head("GET", "/v1/things", fields).map(drop).map_err(|(_, name, findings)| {
            (name, findings.first().map(|(at, _)| at.clone()).unwrap_or_default())
        })
    };
    assert_eq!(
        check(&[("x-trace", "abcd"), ("x-other", "anything"), ("cookie", "a=1; theme=dark")]),
        Ok(())
    );
    assert_eq!(check(&[("x-kinds", "a, b"), ("x-kinds", "b")]), Ok(()));
    for (fields, at) in [
        ([("x-trace", "abcde")].as_slice(), "x-trace"),
        (&[("x-trace", "a"), ("x-trace", "b")], "x-trace"),
        (&[("x-kinds", "a, c")], "x-kinds/1"),
        (&[("cookie", "theme=red")], "cookie/theme"),
        (&[("cookie", "theme=dark; theme=dark")], "cookie/theme"),
        (&[("cookie", "theme=dark"), ("cookie", "theme=light")], "cookie/theme"),
    ] {
        assert_eq!(check(fields), Err(("parameter-invalid", at.to_owned())), "{fields:?}");
    }
    for name in ["x-http-method-override", "x_http_method_override", "x-original-url"] {
        assert_eq!(check(&[(name, "DELETE")]), Err(("header-conflict", name.to_owned())));
    }
}

#[test]
fn bodies_are_checked_with_their_schema() {
    let json = |text: &str| body("POST", "/v1/things", "application/json", text.as_bytes());
    assert_eq!(json(r#"{"name": "a", "size": 3, "parts": [{"name": "b"}]}"#), Ok(()));
    let findings = json(r#"{"name": "a", "parts": [{"name": ""}]}"#).unwrap_err();
    assert_eq!(findings[0].0, "/parts/0/name");
    assert_eq!(json("{}").unwrap_err()[0].0, "");
    assert!(json(r#"{"name": "a", "admin": true}"#).is_err());
    let form = |text: &str| {
        body("POST", "/v1/things", "application/x-www-form-urlencoded", text.as_bytes())
    };
    assert_eq!(form("name=7&size=3"), Ok(()));
    assert_eq!(form("name=a&size=x").unwrap_err()[0].0, "/size");
    // Objects in a form are JSON, and arrays are there again and again.
    assert_eq!(form("name=a&parts=%7B%22name%22:%22b%22%7D"), Ok(()));
    assert_eq!(
        form("name=a&parts=%7B%22name%22:%22b%22%7D&parts=%7B%22name%22:%22c%22%7D"),
        Ok(())
    );
    let wrong = form("name=a&parts=%7B%22name%22:%22b%22%7D&parts=%7B%22name%22:%22%22%7D");
    assert_eq!(wrong.unwrap_err()[0].0, "/parts/1/name");
    assert_eq!(form("name=a&_method=DELETE").unwrap_err()[0].0, "/_method");
    let api = compile(&document()).unwrap();
    let of = |method, path| api.operation(head_of(&api, method, path, &[]).unwrap()).unwrap();
    let post = of("POST", "/v1/things");
    assert!(post.needs_body());
    assert_eq!(post.content("text/plain").unwrap_err().reason, Reason::ContentTypeUnsupported);
    let get = of("GET", "/v1/things");
    assert_eq!(get.content("application/json").unwrap_err().reason, Reason::SchemaViolated);
    assert!(get.check_takes_body().is_err() && !get.needs_body());
}

#[test]
fn responses_are_found_by_status_and_type() {
    let api = compile(&document()).unwrap();
    let get = api.operation(head_of(&api, "GET", "/v1/things", &[]).unwrap()).unwrap();
    let content = get.response(200, "application/json").unwrap();
    assert!(api.violations(content, json!([])).is_empty());
    assert_eq!(api.violations(content, json!({}))[0].at, "");
    assert!(get.response(200, "text/plain").is_none());
    assert!(get.response(404, "application/json").is_none());
}

#[test]
fn errors_name_the_place_in_the_document() {
    let with = |pointer: &str, value: Value| {
        let mut changed = document();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        compile(&changed).map(drop).unwrap_err()
    };
    let schema = "/paths/~1things/get/parameters/0/schema";
    for (error, at) in [
        (with("/openapi", json!("3.0.3")), "/openapi: expected an OpenAPI document of version 3.1"),
        (with("/openapi", json!("2.0")), "/openapi: "),
        (with("/paths", json!({})), "the document: expected at least one operation"),
        (
            with(schema, json!({"$ref": "other.yaml#/a"})),
            &format!("{schema}/$ref: expected a reference within"),
        ),
        (with(schema, json!({"$ref": "http://a.example/a"})), &format!("{schema}/$ref: ")),
        (with(schema, json!({"$ref": "#/nowhere"})), &format!("{schema}: #/nowhere leads nowhere")),
        (
            with(schema, json!({"type": "integer", "minimum": "x"})),
            &format!("{schema}/minimum: not a usable schema: expected a number"),
        ),
        (
            with(schema, json!({"type": "object"})),
            &format!("{schema}: expected `properties` or `additionalProperties`"),
        ),
        (
            with("/paths/~1things~1{id}/parameters/0/schema", json!({"type": "object"})),
            "/paths/~1things~1{id}/parameters/0/schema: expected a type that a text",
        ),
        (
            with(schema, json!({"pattern": "(a)\\1"})),
            "the document: not a usable schema: expected a regular expression",
        ),
        (
            with("/components/schemas/Thing/required", json!(1)),
            "/components/schemas/Thing/required: not a usable schema: expected an array",
        ),
        (
            with("/components/parameters/Limit/in", json!("body")),
            "/components/parameters/Limit: expected `in`",
        ),
        (with("/servers/0/url", json!("{x}")), "/servers/0: expected a URL"),
        (
            with("/paths/~1things~1{id}/parameters", json!([])),
            "/paths/~1things~1{id}/get: expected the path's parameter id",
        ),
        (
            with("/paths/~1things/post/requestBody", json!(7)),
            "/paths/~1things/post/requestBody: expected an object",
        ),
    ] {
        let expected = format!("input.openapi: {at}");
        assert!(error.starts_with(&expected), "{error}\n is not {expected}");
    }
    // What only looks like a reference is let be.
    let mut changed = document();
    changed["components"]["schemas"]["Thing"]["example"] = json!({"$ref": "other.yaml"});
    changed["components"]["schemas"]["Thing"]["properties"]["$ref"] = json!({"type": "string"});
    assert!(compile(&changed).is_ok());
}

#[test]
fn all_errors_are_told_at_once() {
    let mut changed = document();
    changed["paths"]["/things"]["get"]["parameters"][0]["schema"] =
        json!({"type": "object", "properties": {"a": {"type": "object"}}});
    changed["paths"]["/things"]["get"]["parameters"][5]["style"] = json!("deepObject");
    changed["components"]["requestBodies"]["Thing"] = json!(7);
    changed["components"]["schemas"]["Thing"]["required"] = json!(1);
    changed["components"]["schemas"]["Other"] = json!({"$recursiveRef": "#"});
    changed["paths"]["/things/{id}"]["parameters"] = json!([{"name": "id", "in": "nowhere"}]);
    let error = compile(&changed).map(drop).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    for (line, expected) in [
        "/paths/~1things/get/parameters/0/schema/properties/a: expected a type",
        "  /components/requestBodies/Thing: expected an object",
        "  /paths/~1things/get/parameters/5/style: expected simple",
        "  /paths/~1things~1{id}/parameters/0: expected `in`",
        "  /components/schemas/Other/$recursiveRef: expected #",
        "  /components/schemas/Thing/required: not a usable schema: expected an array",
    ]
    .into_iter()
    .enumerate()
    {
        let told = |line: &&str| line.trim_start_matches("input.openapi:").trim().to_owned();
        let found = lines.iter().any(|line| told(line).starts_with(expected.trim()));
        assert!(found, "{line}: {expected} is not in {error}");
    }
    assert_eq!(lines.len(), 6, "{error}");

    let mut changed = document();
    for number in 0..50 {
        changed["components"]["schemas"][format!("S{number}")] = json!({"type": 1});
    }
    let error = compile(&changed).map(drop).unwrap_err();
    assert_eq!(error.lines().count(), 21, "{error}");
    assert!(error.ends_with("and 30 more"), "{error}");
}

#[test]
fn references_that_go_in_circles_come_to_an_end() {
    let mut changed = document();
    let parameters = &mut changed["components"]["parameters"];
    parameters["Limit"] = json!({"$ref": "#/components/parameters/Other"});
    parameters["Other"] = json!({"$ref": "#/components/parameters/Limit"});
    assert!(compile(&changed).unwrap_err().contains("references in a row"));
    let mut changed = document();
    changed["components"]["schemas"]["Thing"] = json!({"$ref": "#/components/schemas/Thing"});
    let _ = compile(&changed);
}

#[test]
fn large_documents_are_refused_and_repeated_references_cost_once() {
    let deep = (0..100).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
    let mut changed = document();
    changed["components"]["schemas"]["Thing"] = deep;
    assert!(compile(&changed).unwrap_err().contains("levels"));
    changed["components"]["schemas"]["Thing"] = json!({"anyOf": vec![json!({}); 250_000]});
    assert!(compile(&changed).unwrap_err().contains("values in all"));

    // 2^40 ways from the first to the last.
    let mut changed = document();
    for n in 0..40 {
        let next = format!("#/components/schemas/S{}", n + 1);
        changed["components"]["schemas"][format!("S{n}")] =
            json!({"properties": {"a": {"$ref": next}, "b": {"$ref": next}}});
    }
    changed["components"]["schemas"]["S40"] = json!({"type": "integer"});
    changed["components"]["schemas"]["Thing"] = json!({"$ref": "#/components/schemas/S0"});
    let begun = Instant::now();
    compile(&changed).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Every level has several readings, each of which looks at all levels below.
#[test]
fn alternatives_within_alternatives_take_no_exponential_time() {
    let mut changed = document();
    let reference = json!({"$ref": "#/components/schemas/Thing"});
    let of = |name: &str| {
        json!({"type": "object", "required": ["of", name],
               "properties": {"of": {"type": "array", "items": reference}}})
    };
    changed["components"]["schemas"]["Thing"] =
        json!({"oneOf": [of("a"), of("b"), of("c"), of("d"), {"type": "integer"}]});
    let api = compile(&changed).unwrap();
    let operation = api.operation(head_of(&api, "POST", "/v1/things", &[]).unwrap()).unwrap();
    let content = operation.content("application/json").unwrap();
    for leaf in [json!(1), json!("no integer")] {
        let body = (0..14).fold(leaf, |inner, _| json!({"of": [inner]}));
        let begun = Instant::now();
        let violations = api.violations(content, body);
        assert!(!violations.is_empty());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[cfg(feature = "yaml")]
#[test]
fn the_detector_s_own_document_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/scam-detector/openapi.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let api = compile(&crate::document::read_value("openapi.yaml", &text).unwrap()).unwrap();
    assert_eq!(api.operations.len(), 11);
    for (method, path) in [
        ("POST", "/v1/predict"),
        ("GET", "/v1/model"),
        ("HEAD", "/healthz"),
        ("GET", "/openapi.yaml"),
    ] {
        assert!(head_of(&api, method, path, &[]).is_ok(), "{path}");
    }
    let predict = api.operation(head_of(&api, "POST", "/v1/predict", &[]).unwrap()).unwrap();
    let content = predict.content("application/json").unwrap();
    assert!(api.check_value(content, json!({"text": "hello"})).is_ok());
    assert!(api.check_value(content, json!({"text": 1})).is_err());
    assert!(predict.response(200, "application/json").is_some());
    assert!(predict.response(422, "application/problem+json").is_some());
}

proptest! {
    #[test]
    fn any_request_has_an_answer(path in "/v1/things[/?&=a-z0-9%;,.~\\[\\]{}\"+_-]{0,40}", cookie in ".{0,20}") {
        let _ = head("GET", &path, &[("cookie", &cookie), ("x-trace", &cookie)]);
    }

    /// Any value, anywhere in a document, is an error at worst.
    #[test]
    fn any_document_is_read_or_refused(place in 0..200_usize, value in 0..8_usize) {
        let mut changed = document();
        let values = [json!(null), json!(1), json!("x"), json!([]), json!({}), json!([1, {"a": []}]),
                      json!({"$ref": "#"}), json!({"$ref": "#/paths"})];
        let mut count = 0;
        replace(&mut changed, place, &mut count, &values[value]);
        let _ = compile(&changed);
    }
}

/// Puts a value in the place of the one that is met as the `place`th.
fn replace(value: &mut Value, place: usize, count: &mut usize, with: &Value) {
    *count += 1;
    if *count == place {
        *value = with.clone();
        return;
    }
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(|value| replace(value, place, count, with));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|value| replace(value, place, count, with));
        }
        _ => {}
    }
}
