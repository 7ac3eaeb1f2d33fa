//! Requests as the policy sees them and as they go on, and what comes back.

use std::net::IpAddr;

use portcullis_function::{Body, Limit};
use portcullis_policy::{HeaderEdit, TOLD_BY_PROXIES};

/// Fields in order, names in lower case.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// A request's header section.
pub(crate) struct Incoming {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Where the target is in absolute form.
    pub(crate) authority: Option<String>,
    /// As they came.
    pub(crate) fields: Fields,
    pub(crate) source: Option<IpAddr>,
}

/// What is yet to come of it.
#[allow(async_fn_in_trait, reason = "a component has one thread")]
pub(crate) trait Content {
    /// Reads up to so much, and tells if there is more.
    async fn read(self, limit: Limit) -> Body;
}

/// What goes to the function behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// What is answered, by the function behind or by the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// Sends requests to the function behind.
#[allow(async_fn_in_trait, reason = "a component has one thread")]
pub(crate) trait Upstream {
    /// Sends a request once, and follows nothing.
    async fn send(&self, request: Outgoing) -> Result<Answer, UpstreamError>;
}

/// There is no answer. The reason is for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the function behind is not reached: {0}")]
    Unreachable(String),
    #[error("the function behind does not answer in time")]
    Timeout { has_begun: bool },
    #[error("the answer of the function behind is too large, or ended too early")]
    Unfit { has_begun: bool },
}

impl UpstreamError {
    /// Whether an answer had begun, and well: what it cost is not known then.
    pub(crate) fn has_begun(&self) -> bool {
        match self {
            Self::Unreachable(_) => false,
            Self::Timeout { has_begun } | Self::Unfit { has_begun } => *has_begun,
        }
    }
}

/// What belongs to a connection and not to a message (RFC 9110 section 7.6.1), or is said anew of what goes on.
const OWN_TO_EACH_HOP: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// What hosts and proxies tell of a request, which a client could only make up.
const OURS_TO_SAY: [&str; 4] =
    ["x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-proto", "x-request-id"];

impl Incoming {
    /// The fields that the policy judges, pseudo-header fields first; none where it cannot be said for whom the request is.
    pub(crate) fn judged(&self, request_id: &str) -> Option<Fields> {
        let mut hosts = self.fields.iter().filter(|(name, _)| name == "host");
        let host = match (&self.authority, hosts.next(), hosts.next()) {
            (Some(authority), _, None) => authority.as_bytes().to_vec(),
            (None, Some((_, host)), None) => host.clone(),
            _ => return None,
        };
        let pseudo = [
            (":method", self.method.as_bytes().to_vec()),
            (":path", self.path.as_bytes().to_vec()),
            (":authority", host),
            (":scheme", b"http".to_vec()),
            ("x-request-id", request_id.as_bytes().to_vec()),
        ];
        let source = self.source.map(|source| source.to_canonical().to_string().into_bytes());
        let source = source.map(|source| ("x-forwarded-for", source));
        let ours = pseudo.into_iter().chain(source);
        let ours = ours.map(|(name, value)| (name.to_owned(), value));
        let theirs = self.fields.iter().filter(|(name, _)| {
            // What a length says of the body is judged, though it is written anew.
            let is_judged = name == "content-length" || !OWN_TO_EACH_HOP.contains(&&**name);
            let is_made_up = OURS_TO_SAY.contains(&&**name) || TOLD_BY_PROXIES.contains(&&**name);
            is_judged && !is_made_up && !name.starts_with("spin-")
        });
        Some(ours.chain(theirs.cloned()).collect())
    }

    /// Whether a body may follow. One that comes where none was announced is not read, and does not go on.
    pub(crate) fn has_body(&self) -> bool {
        let mut lengths = self.fields.iter().filter(|(name, _)| name == "content-length");
        match lengths.next() {
            Some((_, length)) => length.trim_ascii() != b"0" || lengths.next().is_some(),
            None => !matches!(&*self.method, "GET" | "HEAD" | "DELETE" | "OPTIONS" | "TRACE"),
        }
    }
}

impl Outgoing {
    /// The request as the policy lets it on.
    pub(crate) fn new(judged: Fields, edits: Vec<HeaderEdit>, body: Vec<u8>) -> Option<Self> {
        let mut fields = judged;
        apply(&mut fields, edits);
        let pseudo = |name: &str| {
            let (_, value) = fields.iter().find(|(field, _)| field == name)?;
            String::from_utf8(value.clone()).ok()
        };
        let (method, path) = (pseudo(":method")?, pseudo(":path")?);
        fields.retain(|(name, _)| is_end_to_end(name));
        if !body.is_empty() {
            fields.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        Some(Self { method, path, fields, body })
    }
}

impl Answer {
    /// The header section as the policy sees it.
    pub(crate) fn judged(&self) -> Fields {
        let status = (":status".to_owned(), self.status.to_string().into_bytes());
        std::iter::once(status).chain(self.fields.iter().cloned()).collect()
    }

    /// Changes the header section as the policy says.
    pub(crate) fn edit(&mut self, edits: Vec<HeaderEdit>) {
        let mut fields = self.judged();
        apply(&mut fields, edits);
        let status = fields.iter().find(|(name, _)| name == ":status");
        let status = status.and_then(|(_, status)| std::str::from_utf8(status).ok()?.parse().ok());
        self.status = status.unwrap_or(self.status);
        fields.retain(|(name, _)| is_end_to_end(name));
        self.fields = fields;
    }
}

fn is_end_to_end(name: &str) -> bool {
    !name.starts_with(':') && !OWN_TO_EACH_HOP.contains(&name)
}

fn apply(fields: &mut Fields, edits: Vec<HeaderEdit>) {
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => fields.retain(|(field, _)| *field != name),
            HeaderEdit::Set(name, value) => {
                fields.retain(|(field, _)| *field != name);
                fields.push((name, value.into_bytes()));
            }
        }
    }
}

/// Whether another spelling of the path would not be the same to the policy and something else to whoever it goes on to.
pub(crate) fn is_normal(path: &str) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_needless = |after: &str| {
        let digits = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        digits.is_none_or(is_unreserved)
    };
    path.starts_with('/')
        && !path.contains("//")
        && !path.contains(['\\', '#'])
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && !path.split('%').skip(1).any(is_needless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(method: &str, fields: &[(&str, &str)]) -> Incoming {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        Incoming {
            method: method.to_owned(),
            path: "/a?b".to_owned(),
            authority: None,
            fields: fields.iter().map(field).collect(),
            source: "192.0.2.1".parse().ok(),
        }
    }

    #[test]
    fn what_hosts_and_proxies_say_comes_from_no_client() {
        let request = incoming(
            "POST",
            &[
                ("host", "a.example"),
                ("spin-client-addr", "203.0.113.9:1"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-host", "admin.internal"),
                ("x-request-id", "theirs"),
                ("connection", "x-a"),
                ("x-a", "kept"),
                ("content-length", "3"),
            ],
        );
        let judged = request.judged("ours").unwrap();
        let of = |name: &str| -> Vec<&[u8]> {
            let fields = judged.iter().filter(|(field, _)| field == name);
            fields.map(|(_, value)| &value[..]).collect()
        };
        assert_eq!(of(":authority"), [b"a.example"]);
        assert_eq!(of("x-forwarded-for"), [b"192.0.2.1"]);
        assert_eq!(of("x-request-id"), [b"ours"]);
        assert_eq!((of("x-a"), of("content-length")), (vec![&b"kept"[..]], vec![&b"3"[..]]));
        assert!(of("spin-client-addr").is_empty() && of("connection").is_empty());

        let edits = vec![
            HeaderEdit::Remove("x-a".to_owned()),
            HeaderEdit::Set(":path".to_owned(), "/c".to_owned()),
        ];
        let outgoing = Outgoing::new(judged.clone(), edits, b"body".to_vec()).unwrap();
        assert_eq!((&*outgoing.method, &*outgoing.path), ("POST", "/c"));
        let names: Vec<_> = outgoing.fields.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["x-request-id", "x-forwarded-for", "content-length"]);
        assert_eq!(outgoing.fields[2].1, b"4");
    }

    #[test]
    fn for_whom_a_request_is_must_be_clear() {
        assert!(incoming("GET", &[]).judged("").is_none());
        assert!(incoming("GET", &[("host", "a"), ("host", "b")]).judged("").is_none());
        let absolute =
            Incoming { authority: Some("c".into()), ..incoming("GET", &[("host", "a")]) };
        assert!(absolute.judged("").unwrap().contains(&(":authority".into(), b"c".to_vec())));
    }

    #[test]
    fn bodies_are_where_they_are_announced() {
        for (method, length, has_body) in [
            ("GET", None, false),
            ("GET", Some("1"), true),
            ("POST", None, true),
            ("POST", Some("0"), false),
            ("POST", Some("7"), true),
        ] {
            let length = length.map(|length| ("content-length", length));
            let request = incoming(method, &length.into_iter().collect::<Vec<_>>());
            assert_eq!(request.has_body(), has_body, "{method}");
        }
    }

    #[test]
    fn paths_have_one_spelling() {
        for path in ["/", "/a/b", "/a%20b", "/a/?x=//..", "/%c3%a9"] {
            assert!(is_normal(path), "{path}");
        }
        for path in
            ["", "a", "//a", "/a//b", "/a/../b", "/.", "/%2e%2e/a", "/%61", "/a\\b", "/%zz", "/%"]
        {
            assert!(!is_normal(path), "{path}");
        }
    }
}
