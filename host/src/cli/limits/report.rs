//! What came of a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::line::Line;
use super::simulation::{Verdict, who};

/// What each request came to, and what each limit did.
#[derive(Debug, Default)]
pub(super) struct Report {
    outcomes: Vec<Outcome>,
    limits: BTreeMap<String, Tally>,
}

/// When a request came, and whether it was admitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    /// In seconds.
    pub(super) time: f64,
    pub(super) is_admitted: bool,
}

#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    shadowed: u64,
    callers: BTreeSet<String>,
    longest_wait: u64,
}

impl Report {
    pub(super) fn add(&mut self, line: &Line, verdict: &Verdict) {
        let time = line.time.0.0 as f64 / 1e9;
        self.outcomes.push(Outcome { time, is_admitted: verdict.refused.is_none() });
        if let Some((reason, limit, wait)) = &verdict.refused {
            let by = limit.clone().unwrap_or_else(|| reason.as_str().to_owned());
            let tally = self.limits.entry(by).or_default();
            tally.refused += 1;
            tally.callers.insert(who(line));
            tally.longest_wait = tally.longest_wait.max(wait.unwrap_or_default());
        }
        for limit in &verdict.shadowed {
            let tally = self.limits.entry(limit.clone()).or_default();
            tally.shadowed += 1;
            tally.callers.insert(who(line));
        }
    }

    pub(super) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// In all, and for each limit that refused, or would have.
    pub(super) fn summary(&self) -> String {
        let total = self.outcomes.len();
        let admitted = self.outcomes.iter().filter(|outcome| outcome.is_admitted).count();
        let refused = total - admitted;
        let mut text = format!("{total} requests: {admitted} admitted, {refused} refused\n");
        if self.limits.is_empty() {
            return text;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<32} {:>9} {:>13} {:>8} {:>14}",
            "limit", "refused", "not enforced", "callers", "longest wait"
        );
        for (name, tally) in &self.limits {
            let Tally { refused, shadowed, callers, longest_wait } = tally;
            let _ = writeln!(
                text,
                "{name:<32} {refused:>9} {shadowed:>13} {:>8} {:>12} s",
                callers.len(),
                longest_wait
            );
        }
        text
    }
}
