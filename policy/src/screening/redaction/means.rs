//! With what, and for whom, texts are redacted.

use super::super::personal::PersonalData;
use super::{Action, Canary, Detection, Owner, Redaction};

/// What redacts, whose text it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) data: &'a PersonalData,
    pub(super) redaction: &'a Redaction,
    pub(super) owner: &'a Owner,
    pub(super) canary: Option<&'a Canary>,
}

impl Means<'_> {
    /// What is in a text before which this is said, as far as it is not in what is said before it.
    pub(super) fn find_after(&self, context: &str, text: &str) -> Vec<Detection> {
        let base = context.len();
        let found = self.find(&format!("{context}{text}")).into_iter();
        let found = found.filter(|finding| finding.range.end > base).map(|mut finding| {
            finding.range = finding.range.start.max(base) - base..finding.range.end - base;
            finding
        });
        found.collect()
    }

    /// Those of two lists, as one without overlaps.
    pub(super) fn unite(&self, one: Vec<Detection>, other: &[Detection]) -> Vec<Detection> {
        let mut all = one;
        if other.is_empty() {
            return all;
        }
        all.extend_from_slice(other);
        all.sort_by_key(|finding| finding.range.start);
        let mut united: Vec<Detection> = Vec::with_capacity(all.len());
        for finding in all {
            match united.last_mut().filter(|last| last.range.end > finding.range.start) {
                Some(last) => {
                    last.range.end = last.range.end.max(finding.range.end);
                    let is_graver = self.redaction.action(finding.kind) == Action::Refuse;
                    if is_graver || self.redaction.action(last.kind) <= Action::Flag {
                        (last.kind, last.rule) = (finding.kind, finding.rule);
                    }
                }
                None => united.push(finding),
            }
        }
        united
    }

    /// What is in a text: in order, not overlapping. Markers come first.
    fn find(&self, text: &str) -> Vec<Detection> {
        let mut found = self.data.find(text);
        let markers = self.canary.map(|canary| canary.find(text)).unwrap_or_default();
        if !markers.is_empty() {
            found.retain(|finding| {
                let next =
                    markers.partition_point(|marker| marker.range.end <= finding.range.start);
                markers.get(next).is_none_or(|marker| marker.range.start >= finding.range.end)
            });
            found.extend(markers);
            found.sort_by_key(|finding| finding.range.start);
        }
        found
    }
}
