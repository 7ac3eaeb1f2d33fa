//! What was found in a request that went on all the same.

use serde::Serialize;

use super::Kind;

/// The most that is kept of one request.
const MAXIMUM: usize = 32;

/// The most that the upstream is told of.
const MAXIMUM_TOLD: usize = 8;

/// Something that was found. It never holds the text itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Noted {
    pub(crate) kind: Kind,
    pub(crate) rule: &'static str,
    /// A JSON pointer into the body, or the name of a header field.
    pub(crate) at: String,
}

/// All that was found, up to a bound.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Notes(Vec<Noted>);

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, noted: Noted) {
        if self.0.len() < MAXIMUM && !self.0.contains(&noted) {
            self.0.push(noted);
        }
    }

    pub(crate) fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|noted| self.add(noted));
    }

    /// The same, for what stands behind a JSON pointer.
    pub(crate) fn behind(self, pointer: &str) -> Self {
        let behind = |noted: Noted| Noted { at: format!("{pointer}{}", noted.at), ..noted };
        Self(self.0.into_iter().map(behind).collect())
    }

    /// The value of the field `portcullis-findings`: a list of tokens (RFC 9651 §3.1), each kind once.
    pub(crate) fn field(&self) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for noted in &self.0 {
            let kind = noted.kind.as_str();
            if kinds.len() < MAXIMUM_TOLD && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(kind: Kind, at: usize) -> Noted {
        Noted { kind, rule: "rule", at: format!("/{at}") }
    }

    #[test]
    fn each_kind_is_told_once() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        for at in 0..3 {
            notes.add(noted(Kind::SqlInjection, at));
            notes.add(noted(Kind::Xss, at));
        }
        assert_eq!(notes.field(), "sql_injection, xss");
        assert!(sfv::Parser::new(&notes.field()).parse::<sfv::List>().is_ok());
    }

    #[test]
    fn not_more_is_kept_than_there_is_room_for() {
        let mut notes = Notes::default();
        (0..1000).for_each(|at| notes.add(noted(Kind::Secret, at)));
        assert_eq!(notes.0.len(), MAXIMUM);
    }
}
