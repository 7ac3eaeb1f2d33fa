//! What of a response goes on, in place of what the upstream sent.

use super::data::DataRules;
use super::{Canary, Charset, Owner, StreamKind, StreamRedactor, StreamSettings};
use crate::access::Header;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal};
use crate::stages::InputSections;

/// What is done about personal data, secrets and markers in responses.
#[derive(Debug)]
pub(crate) struct ResponseScreening {
    data: DataRules,
    canary: Option<Canary>,
    settings: StreamSettings,
}

/// A body on its way: parts of it go in, what may go on comes out.
pub(crate) trait RewriteBody: std::fmt::Debug + Send {
    /// The next part; `is_last` where there is no other.
    fn rewrite(&mut self, part: &[u8], is_last: bool) -> Vec<u8>;

    /// Whether some of what has come waits for what follows, and a last part would bring it out.
    fn waits(&self) -> bool;

    /// Whether something was met after which nothing goes on.
    fn is_cut(&self) -> bool;

    /// Why it is cut, where that is not because of something in it.
    fn reason(&self) -> Option<Reason> {
        None
    }

    /// Its content type, where that has changed.
    fn content_type(&self) -> Option<&str> {
        None
    }
}

/// What a response's header section says of its body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AnnouncedBody<'a> {
    /// None where it is not there or cannot be read, or is there twice.
    pub(crate) content_type: Option<&'a str>,
    /// None where it is one that cannot be read.
    pub(crate) charset: Option<Charset>,
    pub(crate) is_encoded: bool,
    /// How many bytes it has, where that is told.
    pub(crate) length: Option<u64>,
    /// Whether trailers are ruled out: in chunks, and none are announced.
    pub(crate) is_without_trailers: bool,
}

impl<'a> AnnouncedBody<'a> {
    pub(crate) fn read(headers: &[Header<'a>]) -> Self {
        let all = |wanted| {
            let fields = headers.iter().filter(move |(name, _)| *name == wanted);
            fields.map(|(_, value)| std::str::from_utf8(value).ok())
        };
        // Of two that differ nobody knows which one counts.
        let only = |name| {
            let mut values = all(name);
            values.next()?.filter(|first| values.all(|other| other == Some(first)))
        };
        let has = |name| all(name).next().is_some();
        let is_chunked = has("transfer-encoding");
        let is_plain = |coding: &Option<&str>| {
            coding.is_some_and(|coding| coding.eq_ignore_ascii_case("identity"))
        };
        Self {
            content_type: only("content-type"),
            charset: Charset::of(all("content-type").flatten()),
            is_encoded: !all("content-encoding").all(|coding| is_plain(&coding)),
            // Chunks have the last word (RFC 9112 §6.3).
            length: only("content-length").filter(|_| !is_chunked).and_then(|it| it.parse().ok()),
            // A proxy that speaks HTTP/1.1 to the upstream mostly drops trailers, and keeps a large body in large parts, which it
            // could not hold back. HTTP/2 announces nothing.
            is_without_trailers: is_chunked && !has("trailer"),
        }
    }
}

impl ResponseScreening {
    /// None where responses go by as they are: nothing is looked for in them, and no request leaves tokens that come back.
    pub(crate) fn compile(
        sections: &InputSections<'_>,
        requests: Option<&DataRules>,
    ) -> Result<Option<Self>, CompileError> {
        let InputSections { output, redaction_key, canaries, .. } = *sections;
        let field = "output.personal_data";
        let data = DataRules::compile(&output.personal_data, redaction_key, field)?;
        let markers: Vec<&str> = canaries.iter().map(|marker| marker.as_str()).collect();
        let canary = (!markers.is_empty())
            .then(|| Canary::compile(&markers, "output.canaries"))
            .transpose()?;
        let has_tokens = requests.is_some_and(DataRules::tokenises);
        let settings = StreamSettings::default();
        Ok(match data {
            Some(data) => Some(Self { data, canary, settings }),
            None if canary.is_none() && !has_tokens => None,
            // Nothing is looked for but markers, and tokens are put back.
            None => Some(Self { data: DataRules::of_nothing(redaction_key)?, canary, settings }),
        })
    }

    /// For a body with these header fields. None where it goes by as it is: it is no text.
    pub(crate) fn of(
        &self,
        body: &AnnouncedBody<'_>,
        owner: Owner,
    ) -> Option<Box<dyn RewriteBody>> {
        let AnnouncedBody { content_type, charset, is_encoded, .. } = *body;
        if !is_text(content_type) {
            return None;
        }
        let Some(charset) = charset.filter(|_| !is_encoded) else {
            return Some(withheld(unreadable(), None, body));
        };
        let kind = StreamKind::of(content_type.unwrap_or_default());
        let DataRules { finder, redaction, .. } = &self.data;
        let redactor = StreamRedactor::new(kind, finder, redaction, &owner, &self.settings);
        let redactor = redactor.reading(charset);
        let rewriter = match &self.canary {
            Some(canary) => redactor.watching(canary),
            None => redactor,
        };
        let content_type = content_type.filter(|_| charset != Charset::Utf8);
        let content_type = content_type.map(Charset::as_utf_8);
        Some(Box::new(Framed { content_type, ..Framed::new(Box::new(rewriter), body) }))
    }
}

/// In place of a body: why nothing of it goes on.
pub(crate) fn withheld(
    refusal: Refusal,
    request_id: Option<&str>,
    body: &AnnouncedBody<'_>,
) -> Box<dyn RewriteBody> {
    let reason = refusal.reason;
    let said = Some(refusal.into_reply(request_id).body);
    Box::new(Framed::new(Box::new(Withheld { reason, said }), body))
}

impl RewriteBody for StreamRedactor {
    fn rewrite(&mut self, part: &[u8], is_last: bool) -> Vec<u8> {
        let mut rewritten = self.push(part);
        if is_last {
            rewritten.extend(self.finish());
        }
        rewritten
    }

    fn waits(&self) -> bool {
        StreamRedactor::waits(self)
    }

    fn is_cut(&self) -> bool {
        self.is_refused()
    }

    fn reason(&self) -> Option<Reason> {
        self.is_unreadable().then_some(Reason::ResponseUnreadable)
    }
}

/// A body of which is known where it ends. With trailers behind it no part says that it is the last one, and when they come
/// most proxies have no place for more of the body.
#[derive(Debug)]
struct Framed {
    body: Box<dyn RewriteBody>,
    /// How many bytes are to come, where that was told and is true so far.
    left: Option<u64>,
    is_without_trailers: bool,
    has_ended: bool,
    content_type: Option<String>,
}

impl Framed {
    fn new(body: Box<dyn RewriteBody>, announced: &AnnouncedBody<'_>) -> Self {
        let AnnouncedBody { length, is_without_trailers, .. } = *announced;
        Self { body, left: length, is_without_trailers, has_ended: false, content_type: None }
    }
}

impl RewriteBody for Framed {
    fn rewrite(&mut self, part: &[u8], is_last: bool) -> Vec<u8> {
        if self.has_ended {
            // Behind its announced end nothing belongs to it, and nobody looks at it.
            return Vec::new();
        }
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        // One that is longer than was said has no known end.
        self.left = self.left.and_then(|left| left.checked_sub(length));
        self.has_ended = is_last || self.left == Some(0);
        self.body.rewrite(part, self.has_ended)
    }

    fn waits(&self) -> bool {
        // Where the end is known, that is where it comes out.
        let ends_by_itself = self.left.is_some() || self.is_without_trailers;
        !self.has_ended && !ends_by_itself && self.body.waits()
    }

    fn is_cut(&self) -> bool {
        self.body.is_cut()
    }

    fn reason(&self) -> Option<Reason> {
        self.body.reason()
    }

    fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }
}

/// A body that does not go on.
#[derive(Debug)]
struct Withheld {
    reason: Reason,
    /// What goes in its place, until it has gone.
    said: Option<Vec<u8>>,
}

impl RewriteBody for Withheld {
    fn rewrite(&mut self, _: &[u8], _: bool) -> Vec<u8> {
        self.said.take().unwrap_or_default()
    }

    fn waits(&self) -> bool {
        self.said.is_some()
    }

    fn is_cut(&self) -> bool {
        true
    }

    fn reason(&self) -> Option<Reason> {
        Some(self.reason)
    }
}

/// In place of a response that cannot be read.
fn unreadable() -> Refusal {
    Refusal::new(
        Reason::ResponseUnreadable,
        "The service answered in a form that cannot be screened.",
    )
}

/// Whether people or programs read it as text. Without a type, browsers guess.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
    let names = [
        "json",
        "xml",
        "javascript",
        "ecmascript",
        "ndjson",
        "x-ndjson",
        "jsonl",
        "x-jsonl",
        "json-lines",
        "jsonlines",
        "x-jsonlines",
        "x-json-stream",
        "json-seq",
        "yaml",
        "problem+json",
    ];
    kind == "text"
        || names.contains(&subtype)
        || subtype.ends_with("+json")
        || subtype.ends_with("+json-seq")
        || subtype.ends_with("+xml")
        || subtype.ends_with("+yaml")
        || subtype == "x-www-form-urlencoded"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::document::{InputSection, OutputSection};
    use crate::screening::{Action, Kind};

    fn screening() -> ResponseScreening {
        let personal_data = BTreeMap::from([(Kind::EmailAddress, Action::Mask)]);
        let output = OutputSection { personal_data, ..OutputSection::default() };
        let sections = InputSections {
            input: &InputSection::default(),
            field: "input",
            output: &output,
            redaction_key: None,
            canaries: &["Heron-4821-quartz".to_owned().into()],
            shared: &Default::default(),
        };
        ResponseScreening::compile(&sections, None).unwrap().unwrap()
    }

    fn rewriter(headers: &[(&str, &str)]) -> Option<Box<dyn RewriteBody>> {
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        screening().of(&AnnouncedBody::read(&headers), Owner::nobody())
    }

    fn sent(content_type: &str, encoding: Option<&str>, parts: &[&str]) -> Option<String> {
        let mut headers = vec![("content-type", content_type)];
        headers.extend(encoding.map(|coding| ("content-encoding", coding)));
        let mut rewriter = rewriter(&headers)?;
        let last = parts.len() - 1;
        let parts = parts.iter().enumerate();
        let sent: Vec<u8> = parts
            .flat_map(|(index, part)| rewriter.rewrite(part.as_bytes(), index == last))
            .collect();
        Some(String::from_utf8(sent).unwrap())
    }

    #[test]
    fn addresses_are_masked_across_parts() {
        let parts = ["{\"text\": \"write to alice@exa", "mple.com", " today\"}"];
        let sent = sent("application/json", None, &parts).unwrap();
        assert_eq!(sent, "{\"text\": \"write to *****@*******.*** today\"}");
    }

    /// What comes of parts none of which says that it is the last, and whether something waits then.
    fn unended(headers: &[(&str, &str)], parts: &[&str]) -> (String, bool) {
        let mut rewriter = rewriter(headers).unwrap();
        let sent: Vec<u8> =
            parts.iter().flat_map(|part| rewriter.rewrite(part.as_bytes(), false)).collect();
        (String::from_utf8(sent).unwrap(), rewriter.waits())
    }

    #[test]
    fn what_has_a_length_ends_there() {
        let parts = ["write to alice@exa", "mple.com"];
        let masked = "write to *****@*******.***";
        let text = ("content-type", "text/plain");
        let length = ("content-length", "26");
        assert_eq!(unended(&[text, length], &parts), (masked.to_owned(), false));
        // Nobody looks at what follows the end, so it does not go on.
        let more = [parts[0], parts[1], " or bob@example.com"];
        assert_eq!(unended(&[text, length], &more), (masked.to_owned(), false));
        // A length that the parts do not keep to, that is there twice or is none, says nothing.
        for length in [
            vec![("content-length", "20")],
            vec![length, ("content-length", "27")],
            vec![("content-length", "-1")],
        ] {
            let headers = [vec![text], length].concat();
            let (sent, waits) = unended(&headers, &parts);
            assert!(waits && !sent.contains("alice"), "{headers:?}: {sent}");
        }
        // In chunks no length counts.
        let chunked = [text, length, ("transfer-encoding", "chunked"), ("trailer", "x-checksum")];
        assert!(unended(&chunked, &parts).1);
    }

    #[test]
    fn what_trailers_may_end_waits_for_them() {
        let parts = ["write to alice@exa", "mple.com"];
        let text = ("content-type", "text/plain");
        let chunked = ("transfer-encoding", "chunked");
        assert!(unended(&[text], &parts).1);
        assert!(unended(&[text, chunked, ("trailer", "x-checksum")], &parts).1);
        assert!(!unended(&[text, chunked], &parts).1);
        // Where nothing is held back nothing has to wait.
        let json = ("content-type", "application/json");
        assert_eq!(unended(&[json], &["{\"a\": 1}"]), ("{\"a\": 1}".to_owned(), false));
        assert!(unended(&[json], &["{\"a\": \"1"]).1);
        let events = ("content-type", "text/event-stream");
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
        assert!(!unended(&[events], &[role]).1);
        assert!(unended(&[events], &[role, "data: {\"ch"]).1);
        assert!(unended(&[events], &[&role.replace("role", "content")]).1);
        // What is said in the place of a body that cannot be read: at once.
        let (said, waits) = unended(&[text, ("content-encoding", "gzip")], &["\u{1f}", "b"]);
        assert!(!waits && said.matches("response-unreadable").count() == 1, "{said}");
    }

    #[test]
    fn nothing_follows_a_marker() {
        let parts = ["My instructions begin with h e r o n - 48", "21-quartz, and then", " go on"];
        let sent = sent("text/plain", None, &parts).unwrap();
        assert!(sent.starts_with("My instructions begin with "), "{sent}");
        assert!(!sent.contains("quartz") && !sent.contains("go on"), "{sent}");
    }

    #[test]
    fn what_is_no_text_goes_by() {
        assert_eq!(sent("image/png", None, &["alice@example.com"]), None);
        for kind in ["text/html; charset=utf-8", "application/problem+json", "application/xml"] {
            // Also where what is called JSON is none.
            for body in [
                "alice@example.com",
                "{\"a\": true} alice@example.com",
                "trust alice@example.com",
                "[nul, \"alice@example.com\"]",
            ] {
                assert!(!sent(kind, None, &[body]).unwrap().contains("alice"), "{kind}: {body}");
            }
        }
    }

    #[test]
    fn what_is_said_twice_of_a_body_is_not_believed() {
        let image = ("content-type", "image/png");
        assert!(rewriter(&[image]).is_none());
        assert!(rewriter(&[image, ("content-type", "text/plain")]).is_some());
        let codings = [("content-encoding", "identity"), ("content-encoding", "gzip")];
        let text = ("content-type", "text/plain");
        let mut encoded = rewriter(&[text, codings[0], codings[1]]).unwrap();
        assert!(encoded.is_cut() && !encoded.rewrite(b"alice", false).starts_with(b"alice"));
        assert!(encoded.rewrite(b"alice", true).is_empty());
        assert!(!rewriter(&[text, codings[0]]).unwrap().is_cut());
    }

    #[test]
    fn what_cannot_be_read_does_not() {
        let sent =
            sent("application/json", Some("gzip"), &["\u{1f}", "alice@example.com"]).unwrap();
        assert!(sent.contains("response-unreadable") && !sent.contains("alice"), "{sent}");
    }

    #[test]
    fn other_charsets_are_read_or_withheld() {
        for kind in [
            "text/plain; charset=utf-16",
            "text/html;charset=\"UTF-16LE\"",
            "application/json; charset=utf-32",
            "text/plain; charset=utf-8; charset=shift_jis",
            "text/plain; charset=iso-2022-jp",
        ] {
            let sent = sent(kind, None, &["alice@example.com"]).unwrap();
            assert!(sent.contains("response-unreadable") && !sent.contains("alice"), "{sent}");
        }
        assert!(sent("image/png; charset=utf-16", None, &["a"]).is_none());
        let mut latin = rewriter(&[("content-type", "text/plain; charset=iso-8859-1")]).unwrap();
        assert_eq!(latin.content_type(), Some("text/plain; charset=utf-8"));
        let parts: [&[u8]; 3] = [b"caf\xe9: ", b"alice@exa", b"mple.com, \x80 5"];
        let sent: Vec<u8> = parts.iter().flat_map(|part| latin.rewrite(part, false)).collect();
        let sent = [sent, latin.rewrite(b"", true)].concat();
        assert_eq!(String::from_utf8(sent).unwrap(), "café: *****@*******.***, € 5");
        assert_eq!(rewriter(&[("content-type", "text/plain")]).unwrap().content_type(), None);
    }

    /// Whoever reads it would find more in it than was found here.
    #[test]
    fn what_begins_as_utf_16_or_utf_32_does_not_go_on() {
        let wide = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        let text = "\u{feff}alice@example.com";
        let bodies = [
            wide(u16::to_le_bytes, text),
            wide(u16::to_be_bytes, text),
            wide(u16::to_le_bytes, "{\"a\": \"alice@example.com\"}"),
            text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
            b"\xff\xfe".to_vec(),
        ];
        for body in bodies {
            for step in [1, 3, 100] {
                let headers = [("content-type", "application/json")];
                let mut rewriter = rewriter(&headers).unwrap();
                let mut sent: Vec<u8> =
                    body.chunks(step).flat_map(|part| rewriter.rewrite(part, false)).collect();
                sent.extend(rewriter.rewrite(b"", true));
                assert!(sent.is_empty() && rewriter.is_cut(), "{body:?}");
                assert_eq!(rewriter.reason(), Some(Reason::ResponseUnreadable));
            }
        }
    }

    #[test]
    fn a_mark_of_utf_8_hides_nothing() {
        let events = [
            "\u{feff}data: {\"choices\":[{\"delta\":{\"content\":\"alice@exa\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"mple.com\"}}]}\n\n",
        ];
        let json = ["\u{feff}{\"a\": \"alice\\u0040exa", "mple.com\"}"];
        for (kind, parts) in [
            ("text/event-stream", events),
            ("application/json", json),
            ("application/x-ndjson", json),
        ] {
            let sent = sent(kind, None, &parts).unwrap();
            assert!(sent.contains("*****@*******.***") && !sent.contains("exa"), "{sent}");
            assert!(!sent.starts_with('\u{feff}'), "{sent}");
        }
        let text = sent("text/csv", None, &["\u{feff}a,b", "\nc"]).unwrap();
        assert_eq!(text, "\u{feff}a,b\nc");
        // Short ones.
        for body in ["", "1", "é", "abc"] {
            assert_eq!(sent("text/plain", None, &[body]).unwrap(), body);
        }
    }
}
