//! What of a response goes on, in place of what the upstream sent.

use super::data::DataRules;
use super::{Canary, Owner, StreamKind, StreamRedactor, StreamSettings};
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

    /// Whether something was met after which nothing goes on.
    fn is_cut(&self) -> bool;
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
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        owner: Owner,
    ) -> Option<Box<dyn RewriteBody>> {
        if !is_text(content_type) {
            return None;
        }
        if content_encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Some(Box::new(Withheld));
        }
        let kind = StreamKind::of(content_type.unwrap_or_default());
        let DataRules { finder, redaction, .. } = &self.data;
        let redactor = StreamRedactor::new(kind, finder, redaction, &owner, &self.settings);
        Some(Box::new(match &self.canary {
            Some(canary) => redactor.watching(canary),
            None => redactor,
        }))
    }
}

impl RewriteBody for StreamRedactor {
    fn rewrite(&mut self, part: &[u8], is_last: bool) -> Vec<u8> {
        if self.is_refused() {
            return Vec::new();
        }
        let mut rewritten = self.push(part);
        if is_last {
            rewritten.extend(self.finish());
        }
        rewritten
    }

    fn is_cut(&self) -> bool {
        self.is_refused()
    }
}

/// A text that cannot be read, and so cannot go on.
#[derive(Debug)]
struct Withheld;

impl RewriteBody for Withheld {
    fn rewrite(&mut self, _: &[u8], is_last: bool) -> Vec<u8> {
        match is_last {
            true => unreadable().into_reply(None).body,
            false => Vec::new(),
        }
    }

    fn is_cut(&self) -> bool {
        true
    }
}

/// In place of a response that cannot be read.
pub(crate) fn unreadable() -> Refusal {
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
        "yaml",
        "problem+json",
    ];
    kind == "text"
        || names.contains(&subtype)
        || subtype.ends_with("+json")
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

    fn sent(content_type: &str, encoding: Option<&str>, parts: &[&str]) -> Option<String> {
        let mut rewriter = screening().of(Some(content_type), encoding, Owner::nobody())?;
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
    fn what_cannot_be_read_does_not() {
        let sent =
            sent("application/json", Some("gzip"), &["\u{1f}", "alice@example.com"]).unwrap();
        assert!(sent.contains("response-unreadable") && !sent.contains("alice"), "{sent}");
    }
}
