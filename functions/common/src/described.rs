//! Answers beside the OpenAPI document that describes them, for the tests of components.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "only tests use this"
)]

use serde_json::{Value, json};

use crate::Reply;

/// An OpenAPI 3.1 document.
#[derive(Debug)]
pub struct Description(Value);

impl Description {
    /// # Panics
    ///
    /// It is no YAML.
    pub fn read(yaml: &[u8]) -> Self {
        let text = std::str::from_utf8(yaml).expect("UTF-8");
        // YAML 1.2, where `y` is no boolean.
        let options = serde_saphyr::options! { strict_booleans: true };
        let read = serde_saphyr::from_str_with_options(text, options);
        Self(read.expect("a description is YAML"))
    }

    /// Holds an answer to what is said of it: its status, its media type, and the schema of its body. What is answered where no
    /// path is described is not looked at.
    ///
    /// # Panics
    ///
    /// It is another one than described.
    pub fn holds(&self, method: &str, path: &str, reply: &Reply) {
        let Some(operations) = self.path(path) else { return };
        let operation = &operations[method.to_ascii_lowercase()];
        // HEAD is answered as GET is, without the body; a method that is not described is answered by 405, as any other's is.
        let Some(operation) = operation.as_object() else { return };
        let what = format!("{method} {path}: {}", reply.status);
        let response = &operation["responses"][reply.status.to_string()];
        assert!(response.is_object(), "{what} is not described");
        let response = self.resolved(response);
        let mut content_type = reply.headers.iter().filter(|(name, _)| *name == "content-type");
        let Some((_, content_type)) = content_type.next() else {
            assert!(response["content"].is_null(), "{what} has no content type");
            return;
        };
        let described = &response["content"][*content_type]["schema"];
        assert!(described.is_object(), "{what}: {content_type} is not described");
        if content_type.ends_with("json") && !content_type.ends_with("ndjson") {
            let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
            self.fits(described, &body, &what);
        }
    }

    fn path(&self, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object()?;
        let is_it = |described: &str| {
            let mut described = described.split('/');
            let mut steps = path.split('/');
            let same =
                |(described, step): (&str, &str)| described == step || described.starts_with('{');
            described.by_ref().zip(steps.by_ref()).all(same) && described.count() == steps.count()
        };
        paths.get(path).or_else(|| Some(paths.iter().find(|(described, _)| is_it(described))?.1))
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        self.0.pointer(reference.trim_start_matches('#')).expect("what is referred to is there")
    }

    fn fits(&self, schema: &Value, body: &Value, what: &str) {
        // References are to the document's components.
        let schema = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::draft202012::new(&schema).expect("a description has schemas");
        let errors: Vec<_> = validator.iter_errors(body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {errors:?} in {body}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &[u8] = b"
paths:
  /a/{id}:
    get:
      responses:
        '200':
          content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}
        '404': {$ref: '#/components/responses/Problem'}
components:
  schemas: {A: {type: object, required: [b]}}
  responses: {Problem: {content: {application/problem+json: {schema: {type: object}}}}}
";

    fn holds(path: &str, status: u16, content_type: &'static str, body: &str) -> bool {
        let headers = vec![("content-type", content_type)];
        let reply = Reply { status, headers, body: body.as_bytes().to_vec() };
        let held =
            std::panic::AssertUnwindSafe(|| Description::read(YAML).holds("GET", path, &reply));
        std::panic::catch_unwind(held).is_ok()
    }

    #[test]
    fn an_answer_is_as_described_or_it_is_told() {
        assert!(holds("/a/1", 200, "application/json", r#"{"b":1}"#));
        assert!(holds("/a/1", 404, "application/problem+json", "{}"));
        assert!(holds("/b", 200, "text/plain", ""));
        assert!(!holds("/a/1", 200, "application/json", r#"{"c":1}"#));
        assert!(!holds("/a/1", 201, "application/json", r#"{"b":1}"#));
        assert!(!holds("/a/1", 404, "application/json", "{}"));
    }
}
