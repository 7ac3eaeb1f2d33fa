//! What all filters of a process share.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::call_out::{CallOuts, NoCallOuts};
use super::clock::{Clock, SystemClock};
use super::log::{LogLevel, LogSink, StderrLog};
use super::metrics::Metrics;
use super::shared_data::SharedData;
use super::shared_queue::SharedQueues;

/// What the VMs of a process share: the store, the queues, the metrics, the clock, the log and the
/// way out to other servers. In Envoy there is one of it; here there may be several, apart from
/// each other.
pub struct Host {
    pub(super) shared_data: Arc<SharedData>,
    pub(super) queues: Arc<SharedQueues>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Arc<dyn LogSink>,
    pub(super) call_outs: Arc<dyn CallOuts>,
    pub(super) timers: Timers,
}

impl Default for Host {
    /// The machine's clock, warnings to standard error, no clusters to call out to.
    fn default() -> Self {
        Self {
            shared_data: Arc::default(),
            queues: Arc::default(),
            metrics: Arc::default(),
            clock: Arc::new(SystemClock),
            log: Arc::new(StderrLog(LogLevel::Warn)),
            call_outs: Arc::new(NoCallOuts),
            timers: Timers::default(),
        }
    }
}

impl Host {
    /// For filters that take the place of this one's: they find the store, the queues and the metrics as these leave them.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self {
            shared_data: Arc::clone(&self.shared_data),
            queues: Arc::clone(&self.queues),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            log: Arc::clone(&self.log),
            call_outs: Arc::clone(&self.call_outs),
            timers: Timers::default(),
        }
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// With another place for log lines.
    #[must_use]
    pub fn with_log(self, log: Arc<dyn LogSink>) -> Self {
        Self { log, ..self }
    }

    /// With a way to carry out HTTP call-outs.
    #[must_use]
    pub fn with_call_outs(self, call_outs: Arc<dyn CallOuts>) -> Self {
        Self { call_outs, ..self }
    }

    /// The store that VMs with equal ids share.
    pub fn shared_data(&self) -> &SharedData {
        &self.shared_data
    }

    /// The metrics that the filters have defined.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The clock the filters see.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

/// Wakes whoever serves the filters' timers when one of them has been set.
#[derive(Default)]
pub(super) struct Timers {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Timers {
    pub(super) fn notify(&self) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes = changes.wrapping_add(1);
        self.changed.notify_all();
    }

    /// How many changes there have been; read before looking at the timers.
    pub(super) fn changes(&self) -> u64 {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `due`, or until there has been a change since `seen`.
    pub(super) fn wait(&self, seen: u64, due: Instant) {
        let guard = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = due.saturating_duration_since(Instant::now()).min(Duration::from_secs(1));
        // Woken early or late, the caller looks at the timers again.
        drop(self.changed.wait_timeout_while(guard, patience, |changes| *changes == seen));
    }
}
