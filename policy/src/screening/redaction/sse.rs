//! Server-sent events (WHATWG HTML §9.2), in which models send their answers piece by piece.

use std::collections::BTreeMap;

use serde_json::Value;

use super::stream::StreamSettings;
use super::text::{Means, TextStream};

/// The longest event that is read as a whole. What is longer is redacted as text.
const MAXIMUM_EVENT_BYTES: usize = 256 * 1024;

/// So many texts may come at once, as the choices of a completion do.
const MAXIMUM_TEXTS: usize = 64;

/// The deepest JSON that is walked: serde_json's own limit is this.
const MAXIMUM_DEPTH: usize = 128;

/// Numbers that tell texts at the same place from each other.
const INDEXES: [&str; 5] = [
    "/choices/0/index",
    "/choices/0/delta/tool_calls/0/index",
    "/index",
    "/output_index",
    "/content_index",
];

/// A stream of events while it comes in.
#[derive(Debug)]
pub(super) struct EventStream {
    pointers: Vec<String>,
    line: String,
    lines: Vec<String>,
    size: usize,
    /// The last character was a carriage return: a line feed after it is the same end of line.
    after_return: bool,
    texts: BTreeMap<String, Text>,
    is_refused: bool,
}

/// A text whose pieces are in events.
#[derive(Debug)]
struct Text {
    stream: TextStream,
    pointer: Option<String>,
    /// An event that had a piece of it, and its name: what a last piece is sent in.
    event: Value,
    name: Option<String>,
}

impl EventStream {
    pub(super) fn new(settings: &StreamSettings) -> Self {
        Self {
            pointers: settings.pointers.clone(),
            line: String::new(),
            lines: Vec::new(),
            size: 0,
            after_return: false,
            texts: BTreeMap::new(),
            is_refused: false,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused || self.texts.values().any(|text| text.stream.is_refused())
    }

    /// Whether something waits for what follows: an event for its end, or a text.
    pub(super) fn waits(&self) -> bool {
        let is_in_event = !self.line.is_empty() || !self.lines.is_empty();
        is_in_event || self.texts.values().any(|text| text.stream.waits())
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
            self.flush(&mut released, means);
        }
        released
    }

    fn end_event(&mut self, out: &mut String, means: Means<'_>) {
        let lines = std::mem::take(&mut self.lines);
        self.size = 0;
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
            others.push_str(&self.whole(line, means));
            others.push('\n');
        }
        let Some(data) = data else {
            out.push_str(&others);
            out.push('\n');
            return;
        };
        let data = if data.trim() == "[DONE]" {
            self.flush(out, means);
            data
        } else {
            match serde_json::from_str::<Value>(&data) {
                Ok(value) => self.rewrite(value, name, out, means),
                Err(_) => self.piece_of_text(&data, means),
            }
        };
        out.push_str(&others);
        for line in data.split('\n') {
            out.push_str("data: ");
            out.push_str(line);
            out.push('\n');
        }
        out.push('\n');
    }

    /// An event's JSON with what is released of its text, and all else in it redacted.
    fn rewrite(
        &mut self,
        mut event: Value,
        name: Option<String>,
        out: &mut String,
        means: Means<'_>,
    ) -> String {
        let index: Vec<String> = INDEXES
            .iter()
            .map(|pointer| event.pointer(pointer).map(Value::to_string).unwrap_or_default())
            .collect();
        let index = index.join(",");
        let is_last = is_last(&event);
        let pointers: Vec<String> = self.pointers.clone();
        let mut pieces = Vec::new();
        for pointer in pointers {
            let Some(Value::String(place)) = event.pointer_mut(&pointer) else { continue };
            let piece = std::mem::take(place);
            pieces.push((pointer, piece));
        }
        self.redact(&mut event, "", 0, means);
        if is_last && pieces.is_empty() {
            self.flush(out, means);
        }
        for (pointer, piece) in pieces {
            let key = format!("{pointer} {index}");
            let is_known = self.texts.contains_key(&key) || self.texts.len() < MAXIMUM_TEXTS;
            let released = if is_known {
                let text = self.texts.entry(key).or_insert_with(|| Text {
                    stream: TextStream::default(),
                    pointer: Some(pointer.clone()),
                    event: Value::Null,
                    name: None,
                });
                if !is_last {
                    text.event = event.clone();
                    text.name = name.clone();
                    forget_call(&mut text.event, &pointer);
                }
                let mut released = text.stream.push(&piece, means);
                if is_last {
                    released.push_str(&text.stream.finish(means));
                }
                released
            } else {
                self.whole(&piece, means)
            };
            if let Some(place) = event.pointer_mut(&pointer) {
                *place = Value::String(released);
            }
        }
        if is_last {
            // Other texts end too, in events of their own.
            self.flush(out, means);
        }
        event.to_string()
    }

    /// Data that is not JSON: all of it is one text.
    fn piece_of_text(&mut self, data: &str, means: Means<'_>) -> String {
        let text = self.texts.entry(String::new()).or_insert_with(|| Text {
            stream: TextStream::default(),
            pointer: None,
            event: Value::Null,
            name: None,
        });
        text.stream.push(data, means)
    }

    /// Sends what texts still hold.
    fn flush(&mut self, out: &mut String, means: Means<'_>) {
        for (_, mut text) in std::mem::take(&mut self.texts) {
            let rest = text.stream.finish(means);
            self.is_refused |= text.stream.is_refused();
            if rest.is_empty() {
                continue;
            }
            if let Some(name) = &text.name {
                out.push_str(&format!("event: {name}\n"));
            }
            let place = text.pointer.as_ref().and_then(|pointer| text.event.pointer_mut(pointer));
            let data = match place {
                Some(place) => {
                    *place = Value::String(rest);
                    text.event.to_string()
                }
                None => rest,
            };
            for line in data.split('\n') {
                out.push_str(&format!("data: {line}\n"));
            }
            out.push('\n');
        }
    }

    /// Redacts every string of a value on its own, with its name before it.
    fn redact(&mut self, value: &mut Value, name: &str, depth: usize, means: Means<'_>) {
        if depth > MAXIMUM_DEPTH {
            *value = Value::Null;
            return;
        }
        match value {
            Value::String(text) => *text = self.named(name, text, means),
            Value::Number(number) => {
                let number = number.to_string();
                if number.len() >= 7 {
                    let redacted = self.named(name, &number, means);
                    if redacted != number {
                        *value = Value::String(redacted);
                    }
                }
            }
            Value::Array(values) => {
                values.iter_mut().for_each(|value| self.redact(value, name, depth + 1, means));
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.redact(value, name, depth + 1, means);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn named(&mut self, name: &str, text: &str, means: Means<'_>) -> String {
        let name = name.replace(['_', '-'], " ");
        self.once(TextStream::after(&format!("{name}: ")), text, means)
    }

    fn whole(&mut self, text: &str, means: Means<'_>) -> String {
        self.once(TextStream::default(), text, means)
    }

    fn once(&mut self, mut stream: TextStream, text: &str, means: Means<'_>) -> String {
        let mut redacted = stream.push(text, means);
        redacted.push_str(&stream.finish(means));
        self.is_refused |= stream.is_refused();
        redacted
    }
}

/// An event that is sent once more must not say again which tool is called: clients append names as they do arguments.
fn forget_call(event: &mut Value, pointer: &str) {
    let Some(function) = pointer.strip_suffix("/arguments") else { return };
    if let Some(Value::Object(function)) = event.pointer_mut(function) {
        function.remove("name");
    }
    let call = function.strip_suffix("/function").and_then(|call| event.pointer_mut(call));
    if let Some(Value::Object(call)) = call {
        call.remove("id");
        call.remove("type");
    }
}

/// Whether a text ends with this event, as the common interfaces say it.
fn is_last(event: &Value) -> bool {
    let finished = ["/choices/0/finish_reason", "/candidates/0/finishReason", "/delta/stop_reason"];
    let is_finished = finished
        .iter()
        .any(|pointer| event.pointer(pointer).is_some_and(|reason| !reason.is_null()));
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let is_end = ["_stop", ".done", ".completed"].iter().any(|end| kind.ends_with(end));
    is_finished || is_end || event.get("done") == Some(&Value::Bool(true))
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
