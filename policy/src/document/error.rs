//! One error for everything that can be wrong with a document.

use std::fmt;

/// What is wrong with a policy document, where, and what was expected there.
///
/// Displays as `policy.yaml:12:5: routes[0].input.max_body_bytes: invalid type: string "big", expected a number of bytes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    file: String,
    place: Option<(usize, usize)>,
    field: String,
    message: String,
}

impl DocumentError {
    /// `field` is a path such as `routes[0].match.path`, empty for the document as a whole.
    pub(crate) fn new(file: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = field.into();
        let field = if field == "." { String::new() } else { field };
        Self { file: file.to_owned(), place: None, field, message: message.into() }
    }

    /// Lines and columns count from 1; 0 means unknown.
    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        self.place = (line > 0).then_some((line, column));
        self
    }

    /// What serde says of a value of the wrong type, in words for who writes the document.
    #[cfg(feature = "yaml")]
    pub(crate) fn explained(file: &str, field: String, message: &str) -> Self {
        if message == "invalid IP address syntax" {
            let expected = "expected a network, such as 10.0.0.0/8, 10.0.0.1/32 or 2001:db8::/32";
            return Self::new(file, field, expected);
        }
        let Some((found, expected)) = message.rsplit_once(", expected ") else {
            return Self::new(file, field, message);
        };
        let found = match found {
            "invalid type: null" | "invalid type: unit value" => "nothing stands here",
            "invalid type: unit variant" => "a name alone",
            "invalid value: map" => "none, or several",
            other => other,
        };
        let expected = match expected {
            "u8" | "u16" | "u32" | "u64" | "usize" if field.ends_with("bytes") => {
                "a number of bytes, such as 65536"
            }
            "u8" | "u16" | "u32" | "u64" | "usize" if field.ends_with("seconds") => {
                "a number of seconds, such as 60"
            }
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
            "f32" | "f64" => "a number",
            "a boolean" => "true or false",
            "a sequence" => "a list, such as [a, b]",
            "a map" => "names and values, such as { name: value }",
            "map with a single key" => "one name and its value, such as { name: value }",
            "newtype variant" => "the name with its value, such as { name: value }",
            other if other.starts_with("struct ") => "fields, such as { name: value }",
            other => other,
        };
        Self::new(file, field, format!("{found}, expected {expected}"))
    }

    /// The path of the field, empty for the document as a whole.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Line and column, from 1, where known.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentError {}
