//! What the user sees: one line when a step begins, one when it is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A step under way.
pub(crate) struct Step {
    name: &'static str,
    started: Instant,
}

impl Step {
    /// Announces a long step: what it does, why, and about how long it takes.
    pub(crate) fn begin(name: &'static str, what: &str) -> Self {
        eprintln!("▸ {name}: {what}");
        Self { name, started: Instant::now() }
    }

    /// Ticks the step off, with the time it took.
    pub(crate) fn done(self, outcome: &str) {
        eprintln!("✔ {}: {outcome} ({})", self.name, Took(self.started.elapsed()));
    }

    /// Says that there is nothing to do.
    pub(crate) fn up_to_date(name: &str, detail: &str) {
        eprintln!("✔ {name}: up to date ({detail})");
    }

    /// Says what was left out, and why.
    pub(crate) fn skipped(name: &str, why: &str) {
        eprintln!("– {name}: skipped: {why}");
    }
}

/// A step that may turn out to have nothing to do; it is only announced once it has.
pub(crate) struct QuietStep<'a> {
    name: &'static str,
    what: &'a str,
    started: Instant,
    announced: AtomicBool,
}

impl<'a> QuietStep<'a> {
    pub(crate) fn new(name: &'static str, what: &'a str) -> Self {
        Self { name, what, started: Instant::now(), announced: AtomicBool::new(false) }
    }

    /// There is something to do.
    pub(crate) fn announce(&self) {
        if !self.announced.swap(true, Ordering::Relaxed) {
            Step::begin(self.name, self.what);
        }
    }

    /// Ticks the step off; `detail` is what an idle one says in place of `outcome`.
    pub(crate) fn done(self, outcome: &str, detail: &str) {
        if self.announced.into_inner() {
            Step { name: self.name, started: self.started }.done(outcome);
        } else {
            Step::up_to_date(self.name, detail);
        }
    }
}

/// A duration as people say it.
struct Took(Duration);

impl std::fmt::Display for Took {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        if seconds < 60 {
            return write!(formatter, "{:.1} s", self.0.as_secs_f64());
        }
        write!(formatter, "{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(Took(Duration::from_millis(1_234)).to_string(), "1.2 s");
        assert_eq!(Took(Duration::from_secs(125)).to_string(), "2 min 05 s");
    }
}
