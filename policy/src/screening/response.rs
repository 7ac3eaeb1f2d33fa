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
    let names = ["json", "xml", "javascript", "ecmascript", "yaml", "x-www-form-urlencoded"];
    StreamKind::of(content_type) != StreamKind::Text
        || kind == "text"
        || names.contains(&subtype)
        || subtype.ends_with("+xml")
        || subtype.ends_with("+yaml")
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
