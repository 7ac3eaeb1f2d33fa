//! Requests judged by a real Envoy, as clients would send them.
//!
//! Envoy's own codec refuses some requests before the filter sees them. Where the problem document that it then sends
//! (see [`crate::envoy`]) has a type of the policy's, the verdict is that; else the stage is `proxy` and there is
//! no reason.

use std::cmp::Ordering;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_policy::Reason;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Backend, BackendError, Request, Verdict};
use crate::bundle::Bundle;
use crate::envoy::wire::{Answer, Connection, WireError};
use crate::envoy::{Bootstrap, Envoy, EnvoyError, Sizes, Upstream};

/// A real Envoy with the gate filter and nothing behind it.
#[derive(Debug)]
pub struct EnvoyBackend {
    envoy: Envoy,
    clock_header: String,
    connection: Option<Connection>,
}

/// How long Envoy may take to write the record of a request that it has answered.
const RECORD_WITHIN: Duration = Duration::from_secs(1);

impl EnvoyBackend {
    /// Starts `binary` with `filter`, and ends it when dropped. Call it on the thread that stays longest.
    ///
    /// # Errors
    ///
    /// Envoy does not start, or the filter refuses the policy.
    pub fn start(
        binary: &Path,
        filter: &Path,
        bundle: &Bundle,
        secrets: &[(String, Zeroizing<String>)],
    ) -> Result<Self, EnvoyError> {
        // Nobody who wrote the requests can know its name, so none of them has it.
        let clock_header = format!("x-clock-{}", uuid::Uuid::new_v4().simple());
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bootstrap = Bootstrap {
            policy: bundle.json(),
            secrets: bundle.secret_names(),
            sizes: Sizes::of(bundle.document()),
            filter: filter.to_owned(),
            listen: anywhere,
            tls: None,
            // The source of a request comes from the header that we add; there is nobody else.
            trusted_hops: 1,
            upstream: Upstream::Nothing,
            upstreams_at: Vec::new(),
            // What is recorded is judged without the network, as by the other backends.
            clusters: Vec::new(),
            trusted_ca: PathBuf::new(),
            admin: Some(anywhere),
            access_log: None,
            replay_clock_header: Some(clock_header.clone()),
        };
        let envoy = Envoy::start(binary, &bootstrap, secrets)?;
        Ok(Self { envoy, clock_header, connection: None })
    }

    fn exchange(&mut self, wire: &Wire) -> Result<Answer, WireError> {
        if let Some(connection) = self.connection.take() {
            match self.exchange_on(connection, wire) {
                // It was closed meanwhile, which is found out by using it.
                Err(error) if is_hang_up(&error) => {}
                result => return result,
            }
        }
        let connection = Connection::open(self.envoy.address())?;
        self.exchange_on(connection, wire)
    }

    fn exchange_on(
        &mut self,
        mut connection: Connection,
        wire: &Wire,
    ) -> Result<Answer, WireError> {
        let answer = connection.exchange(&wire.bytes, wire.ends_early, wire.to_head)?;
        let closes = answer.header("connection").is_some_and(|value| value == b"close");
        self.connection = (!closes && !wire.is_last).then_some(connection);
        Ok(answer)
    }

    /// What the problem document of a response to HEAD would have said: the filter's record has it too.
    fn recorded(&self, answer: &Answer) -> Option<Verdict> {
        let id = std::str::from_utf8(answer.header("x-request-id")?).ok()?;
        let deadline = Instant::now() + RECORD_WITHIN;
        loop {
            let patience = deadline.checked_duration_since(Instant::now())?;
            let line = self.envoy.filter_line(patience)?;
            let record = line.find('{').and_then(|begin| line.get(begin..));
            let Ok(record) = serde_json::from_str::<Value>(record.unwrap_or_default()) else {
                continue;
            };
            if record["http"]["request"]["id"] != id {
                continue;
            }
            let reason = Reason::from_name(record["event"]["reason"].as_str()?)?;
            let findings = serde_json::from_value(record["portcullis"]["findings"].clone()).ok()?;
            return Some(Verdict::deny(reason, findings));
        }
    }
}

impl Backend for EnvoyBackend {
    fn decide(&mut self, request: &Request) -> Result<Verdict, BackendError> {
        super::without_certificate(request)?;
        let Some(wire) = Wire::new(request, &self.clock_header) else {
            // A line break in a field would be another request: there is none to send.
            return Ok(Verdict::refused_by_proxy(400));
        };
        self.envoy.skip_filter_lines();
        let answer = match self.exchange(&wire) {
            Ok(answer) => answer,
            // Without a word, as on a request that does not end.
            Err(error) if is_hang_up(&error) => return Ok(Verdict::refused_by_proxy(400)),
            Err(error) => return Err(BackendError(format!("Envoy: {error}"))),
        };
        if answer.status == 200 {
            return Ok(Verdict::allow());
        }
        let verdict = match wire.to_head {
            true => self.recorded(&answer),
            false => Verdict::from_problem(&answer.body),
        };
        Ok(verdict.unwrap_or_else(|| Verdict::refused_by_proxy(answer.status)))
    }
}

fn is_hang_up(error: &WireError) -> bool {
    match error {
        WireError::Closed => true,
        WireError::Io(error) => {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        }
        WireError::Unreadable(_) => false,
    }
}

/// A request as bytes.
struct Wire {
    bytes: Vec<u8>,
    /// The two sides may have different ideas of where it ends: nothing may follow it.
    is_last: bool,
    /// It promises more body than there is.
    ends_early: bool,
    to_head: bool,
}

impl Wire {
    /// None where a part would not stay in its place.
    fn new(request: &Request, clock_header: &str) -> Option<Self> {
        let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        let names = || request.headers.iter().map(|(name, _)| name);
        // `:path` as a field's name would be a field without a name, and `a:` another value.
        if breaks(request.method.as_bytes())
            || breaks(request.path.as_bytes())
            || names().any(|name| breaks(name.as_bytes()) || name.contains(':') || name.is_empty())
            || request.headers.iter().any(|(_, value)| breaks(value))
        {
            return None;
        }
        let framing = Framing::of(request);
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        for (name, value) in &request.headers {
            field(name, value);
        }
        if framing == Framing::Unsaid {
            field("content-length", request.body.len().to_string().as_bytes());
        }
        // Last, so that it is the one that Envoy trusts.
        field("x-forwarded-for", request.source.to_string().as_bytes());
        field(clock_header, request.time.0.to_string().as_bytes());
        bytes.extend_from_slice(b"\r\n");
        if framing == Framing::Chunked {
            if !request.body.is_empty() {
                bytes.extend_from_slice(format!("{:x}\r\n", request.body.len()).as_bytes());
                bytes.extend_from_slice(&request.body);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&request.body);
        }
        Some(Self {
            bytes,
            is_last: matches!(framing, Framing::Odd | Framing::TooLong),
            ends_early: framing == Framing::TooLong,
            to_head: request.method == "HEAD",
        })
    }
}

/// How the end of a request is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// No body, and no word of one.
    None,
    /// A body whose length is still to be added.
    Unsaid,
    /// The length is there and right.
    Length,
    /// In chunks.
    Chunked,
    /// The length is more than there is.
    TooLong,
    /// Something else: a length that is wrong, two lengths, a length and chunks, other codings, an upgrade.
    Odd,
}

impl Framing {
    fn of(request: &Request) -> Self {
        let is = |name: &str, others: &[&str]| {
            others.iter().any(|other| name.eq_ignore_ascii_case(other))
        };
        if request.headers.iter().any(|(name, _)| is(name, &["connection", "expect", "upgrade"])) {
            return Self::Odd;
        }
        let mut framing = request
            .headers
            .iter()
            .filter(|(name, _)| is(name, &["content-length", "transfer-encoding"]));
        match (framing.next(), framing.next()) {
            (None, _) if request.body.is_empty() => Self::None,
            (None, _) => Self::Unsaid,
            (Some((name, value)), None) if is(name, &["content-length"]) => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                match length.map(|length: usize| length.cmp(&request.body.len())) {
                    Some(Ordering::Equal) => Self::Length,
                    Some(Ordering::Greater) => Self::TooLong,
                    Some(Ordering::Less) | None => Self::Odd,
                }
            }
            (Some((_, value)), None) if value.eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            _ => Self::Odd,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use portcullis_policy::Timestamp;

    use super::*;

    fn request(headers: &[(&str, &str)], body: &str) -> Request {
        Request {
            id: "a".into(),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            time: Timestamp(7),
            client_certificate: None,
        }
    }

    fn wire(headers: &[(&str, &str)], body: &str) -> (String, bool) {
        let wire = Wire::new(&request(headers, body), "x-clock").unwrap();
        (String::from_utf8(wire.bytes).unwrap(), wire.is_last)
    }

    #[test]
    fn a_request_is_written_as_it_was() {
        let ours = "x-forwarded-for: 192.0.2.1\r\nx-clock: 7\r\n\r\n";
        let (text, is_last) = wire(&[("Host", "a"), ("x-forwarded-for", "6.6.6.6")], "hi");
        let expected = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 6.6.6.6\r\ncontent-length: 2\r\n{ours}hi"
        );
        assert_eq!((text, is_last), (expected, false));
        let (text, is_last) = wire(&[("Transfer-Encoding", "chunked")], "hi");
        assert!(text.ends_with(&format!("{ours}2\r\nhi\r\n0\r\n\r\n")) && !is_last);
        assert!(wire(&[], "").0.ends_with(ours));
    }

    #[test]
    fn nothing_follows_a_request_whose_end_is_disputed() {
        for headers in [
            [("content-length", "3")].as_slice(),
            &[("content-length", "1")],
            &[("content-length", "2"), ("content-length", "2")],
            &[("content-length", "2"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("upgrade", "h2c")],
            &[("Connection", "close")],
        ] {
            assert!(wire(headers, "hi").1, "{headers:?}");
        }
        assert!(!wire(&[("content-length", "2")], "hi").1);
    }

    #[test]
    fn a_field_cannot_become_another_request() {
        for header in [("a", "b\r\nc: d"), ("a\n", "b"), ("a: b", "c"), (":path", "/"), ("", "a")] {
            assert!(Wire::new(&request(&[header], ""), "x-clock").is_none(), "{header:?}");
        }
        let mut request = request(&[], "");
        request.path = "/ HTTP/1.1\r\n\r\n".to_owned();
        assert!(Wire::new(&request, "x-clock").is_none());
    }
}
