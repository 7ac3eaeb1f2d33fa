//! Requests from a file, one JSON object per line.

use std::io::BufRead;

use super::Request;
use crate::json_lines::{JsonLines, LineError, Misread, read_object};

/// The longest line, in bytes: a body of a few MiB in base64.
const MAXIMUM_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Reads one request after the other. Blank lines are skipped; after an error nothing more comes.
pub struct RequestReader<R> {
    name: String,
    lines: JsonLines<R>,
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
        read_object(text).map_err(|misread| {
            ReadError(match misread.place {
                (0, _) => format!("{name}: {misread}"),
                (line, column) => format!("{name}:{line}:{column}: {misread}"),
            })
        })
    }
}

impl<R: BufRead> RequestReader<R> {
    /// `name` is the file's, for error messages.
    pub fn new(name: impl Into<String>, input: R) -> Self {
        let lines = JsonLines::new(input, MAXIMUM_LINE_BYTES);
        Self { name: name.into(), lines, ended: false }
    }

    fn read(&mut self) -> Result<Option<Request>, LineError> {
        let request: Option<Request> = self.lines.next()?;
        match request {
            Some(request) if request.id.is_null() => {
                Err(LineError::Line(Misread::whole("missing field `id`")))
            }
            other => Ok(other),
        }
    }
}

impl<R: BufRead> Iterator for RequestReader<R> {
    type Item = Result<Request, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self
            .read()
            .map_err(|error| ReadError(format!("{}:{}: {error}", self.name, self.lines.number())));
        let item = item.transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
