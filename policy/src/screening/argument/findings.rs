//! What the rules found: the best of each kind.

use super::super::{Detection, Kind};
use super::tokens::Token;

/// The rule that holds, and how sure it is.
pub(super) type Found = (&'static str, f32);

/// What is found, in bytes of a view.
#[derive(Debug, Clone, Copy)]
struct Finding {
    kind: Kind,
    rule: &'static str,
    start: u32,
    end: u32,
    score: f32,
}

/// At most one finding of each kind.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// From the first token to the last.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        rule: &'static str,
        score: f32,
        first: Token,
        last: Token,
    ) {
        let end = last.end.max(first.end);
        let finding = Finding { kind, rule, start: first.start, end, score };
        match self.0.iter_mut().find(|known| known.kind == kind) {
            Some(known) if known.score >= score => {}
            Some(known) => *known = finding,
            None => self.0.push(finding),
        }
    }

    /// Moves the findings to the text, of which `source` gives the byte for each byte of the view.
    pub(super) fn report(
        self,
        text: &str,
        source: impl Fn(usize) -> usize,
        found: &mut Vec<Detection>,
    ) {
        for finding in self.0 {
            let place = |at: u32| source(usize::try_from(at).unwrap_or(usize::MAX)).min(text.len());
            let start = text.floor_char_boundary(place(finding.start));
            let end = text.ceil_char_boundary(place(finding.end)).max(start);
            let Finding { kind, rule, score, .. } = finding;
            match found.iter_mut().find(|known| known.kind == kind) {
                Some(known) if known.score >= score => {}
                Some(known) => *known = Detection { kind, rule, range: start..end, score },
                None => found.push(Detection { kind, rule, range: start..end, score }),
            }
        }
    }
}
