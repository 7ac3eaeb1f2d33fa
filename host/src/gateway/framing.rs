//! What the heads of a connection's HTTP/1 requests say of their bodies' length. hyper takes a Content-Length away that stands beside
//! a Transfer-Encoding, or is said twice (RFC 9112 section 6.3 lets it): whoever is to refuse such a request must see it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};

/// The heads that have been read and not been asked for.
#[derive(Clone, Default)]
pub(super) struct Lengths(Arc<Mutex<VecDeque<Vec<HeaderValue>>>>);

/// Follows what is read, from message to message.
pub(super) struct Framing {
    lengths: Lengths,
    place: Place,
    /// The lines of a head or the line of a chunk, as far as they are there.
    lines: Vec<u8>,
    most_bytes: usize,
    most_fields: usize,
}

/// Where in the messages the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// In what has so many bytes yet: a body, or a chunk and the end of its line.
    Bytes {
        left: u64,
        is_chunk: bool,
    },
    ChunkSize,
    Trailers,
    /// Behind something that hyper refuses.
    Lost,
}

impl Lengths {
    /// Gives the next request's head all fields that say its length. None if that head has not been seen.
    pub(super) fn restore(&self, headers: &mut HeaderMap) -> Option<()> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        if told.len() != headers.get_all(CONTENT_LENGTH).iter().count() {
            headers.remove(CONTENT_LENGTH);
            for length in told {
                headers.append(CONTENT_LENGTH, length);
            }
        }
        Some(())
    }

    fn push(&self, told: Vec<HeaderValue>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(told);
    }
}

impl Framing {
    /// For heads of at most so many bytes and fields, which is as many as hyper takes.
    pub(super) fn new(most_bytes: usize, most_fields: usize) -> Self {
        let lengths = Lengths::default();
        Self { lengths, place: Place::Head, lines: Vec::new(), most_bytes, most_fields }
    }

    pub(super) fn lengths(&self) -> Lengths {
        self.lengths.clone()
    }

    /// The next bytes that hyper gets.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.place != Place::Lost {
            bytes = match self.place {
                Place::Bytes { left, is_chunk } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.place = match (left - taken as u64, is_chunk) {
                        (0, true) => Place::ChunkSize,
                        (0, false) => Place::Head,
                        (left, _) => Place::Bytes { left, is_chunk },
                    };
                    bytes.get(taken..).unwrap_or_default()
                }
                _ => self.read_line(bytes),
            };
        }
    }

    /// Takes the rest of a line, or what there is of it.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.lines.extend_from_slice(part);
        if self.lines.len() > self.most_bytes {
            self.place = Place::Lost;
        } else if end.is_some() {
            self.place = self.after_line();
        }
        rest
    }

    fn after_line(&mut self) -> Place {
        let is_blank = self.lines.ends_with(b"\n\r\n") || self.lines.ends_with(b"\n\n");
        let is_empty = self.lines == b"\r\n" || self.lines == b"\n";
        let next = match self.place {
            // Before a request's line there may be empty ones (RFC 9112 section 2.2).
            Place::Head if is_empty => Place::Head,
            Place::Head if is_blank => self.after_head(),
            Place::ChunkSize => after_chunk_size(&self.lines),
            Place::Trailers if is_blank || is_empty => Place::Head,
            place => return place,
        };
        self.lines.clear();
        next
    }

    /// Behind a head is what hyper sees there: anything else it refuses.
    fn after_head(&self) -> Place {
        let mut fields = vec![httparse::EMPTY_HEADER; self.most_fields];
        let mut request = httparse::Request::new(&mut fields);
        if !matches!(request.parse(&self.lines), Ok(httparse::Status::Complete(_))) {
            return Place::Lost;
        }
        let (mut told, mut is_chunked) = (Vec::new(), false);
        for field in request.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let Ok(length) = HeaderValue::from_bytes(field.value) else { return Place::Lost };
                told.push(length);
            }
            is_chunked |= field.name.eq_ignore_ascii_case("transfer-encoding");
        }
        let length = told.first().and_then(|length| length.to_str().ok()?.parse().ok());
        let next = match (is_chunked, told.is_empty(), length) {
            (true, _, _) => Place::ChunkSize,
            (false, true, _) | (false, false, Some(0)) => Place::Head,
            (false, false, Some(left)) => Place::Bytes { left, is_chunk: false },
            (false, false, None) => Place::Lost,
        };
        self.lengths.push(told);
        next
    }
}

fn after_chunk_size(line: &[u8]) -> Place {
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((_, 0))) => Place::Trailers,
        Ok(httparse::Status::Complete((_, size))) => {
            Place::Bytes { left: size.saturating_add(2), is_chunk: true }
        }
        Ok(httparse::Status::Partial) | Err(_) => Place::Lost,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each head says of its length, when the bytes come in such parts.
    fn told(messages: &[u8], part: usize) -> Vec<Vec<String>> {
        let mut framing = Framing::new(1000, 8);
        for part in messages.chunks(part) {
            framing.read(part);
        }
        let lengths = framing.lengths();
        let mut all = Vec::new();
        loop {
            let mut headers = HeaderMap::new();
            if lengths.restore(&mut headers).is_none() {
                return all;
            }
            let values = headers.get_all(CONTENT_LENGTH).iter();
            all.push(values.map(|value| value.to_str().unwrap().to_owned()).collect());
        }
    }

    const PLAIN: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\na\r\n\r\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                           5;x=\"y\"\r\n\r\n\r\nc\r\n29\r\n\r\n\r\nGET / HTTP/1.1\r\ncontent-length: 9\r\n\r\n\r\n\
                           0\r\ntrailer: 1\r\n\r\n";
    const BOTH: &str =
        "POST / HTTP/1.1\r\ncontent-length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const TWICE: &str =
        "POST / HTTP/1.1\r\ncontent-length: 1\r\nx: y\r\ncontent-length: 1\r\n\r\nz";

    proptest! {
        /// Whatever went before it and however it comes, what a head says is seen.
        #[test]
        fn every_head_is_seen(
            kinds in proptest::collection::vec(0_usize..6, 1..8),
            part in 1_usize..80,
        ) {
            let kinds_of: [(&str, &[&str]); 6] = [
                (PLAIN, &[]), (SIZED, &["5"]), (CHUNKED, &[]), (BOTH, &["7"]), (TWICE, &["1", "1"]),
                ("\r\n\nGET / HTTP/1.1\nhost: a\n\n", &[]),
            ];
            let (mut messages, mut expected) = (String::new(), Vec::new());
            for kind in kinds {
                let (message, lengths) = kinds_of[kind];
                messages.push_str(message);
                expected.push(lengths.iter().map(|length| (*length).to_owned()).collect::<Vec<_>>());
            }
            prop_assert_eq!(told(messages.as_bytes(), part), expected);
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            told(&[PLAIN.as_bytes(), &bytes].concat(), 7);
        }
    }

    /// hyper refuses these, so nothing that follows is a request.
    #[test]
    fn nothing_is_seen_behind_what_is_refused() {
        for refused in [
            "GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        ] {
            let before = told(refused.as_bytes(), 9);
            assert_eq!(told(format!("{refused}{PLAIN}").as_bytes(), 9), before, "{refused}");
        }
        let long = format!("GET / HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(1000));
        assert_eq!(told(format!("{long}{PLAIN}").as_bytes(), 64), [] as [Vec<String>; 0]);
    }
}
