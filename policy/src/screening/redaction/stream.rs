//! The body of a response, which comes in chunks.

use super::json::JsonStream;
use super::sse::EventStream;
use super::text::{Means, TextStream};
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
}

impl StreamKind {
    /// What a content type says.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let is_json = essence
            .get(essence.len().saturating_sub(5)..)
            .is_some_and(|end| end.eq_ignore_ascii_case("+json"));
        if is("text/event-stream") {
            Self::Events
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
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(TextStream),
    Json(JsonStream),
    Events(EventStream),
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
        };
        let (data, redaction, owner) = (data.clone(), redaction.clone(), owner.clone());
        Self { data, redaction, owner, canary: None, partial: Vec::new(), body }
    }

    /// Watches for markers too. Text is then always held back a little, so that none is sent in part.
    pub fn watching(mut self, canary: &Canary) -> Self {
        self.canary = Some(canary.clone());
        self
    }

    /// Takes a chunk, gives what may be sent on: nothing after what is to be refused. What is not UTF-8 becomes U+FFFD.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.is_refused() {
            return Vec::new();
        }
        self.partial.extend_from_slice(chunk);
        let mut bytes = std::mem::take(&mut self.partial);
        let incomplete = incomplete(&bytes);
        self.partial = bytes.split_off(bytes.len() - incomplete);
        self.take(&String::from_utf8_lossy(&bytes)).into_bytes()
    }

    /// The body is at its end.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.is_refused() {
            return Vec::new();
        }
        let bytes = std::mem::take(&mut self.partial);
        let mut released = self.take(&String::from_utf8_lossy(&bytes));
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
        });
        released.into_bytes()
    }

    /// Whether something of what has come waits for what follows, and would only be given by [`Self::finish`].
    pub fn waits(&self) -> bool {
        let waits = match &self.body {
            Body::Text(text) => text.waits(),
            Body::Json(json) => json.waits(),
            Body::Events(events) => events.waits(),
        };
        waits || !self.partial.is_empty()
    }

    /// Whether something was found that is to be refused. It was masked, and nothing of the body follows it.
    pub fn is_refused(&self) -> bool {
        match &self.body {
            Body::Text(text) => text.is_refused(),
            Body::Json(json) => json.is_refused(),
            Body::Events(events) => events.is_refused(),
        }
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
        }
    }
}

/// How many bytes at the end are the beginning of a character.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = bytes.iter().rev().take(3).enumerate();
    for (place, byte) in tail {
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if length > place + 1 { place + 1 } else { 0 };
    }
    0
}
