//! Reading YAML (1.2, core schema) into the JSON data model, remembering where everything stood.
//!
//! JSON is read the same way, being YAML. What JSON cannot say — aliases, tags, keys that are not strings,
//! several documents — is refused, and so are duplicate keys: a document means one thing only.

use std::collections::BTreeMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, Span};
use serde_json::{Map, Value};

use super::{Document, DocumentError};
use crate::input::{JsonLimits, parse_json_placed};

/// The longest document that is read.
pub const MAXIMUM_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// How deep a document may nest.
const MAXIMUM_DEPTH: usize = 64;

/// How deep, and how large, JSON beside the document may be.
const MAXIMUM_JSON_DEPTH: u32 = 100;
const MAXIMUM_JSON_VALUES: u32 = 1_000_000;

/// Where each field stands: its line and column, from 1.
type Places = BTreeMap<String, (usize, usize)>;

/// A document together with the place of every field in its text.
#[derive(Debug, Clone)]
pub struct LocatedDocument {
    name: String,
    places: Places,
    /// The document.
    pub document: Document,
}

impl LocatedDocument {
    /// Reads a document from YAML or JSON text. `name` is the file's, for error messages.
    pub fn read(name: &str, text: &str) -> Result<Self, DocumentError> {
        let (value, places) = Loader::load(name, text)?;
        let document = serde_path_to_error::deserialize(&value).map_err(|error| {
            let field = error.path().to_string();
            let (line, column) = place_of(&places, &field);
            let message = error.into_inner().to_string();
            DocumentError::explained(name, field, &message).at(line, column)
        })?;
        Ok(Self { name: name.to_owned(), places, document })
    }

    /// An error about a field of this document, which names the line where it stands.
    pub fn error(&self, field: &str, message: impl Into<String>) -> DocumentError {
        let (line, column) = place_of(&self.places, field);
        DocumentError::new(&self.name, field, message).at(line, column)
    }

    /// The file's name, and the line and column (from 1) where a field stands, or the nearest thing around it that is in the text.
    pub fn place(&self, field: &str) -> (&str, usize, usize) {
        let (line, column) = place_of(&self.places, field);
        (&self.name, line, column)
    }
}

/// Another document that is written in YAML or JSON, as strictly read: an OpenAPI document.
///
/// # Errors
///
/// It is neither, it nests too deeply, or it says what has two meanings. Names the line.
pub fn read_value(name: &str, text: &str) -> Result<Value, DocumentError> {
    Loader::load(name, text).map(|(value, _)| value)
}

/// Another document that is written in JSON, read as strictly as bodies are: no member twice. A byte order mark, which some editors
/// write, is none of its text.
///
/// # Errors
///
/// It is not JSON, has a member twice, or is too large. Names the place.
pub fn read_json(name: &str, text: &str) -> Result<Value, DocumentError> {
    let limits = JsonLimits { max_depth: MAXIMUM_JSON_DEPTH, max_values: MAXIMUM_JSON_VALUES };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    parse_json_placed(text.as_bytes(), limits).map_err(|misread| {
        DocumentError::new(name, misread.at(), format!("expected {}", misread.error))
    })
}

/// The line and column of a field of a YAML or JSON text, or of the nearest thing around it; none where the text is neither.
pub(crate) fn place_in(text: &str, field: &str) -> Option<(usize, usize)> {
    let (_, places) = Loader::load("", text).ok()?;
    Some(place_of(&places, field))
}

/// The place of a field, or of the nearest thing around it that is in the text; (0, 0) where there is none.
fn place_of(places: &Places, field: &str) -> (usize, usize) {
    let mut path = if field == "." { "" } else { field };
    loop {
        if let Some(place) = places.get(path) {
            return *place;
        }
        let Some(end) = path.rfind(['.', '[']) else {
            return places.get("").copied().unwrap_or_default();
        };
        path = path.get(..end).unwrap_or_default();
    }
}

/// Builds a value from parser events.
struct Loader<'a> {
    name: &'a str,
    places: Places,
    open: Vec<Container>,
    root: Option<Value>,
}

/// A mapping or sequence that is not finished.
struct Container {
    path: String,
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Value>),
    /// With the key whose value comes next.
    Mapping(Map<String, Value>, Option<String>),
}

impl<'a> Loader<'a> {
    fn load(name: &'a str, text: &str) -> Result<(Value, Places), DocumentError> {
        if text.len() > MAXIMUM_DOCUMENT_BYTES {
            let message = format!("expected at most {MAXIMUM_DOCUMENT_BYTES} bytes");
            return Err(DocumentError::new(name, "", message));
        }
        let mut loader = Self { name, places: BTreeMap::new(), open: Vec::new(), root: None };
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| loader.error("", error.marker(), error.info()))?;
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    return Err(loader.error(
                        "",
                        &span.start,
                        "expected one document, found another",
                    ));
                }
            }
            loader.take(event, span)?;
        }
        let root = loader.root.take();
        let root = root.ok_or_else(|| DocumentError::new(name, "", "the document is empty"))?;
        Ok((root, loader.places))
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), DocumentError> {
        match event {
            Event::Alias(_) => {
                let path = self.next_path();
                Err(self.error(&path, &span.start, "aliases are not supported, repeat the value"))
            }
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    return Err(self.unsupported_tag(span));
                }
                if let Some(Container { kind: Kind::Mapping(_, key @ None), .. }) =
                    self.open.last_mut()
                {
                    *key = Some(text.into_owned());
                    return self.note_key(span);
                }
                let path = self.begin(span);
                let value = match Scalar::parse_from_cow_and_metadata(text, style, None) {
                    Some(Scalar::Null) | None => Value::Null,
                    Some(Scalar::Boolean(value)) => value.into(),
                    Some(Scalar::Integer(value)) => value.into(),
                    Some(Scalar::FloatingPoint(value)) => {
                        let message = "expected a finite number";
                        let number = serde_json::Number::from_f64(value.into_inner());
                        number.ok_or_else(|| self.error(&path, &span.start, message))?.into()
                    }
                    Some(Scalar::String(text)) => text.into_owned().into(),
                };
                self.put(value);
                Ok(())
            }
            Event::SequenceStart(_, tag) => {
                self.open(Kind::Sequence(Vec::new()), tag.is_some(), span)
            }
            Event::MappingStart(_, tag) => {
                self.open(Kind::Mapping(Map::new(), None), tag.is_some(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(container) = self.open.pop() {
                    self.put(match container.kind {
                        Kind::Sequence(items) => Value::Array(items),
                        Kind::Mapping(members, _) => Value::Object(members),
                    });
                }
                Ok(())
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, kind: Kind, tagged: bool, span: Span) -> Result<(), DocumentError> {
        if tagged {
            return Err(self.unsupported_tag(span));
        }
        if let Some(Container { kind: Kind::Mapping(_, None), path }) = self.open.last() {
            return Err(self.error(&path.clone(), &span.start, "expected a string as key"));
        }
        let path = self.begin(span);
        if self.open.len() >= MAXIMUM_DEPTH {
            let message = format!("expected at most {MAXIMUM_DEPTH} levels");
            return Err(self.error(&path, &span.start, &message));
        }
        self.open.push(Container { path, kind });
        Ok(())
    }

    /// Notes where the value that comes now stands, and answers its path. A member stands where its key does.
    fn begin(&mut self, span: Span) -> String {
        let path = self.next_path();
        self.places.entry(path.clone()).or_insert(place(&span.start));
        path
    }

    fn note_key(&mut self, span: Span) -> Result<(), DocumentError> {
        let path = self.next_path();
        if self.places.insert(path.clone(), place(&span.start)).is_some() {
            return Err(self.error(&path, &span.start, "this field is there twice"));
        }
        Ok(())
    }

    /// The path of the value that comes next.
    fn next_path(&self) -> String {
        match self.open.last() {
            None => String::new(),
            Some(Container { path, kind: Kind::Sequence(items) }) => {
                format!("{path}[{}]", items.len())
            }
            Some(Container { path, kind: Kind::Mapping(_, key) }) => {
                let key = key.as_deref().unwrap_or("?");
                if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
            }
        }
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut().map(|container| &mut container.kind) {
            None => self.root = Some(value),
            Some(Kind::Sequence(items)) => items.push(value),
            Some(Kind::Mapping(members, key)) => {
                if let Some(key) = key.take() {
                    members.insert(key, value);
                }
            }
        }
    }

    fn unsupported_tag(&self, span: Span) -> DocumentError {
        self.error(&self.next_path(), &span.start, "tags are not supported")
    }

    fn error(&self, path: &str, marker: &Marker, message: &str) -> DocumentError {
        let (line, column) = place(marker);
        DocumentError::new(self.name, path, message).at(line, column)
    }
}

/// Line and column from 1.
fn place(marker: &Marker) -> (usize, usize) {
    (marker.line(), marker.col() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Value, String> {
        Loader::load("p.yaml", text).map(|(value, _)| value).map_err(|error| error.to_string())
    }

    fn read(text: &str) -> String {
        LocatedDocument::read("p.yaml", text).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_json_can_say() {
        let value = load("a: [1, 2.5, true, ~, \"1\", x y]\nb:\n  - c: {d: e}\n").unwrap();
        let expected = serde_json::json!({
            "a": [1, 2.5, true, null, "1", "x y"],
            "b": [{"c": {"d": "e"}}],
        });
        assert_eq!(value, expected);
        assert_eq!(
            load("{\"a\": [1, {\"b\": null}]}").unwrap(),
            serde_json::json!({"a": [1, {"b": null}]})
        );
    }

    #[test]
    fn refuses_what_has_two_meanings() {
        assert_eq!(
            load("a: 1\nb: 2\na: 3\n").unwrap_err(),
            "p.yaml:3:1: a: this field is there twice"
        );
        assert!(load("a: &x 1\nb: *x\n").unwrap_err().starts_with("p.yaml:2:4: b: aliases"));
        assert!(load("a: !!int 1\n").unwrap_err().contains("tags are not supported"));
        assert!(load("a: 1\n---\nb: 2\n").unwrap_err().contains("expected one document"));
        assert!(load("? [a]\n: 1\n").unwrap_err().contains("expected a string as key"));
        assert!(load("").unwrap_err().contains("empty"));
        assert!(load("a: .inf").unwrap_err().contains("finite"));
        assert!(load(&"[".repeat(5000)).is_err());
        assert!(load("a: [1, 2\n").is_err());
    }

    #[test]
    fn errors_say_what_to_write() {
        let of = |text: &str| read(&format!("version: 1\nroutes: []\n{text}\n"));
        for (text, expected) in [
            (
                "input: { max_body_bytes: 64KB }",
                "input.max_body_bytes: invalid type: string \"64KB\", expected a number of bytes, such as 65536",
            ),
            (
                "input: { json: { max_depth: deep } }",
                "input.json.max_depth: invalid type: string \"deep\", expected a whole number",
            ),
            (
                "redaction: { key: abc }",
                "redaction.key: invalid type: string \"abc\", expected { env: NAME }, the name of an environment variable",
            ),
            (
                "output: { canaries: [abc] }",
                "output.canaries[0]: invalid type: string \"abc\", expected { env: NAME }, the name of an environment variable",
            ),
            (
                "input: 7",
                "input: invalid type: integer `7`, expected fields, such as { name: value }",
            ),
            (
                "limits: [{ name: a, key: subnet }]",
                "limits[0].key: a name alone, expected the name with its value, such as { name: value }",
            ),
            (
                "identity: { jwt: { issuers: [{ issuer: a, audiences: [b], jwks: {} }] } }",
                "jwks: none, or several, expected one name and its value, such as { name: value }",
            ),
            (
                "roles: { caller: }",
                "roles.caller: nothing stands here, expected fields, such as { name: value }",
            ),
            (
                "penalty: { exempt: [10.0.0.1] }",
                "penalty.exempt[0]: expected a network, such as 10.0.0.0/8, 10.0.0.1/32 or 2001:db8::/32",
            ),
            (
                "input: { content_types: application/json }",
                "input.content_types: invalid type: string \"application/json\", expected a list, such as [a, b]",
            ),
        ] {
            let error = of(text);
            assert!(error.ends_with(expected), "{error}\n is not {expected}");
        }
        for section in [
            "input: { screening: { personal_data: {KIND: mask} } }",
            "output: { personal_data: {KIND: mask} }",
        ] {
            for kind in ["email", "sql_injection", "canary", "file_metadata"] {
                let error = of(&section.replace("KIND", kind));
                let expected = format!(
                    "personal_data.{kind}: expected one of these kinds: email_address, phone_number, "
                );
                assert!(error.contains(&expected) && !error.contains("xss"), "{error}");
            }
            assert!(
                LocatedDocument::read(
                    "p",
                    &format!("version: 1\nroutes: []\n{}", section.replace("KIND", "iban"))
                )
                .is_ok()
            );
            let error = of(&section.replace("mask", "hide").replace("KIND", "iban"));
            assert!(
                error.contains(
                    "personal_data.iban: unknown variant `hide`, expected one of `allow`"
                ),
                "{error}"
            );
            let error = of(&section.replace("{KIND: mask}", "mask"));
            assert!(
                error.contains(
                    "personal_data: invalid type: string \"mask\", expected kinds and actions"
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn json_is_read_strictly() {
        assert_eq!(read_json("s", "\u{feff}{\"a\": 1}"), Ok(serde_json::json!({"a": 1})));
        for (text, error) in [
            ("{\"a\": {\"b\": 1, \"b\": 2}}", "s: /a/b: expected each member name once"),
            ("{\"a\": 1", "s: expected the rest of the JSON text, which ends at byte 7"),
            ("type: object", "s: expected a JSON value at byte 1"),
        ] {
            assert_eq!(read_json("s", text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn errors_name_line_field_and_expectation() {
        let error = read("version: 1\nroutes: []\nacess: {}\n");
        assert!(
            error.starts_with("p.yaml:3:1: acess: unknown field `acess`, expected one of"),
            "{error}"
        );
        let error = read("version: 1\nroutes:\n  - name: a\n    match: {path: 3}\n");
        assert_eq!(
            error,
            "p.yaml:4:13: routes[0].match.path: invalid type: integer `3`, expected a string"
        );
        let error = read("version: 2\nroutes: []\n");
        assert_eq!(error, "p.yaml:1:1: version: unknown version 2, expected 1");
        let error = read("version: 1\n");
        assert!(error.contains("missing field `routes`"), "{error}");
        let error = read("version: 1\nroutes: []\naccess:\n  networks:\n    deny: [300.1.1.1/8]\n");
        assert!(error.starts_with("p.yaml:5:12: access.networks.deny[0]: "), "{error}");
    }
}
