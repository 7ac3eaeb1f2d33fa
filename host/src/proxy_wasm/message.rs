//! Requests and responses: whole, in parts, and what became of them.

use super::headers::HeaderMap;

/// A whole request or response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// With the pseudo-headers: `:method`, `:path`, `:authority`, `:scheme`; or `:status`.
    pub headers: HeaderMap,
    /// The body as it came, in chunks.
    pub body: Vec<Vec<u8>>,
    pub trailers: Option<HeaderMap>,
}

impl Message {
    /// A message with a body in one chunk, or none if it is empty.
    pub fn new(headers: HeaderMap, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let chunks = if body.is_empty() { Vec::new() } else { vec![body] };
        Self { headers, body: chunks, trailers: None }
    }

    /// The body in one piece.
    pub fn body_bytes(&self) -> Vec<u8> {
        self.body.concat()
    }

    /// The `:status` of a response.
    pub fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.headers.first(":status")?).ok()?.parse().ok()
    }

    /// The parts in the order, and of the kind, in which Envoy's HTTP/1.1 codec gives them: the end
    /// of a body comes by itself, as an empty part.
    pub(super) fn into_events(self) -> Vec<Event> {
        if self.body.is_empty() && self.trailers.is_none() {
            return vec![Event::Headers(self.headers, true)];
        }
        let mut events = vec![Event::Headers(self.headers, false)];
        events.extend(self.body.into_iter().map(|chunk| Event::Data(chunk, false)));
        events.push(match self.trailers {
            Some(trailers) => Event::Trailers(trailers),
            None => Event::Data(Vec::new(), true),
        });
        events
    }

    pub(super) fn from_events(events: Vec<Event>) -> Self {
        let mut message = Self::default();
        for event in events {
            match event {
                Event::Headers(headers, _) => message.headers = headers,
                Event::Data(data, _) if data.is_empty() => {}
                Event::Data(data, _) => message.body.push(data),
                Event::Trailers(trailers) => message.trailers = Some(trailers),
            }
        }
        message
    }
}

/// What the filters have made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It goes to the upstream, like this.
    Forward(Message),
    /// It is answered, like this; the response has been through the filters.
    Reply(Message),
    /// The stream is cut off without an answer.
    Reset,
}

/// What the filters have made of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// It goes to the client, like this. It may be another one than the upstream's.
    Send(Message),
    /// The stream is cut off: what has been sent is truncated.
    Reset(Message),
}

/// A part of a message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The headers, and whether nothing follows.
    Headers(HeaderMap, bool),
    /// A part of the body, and whether nothing follows.
    Data(Vec<u8>, bool),
    /// Trailers; nothing follows.
    Trailers(HeaderMap),
}

impl Event {
    /// Whether nothing follows.
    pub(super) fn ends(&self) -> bool {
        match self {
            Self::Headers(_, end) | Self::Data(_, end) => *end,
            Self::Trailers(_) => true,
        }
    }
}
