//! The time a filter sees.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of wall-clock time, for both `proxy_get_current_time_nanoseconds` and WASI's clocks.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the Unix epoch.
    fn now_nanoseconds(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_nanoseconds(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is set: for replaying recorded traffic and for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `nanoseconds` since the Unix epoch.
    pub fn new(nanoseconds: u64) -> Self {
        Self(AtomicU64::new(nanoseconds))
    }

    /// Sets the clock to `nanoseconds` since the Unix epoch. It may go back.
    pub fn set(&self, nanoseconds: u64) {
        self.0.store(nanoseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_nanoseconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
