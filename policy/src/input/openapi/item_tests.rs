use serde_json::{Value, json};

use super::super::tests::{compile, head_of};

fn document() -> Value {
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let deep = json!([{"name": "deep", "in": "query", "schema": {"type": "boolean"}}]);
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/jobs?beta=true": {"post": {"parameters": deep}, "put": {}},
            "/jobs": {"get": {}, "post": {}},
            "/jobs/{id}": {"parameters": id, "get": {}, "delete": {}},
            "/jobs/{id}?beta=true": {"parameters": id, "get": {"parameters": deep}},
            "/jobs/{id}?beta=true&kind=a+b": {"parameters": id, "get": {}},
            "/jobs/new": {"get": {}},
            "/jobs/old?beta=true": {"get": {}},
            // Whoever reads the first of them is at the other operation.
            "/lists": {"get": {"parameters": [
                {"name": "beta", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
            ]}},
            "/lists?beta=true": {"get": {}},
        },
    })
}

/// The pointer of the operation that a request is for, or why it is refused.
fn asked(method: &str, path: &str) -> Result<String, (u16, String)> {
    let document = document();
    let api = compile(&document).unwrap();
    let index = head_of(&api, method, path, &[]).map_err(|(status, reason, findings)| {
        let at = findings.first().map(|(at, _)| format!(" {at}"));
        (status, format!("{reason}{}", at.unwrap_or_default()))
    })?;
    let mut number = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in super::METHODS {
            if item.get(method).is_some() {
                if number == index {
                    return Ok(format!("{method} {path}"));
                }
                number += 1;
            }
        }
    }
    panic!("no operation {index}");
}

#[test]
fn a_path_with_a_query_is_for_requests_that_have_it() {
    for (method, path, expected) in [
        ("POST", "/jobs", "post /jobs"),
        ("POST", "/jobs?beta=true", "post /jobs?beta=true"),
        ("POST", "/jobs?%62eta=tr%75e", "post /jobs?beta=true"),
        ("POST", "/jobs?deep=true&beta=true", "post /jobs?beta=true"),
        ("POST", "/jobs?&beta=true&", "post /jobs?beta=true"),
        ("PUT", "/jobs?beta=true", "put /jobs?beta=true"),
        ("GET", "/jobs", "get /jobs"),
        ("GET", "/jobs/7", "get /jobs/{id}"),
        ("HEAD", "/jobs/7?beta=true", "get /jobs/{id}?beta=true"),
        ("GET", "/jobs/7?beta=true&deep=false", "get /jobs/{id}?beta=true"),
        ("GET", "/jobs/7?beta=true&kind=a%20b", "get /jobs/{id}?beta=true&kind=a+b"),
        ("GET", "/jobs/7?kind=a+b&beta=true", "get /jobs/{id}?beta=true&kind=a+b"),
        ("GET", "/jobs/old?beta=true", "get /jobs/old?beta=true"),
        ("GET", "/lists?beta=a", "get /lists"),
        ("GET", "/lists?beta=a&beta[]=b", "refused"),
        ("GET", "/lists?beta=true", "get /lists?beta=true"),
    ] {
        match expected {
            "refused" => assert!(asked(method, path).is_err(), "{path}"),
            expected => assert_eq!(asked(method, path).as_deref(), Ok(expected), "{method} {path}"),
        }
    }
}

#[test]
fn no_other_request_gets_there() {
    for (method, path, status, reason) in [
        // Some take the first, and others the last.
        ("POST", "/jobs?beta=true&beta=false", 422, "parameter-invalid query/beta"),
        ("POST", "/jobs?beta=false&beta=true", 422, "parameter-invalid query/beta"),
        ("POST", "/jobs?beta=true&beta=true", 422, "parameter-invalid query/beta"),
        ("POST", "/jobs?beta=true&%62eta=true", 422, "parameter-invalid query/beta"),
        ("GET", "/lists?beta=true&beta=a", 422, "parameter-invalid query/beta"),
        ("GET", "/lists?beta=a&beta=true", 422, "parameter-invalid query/beta"),
        ("POST", "/jobs?beta=true;deep=true", 422, "parameter-invalid query"),
        // Other pairs than these are those of parameters, of which there is none.
        ("POST", "/jobs?beta=false", 400, "parameter-unknown query/beta"),
        ("POST", "/jobs?beta=True", 400, "parameter-unknown query/beta"),
        ("POST", "/jobs?beta=true%20", 400, "parameter-unknown query/beta"),
        ("POST", "/jobs?beta", 400, "parameter-unknown query/beta"),
        ("POST", "/jobs?Beta=true", 400, "parameter-unknown query/Beta"),
        ("POST", "/jobs?beta[]=true", 400, "parameter-unknown query/beta[]"),
        ("POST", "/jobs?beta=true&beta[]=false", 400, "parameter-unknown query/beta[]"),
        ("POST", "/jobs?deep=true", 400, "parameter-unknown query/deep"),
        ("POST", "/jobs?beta=true&other=1", 400, "parameter-unknown query/other"),
        ("POST", "/jobs?beta=true&deep=1", 422, "parameter-invalid query/deep"),
        ("GET", "/jobs/new?beta=true", 400, "parameter-unknown query/beta"),
        ("GET", "/jobs/7?kind=a+b", 400, "parameter-unknown query/kind"),
        ("GET", "/jobs/7?beta=true&kind=c", 400, "parameter-unknown query/kind"),
        // Methods are those of the one that is asked for, and of no other.
        ("GET", "/jobs?beta=true", 405, "method-unknown"),
        ("PUT", "/jobs", 405, "method-unknown"),
        ("DELETE", "/jobs/7?beta=true", 405, "method-unknown"),
        // It stays the path of what is there with the query alone, and is no value of a parameter.
        ("GET", "/jobs/old", 404, "path-unknown"),
        ("GET", "/jobs/old?beta=false", 404, "path-unknown"),
        ("POST", "/jobs%3Fbeta=true", 404, "path-unknown"),
    ] {
        assert_eq!(asked(method, path), Err((status, reason.to_owned())), "{method} {path}");
    }
}

#[test]
fn queries_that_can_not_be_told_apart_are_errors() {
    let with = |paths: &[&str]| {
        let paths: serde_json::Map<_, _> =
            paths.iter().map(|path| ((*path).to_owned(), json!({"get": {}}))).collect();
        compile(&json!({"openapi": "3.1.0", "paths": paths})).map(drop)
    };
    for path in [
        "/a?",
        "/a?b",
        "/a?b=1&",
        "/a?=1",
        "/a?b=1&b=2",
        "/a?b={c}",
        "/a?b=1;c=2",
        "/a?b=%ff",
        "/a?b=1?c=2",
    ] {
        let error = with(&["/a", path]).unwrap_err();
        assert!(error.contains("expected a query such as ?beta=true"), "{path}: {error}");
    }
    for paths in
        [&["/a?b=1", "/a?%62=1"][..], &["/a?b=1&c=1", "/a?c=1&b=1"], &["/a", "/a?b=1", "/a?c=1"]]
    {
        let error = with(paths).unwrap_err();
        assert!(error.contains("expected a query that does not hold together"), "{error}");
    }
    assert_eq!(with(&["/a?b=1", "/a?b=2", "/a?b=1&c=1", "/a?b=2&c=2"]), Ok(()));
    // Below other servers it would be another path.
    let mut changed = document();
    changed["paths"]["/jobs?beta=true"]["servers"] = json!([{"url": "/v2"}]);
    let error = compile(&changed).map(drop).unwrap_err();
    assert!(error.contains("expected the same servers"), "{error}");
}
