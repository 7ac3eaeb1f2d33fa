//! Files through whole exchanges: what the upstream gets, and what is told of it.

mod common;

use std::io::Cursor;
use std::sync::Arc;

use common::{Edits, Runtime, borrowed};
use portcullis_policy::{Policy, RequestHead, Stages, Step};
use serde_json::{Value, json};

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
const SECRET: &str = "taken by alice at 48.8584N 2.2945E";

/// What comes of a request, and its record.
fn judged(content_type: &str, body: &[u8]) -> (Step, Value) {
    let document = json!({
        "version": 1,
        "authorisation": {"require": "anonymous"},
        "input": {
            "content_types": ["application/json", "multipart/form-data"],
            "files": {"types": ["image/jpeg"]},
        },
        "routes": [{"name": "all", "match": {"prefix": "/"}}],
    });
    let secrets = std::collections::BTreeMap::new();
    let policy = Policy::from_json("policy", &document.to_string(), &secrets, Stages::ALL).unwrap();
    let mut runtime = Runtime::new();
    let mut exchange = Arc::new(policy).begin(runtime.now());
    let length = body.len().to_string();
    let fields = [
        (":method", "POST"),
        (":path", "/v1/images/edits"),
        (":authority", "api.example"),
        ("content-type", content_type),
        ("content-length", &length),
        ("content-digest", "sha-256=:AA==:"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let head = RequestHead { headers: &borrowed(&fields), has_body: true };
    let mut step = exchange.request_head(&head, &mut runtime);
    if step == Step::NeedBody {
        step = exchange.request_body(body, &mut runtime);
    }
    let record = exchange.finish(&mut runtime).unwrap();
    assert!(!record.contains("alice"), "a record holds what was in a file");
    (step, serde_json::from_str(&record).unwrap())
}

/// A picture with a comment.
fn photograph() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    let mut bytes = bytes.into_inner();
    let length = u16::try_from(SECRET.len() + 2).unwrap().to_be_bytes();
    let comment = [&[0xff, 0xfe], &length[..], SECRET.as_bytes()].concat();
    bytes.splice(2..2, comment);
    bytes
}

fn form(file: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nA white cat\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

#[test]
fn the_upstream_gets_the_picture_without_what_is_said_of_it() {
    let (step, record) = judged(&content_type(), &form(&photograph()));
    let Step::Rewrite(edits, body) = step else { panic!("{step:?}") };
    assert!(!body.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    let edits = Edits::from(edits);
    assert!(edits.set.contains(&("content-length".to_owned(), body.len().to_string())));
    assert!(edits.set.contains(&("portcullis-findings".to_owned(), "file_metadata".to_owned())));
    assert!(edits.removed.contains(&"content-digest".to_owned()));
    let detections = json!([{"kind": "file_metadata", "rule": "image/jpeg", "at": "/image"}]);
    assert_eq!(record["portcullis"]["detections"], detections);
    // The second time there is nothing to take out, and the body goes on byte for byte.
    let (step, record) = judged(&content_type(), &body);
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    assert_eq!(record["portcullis"]["detections"], Value::Null);
}

#[test]
fn refusals_say_what_was_expected_where() {
    let mut polyglot = photograph();
    polyglot.extend_from_slice(b"PK\x03\x04alice");
    let (step, record) = judged(&content_type(), &form(&polyglot));
    let Step::Respond(reply) = step else { panic!("{step:?}") };
    assert_eq!(reply.status, 422);
    assert_eq!(record["event"]["reason"], "file-refused");
    let finding = &record["portcullis"]["findings"][0];
    assert_eq!(finding["at"], "/image");
    assert_eq!(finding["expected"], "nothing behind the end of the file");

    let (step, record) = judged(&content_type(), b"--x--");
    assert!(matches!(step, Step::Respond(reply) if reply.status == 400));
    assert_eq!(record["event"]["reason"], "multipart-malformed");
    let (step, _) = judged("multipart/form-data", &form(&photograph()));
    assert!(matches!(step, Step::Respond(reply) if reply.status == 400));
}

#[test]
fn what_a_policy_cannot_say_is_told_by_its_field() {
    for (files, field) in [
        (json!({"types": []}), "input.files.types"),
        (json!({"types": ["image/bmp"]}), "input.files.types[0]"),
        (json!({"known_bad": ["00"]}), "input.files.known_bad[0]"),
        (json!({"places": ["raw"]}), "input.files.places[0]"),
        (json!({"metadata": "maybe"}), "input.files.metadata"),
        (json!({"svg": true}), "input.files"),
    ] {
        let document = json!({
            "version": 1,
            "authorisation": {"require": "anonymous"},
            "input": {"files": files},
            "routes": [{"name": "all", "match": {"prefix": "/"}}],
        });
        let error = common::gate::Gate::error(&document, &[]);
        assert!(error.contains(field), "{error}");
    }
}
