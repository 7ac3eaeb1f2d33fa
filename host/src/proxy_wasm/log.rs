//! Where the log lines of filters go.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest message kept, in bytes; the rest is cut off.
const MAX_MESSAGE: usize = 16 * 1024;

/// How grave a log line is, with the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

impl LogLevel {
    /// The level with the ABI's `number`.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }

    /// The level's name as log lines show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// One line that a filter, or the host on its behalf, logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    pub level: LogLevel,
    /// [`PluginConfig::name`](super::PluginConfig::name) of the filter.
    pub plugin: String,
    /// The text, at most 16 KiB, control characters but tab escaped, so that it stays one line.
    pub message: String,
}

impl LogRecord {
    pub(super) fn new(level: LogLevel, plugin: &str, message: &[u8]) -> Self {
        let cut = message.get(..MAX_MESSAGE).unwrap_or(message);
        let mut text = String::with_capacity(cut.len());
        for character in String::from_utf8_lossy(cut).chars() {
            if character.is_control() && character != '\t' {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        Self { level, plugin: plugin.to_owned(), message: text }
    }
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.level.name(), self.plugin, self.message)
    }
}

/// Takes the log lines of all filters of a [`Host`](super::Host). Called on the threads that run
/// the filters: it must not block for long.
pub trait LogSink: Send + Sync {
    /// What `proxy_get_log_level` tells a filter; less grave lines need not be logged.
    fn level(&self) -> LogLevel;

    /// Takes one line, of any level.
    fn log(&self, record: &LogRecord);
}

/// Gives lines of a level and above to whatever writes them.
pub struct LineLog {
    pub level: LogLevel,
    /// Must not block.
    pub write: Arc<dyn Fn(&str) + Send + Sync>,
}

impl LogSink for LineLog {
    fn level(&self) -> LogLevel {
        self.level
    }

    fn log(&self, record: &LogRecord) {
        if record.level >= self.level {
            (self.write)(&record.to_string());
        }
    }
}

/// Writes lines of a level and above to standard error. It waits for whoever reads them.
#[derive(Debug, Clone, Copy)]
pub struct StderrLog(pub LogLevel);

impl LogSink for StderrLog {
    fn level(&self) -> LogLevel {
        self.0
    }

    fn log(&self, record: &LogRecord) {
        if record.level >= self.0 {
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(std::io::stderr().lock(), "{record}");
        }
    }
}

/// Keeps the last lines in memory: for tests, and for showing why a filter did what it did.
#[derive(Debug)]
pub struct MemoryLog {
    level: LogLevel,
    capacity: usize,
    records: Mutex<VecDeque<LogRecord>>,
}

impl MemoryLog {
    /// Keeps the last `capacity` lines of `level` and above.
    pub fn new(level: LogLevel, capacity: usize) -> Self {
        Self { level, capacity, records: Mutex::default() }
    }

    /// Takes out what has been kept, oldest first.
    pub fn take(&self) -> Vec<LogRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl LogSink for MemoryLog {
    fn level(&self) -> LogLevel {
        self.level
    }

    fn log(&self, record: &LogRecord) {
        if record.level < self.level || self.capacity == 0 {
            return;
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == self.capacity {
            records.pop_front();
        }
        records.push_back(record.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_forge_a_log_line() {
        let record = LogRecord::new(LogLevel::Info, "p", b"a\n[info] admin logged in\x1b[2J");
        assert_eq!(record.message, "a\\n[info] admin logged in\\u{1b}[2J");
    }

    #[test]
    fn memory_is_bounded() {
        let log = MemoryLog::new(LogLevel::Info, 2);
        for message in [b"1", b"2", b"3"] {
            log.log(&LogRecord::new(LogLevel::Info, "p", message));
        }
        let kept: Vec<_> = log.take().into_iter().map(|record| record.message).collect();
        assert_eq!(kept, ["2", "3"]);
    }
}
