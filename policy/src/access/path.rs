//! One reading of the request target.
//!
//! Envoy normalises paths before filters see them, other hosts do not. The policy does it itself, so that
//! `/public/../admin` is `/admin` to every route, everywhere, and to the upstream. The rules are Envoy's
//! `normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action: REJECT_REQUEST`, and some more: what upstreams read in
//! several ways is refused.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::headers::{Header, single};
use super::host::host;
use crate::byte_set::ByteSet;
use crate::problem::{Reason, Refusal};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The method: most requests' is one of those that everybody knows.
    pub(crate) method: Cow<'static, str>,
    /// The path, normalised.
    pub(crate) path: String,
    /// The query without its question mark.
    pub(crate) query: Option<String>,
    /// The host, in lower case, without a port; empty where the request names none.
    pub(crate) host: String,
    /// Whether `:path` differs from what the client sent.
    pub(crate) rewritten: bool,
}

/// Why a request target has no single reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum PathError {
    /// Not `/…`.
    #[error("a path that begins with a slash")]
    NotAbsolute,
    /// `%2f` or `%5c`: some readers see a slash, some do not.
    #[error("no escaped slash or backslash")]
    EscapedSlash,
    /// `%` without two hexadecimal digits, a control character such as `%00` or `%0a`, or bytes that are not UTF-8.
    #[error("valid percent-encoding (RFC 3986 §2.1) of text without control characters")]
    BadEscape,
    /// `..;` and the like: nothing and dots to who leaves parameters out, a name to others.
    #[error("no parameters of an empty segment or of dots")]
    HiddenSegment,
    /// A control character, a space, a fragment or a byte beyond ASCII.
    #[error("only characters that a URI may hold (RFC 3986 §2)")]
    BadCharacter,
}

impl Target {
    /// Reads the pseudo-header fields. Call it after the header section has been checked.
    pub(crate) fn read(headers: &[Header<'_>]) -> Result<Self, Refusal> {
        let text =
            |name: &str| single(headers, name).and_then(|value| std::str::from_utf8(value).ok());
        let invalid = |expected: String| {
            Refusal::new(Reason::PathInvalid, "Send a plain, normalised path.")
                .finding(":path", expected)
        };
        let sent = text(":path").unwrap_or_default();
        let (raw_path, query) = match split_at_first(sent, b'?') {
            Some((path, query)) => (path, Some(query)),
            None => (sent, None),
        };
        let path = normalise(raw_path).map_err(|error| invalid(error.to_string()))?;
        if !query.unwrap_or_default().bytes().all(is_uri_byte) {
            return Err(invalid(PathError::BadCharacter.to_string()));
        }
        let authority = text(":authority").or_else(|| text("host")).unwrap_or_default();
        let rewritten = path != raw_path;
        Ok(Self {
            method: method(text(":method").unwrap_or_default()),
            path,
            query: query.map(str::to_owned),
            host: host(authority).ok_or_else(|| {
                Refusal::new(Reason::HeaderInvalid, "Name the host as host or host:port.")
                    .finding("host", "host or host:port")
            })?,
            rewritten,
        })
    }

    /// The same request to an upstream that leaves the parameters of segments out (RFC 3986 §3.3), as Java's servers do; none where
    /// there are none.
    pub(crate) fn without_parameters(&self) -> Option<Self> {
        if !self.path.contains([';', '%']) {
            return None;
        }
        let names: Vec<&str> = self.path.split('/').map(segment_name).collect();
        let path = names.join("/");
        (path != self.path).then(|| Self { path, ..self.clone() })
    }

    /// A path as it would stand in [`Self::path`]; none where it has no single reading.
    pub(crate) fn normal_path(path: &str) -> Option<String> {
        normalise(path).ok()
    }

    /// Takes a parameter out of the query; the others stay as they were written.
    pub(crate) fn remove_parameter(&mut self, name: &str) {
        let Some(query) = &self.query else { return };
        let is_it =
            |piece: &str| form_urlencoded::parse(piece.as_bytes()).any(|(key, _)| key == name);
        let pieces: Vec<&str> = query.split('&').collect();
        let left: Vec<&str> = pieces.iter().copied().filter(|piece| !is_it(piece)).collect();
        if left.len() < pieces.len() {
            self.query = (!left.is_empty()).then(|| left.join("&"));
            self.rewritten = true;
        }
    }

    /// The request target as `:path` has it.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// A method without a copy of it, where it is one of those that are known (RFC 9110 §9.3).
fn method(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];
    match KNOWN.into_iter().find(|known| *known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

/// What comes before and after the first of this ASCII character. For short texts, where `split_once` is much code.
pub(crate) fn split_at_first(text: &str, character: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == character)?;
    Some((text.get(..place)?, text.get(place.saturating_add(1)..)?))
}

/// RFC 3986 §6.2.2: unreserved characters unescaped, dot segments removed; and slashes merged.
fn normalise(path: &str) -> Result<String, PathError> {
    if !path.starts_with(['/', '\\']) {
        return Err(PathError::NotAbsolute);
    }
    if is_normal(path) {
        return Ok(path.to_owned());
    }
    let unescaped = unescape(path)?;
    let mut segments: Vec<&str> = Vec::new();
    // A path that ends in a slash or a dot segment is that of a folder.
    let mut folder = false;
    for segment in unescaped.split('/').skip(1) {
        let name = segment_name(segment);
        if name.len() < segment.len() && matches!(name, "" | "." | "..") {
            return Err(PathError::HiddenSegment);
        }
        folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut normalised = String::with_capacity(unescaped.len());
    for segment in &segments {
        normalised.push('/');
        normalised.push_str(segment);
    }
    if folder || segments.is_empty() {
        normalised.push('/');
    }
    Ok(normalised)
}

/// A segment without its parameters (RFC 3986 §3.3), also where their semicolon is escaped: some read it before and some after
/// it is unescaped.
fn segment_name(segment: &str) -> &str {
    let plain = segment.bytes().position(|byte| byte == b';');
    let escaped = segment.as_bytes().windows(3).position(|part| part.eq_ignore_ascii_case(b"%3b"));
    let end = plain.into_iter().chain(escaped).min();
    end.and_then(|end| segment.get(..end)).unwrap_or(segment)
}

/// Whether a path is plainly as [`normalise`] would write it, as most are: no escapes, no empty segments and none that begins
/// with a dot.
fn is_normal(path: &str) -> bool {
    const PLAIN: ByteSet = ByteSet::alphanumeric_and(b"-_~/.");
    let is_odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    PLAIN.holds_all(path.as_bytes()) && !path.as_bytes().windows(2).any(is_odd)
}

/// Unescapes what never needs escaping, and turns backslashes into slashes as URL parsers do.
fn unescape(path: &str) -> Result<String, PathError> {
    let mut unescaped = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    let mut is_ascii = true;
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()];
                let [Some(high), Some(low)] = digits else { return Err(PathError::BadEscape) };
                let value = hex(high).zip(hex(low)).map(|(high, low)| (high << 4) | low);
                match value {
                    None | Some(0..=0x1f | 0x7f) => return Err(PathError::BadEscape),
                    Some(b'/' | b'\\') => return Err(PathError::EscapedSlash),
                    Some(value) if is_unreserved(value) => unescaped.push(char::from(value)),
                    Some(value) => {
                        is_ascii &= value.is_ascii();
                        unescaped.extend(['%', char::from(high), char::from(low)]);
                    }
                }
            }
            b'\\' => unescaped.push('/'),
            _ if is_uri_byte(byte) => unescaped.push(char::from(byte)),
            _ => return Err(PathError::BadCharacter),
        }
    }
    // What is no UTF-8 some read as Latin-1, some leave out, and some once took for a dot (`%c0%ae`).
    if !is_ascii && percent_decode_str(&unescaped).decode_utf8().is_err() {
        return Err(PathError::BadEscape);
    }
    Ok(unescaped)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Visible ASCII without the fragment's `#`.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_is_one_path() {
        for (path, expected) in [
            ("/", "/"),
            ("/v1/predict", "/v1/predict"),
            ("/public/../admin", "/admin"),
            ("/public/%2e%2e/admin", "/admin"),
            ("/public/.%2E/admin", "/admin"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/../../admin", "/admin"),
            ("\\admin", "/admin"),
            ("/a\\..\\admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/admin/", "/admin/"),
            ("/admin/.", "/admin/"),
            ("/admin/..", "/"),
            ("/a%20b", "/a%20b"),
            ("/a;x=1", "/a;x=1"),
        ] {
            assert_eq!(normalise(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        assert_eq!(normalise("/a%2fb"), Err(PathError::EscapedSlash));
        assert_eq!(normalise("/a%5Cb"), Err(PathError::EscapedSlash));
        assert_eq!(normalise("/a%00"), Err(PathError::BadEscape));
        assert_eq!(normalise("/a%"), Err(PathError::BadEscape));
        assert_eq!(normalise("/a%zz"), Err(PathError::BadEscape));
        assert_eq!(normalise("/a#b"), Err(PathError::BadCharacter));
        assert_eq!(normalise("/a b"), Err(PathError::BadCharacter));
        assert_eq!(normalise("/é"), Err(PathError::BadCharacter));
        assert_eq!(normalise("*"), Err(PathError::NotAbsolute));
        assert_eq!(normalise(""), Err(PathError::NotAbsolute));
        assert_eq!(normalise("http://a/"), Err(PathError::NotAbsolute));
    }

    #[test]
    fn hidden_segments_and_escapes_are_refused() {
        for path in
            ["/..;", "/a/..;x/b", "/.;/b", "/%2e%2e;/b", "/..%3b/b", "/..%3B;/b", "/;/b", "/a/;x=1"]
        {
            assert_eq!(normalise(path), Err(PathError::HiddenSegment), "{path}");
        }
        for path in
            ["/%0a", "/%1F", "/%7f", "/%ff", "/%c0%ae", "/%c3", "/%ed%a0%80", "/a%e2%82/%ac"]
        {
            assert_eq!(normalise(path), Err(PathError::BadEscape), "{path}");
        }
        for path in ["/a..;x", "/a;..", "/%C3%A9", "/%e2%82%ac;x"] {
            assert_eq!(normalise(path).as_deref(), Ok(path));
        }
    }

    #[test]
    fn parameters_are_left_out_as_some_upstreams_do() {
        let plain = |path: &str| {
            let target = Target::read(&[(":path", path.as_bytes())]).unwrap();
            target.without_parameters().map(|target| target.path)
        };
        assert_eq!(plain("/a;x=1/b;y"), Some("/a/b".to_owned()));
        assert_eq!(plain("/a%3Bx;y/%20"), Some("/a/%20".to_owned()));
        assert_eq!((plain("/a"), plain("/%20")), (None, None));
    }

    proptest! {
        /// Normalising twice changes nothing: what the route was matched by is what the upstream sees.
        #[test]
        fn is_idempotent(path in "/[a-z./%2;\\\\A-F0-9]{0,24}") {
            if let Ok(once) = normalise(&path) {
                // A double escape such as %252e stays escaped and is no dot to anybody.
                prop_assert_eq!(normalise(&once), Ok(once.clone()));
                prop_assert!(!once.split('/').any(|segment| segment == ".."));
                prop_assert!(!once.contains("//"));
            }
        }
    }
}
