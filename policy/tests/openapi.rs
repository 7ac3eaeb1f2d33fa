//! What an OpenAPI document lets through, what compressed bodies become, and what is told of responses: whole exchanges.

mod common;

use std::io::Write as _;
use std::sync::Arc;

use common::{Runtime, borrowed};
use portcullis_policy::document::{OpenApiSource, read_value};
use portcullis_policy::{Exchange, HeaderEdit, Policy, RequestHead, Stage, Stages, Step};
use serde_json::{Value, json};

struct Gate {
    policy: Arc<Policy>,
    runtime: Runtime,
}

/// What the upstream gets.
#[derive(Debug)]
struct Sent {
    edits: Vec<HeaderEdit>,
    body: Option<Vec<u8>>,
    exchange: Exchange,
}

impl Gate {
    /// In front of the scam detector, as its own document describes it.
    fn new(input: Value, output: Value) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/scam-detector/openapi.yaml");
        Self::described_by(&std::fs::read_to_string(path).unwrap(), input, output)
    }

    fn described_by(text: &str, input: Value, output: Value) -> Self {
        let openapi = OpenApiSource::inline(read_value("openapi.yaml", text).unwrap());
        let mut all = json!({"openapi": openapi, "max_body_bytes": 4096});
        all.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        let document = json!({
            "version": 1,
            "authorisation": {"require": "anonymous"},
            "access": {"methods": ["GET", "HEAD", "POST", "PUT"]},
            "input": all,
            "output": output,
            "routes": [
                {"name": "status", "match": {"path": "/status"}, "input": {"openapi": "none"}},
                {"name": "all", "match": {"prefix": "/"}},
            ],
        });
        let policy = Policy::from_json(
            "policy",
            &document.to_string(),
            &std::collections::BTreeMap::<String, String>::new(),
            Stages::ALL,
        );
        Self { policy: Arc::new(policy.unwrap()), runtime: Runtime::new() }
    }

    fn plain() -> Self {
        Self::new(json!({}), json!({}))
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Sent, (u16, Value)> {
        let pseudo = [(":method", method), (":path", path), (":authority", "api.example")];
        let headers: Vec<(String, Vec<u8>)> = pseudo
            .iter()
            .chain(fields)
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        let mut exchange = self.policy.begin(self.runtime.now());
        let head = RequestHead { headers: &borrowed(&headers), has_body: !body.is_empty() };
        let step = exchange.request_head(&head, &mut self.runtime);
        let step = match step {
            Step::NeedBody => exchange.request_body(body, &mut self.runtime),
            step => step,
        };
        match step {
            Step::Continue(edits) => Ok(Sent { edits, body: None, exchange }),
            Step::Rewrite(edits, body) => Ok(Sent { edits, body: Some(body), exchange }),
            Step::Respond(reply) => {
                let mut problem: Value = serde_json::from_slice(&reply.body).unwrap();
                problem["headers"] =
                    reply.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                Err((reply.status, problem))
            }
            step => panic!("{step:?}"),
        }
    }

    fn refused(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, Value) {
        let (status, problem) = self.send(method, path, fields, body).map(drop).unwrap_err();
        let name = problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        (status, name, problem)
    }

    /// The record of an exchange with this response.
    fn answered(&mut self, sent: &mut Sent, fields: &[(&str, &str)], parts: &[&[u8]]) -> Value {
        let head: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        sent.exchange.response_head(&head);
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            assert_eq!(sent.exchange.response_body(part, is_last), None, "nothing is changed");
        }
        let record = sent.exchange.finish(&mut self.runtime).unwrap();
        serde_json::from_str(&record).unwrap()
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HELLO: &[u8] = br#"{"text": "hello"}"#;

#[test]
fn what_the_document_describes_goes_on() {
    let mut gate = Gate::plain();
    assert!(gate.send("POST", "/v1/predict", &[JSON], HELLO).unwrap().body.is_none());
    assert!(gate.send("GET", "/v1/model", &[], b"").is_ok());
    assert!(gate.send("HEAD", "/healthz", &[], b"").is_ok());
    assert!(gate.send("GET", "/v1/./model", &[], b"").is_ok());
    // A route that the document is not for.
    assert!(gate.send("GET", "/status?a=1", &[], b"").is_ok());
}

#[test]
fn everything_else_is_refused() {
    let mut gate = Gate::plain();
    let predict = "/v1/predict";
    for (method, path, fields, body, status, name) in [
        ("POST", "/v1/other", &[JSON][..], HELLO, 404, "path-unknown"),
        ("POST", "/v1/predict/", &[JSON], HELLO, 404, "path-unknown"),
        ("POST", "/v1%2fpredict", &[JSON], HELLO, 400, "path-invalid"),
        ("PUT", predict, &[JSON], HELLO, 405, "method-unknown"),
        ("GET", predict, &[], b"", 405, "method-unknown"),
        ("POST", "/v1/predict?debug=1", &[JSON], HELLO, 400, "parameter-unknown"),
        ("POST", predict, &[], HELLO, 415, "content-type-unsupported"),
        (
            "POST",
            predict,
            &[("content-type", "text/plain")],
            HELLO,
            415,
            "content-type-unsupported",
        ),
        (
            "POST",
            predict,
            &[("content-type", "application/json; charset=utf-16")],
            HELLO,
            415,
            "content-type-unsupported",
        ),
        ("POST", predict, &[JSON], b"", 400, "body-missing"),
        ("POST", predict, &[JSON], b"{}", 422, "schema-violated"),
        ("POST", predict, &[JSON], br#"{"text": 1}"#, 422, "schema-violated"),
        ("POST", predict, &[JSON], br#"{"text": "a", "text": "b"}"#, 400, "json-invalid"),
        ("GET", "/v1/model", &[JSON], HELLO, 422, "schema-violated"),
        (
            "POST",
            predict,
            &[JSON, ("x-http-method-override", "DELETE")],
            HELLO,
            400,
            "header-conflict",
        ),
    ] {
        let (found, reason, problem) = gate.refused(method, path, fields, body);
        assert_eq!((found, reason.as_str()), (status, name), "{method} {path}: {problem}");
    }
    let (_, _, problem) = gate.refused("POST", predict, &[JSON], br#"{"text": 1}"#);
    assert_eq!(problem["errors"][0]["at"], "/text");
    assert!(problem["errors"][0]["expected"].as_str().unwrap().contains("string"));
    let (_, _, problem) = gate.refused("PUT", "/v1/model", &[], b"");
    assert!(problem["headers"].to_string().contains("allow: GET, HEAD"), "{problem}");
    let (_, _, problem) = gate.refused("GET", "/v1/model?a=1", &[], b"");
    assert_eq!(problem["errors"][0]["at"], "query/a");
}

/// As web frameworks describe forms.
const FORMS: &str = r##"
openapi: 3.1.0
info: { title: Forms, version: "1" }
paths:
  /upload:
    post:
      requestBody:
        content:
          multipart/form-data:
            schema: { $ref: "#/components/schemas/Upload" }
            encoding: { picture: { contentType: image/png } }
  /form:
    post:
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [a]
              properties:
                a: { type: integer }
                b: { type: array, items: { type: string }, maxItems: 3 }
components:
  schemas:
    Upload:
      type: object
      required: [file]
      additionalProperties: false
      properties:
        file: { type: string, contentMediaType: application/octet-stream }
        picture: { type: string, format: binary }
        more: { type: array, items: { type: string, format: binary }, maxItems: 2 }
        n: { type: integer }
        tags: { type: array, items: { type: string, maxLength: 3 } }
"##;

/// The smallest PDF that is one.
fn pdf() -> Vec<u8> {
    let objects = "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n";
    let head = "%PDF-1.4\n";
    let second = head.len() + objects.find("2 0 obj").unwrap();
    let start = head.len() + objects.len();
    format!(
        "{head}{objects}xref\n0 3\n0000000000 65535 f \n{:010} 00000 n \n{second:010} 00000 n \n\
         trailer\n<</Size 3/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n",
        head.len()
    )
    .into_bytes()
}

fn png() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(2, 2).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

#[test]
fn forms_are_what_is_described() {
    let files = json!({"files": {"types": ["image/png", "application/pdf"]}});
    let mut gate = Gate::described_by(FORMS, files, json!({}));
    let file = |name: &str, bytes: &[u8]| {
        let kind = if bytes.starts_with(b"%PDF") { "pdf" } else { "png" };
        let head = format!("{name}\"; filename=\"a.{kind}\"\r\n\r\n");
        [head.as_bytes(), bytes].concat()
    };
    let text = |name: &str, text: &str| format!("{name}\"\r\n\r\n{text}").into_bytes();
    let (pdf, png) = (pdf(), png());
    let form = ("content-type", "multipart/form-data; boundary=b0und");
    let mut send = |parts: &[Vec<u8>]| {
        let mut body = Vec::new();
        for part in parts {
            body.extend(b"--b0und\r\nContent-Disposition: form-data; name=\"");
            body.extend(part);
            body.extend(b"\r\n");
        }
        body.extend(b"--b0und--\r\n");
        let sent = gate.send("POST", "/upload", &[form], &body);
        sent.map(drop).map_err(|(status, problem)| {
            let error = &problem["errors"][0];
            let told = |name: &str| error[name].as_str().unwrap().to_owned();
            (status, told("at"), told("expected"))
        })
    };
    let wanted = || file("file", &png);
    assert_eq!(send(&[wanted()]), Ok(()));
    let all =
        [wanted(), text("n", "7"), text("tags", "a"), text("tags", "b"), file("picture", &png)];
    assert_eq!(send(&all), Ok(()));
    assert_eq!(send(&[wanted(), file("more", &png), file("more", &pdf)]), Ok(()));
    // As many clients write what there may be several of.
    assert_eq!(send(&[wanted(), text("tags[]", "a"), text("tags[]", "b")]), Ok(()));
    for (parts, at, expected) in [
        (vec![wanted(), text("tags[]", "long")], "/tags/0", "a string of at most 3 characters"),
        (vec![wanted(), text("n[]", "1")], "/n[]", "no such field"),
        (vec![wanted(), text("tags[a]", "a")], "/tags[a]", "no such field"),
        (vec![text("n", "1")], "", "the member `file`"),
        (vec![text("file", "abc")], "/file", "a file, with a file name"),
        (vec![wanted(), text("n", "abc")], "/n", "an integer"),
        (vec![wanted(), file("n", &png)], "/n", "text, and no file name"),
        (
            vec![wanted(), text("tags", "a"), text("tags", "long")],
            "/tags/1",
            "a string of at most 3 characters",
        ),
        (vec![wanted(), file("picture", &pdf)], "/picture", "a file of image/png"),
        (vec![wanted(), text("_method", "DELETE")], "/_method", "no such field"),
        (
            vec![wanted(), file("more", &png), file("more", &png), file("more", &png)],
            "/more",
            "an array of at most 2 items",
        ),
    ] {
        let refused = (422, at.to_owned(), expected.to_owned());
        assert_eq!(send(&parts), Err(refused));
    }
    let (status, at, expected) = send(&[wanted(), text("zz", "1")]).unwrap_err();
    assert_eq!((status, at.as_str()), (422, "/zz"));
    assert!(expected.starts_with("no member of this name, but one of `"), "{expected}");
    // What is no list is there once.
    assert_eq!(send(&[wanted(), wanted()]).unwrap_err().0, 400);
    assert_eq!(send(&[wanted(), text("n", "1"), text("n", "2")]).unwrap_err().0, 400);
    assert_eq!(send(&[wanted(), text("tags", "a"), text("Tags", "b")]).unwrap_err().0, 400);

    let form = ("content-type", "application/x-www-form-urlencoded");
    for body in ["a=1", "a=1&b=x", "b=x&a=1&b=y", "a=1&b=%3B", "a=1&b[]=x&b%5B%5D=y"] {
        assert!(gate.send("POST", "/form", &[form], body.as_bytes()).is_ok(), "{body}");
    }
    for (body, status, at) in [
        ("b=x", 422, ""),
        ("a=x", 422, "/a"),
        ("a=1&b=1&b=2&b=3&b=4", 422, "/b"),
        ("a=1&b[]=1&b[]=2&b[]=3&b[]=4", 422, "/b"),
        ("a=1&b[]=x&b=y", 422, "/b"),
        ("a=1&a[b]=2", 422, "/a[b]"),
        ("a=1&a=2", 400, ""),
        ("a=1;a=2", 400, ""),
        ("a=1&b=x;b=y", 400, ""),
    ] {
        let (found, _, problem) = gate.refused("POST", "/form", &[form], body.as_bytes());
        assert_eq!((found, problem["errors"][0]["at"].as_str()), (status, Some(at)), "{body}");
    }
}

/// As OpenAI's own document has them.
const VARIANTS: &str = r##"
openapi: 3.1.0
info: { title: Variants, version: "1" }
paths:
  /responses:
    post: { requestBody: { $ref: "#/components/requestBodies/Text" } }
    get:
      parameters:
        - { name: metadata, in: query, style: deepObject, schema: { type: object, nullable: true, additionalProperties: { type: string } } }
  /responses?beta=true:
    post: { requestBody: { $ref: "#/components/requestBodies/Filter" } }
components:
  requestBodies:
    Text: { content: { application/json: { schema: { type: object, required: [text], properties: { text: { type: string, nullable: true } } } } } }
    Filter: { content: { application/json: { schema: { $ref: "#/components/schemas/Filter" } } } }
  schemas:
    Filter: { $recursiveAnchor: true, type: object, required: [all], properties: { all: { type: array, items: { $recursiveRef: "#" } } } }
"##;

#[test]
fn a_query_says_which_operation_is_asked_for() {
    let mut gate = Gate::described_by(VARIANTS, json!({}), json!({}));
    let (text, filter) = (&br#"{"text": null}"#[..], &br#"{"all": [{"all": []}]}"#[..]);
    for (path, body) in [("/responses", text), ("/responses?beta=true", filter)] {
        assert!(gate.send("POST", path, &[JSON], body).is_ok(), "{path}");
    }
    for path in ["/responses?metadata[a]=b", "/responses?metadata=null"] {
        assert!(gate.send("GET", path, &[], b"").is_ok(), "{path}");
    }
    for (method, path, body, status, name) in [
        ("POST", "/responses", filter, 422, "schema-violated"),
        ("POST", "/responses?beta=true", text, 422, "schema-violated"),
        ("POST", "/responses?beta=true", br#"{"all": [{"text": 1}]}"#, 422, "schema-violated"),
        ("POST", "/responses?beta=true&beta=false", text, 422, "parameter-invalid"),
        ("POST", "/responses?beta=false&%62eta=true", filter, 422, "parameter-invalid"),
        ("POST", "/responses?beta=false", text, 400, "parameter-unknown"),
        ("GET", "/responses?beta=true", b"", 405, "method-unknown"),
        ("GET", "/responses?metadata[a]=b&metadata[A]=c", b"", 422, "parameter-invalid"),
        ("GET", "/responses?metadata[a][b]=c", b"", 400, "parameter-unknown"),
    ] {
        let (found, reason, problem) = gate.refused(method, path, &[JSON], body);
        assert_eq!((found, reason.as_str()), (status, name), "{method} {path}: {problem}");
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[test]
fn compressed_bodies_are_refused_unless_they_are_to_be_decoded() {
    let (status, name, problem) =
        Gate::plain().refused("POST", "/v1/predict", &[JSON, GZIP], &gzip(HELLO));
    assert_eq!((status, name.as_str()), (415, "content-encoding-unsupported"));
    assert!(problem["headers"].to_string().contains("accept-encoding: identity"));

    let mut gate = Gate::new(json!({"content_encoding": "decode"}), json!({}));
    let digest = ("content-digest", "sha-256=:AA==:");
    let sent = gate.send("POST", "/v1/predict", &[JSON, GZIP, digest], &gzip(HELLO)).unwrap();
    assert_eq!(sent.body.as_deref(), Some(HELLO));
    let removed = |name: &str| sent.edits.contains(&HeaderEdit::Remove(name.to_owned()));
    assert!(removed("content-encoding") && removed("content-digest"));
    let length = HeaderEdit::Set("content-length".to_owned(), HELLO.len().to_string());
    assert!(sent.edits.contains(&length));
}

#[test]
fn what_is_in_a_compressed_body_is_judged() {
    let mut gate = Gate::new(json!({"content_encoding": "decode"}), json!({}));
    let mut refused = |coding: &str, body: &[u8]| {
        let coding = ("content-encoding", coding);
        let (status, name, _) = gate.refused("POST", "/v1/predict", &[JSON, coding], body);
        (status, name)
    };
    let name = |status, name: &str| (status, name.to_owned());
    assert_eq!(refused("gzip", &gzip(br#"{"text": 1}"#)), name(422, "schema-violated"));
    assert_eq!(refused("gzip", &gzip(&[b' '; 5000])), name(413, "body-too-large"));
    assert_eq!(refused("gzip", &gzip(b"")), name(400, "body-missing"));
    let whole = gzip(HELLO);
    let invalid = name(400, "content-encoding-invalid");
    assert_eq!(refused("gzip", &whole[..whole.len() - 1]), invalid);
    assert_eq!(refused("gzip", &[&whole[..], &whole].concat()), invalid);
    assert_eq!(refused("gzip", &gzip(&whole)), name(400, "json-invalid"));
    assert_eq!(refused("br", &whole), invalid);
    let unsupported = name(415, "content-encoding-unsupported");
    for coding in ["deflate", "gzip;q=1", ""] {
        assert_eq!(refused(coding, &whole), unsupported, "{coding}");
    }
    for coding in ["gzip, gzip", "identity, gzip"] {
        assert_eq!(refused(coding, &whole), name(400, "header-conflict"), "{coding}");
    }
}

#[test]
fn responses_are_compared_with_what_is_described() {
    let mut gate = Gate::new(json!({}), json!({"schema": "openapi"}));
    let json = ("content-type", "application/json");
    let good =
        br#"{"label": "ham", "probability": 0.1, "threshold": 0.5, "adversarial": false, "model": {"name": "a", "version": "1",
        "sha256": "0123456789012345678901234567890123456789012345678901234567890123"}}"#;
    for (status, body, at) in [
        ("200", &good[..], json!(null)),
        (
            "200",
            // There are two forms of an answer, and which one this was to be is not known.
            br#"{"label": "spam", "probability": 0.1, "threshold": 0.5, "model": {}}"#,
            json!(""),
        ),
        ("200", b"no json", json!("")),
        ("503", b"{}", json!(null)),
    ] {
        let mut sent = gate.send("POST", "/v1/predict", &[JSON], HELLO).unwrap();
        let record = gate.answered(&mut sent, &[(":status", status), json], &[body, b""]);
        let found = &record["portcullis"]["response_schema"];
        assert_eq!(found.get(0).map_or(json!(null), |found| found["at"].clone()), at, "{record}");
        assert_eq!(record["event"]["outcome"], "success");
        assert_eq!(sent.exchange.response_violations().next().is_some(), !at.is_null());
    }
    let mut sent = gate.send("POST", "/v1/predict", &[JSON], HELLO).unwrap();
    let record =
        gate.answered(&mut sent, &[(":status", "200"), json, GZIP], &[&gzip(b"{\"label\": 1}")]);
    assert!(record["portcullis"]["response_schema"].is_array(), "{record}");
    // Without it nobody asks for the body.
    let mut gate = Gate::plain();
    let mut sent = gate.send("POST", "/v1/predict", &[JSON], HELLO).unwrap();
    sent.exchange.response_head(&[(":status", b"200"), ("content-type", b"application/json")]);
    assert!(!sent.exchange.wants_response_body());
}

/// Where few bytes cost little, many should not come in them.
#[test]
fn limits_count_what_is_in_a_compressed_body() {
    let document = json!({
        "version": 1,
        "authorisation": {"require": "anonymous"},
        "limits": [{"name": "tokens", "key": "route", "requests": 100, "per_seconds": 60, "cost": "text_tokens"}],
        "input": {"content_encoding": "decode", "max_expansion": 1000},
        "routes": [{"name": "all", "match": {"prefix": "/"}}],
    });
    let text = format!("{{\"text\": \"{}\"}}", "a".repeat(5000));
    for (stages, reason) in [
        (Stages::ALL, "rate-exceeded"),
        // Whoever comes later would see more than this one.
        (Stages::of(&[Stage::Access, Stage::Limits]), "content-encoding-unsupported"),
    ] {
        let secrets = std::collections::BTreeMap::<String, String>::new();
        let policy = Policy::from_json("policy", &document.to_string(), &secrets, stages);
        let mut gate = Gate { policy: Arc::new(policy.unwrap()), runtime: Runtime::new() };
        let (_, name, _) = gate.refused("POST", "/", &[JSON, GZIP], &gzip(text.as_bytes()));
        assert_eq!(name, reason);
        assert!(gate.send("POST", "/", &[JSON], HELLO).is_ok());
    }
}
