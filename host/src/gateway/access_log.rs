//! One line of JSON for each request.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::terminal::for_terminals;

/// Where the lines go. Called from any thread; must not block.
pub type AccessLog = Arc<dyn Fn(&str) + Send + Sync>;

/// What is noted of a request. It is written when it is dropped: at the end of the response, or
/// when the client has gone.
pub(super) struct Record {
    log: AccessLog,
    begun: Instant,
    pub(super) entry: Entry,
}

/// Never the query, a body or a field's value: they may hold secrets.
#[derive(Default, Serialize)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) request_id: String,
    pub(super) source: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) protocol: &'static str,
    pub(super) tls: Option<&'static str>,
    /// 0 if the client got no response.
    pub(super) status: u16,
    /// Why the host or a filter answered in the upstream's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<String>,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    /// Whether the response reached its end.
    pub(super) complete: bool,
    duration_ms: f64,
}

impl Record {
    pub(super) fn new(log: AccessLog) -> Self {
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        Self { log, begun: Instant::now(), entry: Entry { time, ..Entry::default() } }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let micros = u32::try_from(self.begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.entry.duration_ms = f64::from(micros) / 1000.0;
        if let Ok(line) = serde_json::to_string(&self.entry) {
            (self.log)(&for_terminals(line));
        }
    }
}
