//! What a response says that the request has taken.

use super::pointer::{Found, Pointer};
use crate::access::{Header, single};

/// The longest body, or event of a stream, that is read, in bytes.
const MAXIMUM_BYTES: usize = 1024 * 1024;

/// Reads the number from a response as it comes.
#[derive(Debug)]
pub(super) struct Usage {
    pointer: Pointer,
    form: Form,
    /// The body so far, or the line of a stream that has begun.
    buffer: Vec<u8>,
    /// The data of the event that has begun.
    event: Vec<u8>,
    is_too_long: bool,
    found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON text.
    Json,
    /// Server-sent events with a JSON text each.
    Events,
    /// Nothing that can be read.
    Other,
}

impl Usage {
    /// Of a response with these header fields.
    pub(super) fn of(headers: &[Header<'_>], pointer: &Pointer) -> Self {
        let media_type = single(headers, "content-type").unwrap_or_default();
        let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        let is_plain = single(headers, "content-encoding")
            .is_none_or(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity"));
        let form = match essence.as_slice() {
            _ if !is_plain => Form::Other,
            b"text/event-stream" => Form::Events,
            b"application/json" => Form::Json,
            essence if essence.ends_with(b"+json") => Form::Json,
            _ => Form::Other,
        };
        Self {
            pointer: pointer.clone(),
            form,
            buffer: Vec::new(),
            event: Vec::new(),
            is_too_long: false,
            found: Found::Nothing,
        }
    }

    /// Whether it can become known.
    pub(super) fn is_readable(&self) -> bool {
        self.form != Form::Other && !(self.form == Form::Json && self.is_too_long)
    }

    /// A further part of the body.
    pub(super) fn read(&mut self, part: &[u8]) {
        match self.form {
            Form::Other => {}
            Form::Json => self.keep(part),
            Form::Events => {
                // Lines end with LF or CR LF; the CR alone that the standard allows as well is not in use.
                for piece in part.split_inclusive(|byte| *byte == b'\n') {
                    self.keep(piece);
                    if piece.ends_with(b"\n") {
                        self.line();
                    }
                }
            }
        }
    }

    /// What was found in all.
    pub(super) fn end(&mut self) -> Found {
        match self.form {
            Form::Json if !self.is_too_long => self.found = self.pointer.find(&self.buffer),
            Form::Events => {
                self.line();
                self.dispatch();
            }
            Form::Json | Form::Other => {}
        }
        self.buffer = Vec::new();
        self.event = Vec::new();
        self.found
    }

    fn keep(&mut self, part: &[u8]) {
        if self.is_too_long || self.buffer.len().saturating_add(part.len()) > MAXIMUM_BYTES {
            self.is_too_long = true;
            self.buffer = Vec::new();
            return;
        }
        self.buffer.extend_from_slice(part);
    }

    fn line(&mut self) {
        let line = std::mem::take(&mut self.buffer);
        if std::mem::take(&mut self.is_too_long) {
            // An event that is too long is not read at all.
            self.event.clear();
            return;
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            self.dispatch();
        } else if let Some(data) = line.strip_prefix(b"data:")
            && self.event.len().saturating_add(data.len()) <= MAXIMUM_BYTES
        {
            self.event.extend_from_slice(data);
            self.event.push(b'\n');
        }
    }

    fn dispatch(&mut self) {
        let data = std::mem::take(&mut self.event);
        let name = self.pointer.last_step().as_bytes();
        // Most events of a stream do not have it, and are not parsed.
        if !data.windows(name.len().max(1)).any(|window| window == name) {
            return;
        }
        match self.pointer.find(&data) {
            Found::Nothing => {}
            found => self.found = found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(content_type: &str, coding: Option<&str>) -> Usage {
        let mut headers = vec![("content-type", content_type.as_bytes())];
        headers.extend(coding.map(|coding| ("content-encoding", coding.as_bytes())));
        Usage::of(&headers, &Pointer::compile("/usage/total_tokens", "x").unwrap())
    }

    /// However the bytes are cut into parts, the same is found.
    fn read(content_type: &str, body: &str) -> Found {
        let found = [1, 2, 7, 1000].map(|size| {
            let mut usage = usage(content_type, None);
            body.as_bytes().chunks(size).for_each(|part| usage.read(part));
            usage.end()
        });
        assert!(found.iter().all(|other| *other == found[0]), "{found:?} for {body}");
        found[0]
    }

    #[test]
    fn a_body_has_it() {
        let body = r#"{"choices": [], "usage": {"total_tokens": 42}}"#;
        assert_eq!(read("application/json; charset=utf-8", body), Found::Number(42));
        assert_eq!(read("application/vnd.api+json", body), Found::Number(42));
        assert_eq!(read("text/plain", body), Found::Nothing);
        assert_eq!(read("application/json", &body[..40]), Found::Unusable);
        assert_eq!(read("application/json", "{}"), Found::Nothing);
    }

    #[test]
    fn the_last_event_that_has_it_counts() {
        let stream = "data: {\"usage\":null}\n\n: a comment\nevent: x\ndata: {\"usage\":{\"total_tokens\":7}}\n\n\
            data: {\"usage\":\ndata: {\"total_tokens\": 9}}\n\ndata: {\"text\": \"total_tokens\"}\n\ndata: [DONE]\n\n";
        assert_eq!(read("text/event-stream", stream), Found::Number(9));
        assert_eq!(read("text/event-stream", &stream.replace('\n', "\r\n")), Found::Number(9));
        assert_eq!(
            read("text/event-stream", "data: {\"usage\":{\"total_tokens\":7}}"),
            Found::Number(7)
        );
        assert_eq!(read("text/event-stream", "data: {}\n\n"), Found::Nothing);
        let broken = "data: {\"usage\":{\"total_tokens\":7}}\n\ndata: {\"total_tokens\"\n\n";
        assert_eq!(read("text/event-stream", broken), Found::Unusable);
    }

    #[test]
    fn what_is_compressed_is_not_read() {
        assert!(!usage("application/json", Some("gzip")).is_readable());
        assert!(usage("application/json", Some("identity")).is_readable());
    }

    #[test]
    fn memory_is_bounded() {
        let mut events = usage("text/event-stream", None);
        let mut whole = usage("application/json", None);
        for _ in 0..40 {
            events.read(&[b'x'; 100_000]);
            whole.read(&[b'x'; 100_000]);
            assert!(events.buffer.len() <= MAXIMUM_BYTES && whole.buffer.len() <= MAXIMUM_BYTES);
        }
        for _ in 0..40 {
            events.read(&[b"\ndata:".as_slice(), &[b'x'; 100_000]].concat());
            assert!(events.event.len() <= MAXIMUM_BYTES + 1);
        }
        assert!(!whole.is_readable());
        events.read(b"\n\ndata: {\"usage\":{\"total_tokens\":7}}\n\n");
        assert_eq!(events.end(), Found::Number(7));
    }
}
