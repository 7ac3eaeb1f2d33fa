//! Server-sent events (WHATWG HTML §9.2).

use serde_json::Value;

use super::events::{Data, Events, Framing};
use super::means::Means;
use super::stream::StreamSettings;

/// The longest event that is read as a whole. What is longer is redacted as text.
pub(super) const MAXIMUM_EVENT_BYTES: usize = 256 * 1024;

/// A stream of events while it comes in.
#[derive(Debug)]
pub(super) struct EventStream {
    events: Events,
    line: String,
    lines: Vec<String>,
    size: usize,
    /// The last character was a carriage return: a line feed after it is the same end of line.
    after_return: bool,
}

impl EventStream {
    pub(super) fn new(settings: &StreamSettings) -> Self {
        Self {
            events: Events::new(Framing::ServerSent, settings),
            line: String::new(),
            lines: Vec::new(),
            size: 0,
            after_return: false,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.events.is_refused()
    }

    /// Whether something waits for what follows: an event for its end, or a text.
    pub(super) fn waits(&self) -> bool {
        let is_in_event = !self.line.is_empty() || !self.lines.is_empty();
        is_in_event || self.events.waits()
    }

    pub(super) fn push(&mut self, piece: &str, means: Means<'_>) -> String {
        let mut released = String::new();
        for character in piece.chars() {
            let is_same_end = std::mem::replace(&mut self.after_return, character == '\r');
            match character {
                '\n' if is_same_end => {}
                '\n' | '\r' => {
                    let line = std::mem::take(&mut self.line);
                    if !line.is_empty() {
                        self.lines.push(line);
                        continue;
                    }
                    self.end_event(&mut released, means);
                    if self.is_refused() {
                        break;
                    }
                }
                _ => {
                    self.line.push(character);
                    self.size += character.len_utf8();
                }
            }
            if self.size > MAXIMUM_EVENT_BYTES {
                self.lines.push(std::mem::take(&mut self.line));
                self.end_event(&mut released, means);
                if self.is_refused() {
                    break;
                }
            }
        }
        released
    }

    pub(super) fn finish(&mut self, means: Means<'_>) -> String {
        let mut released = String::new();
        if !self.line.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        if !self.lines.is_empty() {
            self.end_event(&mut released, means);
        }
        if !self.is_refused() {
            self.events.flush(means, &mut released);
        }
        released
    }

    fn end_event(&mut self, out: &mut String, means: Means<'_>) {
        let lines = std::mem::take(&mut self.lines);
        let size = std::mem::take(&mut self.size);
        let mut data: Option<String> = None;
        let mut name = None;
        let mut others = String::new();
        for line in &lines {
            if let Some(value) = field(line, "data") {
                match &mut data {
                    None => data = Some(value.to_owned()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                }
                continue;
            }
            name = field(line, "event").map(str::to_owned).or(name);
            others.push_str(&self.events.whole(line, means));
            others.push('\n');
        }
        let Some(data) = data else {
            if lines.iter().all(|line| line.starts_with(':')) {
                // Nothing that is said: it keeps the connection open, while events wait.
                out.push_str(&others);
                out.push('\n');
                self.events.be_quiet(means, out);
            } else {
                self.events.take(others, None, Data::Nothing, size, means, out);
            }
            return;
        };
        let data = if data.trim() == "[DONE]" {
            self.events.flush(means, out);
            Data::Text(data)
        } else {
            match serde_json::from_str::<Value>(&data) {
                Ok(value) => Data::Json(value),
                Err(_) => self.events.piece_of_text(&data, means),
            }
        };
        self.events.take(others, name, data, size, means, out);
    }
}

/// The value of a field's line.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}
