//! A request, read as far as it is read at all.

use zeroize::Zeroizing;

use crate::Problem;

/// A request without anything of Spin.
pub struct Request<'a> {
    /// The method (RFC 9110 §9).
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Without its question mark.
    pub query: Option<&'a str>,
    /// Names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// What came of reading its body.
    pub body: Body,
    /// Seconds since 1970.
    pub now: u64,
}

/// How much of a body is read.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// In bytes.
    pub bytes: usize,
    /// What a client is told who sends more.
    pub detail: &'static str,
}

/// What came of reading a request's body.
#[derive(Clone)]
pub enum Body {
    /// All of it. It may hold a secret.
    Whole(Zeroizing<Vec<u8>>),
    /// More than is read; and what to tell the client.
    TooLarge(&'static str),
    /// The connection ended before the body did.
    Broken,
}

impl Request<'_> {
    /// The whole body.
    pub fn body(&self) -> Result<&[u8], Problem> {
        match &self.body {
            Body::Whole(body) => Ok(body),
            Body::TooLarge(detail) => {
                Err(Problem::new(413, "body-too-large", "Body too large", detail))
            }
            Body::Broken => Err(BROKEN),
        }
    }

    /// Whether there is one Content-Type, of this essence and with UTF-8 as the only parameter (RFC 8259 §8.1 and §11).
    pub fn is_of_type(&self, expected: &str) -> bool {
        let types = self.headers.iter().filter(|(name, _)| *name == "content-type");
        let mut types = types.map(|(_, value)| *value);
        let (Some(content_type), None) = (types.next(), types.next()) else {
            return false;
        };
        let Ok(content_type) = std::str::from_utf8(content_type) else {
            return false;
        };
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let parameters = parameters.trim().to_ascii_lowercase();
        essence.trim().eq_ignore_ascii_case(expected)
            && matches!(parameters.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
    }
}

const BROKEN: Problem = Problem::new(
    400,
    "body-incomplete",
    "Body incomplete",
    "The body ended too early. Send it again.",
);
