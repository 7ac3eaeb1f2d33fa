//! What a function prints: to the operator's log, line by line, bounded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Where lines for the operator go. Called from any thread; must not block for long.
pub type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// The longest line, in bytes; a longer one is broken.
const MAX_LINE: usize = 4096;
/// The most that one instance may print, in bytes; the rest is dropped with a note.
const MAX_OUTPUT: usize = 64 << 10;

/// Standard output and standard error of one instance.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Lines>>);

impl Output {
    pub(super) fn new(sink: LogSink) -> Self {
        Self(Arc::new(Mutex::new(Lines { sink, line: Vec::new(), left: MAX_OUTPUT })))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Lines {
    sink: LogSink,
    line: Vec<u8>,
    left: usize,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let Some(left) = self.left.checked_sub(1) else {
                return;
            };
            self.left = left;
            if byte != b'\n' {
                self.line.push(byte);
            }
            if byte == b'\n' || self.line.len() >= MAX_LINE || left == 0 {
                self.emit();
            }
            if left == 0 {
                (self.sink)("(more output of this instance is dropped)");
            }
        }
    }

    fn emit(&mut self) {
        // Escaped, so that what a client got the function to print cannot forge other lines or
        // drive the operator's terminal.
        let line: String = String::from_utf8_lossy(&self.line)
            .chars()
            .flat_map(|c| {
                let escape = c.is_control() && c != '\t';
                let escaped = escape.then(|| c.escape_unicode());
                escaped.into_iter().flatten().chain((!escape).then_some(c))
            })
            .collect();
        self.line.clear();
        if !line.is_empty() {
            (self.sink)(&line);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(chunks: &[&[u8]]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let output = Output::new(Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())));
        for chunk in chunks {
            output.0.lock().unwrap().write(chunk);
        }
        drop(output);
        Arc::into_inner(lines).unwrap().into_inner().unwrap()
    }

    #[test]
    fn lines_are_joined_and_the_last_needs_no_newline() {
        assert_eq!(printed(&[b"one\ntw", b"o\nthree"]), ["one", "two", "three"]);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printed(&[b"\x1b[2J\rforged\n"]), ["\\u{1b}[2J\\u{d}forged"]);
    }

    #[test]
    fn output_is_bounded() {
        let lines = printed(&[&vec![b'x'; 10 * MAX_OUTPUT]]);
        assert!(lines.iter().map(String::len).sum::<usize>() < MAX_OUTPUT + 100);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(lines.last().unwrap(), "(more output of this instance is dropped)");
    }
}
