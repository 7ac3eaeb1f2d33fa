//! All that is wrong with a document, told at once.

use crate::policy::CompileError;

/// How much is told.
const MAXIMUM_TOLD: usize = 20;

/// Errors as they are found.
#[derive(Debug, Default)]
pub(super) struct Faults {
    told: Vec<CompileError>,
    count: usize,
}

impl Faults {
    /// What has come of something, if nothing was wrong with it.
    pub(super) fn take<T>(&mut self, result: Result<T, CompileError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(super) fn add(&mut self, error: CompileError) {
        // What several refer to is wrong once.
        if self.told.contains(&error) {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.told.len() < MAXIMUM_TOLD {
            self.told.push(error);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// One error that says them all, a line for each.
    pub(super) fn finish(self) -> Result<(), CompileError> {
        let more = self.count.saturating_sub(self.told.len());
        let mut told = self.told.into_iter();
        let Some(mut all) = told.next() else { return Ok(()) };
        for error in told {
            all.message = format!("{}\n  {}", all.message, error.message);
        }
        if more > 0 {
            all.message = format!("{}\n  and {more} more", all.message);
        }
        Err(all)
    }
}
