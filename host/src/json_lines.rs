//! JSON Lines: an object in each line, and the lines bounded. Every command that takes many things at once reads them so.

use std::fmt;
use std::io::{BufRead, Read as _};

use serde::de::DeserializeOwned;

/// Reads one object after the other. Blank lines are skipped, but counted.
pub(crate) struct JsonLines<R> {
    input: R,
    line: Vec<u8>,
    maximum_bytes: usize,
    number: u64,
}

/// Why there is no object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The lines after this one can be read all the same.
    #[error("{}", in_line(.0))]
    Line(Misread),
    #[error("{0}")]
    Input(#[from] std::io::Error),
}

/// What is wrong with a text that should be an object.
#[derive(Debug)]
pub(crate) struct Misread {
    /// The path of the field, empty for the object as a whole.
    pub(crate) field: String,
    /// Without the field and the place.
    pub(crate) message: String,
    /// Line and column within the text, from 1; 0 where unknown.
    pub(crate) place: (usize, usize),
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// With the column, for who looks for it in a long line.
fn in_line(misread: &Misread) -> String {
    match misread.place {
        (1, column) => format!("{misread} (column {column})"),
        _ => misread.to_string(),
    }
}

impl<R: BufRead> JsonLines<R> {
    pub(crate) fn new(input: R, maximum_bytes: usize) -> Self {
        Self { input, line: Vec::new(), maximum_bytes, number: 0 }
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The object in the next line that is not blank; nothing where the lines end.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LineError> {
        loop {
            self.line.clear();
            let limit = (self.maximum_bytes as u64).saturating_add(1);
            let mut limited = self.input.by_ref().take(limit);
            if limited.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() > self.maximum_bytes && self.line.last() != Some(&b'\n') {
                skip_line(&mut self.input)?;
                let message = format!("expected a line of at most {} bytes", self.maximum_bytes);
                return Err(LineError::Line(Misread::whole(message)));
            }
            let text = self.line.trim_ascii_end();
            if !text.trim_ascii_start().is_empty() {
                return read_object(text).map(Some).map_err(LineError::Line);
            }
        }
    }
}

impl<R: std::io::Read> JsonLines<std::io::BufReader<R>> {
    /// Whether the next line would have to be waited for: then who sends line by line waits for an answer.
    pub(crate) fn must_wait(&self) -> bool {
        self.input.buffer().is_empty()
    }
}

/// Reads a text that is one object and nothing else.
///
/// `serde` would also take an array of the members in the order of the type.
pub(crate) fn read_object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Misread> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Misread::whole("expected a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let object = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let field = if matches!(field.as_str(), "." | "?") { String::new() } else { field };
        Misread::new(field, error.inner())
    })?;
    let end = deserializer.end();
    end.map_err(|_| Misread::whole("expected one JSON object, and nothing after it"))?;
    Ok(object)
}

/// What follows up to the end of the line.
pub(crate) fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        let end = part.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(part.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

impl Misread {
    fn new(field: String, error: &serde_json::Error) -> Self {
        let message = error.to_string();
        // serde_json writes its own place behind the message.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(it, _)| it);
        Self { field, message: message.to_owned(), place: (error.line(), error.column()) }
    }

    /// `message` is about the object as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { field: String::new(), message: message.into(), place: (0, 0) }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Line {
        id: u8,
        text: String,
    }

    fn read(text: &str) -> (Vec<Line>, Vec<String>) {
        let mut lines = JsonLines::new(text.as_bytes(), 40);
        let (mut read, mut errors) = (Vec::new(), Vec::new());
        loop {
            match lines.next::<Line>() {
                Ok(Some(line)) => read.push(line),
                Ok(None) => return (read, errors),
                Err(error) => errors.push(format!("{}: {error}", lines.number())),
            }
        }
    }

    #[test]
    fn a_line_that_is_none_takes_no_other_with_it() {
        let long = "x".repeat(100);
        let text = format!(
            "{{\"id\": 1, \"text\": \"a\"}}\r\n\n[2, \"b\"]\n{{\"id\": 3, \"text\": \"{long}\"}}\n\
             {{\"id\": \"4\", \"text\": \"\"}}\n{{\"id\": 5}} {{}}\n{{\"id\": 6, \"text\": \"c\"}}"
        );
        let (lines, errors) = read(&text);
        let text = |text: &str| text.to_owned();
        assert_eq!(lines, [Line { id: 1, text: text("a") }, Line { id: 6, text: text("c") }]);
        assert_eq!(
            errors,
            [
                "3: expected a JSON object",
                "4: expected a line of at most 40 bytes",
                "5: id: invalid type: string \"4\", expected u8 (column 10)",
                "6: missing field `text` (column 9)",
            ]
        );
        let (lines, errors) = read("{\"id\": 1, \"text\": \"a\"} {}\n");
        assert_eq!(
            (lines, errors),
            (vec![], vec![text("1: expected one JSON object, and nothing after it")])
        );
    }

    #[test]
    fn a_line_may_be_as_long_as_is_said() {
        let text =
            |length: usize| format!("{{\"id\": 1, \"text\": \"{}\"}}", "x".repeat(length - 21));
        for (text, is_read) in
            [(text(40), true), (text(40) + "\n", true), (text(41), false), (text(41) + "\n", false)]
        {
            assert_eq!(read(&text).0.len(), usize::from(is_read), "{text:?}");
        }
    }
}
