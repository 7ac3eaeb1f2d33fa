//! What guests have asked for and the host does once they have returned.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Weak;

use super::call_out::{CallOut, Completion};
use super::host::Host;
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
    // Dropped calls tell their filters that they failed, which may lead to more: those are lost.
    let left = WAITING.with_borrow_mut(|waiting| waiting.replace(VecDeque::new()));
    drop(left);
    WAITING.with_borrow_mut(Option::take);
}
