//! Requests from a file, one JSON object per line.

use std::io::{BufRead, Read as _};

use super::Request;

/// The longest line, in bytes: a body of a few MiB in base64.
const MAXIMUM_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Reads one request after the other. Blank lines are skipped; after an error nothing more comes.
pub struct RequestReader<R> {
    name: String,
    input: R,
    line: Vec<u8>,
    number: usize,
    ended: bool,
}

/// Why a line is no request, or there is no line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);

impl Request {
    /// Reads one request from a text that holds nothing else. It needs no id, and may have any number of lines.
    ///
    /// # Errors
    ///
    /// The text is no request. Names the line and the field.
    pub fn read(name: &str, text: &[u8]) -> Result<Self, ReadError> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let request = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let field = error.path().to_string();
            let inner = error.inner();
            let message = inner.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            let place = format!("{name}:{}:{}", inner.line(), inner.column());
            ReadError(match field.as_str() {
                "." | "?" => format!("{place}: {message}"),
                field => format!("{place}: {field}: {message}"),
            })
        })?;
        deserializer.end().map_err(|_| {
            ReadError(format!("{name}: expected one JSON object, and nothing after it"))
        })?;
        Ok(request)
    }
}

impl<R: BufRead> RequestReader<R> {
    /// `name` is the file's, for error messages.
    pub fn new(name: impl Into<String>, input: R) -> Self {
        Self { name: name.into(), input, line: Vec::new(), number: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<Request>, ReadError> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut limited = self.input.by_ref().take(MAXIMUM_LINE_BYTES as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.line);
            read.map_err(|error| self.error("", error))?;
            if self.line.is_empty() {
                return Ok(None);
            }
            if self.line.len() > MAXIMUM_LINE_BYTES {
                let expected = format!("expected a line of at most {MAXIMUM_LINE_BYTES} bytes");
                return Err(self.error("", expected));
            }
            if !self.line.trim_ascii().is_empty() {
                return self.parse().map(Some);
            }
        }
    }

    fn parse(&self) -> Result<Request, ReadError> {
        let mut deserializer = serde_json::Deserializer::from_slice(self.line.trim_ascii_end());
        let request: Request =
            serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
                let field = error.path().to_string();
                let message = error.inner().to_string();
                // The line that serde_json counts is always the first.
                let message = match message.split_once(" at line 1 column ") {
                    Some((message, column)) => format!("{message} (column {column})"),
                    None => message,
                };
                self.error(if matches!(field.as_str(), "." | "?") { "" } else { &field }, message)
            })?;
        deserializer.end().map_err(|_| self.error("", "expected one JSON object in a line"))?;
        if request.id.is_null() {
            return Err(self.error("", "missing field `id`"));
        }
        Ok(request)
    }

    fn error(&self, field: &str, message: impl std::fmt::Display) -> ReadError {
        let Self { name, number, .. } = self;
        ReadError(match field.is_empty() {
            true => format!("{name}:{number}: {message}"),
            false => format!("{name}:{number}: {field}: {message}"),
        })
    }
}

impl<R: BufRead> Iterator for RequestReader<R> {
    type Item = Result<Request, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
