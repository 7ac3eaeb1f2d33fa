//! JSON in lines (NDJSON, JSON Lines, RFC 7464), each of which is an event.

use serde_json::Value;

use super::events::{Data, Events, Framing};
use super::json::JsonStream;
use super::means::Means;
use super::sse::MAXIMUM_EVENT_BYTES;
use super::stream::StreamSettings;

/// What RFC 7464 begins a line with.
const SEPARATOR: char = '\u{1e}';

/// Lines while they come in.
#[derive(Debug)]
pub(super) struct LineStream {
    events: Events,
    line: String,
    /// A line that is too long to be read as a whole.
    long: Option<JsonStream>,
    is_refused: bool,
}

impl LineStream {
    pub(super) fn new(settings: &StreamSettings) -> Self {
        let events = Events::new(Framing::Lines, settings);
        Self { events, line: String::new(), long: None, is_refused: false }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused || self.events.is_refused()
    }

    /// Whether something waits for what follows: a line for its end, or a text.
    pub(super) fn waits(&self) -> bool {
        !self.line.is_empty() || self.long.is_some() || self.events.waits()
    }

    pub(super) fn push(&mut self, piece: &str, means: Means<'_>) -> String {
        let mut released = String::new();
        for part in piece.split_inclusive('\n') {
            // Lines end at the same places however they come: so does what is too long.
            let mut rest = part;
            while !rest.is_empty() && !self.is_refused() {
                rest = self.take(rest, &mut released, means);
            }
        }
        released
    }

    pub(super) fn finish(&mut self, means: Means<'_>) -> String {
        let mut released = String::new();
        if let Some(mut long) = self.long.take() {
            released.push_str(&long.finish(means));
            self.is_refused |= long.is_refused();
        }
        if !self.line.is_empty() {
            self.end_line(&mut released, means);
        }
        if !self.is_refused() {
            self.events.flush(means, &mut released);
        }
        released
    }

    /// Takes some of a line; what is left of it.
    fn take<'p>(&mut self, part: &'p str, out: &mut String, means: Means<'_>) -> &'p str {
        let (text, is_end) = part.strip_suffix('\n').map_or((part, false), |text| (text, true));
        if let Some(long) = &mut self.long {
            out.push_str(&long.push(text, means));
            if is_end && !long.is_refused() {
                out.push_str(&long.finish(means));
            }
            self.is_refused |= long.is_refused();
            if is_end && !self.is_refused {
                self.long = None;
                out.push('\n');
            }
            return "";
        }
        let room = MAXIMUM_EVENT_BYTES.saturating_sub(self.line.len());
        let (text, rest) = match text.len() > room {
            true => text.split_at(text.ceil_char_boundary(room)),
            false => (text, ""),
        };
        self.line.push_str(text);
        if rest.is_empty() && is_end {
            self.end_line(out, means);
            return "";
        }
        if rest.is_empty() {
            return "";
        }
        // What waits goes out before it.
        self.events.flush(means, out);
        let mut long = JsonStream::default();
        if !self.events.is_refused() {
            out.push_str(&long.push(&std::mem::take(&mut self.line), means));
        }
        self.is_refused |= long.is_refused();
        self.long = Some(long);
        part.get(text.len()..).unwrap_or_default()
    }

    fn end_line(&mut self, out: &mut String, means: Means<'_>) {
        let line = std::mem::take(&mut self.line);
        let (before, text) = match line.strip_prefix(SEPARATOR) {
            Some(text) => (SEPARATOR.to_string(), text),
            None => (String::new(), line.as_str()),
        };
        let data = match serde_json::from_str::<Value>(text) {
            Ok(value) => Data::Json(value),
            Err(_) if text.trim().is_empty() => Data::Nothing,
            // Whatever it is, it is text.
            Err(_) => Data::Bare(Value::String(text.to_owned())),
        };
        self.events.take(before, None, data, line.len(), means, out);
    }
}
