//! A log that holds nobody up: lines are queued, and one thread of their own writes them.
//!
//! Whoever stops reading the log, a pipe that is full or a disk that is slow, must not stop the gate. So the queue is bounded, what
//! finds no room in it is dropped, and as soon as lines get through again one of them says how many are missing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::access_log::AccessLog;

/// The most that is queued, in bytes; what is being written comes on top once.
const MOST: usize = 4 << 20;

/// Writes the lines of a log. Clones are the same one.
#[derive(Clone)]
pub struct LogWriter(Arc<Queue>);

/// What is written in place of so many lines.
type Missing = fn(u64) -> String;

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    is_writing: bool,
}

impl LogWriter {
    /// A log on standard output, of lines of JSON.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn stdout() -> io::Result<Self> {
        Self::start(io::stdout(), |count| format!(r#"{{"dropped_log_lines":{count}}}"#))
    }

    /// A log on standard error, of lines for people.
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn stderr() -> io::Result<Self> {
        Self::start(io::stderr(), |count| {
            format!("portcullis: {count} lines are missing here: this log was not read in time")
        })
    }

    fn start(output: impl Write + Send + 'static, missing: Missing) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = queue.clone();
        let thread = std::thread::Builder::new().name("log".into());
        thread.spawn(move || writer.write(output, missing))?;
        Ok(Self(queue))
    }

    /// Where to put lines: never blocks.
    #[must_use]
    pub fn lines(&self) -> AccessLog {
        self.prefixed("")
    }

    /// The same for lines that all begin so.
    #[must_use]
    pub fn prefixed(&self, prefix: &'static str) -> AccessLog {
        let queue = self.0.clone();
        Arc::new(move |line| queue.push(format!("{prefix}{line}")))
    }

    /// Waits until everything has been written, but no longer than this.
    pub fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.0.lock();
        while state.is_writing || !state.lines.is_empty() || state.dropped > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Queue {
    fn push(&self, line: String) {
        let mut state = self.lock();
        let bytes = state.bytes.saturating_add(line.len());
        if bytes > MOST {
            state.dropped = state.dropped.saturating_add(1);
            return;
        }
        state.bytes = bytes;
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_all();
    }

    fn write(&self, mut output: impl Write, missing: Missing) {
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && state.dropped == 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let lines = std::mem::take(&mut state.lines);
            let dropped = std::mem::take(&mut state.dropped);
            (state.bytes, state.is_writing) = (0, true);
            drop(state);

            let mut text: String = lines.into_iter().flat_map(|line| [line, "\n".into()]).collect();
            // Lines are dropped when there is no room: after those that had some.
            if dropped > 0 {
                text.push_str(&missing(dropped));
                text.push('\n');
            }
            // Nobody reads it any more: no reason to stop serving.
            let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes nothing until it is told to, then everything.
    struct Stuck {
        release: mpsc::Receiver<()>,
        is_released: bool,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.is_released {
                self.is_released = self.release.recv().is_ok();
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_does_not_read_holds_nobody_up_and_is_told_what_is_missing() {
        let (release, released) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = Stuck { release: released, is_released: false, written: written.clone() };
        let writer = LogWriter::start(output, |count| format!("missing {count}")).unwrap();
        let log = writer.prefixed("> ");
        let line = "x".repeat(1 << 10);
        let count = 4 * MOST / line.len();
        for _ in 0..count {
            log(&line);
        }
        let begun = Instant::now();
        writer.flush(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(5), "a flush is bounded");
        release.send(()).unwrap();
        writer.flush(Duration::from_secs(10));
        log("last");
        writer.flush(Duration::from_secs(10));

        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let full = written.lines().filter(|written| written.ends_with(&line)).count();
        let missing = written.lines().filter_map(|line| line.strip_prefix("missing "));
        let missing: usize = missing.map(|count| count.parse::<usize>().unwrap()).sum();
        assert_eq!(full + missing, count);
        assert!(missing > count / 4 && full > 0, "{missing} of {count}");
        assert!(written.ends_with("\n> last\n"));
    }
}
