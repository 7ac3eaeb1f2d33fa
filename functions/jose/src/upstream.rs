//! The function behind this one: what is sent to it, and what of its answers is taken.

use std::time::Duration;

use portcullis_function::{Body, Limit, Problem, Reply, UNAVAILABLE};
use zeroize::Zeroizing;

/// How much of an answer is read.
pub(crate) const ANSWER_LIMIT: Limit =
    Limit { bytes: 1024 * 1024, detail: "The answer has more than 1048576 bytes." };

/// In an answer: what the function has noticed of the request, for the gate's record alone.
pub(crate) const SIGNALS_FIELD: &str = "portcullis-signals";
/// As many and as long as the gate takes.
const MAXIMUM_SIGNALS: usize = 8;
const MAXIMUM_SIGNAL_BYTES: usize = 48;

/// The media types of answers: all of them are screened, and none has parts that are not text.
const MEDIA_TYPES: [&str; 4] =
    ["application/json", "application/problem+json", "text/plain", "text/event-stream"];

/// Sends requests to the function. A network, or a closure in the tests.
#[allow(
    async_fn_in_trait,
    reason = "a component has one thread: nobody asks whether these futures are Send"
)]
pub(crate) trait Upstream {
    /// Sends a request once, and follows nothing.
    async fn send(&self, request: Outgoing) -> Result<Incoming, UpstreamError>;
}

/// A request to the function.
pub(crate) struct Outgoing {
    pub(crate) method: String,
    /// Origin, path and query.
    pub(crate) uri: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// From the first byte sent to the last one read.
    pub(crate) timeout: Duration,
}

/// An answer of the function's.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Read up to [`ANSWER_LIMIT`].
    pub(crate) body: Body,
}

/// There is no answer. The reason is for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the function behind this one is not reached: {0}")]
    Unreachable(String),
    #[error("the function behind this one does not answer in time")]
    Timeout,
}

impl UpstreamError {
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Unreachable(_) => UNREACHABLE,
            Self::Timeout => TIMEOUT,
        }
    }
}

/// What of an answer goes on.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// A list of tokens.
    pub(crate) signals: Option<String>,
}

impl Incoming {
    /// Takes the status, the media type, the content and the signals: no other field is known to be harmless in the clear.
    pub(crate) fn take(self) -> Result<Answered, Problem> {
        let Self { status, headers, body } = self;
        match status {
            // It does not take our word: that is nothing that the caller could mend.
            401 => {
                portcullis_function::log!(
                    "jose: the function behind this one refuses the assertion: expected the same assertion_key"
                );
                return Err(UNAVAILABLE);
            }
            // Neither has content that could be encrypted.
            204 | 205 => return Err(unfit("its status allows no content")),
            200..=299 | 400..=599 => {}
            // Where it points to is for nobody here to go.
            _ => return Err(unfit("its status is neither of success nor of an error")),
        }
        let Body::Whole(body) = body else {
            return Err(unfit("it is too large, or ended too early"));
        };
        if fields(&headers, "content-encoding")
            .any(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
        {
            return Err(unfit("it is compressed, and so cannot be screened"));
        }
        let media_type = match media_type(&headers) {
            Some(known) => known,
            None if body.is_empty() => "text/plain",
            None => return Err(unfit("its media type is not JSON, plain text or events")),
        };
        let signals = signals(&headers);
        Ok(Answered { reply: Reply::new(status, media_type, body.to_vec()), signals })
    }
}

fn unfit(reason: &str) -> Problem {
    portcullis_function::log!("jose: an answer of the function behind this one: {reason}");
    UNFIT
}

fn fields<'a>(
    headers: &'a [(String, Vec<u8>)],
    field: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    headers.iter().filter(move |(name, _)| name == field).map(|(_, value)| value.as_slice())
}

/// The one media type, if it is one of those that are taken.
fn media_type(headers: &[(String, Vec<u8>)]) -> Option<&'static str> {
    let mut types = fields(headers, "content-type");
    let (Some(only), None) = (types.next(), types.next()) else { return None };
    let essence = only.split(|byte| *byte == b';').next()?.trim_ascii();
    MEDIA_TYPES.into_iter().find(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}

/// The plain tokens among the signals, as the gate reads them.
fn signals(headers: &[(String, Vec<u8>)]) -> Option<String> {
    let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let mut signals: Vec<&str> = Vec::new();
    for token in fields(headers, SIGNALS_FIELD).flat_map(|line| line.split(|byte| *byte == b',')) {
        let token = token.trim_ascii();
        let is_token = (1..=MAXIMUM_SIGNAL_BYTES).contains(&token.len()) && token.iter().all(plain);
        if let (true, Ok(token)) = (is_token, std::str::from_utf8(token))
            && signals.len() < MAXIMUM_SIGNALS
            && !signals.contains(&token)
        {
            signals.push(token);
        }
    }
    (!signals.is_empty()).then(|| signals.join(", "))
}

const UNREACHABLE: Problem =
    Problem::new(502, "upstream-unreachable", "The function cannot be reached", "Try again later.");
const TIMEOUT: Problem = Problem::new(
    504,
    "upstream-timeout",
    "The function does not answer in time",
    "Try again later, or send less.",
);
const UNFIT: Problem = Problem::new(
    502,
    "upstream-answer-unfit",
    "The function's answer cannot be passed on",
    "Its operator finds the reason in the log.",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Incoming {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Incoming { status, headers, body: Body::Whole(body.to_vec().into()) }
    }

    fn taken(incoming: Incoming) -> Result<(u16, String, Option<String>), u16> {
        match incoming.take() {
            Ok(Answered { reply, signals }) => {
                let (_, media_type) =
                    reply.headers.iter().find(|(name, _)| *name == "content-type").unwrap();
                Ok((reply.status, (*media_type).to_owned(), signals))
            }
            Err(problem) => Err(problem.reply().status),
        }
    }

    #[test]
    fn status_type_content_and_signals_are_taken() {
        let json = [("content-type", "Application/JSON; charset=utf-8"), ("set-cookie", "a=b")];
        let expected = (200, "application/json".to_owned(), None);
        assert_eq!(taken(incoming(200, &json, b"{}")), Ok(expected));
        let problem = [("content-type", "application/problem+json")];
        for status in [400, 422, 429, 500, 503] {
            let expected = (status, "application/problem+json".to_owned(), None);
            assert_eq!(taken(incoming(status, &problem, b"{}")), Ok(expected));
        }
        assert!(taken(incoming(404, &[], b"")).is_ok(), "nothing is of no type");
    }

    #[test]
    fn what_cannot_be_screened_or_sealed_is_not_passed_on() {
        let json = ("content-type", "application/json");
        for status in [100, 101, 204, 205, 301, 304, 307, 600, 999] {
            assert_eq!(taken(incoming(status, &[json], b"{}")), Err(502), "{status}");
        }
        for headers in [
            &[][..],
            &[json, json],
            &[("content-type", "image/png")],
            &[("content-type", "application/jose")],
            &[("content-type", "")],
            &[json, ("content-encoding", "gzip")],
        ] {
            assert_eq!(taken(incoming(200, headers, b"{}")), Err(502), "{headers:?}");
        }
        assert_eq!(taken(incoming(401, &[json], b"{}")), Err(503));
        for body in [Body::Broken, Body::TooLarge(ANSWER_LIMIT.detail)] {
            let incoming = Incoming { body, ..incoming(200, &[json], b"") };
            assert_eq!(taken(incoming), Err(502));
        }
    }

    #[test]
    fn signals_are_tokens_and_few() {
        let of = |lines: &[&str]| {
            let headers: Vec<_> = lines.iter().map(|line| (SIGNALS_FIELD, *line)).collect();
            incoming(200, &headers, b"").take().map(|answered| answered.signals).unwrap()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["look-alikes", "a,b, a"]).unwrap(), "look-alikes, a, b");
        assert_eq!(of(&["Upper, a b, \"q\", \r\nx-forged: 1", "é,,", &"a".repeat(49)]), None);
        assert_eq!(of(&["1,2,3,4,5,6,7,8,9"]).unwrap(), "1, 2, 3, 4, 5, 6, 7, 8");
    }
}
