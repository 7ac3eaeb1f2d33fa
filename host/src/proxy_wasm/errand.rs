//! What guests have asked for and the host does once they have returned.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Weak;

use super::call_out::{CallOut, Completion};
use super::host::Host;
use super::log::{LogLevel, LogRecord};
use super::plugin::Inner as Plugin;

/// Most errands that one event may set off, one leading to the next: a filter that fills the very
/// queue it listens to would go on for ever.
const MAX_ERRANDS: usize = 10_000;

/// Something to do for a guest.
pub(super) enum Errand {
    /// Send a call-out.
    Call(Completion, CallOut),
    /// Tell the listener of a queue.
    Queue(Weak<Plugin>, u32),
}

thread_local! {
    /// The errands under way on this thread. One that leads to another appends it here rather than
    /// running it, so that the stack does not grow.
    static WAITING: RefCell<Option<VecDeque<Errand>>> = const { RefCell::new(None) };
}

/// Runs errands, and what they lead to, on this thread. No VM may be locked.
pub(super) fn run(host: &Host, errands: impl Iterator<Item = Errand>) {
    let nested = WAITING.with_borrow_mut(|waiting| {
        let nested = waiting.is_some();
        waiting.get_or_insert_default().extend(errands);
        nested
    });
    if nested {
        return;
    }
    for _ in 0..MAX_ERRANDS {
        let next = WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front());
        match next {
            Some(Errand::Call(completion, call)) => host.call_outs.send(call, completion),
            Some(Errand::Queue(listener, token)) => {
                if let Some(listener) = listener.upgrade() {
                    listener.with_vm(|vm| vm.queue_ready(token));
                }
            }
            None => break,
        }
    }
    let left = WAITING.with_borrow_mut(Option::take).unwrap_or_default();
    if left.is_empty() {
        return;
    }
    let message = format!("{} requests of filters dropped: one leads to the next", left.len());
    host.log.log(&LogRecord::new(LogLevel::Critical, "host", message.as_bytes()));
    for errand in left {
        if let Errand::Call(completion, _) = errand {
            // To tell the filter would set off more.
            completion.abandon();
        }
    }
}
