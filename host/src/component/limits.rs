//! What one function may take of the machine.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// The bounds of a function. The defaults suit a function that runs a small model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most that all linear memories of one instance may take together, in bytes.
    pub memory: usize,
    /// How long a function may take until it has answered with a response head, once it has the request.
    pub request_timeout: Duration,
    /// How long it may take after that to finish the body and its work.
    pub body_timeout: Duration,
    /// The largest request body, in bytes.
    pub request_body: u64,
    /// How many requests' bodies may be on their way in at a time.
    pub uploads: usize,
    /// How much of them, and of those that wait for their turn or are with the function, is held at a time, in bytes.
    pub upload_memory: usize,
    /// How long the parts of a request's body may be apart.
    pub upload_idle: Duration,
    /// How long all of it may take.
    pub upload_timeout: Duration,
    /// The largest response body, in bytes.
    pub response_body: u64,
    /// How many requests run at a time. Each has an instance of its own, so this times `memory`
    /// bounds the memory of the function.
    pub concurrency: usize,
    /// How long a request waits for its turn when that many run already, and before it for a place among the uploads.
    pub queue_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            request_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            request_body: 8 << 20,
            uploads: 256,
            upload_memory: 256 << 20,
            upload_idle: Duration::from_secs(15),
            upload_timeout: Duration::from_secs(60),
            response_body: 16 << 20,
            concurrency: 32,
            queue_timeout: Duration::from_secs(2),
        }
    }
}

/// How many table elements, memories, tables and instances a component may have. A real one
/// needs a few thousand elements and a handful of the rest.
const MAX_TABLE_ELEMENTS: usize = 200_000;
const MAX_ITEMS: usize = 100;

/// Counts what an instance has allocated: all memories together, not each by itself.
pub(super) struct Allocations {
    memory_limit: usize,
    memory: usize,
    table_elements: usize,
}

impl Allocations {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { memory_limit: limits.memory, memory: 0, table_elements: 0 }
    }
}

impl ResourceLimiter for Allocations {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(grow(&mut self.memory, current, desired, self.memory_limit))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(grow(&mut self.table_elements, current, desired, MAX_TABLE_ELEMENTS))
    }

    fn instances(&self) -> usize {
        MAX_ITEMS
    }

    fn tables(&self) -> usize {
        MAX_ITEMS
    }

    fn memories(&self) -> usize {
        MAX_ITEMS
    }
}

fn grow(total: &mut usize, current: usize, desired: usize, limit: usize) -> bool {
    let after = total.saturating_add(desired.saturating_sub(current));
    if after > limit {
        return false;
    }
    *total = after;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_memories_share_one_limit() {
        let limits = Limits { memory: 100, ..Limits::default() };
        let mut allocations = Allocations::new(&limits);
        assert!(allocations.memory_growing(0, 60, None).unwrap());
        assert!(!allocations.memory_growing(0, 60, None).unwrap());
        assert!(allocations.memory_growing(0, 40, None).unwrap());
        assert!(!allocations.memory_growing(60, 61, None).unwrap());
    }
}
