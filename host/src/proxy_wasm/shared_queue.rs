//! Queues between the VMs of a process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError, Weak};

use super::abi::Status;
use super::plugin::Inner as Plugin;

/// Most bytes waiting in one queue. Envoy sets no bound.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Most queues.
const MAX_QUEUES: usize = 1024;

/// Shared queues, as Envoy's: found by VM id and name, and only the last VM to register one is
/// told when something arrives.
#[derive(Default)]
pub(super) struct SharedQueues(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    tokens: HashMap<(String, Vec<u8>), u32>,
    queues: HashMap<u32, Queue>,
}

struct Queue {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    listener: Weak<Plugin>,
}

impl SharedQueues {
    /// Registers `name` for the VMs with `vm_id`, keeping what waits in it, and makes `listener`
    /// the one that is told.
    pub(super) fn register(
        &self,
        vm_id: &str,
        name: &[u8],
        listener: Weak<Plugin>,
    ) -> Result<u32, Status> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queues = &mut *guard;
        let next = u32::try_from(queues.tokens.len()).unwrap_or(u32::MAX).saturating_add(1);
        let key = (vm_id.to_owned(), name.to_vec());
        let token = match queues.tokens.get(&key) {
            Some(token) => *token,
            None if queues.tokens.len() >= MAX_QUEUES => return Err(Status::InternalFailure),
            None => {
                queues.tokens.insert(key, next);
                next
            }
        };
        queues
            .queues
            .entry(token)
            .or_insert_with(|| Queue { waiting: VecDeque::new(), bytes: 0, listener: Weak::new() })
            .listener = listener;
        Ok(token)
    }

    pub(super) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.tokens.get(&(vm_id.to_owned(), name.to_vec())).copied()
    }

    pub(super) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        let data = queue.waiting.pop_front().ok_or(Status::Empty)?;
        queue.bytes = queue.bytes.saturating_sub(data.len());
        Ok(data)
    }

    /// Appends `data` and returns who is to be told.
    pub(super) fn enqueue(&self, token: u32, data: &[u8]) -> Result<Weak<Plugin>, Status> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.queues.get_mut(&token).ok_or(Status::NotFound)?;
        // An empty message costs memory too.
        let bytes = queue.bytes.saturating_add(data.len());
        if bytes > MAX_BYTES || queue.waiting.len() >= MAX_BYTES / 64 {
            return Err(Status::InternalFailure);
        }
        queue.bytes = bytes;
        queue.waiting.push_back(data.to_vec());
        Ok(queue.listener.clone())
    }
}
