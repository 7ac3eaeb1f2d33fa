//! Files of keys: what `portcullis key` edits and servers serve.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::check_routes;
use super::list::KeyList;
use crate::document::{ApiKeyEntry, ApiKeyFile, Document, DocumentError};
use crate::policy::CompileError;

impl ApiKeyFile {
    /// The longest file, in bytes.
    pub const MAXIMUM_BYTES: usize = 1024 * 1024;

    /// The most keys in a file.
    pub const MAXIMUM_KEYS: usize = 20_000;

    /// Reads a file, JSON. Strictly: a member that is misspelt would leave a key good that is not meant to be. `name` is the
    /// file's, for the error, which has the place of what is wrong as far as it is known.
    pub fn read(name: &str, text: &str) -> Result<Self, DocumentError> {
        let file = Self::parse(name, text)?;
        file.compile().map_err(|error| located(name, text, &error.field, error.message))?;
        Ok(file)
    }

    /// Whether every entry is one that a gate takes, each id is there once, and they are not too many.
    pub fn check(&self) -> Result<(), CompileError> {
        self.compile().map(drop)
    }

    /// Reads a file whose entries are not checked yet.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, DocumentError> {
        if text.len() > Self::MAXIMUM_BYTES {
            let message = format!("expected at most {} bytes", Self::MAXIMUM_BYTES);
            return Err(DocumentError::new(name, "", message));
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let file: Object<ObjectsOnly> = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| {
                let field = error.path().to_string();
                let inner = error.into_inner();
                DocumentError::new(name, field, inner.to_string()).at(inner.line(), inner.column())
            })?;
        deserializer.end().map_err(|error| {
            DocumentError::new(name, "", error.to_string()).at(error.line(), error.column())
        })?;
        Ok(Self { keys: file.0.keys.into_iter().map(|entry| entry.0).collect() })
    }

    /// The list of the file's keys.
    pub(super) fn compile(&self) -> Result<KeyList, CompileError> {
        KeyList::compile(&self.keys, Self::MAXIMUM_KEYS, "keys")
    }
}

impl Document {
    /// Puts the keys of a file into `identity.api_keys.keys`, in place of its name. Checks what can only be checked together:
    /// that every id is there once, and that the keys' routes exist.
    pub fn take_api_keys(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        let file = ApiKeyFile::read(name, text)?;
        let Some(section) = &mut self.identity.api_keys else { return Ok(()) };
        let known: BTreeSet<&str> = section.keys.iter().map(|entry| entry.id.as_str()).collect();
        if let Some(index) = file.keys.iter().position(|entry| known.contains(entry.id.as_str())) {
            let message = "expected an id that no key of the policy document has";
            return Err(located(name, text, &format!("keys[{index}].id"), message.to_owned()));
        }
        check_routes(&file.keys, &self.routes, "keys")
            .map_err(|error| located(name, text, &error.field, error.message))?;
        section.keys.extend(file.keys);
        section.file = None;
        Ok(())
    }
}

#[cfg(feature = "yaml")]
fn located(name: &str, text: &str, field: &str, message: String) -> DocumentError {
    let (line, column) = crate::document::place_in(text, field).unwrap_or_default();
    DocumentError::new(name, field, message).at(line, column)
}

#[cfg(not(feature = "yaml"))]
fn located(name: &str, _: &str, field: &str, message: String) -> DocumentError {
    DocumentError::new(name, field, message)
}

/// [`ApiKeyFile`] in which an object is an object: serde takes an array for one, member by member.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectsOnly {
    keys: Vec<Object<ApiKeyEntry>>,
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"id":"aaaa","digest":"hmac-sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","owner":"batch"}"#;

    fn read(text: &str) -> Result<ApiKeyFile, String> {
        ApiKeyFile::read("keys.json", text).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_read_strictly() {
        assert_eq!(read(r#"{"keys":[]}"#).unwrap(), ApiKeyFile::default());
        let file = read(&format!(r#"{{"keys":[{ENTRY}]}}"#)).unwrap();
        assert_eq!(file.keys[0].owner, "batch");
        let entry = |from: &str, to: &str| format!(r#"{{"keys":[{}]}}"#, ENTRY.replace(from, to));
        for (text, expected) in [
            (String::new(), "keys.json:1:0: EOF"),
            ("{}".to_owned(), "missing field `keys`"),
            ("[]".to_owned(), "expected an object"),
            ("[[]]".to_owned(), "expected an object"),
            (
                r#"{"keys":[["aaaa","","b"]]}"#.to_owned(),
                "keys[0]: invalid type: sequence, expected an object",
            ),
            (r#"{"keys":[]} {}"#.to_owned(), "trailing characters"),
            (r#"{"keys":[],"keys":[]}"#.to_owned(), "duplicate field `keys`"),
            (
                format!(r#"{{"keys":[{ENTRY},{ENTRY}]}}"#),
                "keys[1].id: expected an id that no other key has",
            ),
            (entry("}", r#","revokd":true}"#), "keys[0].revokd: unknown field `revokd`"),
            (entry("}", r#","revoked":1}"#), "keys[0].revoked: invalid type"),
            (entry("}", r#","revoked":true,"revoked":false}"#), "duplicate field `revoked`"),
            (entry("}", r#","networks":["10.0.0.0/33"]}"#), "keys[0].networks[0]: invalid"),
            (entry("}", r#","expires":"soon"}"#), "keys[0].expires: expected a date and time"),
            (" ".repeat(ApiKeyFile::MAXIMUM_BYTES + 1), "expected at most 1048576 bytes"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected) && error.starts_with("keys.json"), "{error}");
        }
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn errors_name_the_line() {
        let bad = ENTRY.replace("batch\"", "batch\",\n \"expires\": \"soon\"");
        let error = read(&format!("{{\"keys\": [\n{},\n{bad}\n]}}", ENTRY.replace("aaaa", "bbbb")))
            .unwrap_err();
        assert!(error.starts_with("keys.json:4:2: keys[1].expires: expected"), "{error}");
    }
}
