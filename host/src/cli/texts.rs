//! Texts by the line, as `screen` and `predict` take them.

use std::io::{BufReader, Read};

use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use crate::json_lines::{JsonLines, LineError};

/// The longest line, in bytes: more than any body may have, escaped.
const MAXIMUM_LINE_BYTES: usize = 16 << 20;

/// A text, and by what its answer is found again.
#[derive(Deserialize)]
pub(super) struct TextLine {
    #[serde(default)]
    pub(super) id: Value,
    pub(super) text: String,
}

/// Texts as they come. A line that is none is told on standard error, and the others are read all the same.
pub(super) struct TextLines<R> {
    lines: JsonLines<BufReader<R>>,
    unreadable: u64,
}

impl<R: Read> TextLines<R> {
    pub(super) fn new(input: R) -> Self {
        let lines = JsonLines::new(BufReader::new(input), MAXIMUM_LINE_BYTES);
        Self { lines, unreadable: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<TextLine>, Failure> {
        loop {
            match self.lines.next() {
                Ok(line) => return Ok(line),
                Err(error @ LineError::Line(_)) => {
                    self.unreadable += 1;
                    let number = self.lines.number();
                    eprintln!("line {number}: expected {{\"id\": …, \"text\": \"…\"}}: {error}");
                }
                Err(LineError::Input(error)) => {
                    return Err(Failure::runtime(format_args!("standard input: {error}")));
                }
            }
        }
    }

    /// Whether the next one would have to be waited for: then who sends text by text waits for an answer.
    pub(super) fn must_wait(&self) -> bool {
        self.lines.must_wait()
    }

    /// How many lines were none.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }
}
