//! One error for everything that can be wrong with a document.

use std::fmt;

/// What is wrong with a policy document, where, and what was expected there.
///
/// Displays as `policy.yaml:12:5: routes[0].input.max_body_bytes: invalid type: string "big", expected u32`.
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
