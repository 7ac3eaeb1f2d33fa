//! The body of a response, which comes in chunks.

use super::charset::{BEGINNING_BYTES, BYTE_ORDER_MARK, Charset, is_wide};
use super::json::JsonStream;
use super::lines::LineStream;
use super::means::Means;
use super::sse::EventStream;
use super::text::TextStream;
use super::{Canary, Owner, Redaction};
use crate::screening::PersonalData;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Text, of which nothing else is known.
    Text,
    /// JSON: what its strings and numbers say is what counts, not how they are written.
    Json,
    /// Server-sent events, with JSON in them.
    Events,
    /// Lines, each of which is JSON and an event.
    Lines,
}

impl StreamKind {
    /// What a content type says.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let is_json = essence
            .get(essence.len().saturating_sub(5)..)
            .is_some_and(|end| end.eq_ignore_ascii_case("+json"));
        let lines = [
            "ndjson",
            "x-ndjson",
            "jsonl",
            "x-jsonl",
            "json-lines",
            "jsonlines",
            "x-jsonlines",
            "json-seq",
            "stream+json",
            "x-json-stream",
        ];
        let is_lines = |(kind, subtype): (&str, &str)| {
            let is = |name: &str| subtype.eq_ignore_ascii_case(name);
            let end = subtype.get(subtype.len().saturating_sub(9)..).unwrap_or_default();
            kind.eq_ignore_ascii_case("application")
                && (lines.into_iter().any(is) || end.eq_ignore_ascii_case("+json-seq"))
        };
        if is("text/event-stream") {
            Self::Events
        } else if essence.split_once('/').is_some_and(is_lines) {
            Self::Lines
        } else if is("application/json") || is_json {
            Self::Json
        } else {
            Self::Text
        }
    }
}

/// What is known of streams of events.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Where in an event's JSON a piece of a text is (RFC 6901). Pieces at the same place are one text.
    pub pointers: Vec<String>,
}

impl Default for StreamSettings {
    /// The places of the common interfaces.
    fn default() -> Self {
        let pointers = [
            "/choices/0/delta/content",
            "/choices/0/delta/reasoning_content",
            "/choices/0/delta/refusal",
            "/choices/0/delta/tool_calls/0/function/arguments",
            "/choices/0/delta/function_call/arguments",
            "/choices/0/text",
            "/delta/text",
            "/delta/thinking",
            "/delta/partial_json",
            "/delta",
            "/output_text",
            "/message/content",
            "/response",
            "/candidates/0/content/parts/0/text",
        ];
        Self { pointers: pointers.map(str::to_owned).to_vec() }
    }
}

/// Redacts a response as it comes by, and restores the tokens of the principal that it goes to.
#[derive(Debug)]
pub struct StreamRedactor {
    data: PersonalData,
    redaction: Redaction,
    owner: Owner,
    canary: Option<Canary>,
    charset: Charset,
    /// Whether enough has come to know by what the bytes are characters.
    has_begun: bool,
    /// They are so in a way that cannot be read.
    is_unreadable: bool,
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(TextStream),
    Json(JsonStream),
    Events(EventStream),
    Lines(LineStream),
}

impl StreamRedactor {
    /// For one response.
    pub fn new(
        kind: StreamKind,
        data: &PersonalData,
        redaction: &Redaction,
        owner: &Owner,
        settings: &StreamSettings,
    ) -> Self {
        let body = match kind {
            StreamKind::Text => Body::Text(TextStream::default()),
            StreamKind::Json => Body::Json(JsonStream::default()),
            StreamKind::Events => Body::Events(EventStream::new(settings)),
            StreamKind::Lines => Body::Lines(LineStream::new(settings)),
        };
        let (data, redaction, owner) = (data.clone(), redaction.clone(), owner.clone());
        Self {
            data,
            redaction,
            owner,
            canary: None,
            charset: Charset::default(),
            has_begun: false,
            is_unreadable: false,
            partial: Vec::new(),
            body,
        }
    }

    /// Takes bytes that are characters in this way. Whatever it is, what goes on is UTF-8.
    pub fn reading(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }

    /// Watches for markers too. Text is then always held back a little, so that none is sent in part.
    pub fn watching(mut self, canary: &Canary) -> Self {
        self.canary = Some(canary.clone());
        self
    }

    /// Takes a chunk, gives what may be sent on: nothing after what is to be refused, and nothing of what is in UTF-16 or UTF-32.
    /// Other bytes that are no characters become U+FFFD.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.is_refused() {
            return Vec::new();
        }
        self.partial.extend_from_slice(chunk);
        if !self.has_begun && (self.partial.len() < BEGINNING_BYTES || !self.begin()) {
            return Vec::new();
        }
        let mut bytes = std::mem::take(&mut self.partial);
        let incomplete = self.charset.incomplete(&bytes);
        self.partial = bytes.split_off(bytes.len() - incomplete);
        self.take(&self.charset.decode(&bytes)).into_bytes()
    }

    /// The body is at its end.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.is_refused() || !self.has_begun && !self.begin() {
            return Vec::new();
        }
        let bytes = std::mem::take(&mut self.partial);
        let mut released = self.take(&self.charset.decode(&bytes));
        let means = Means {
            data: &self.data,
            redaction: &self.redaction,
            owner: &self.owner,
            canary: self.canary.as_ref(),
        };
        released.push_str(&match &mut self.body {
            Body::Text(text) => text.finish(means),
            Body::Json(json) => json.finish(means),
            Body::Events(events) => events.finish(means),
            Body::Lines(lines) => lines.finish(means),
        });
        released.into_bytes()
    }

    /// Whether something of what has come waits for what follows, and would only be given by [`Self::finish`].
    pub fn waits(&self) -> bool {
        let waits = match &self.body {
            Body::Text(text) => text.waits(),
            Body::Json(json) => json.waits(),
            Body::Events(events) => events.waits(),
            Body::Lines(lines) => lines.waits(),
        };
        waits || !self.partial.is_empty()
    }

    /// Whether something was found that is to be refused, or the body cannot be read. What was found was masked, and nothing of the
    /// body follows it.
    pub fn is_refused(&self) -> bool {
        self.is_unreadable || self.has_found()
    }

    /// Whether the body cannot be read: nothing of it goes on.
    pub fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    fn has_found(&self) -> bool {
        match &self.body {
            Body::Text(text) => text.is_refused(),
            Body::Json(json) => json.is_refused(),
            Body::Events(events) => events.is_refused(),
            Body::Lines(lines) => lines.is_refused(),
        }
    }

    /// The first bytes are there, or all that there are. Whether they can be read.
    fn begin(&mut self) -> bool {
        self.has_begun = true;
        self.is_unreadable = is_wide(&self.partial);
        if self.is_unreadable {
            self.partial.clear();
        } else if self.partial.starts_with(BYTE_ORDER_MARK) && !matches!(self.body, Body::Text(_)) {
            // Before JSON and before a field's name it would be part of it.
            self.partial.drain(..BYTE_ORDER_MARK.len());
        }
        !self.is_unreadable
    }

    fn take(&mut self, text: &str) -> String {
        let means = Means {
            data: &self.data,
            redaction: &self.redaction,
            owner: &self.owner,
            canary: self.canary.as_ref(),
        };
        match &mut self.body {
            Body::Text(stream) => stream.push(text, means),
            Body::Json(json) => json.push(text, means),
            Body::Events(events) => events.push(text, means),
            Body::Lines(lines) => lines.push(text, means),
        }
    }
}
