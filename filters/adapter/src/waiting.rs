//! Requests that wait for something to be fetched.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::hostcalls;

use crate::stream::StreamState;

/// The most requests of one worker that wait at a time. Whoever makes up keys fills this, so that those whose key is new and
/// real are refused too until there is room; requests whose keys are known never wait.
const MAXIMUM_WAITING: usize = 1024;

/// How often what is fetched is seen to while somebody waits for it.
pub(crate) const HURRIED: Duration = Duration::from_millis(10);

/// The requests of one worker that wait.
#[derive(Default)]
pub(crate) struct WaitingRoom {
    streams: RefCell<Vec<Weak<RefCell<StreamState>>>>,
    /// The period of the timer; none until it is set.
    pace: Cell<Duration>,
}

impl WaitingRoom {
    /// Lets a request wait, if there is room. It must not be borrowed when it is called again.
    pub(crate) fn admit(&self, stream: &Rc<RefCell<StreamState>>) -> bool {
        let mut streams = self.streams.borrow_mut();
        if streams.len() >= MAXIMUM_WAITING {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        if streams.len() >= MAXIMUM_WAITING {
            return false;
        }
        streams.push(Rc::downgrade(stream));
        self.set_pace(HURRIED);
        true
    }

    /// Sets the timer, if it is not set so already.
    pub(crate) fn set_pace(&self, period: Duration) {
        if self.pace.replace(period) != period {
            let _ = hostcalls::set_tick_period(period);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.borrow().is_empty()
    }

    /// Has every request try again. `root_id` is the context to come back to.
    pub(crate) fn call(&self, root_id: u32) {
        // Those that come to wait meanwhile are in the new list.
        let streams = std::mem::take(&mut *self.streams.borrow_mut());
        let mut left = Vec::new();
        for stream in streams {
            let Some(state) = stream.upgrade() else { continue };
            let Ok(mut state) = state.try_borrow_mut() else { continue };
            if !state.is_waiting() {
                continue;
            }
            // Fails for a stream that the proxy has ended.
            if hostcalls::set_effective_context(state.context_id()).is_ok() {
                state.try_again();
                if state.is_waiting() {
                    left.push(stream);
                }
            }
        }
        let _ = hostcalls::set_effective_context(root_id);
        self.streams.borrow_mut().extend(left);
    }
}
