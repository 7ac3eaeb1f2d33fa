//! The store that all VMs with the same VM id share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::abi::Status;

/// Most bytes, keys and values together, that all VMs may keep. Envoy sets no bound; a filter that
/// lets attackers choose keys would exhaust the machine there.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Shared data with compare-and-swap, exactly as Envoy's: one lock for the process; a value's
/// number (`cas`) changes at each write and is never 0; writing with `cas` 0 overwrites; on a
/// missing key `cas` is not looked at.
#[derive(Debug, Default)]
pub struct SharedData(Mutex<Store>);

/// Values and their numbers by key.
type Values = HashMap<Vec<u8>, (Vec<u8>, u32)>;

#[derive(Debug, Default)]
struct Store {
    by_vm: HashMap<String, Values>,
    last_cas: u32,
    bytes: usize,
}

impl SharedData {
    /// The value of `key` among the VMs with `vm_id`, and its number for a later
    /// [`set`](Self::set).
    pub fn read(&self, vm_id: &str, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.by_vm.get(vm_id)?.get(key).cloned()
    }

    /// Writes `value` under `key`.
    ///
    /// # Errors
    ///
    /// [`Status::CasMismatch`] if the key exists and `cas` is neither 0 nor its present number;
    /// [`Status::InternalFailure`] if the store is full (256 MiB in all).
    pub fn set(&self, vm_id: &str, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = &mut *guard;
        let next = store.last_cas.checked_add(1).unwrap_or(1);
        if !store.by_vm.contains_key(vm_id) {
            store.by_vm.insert(vm_id.to_owned(), HashMap::new());
        }
        let Some(map) = store.by_vm.get_mut(vm_id) else {
            return Err(Status::InternalFailure);
        };
        if let Some((present, number)) = map.get_mut(key) {
            if cas != 0 && cas != *number {
                return Err(Status::CasMismatch);
            }
            let bytes = store.bytes.saturating_sub(present.len()).saturating_add(value.len());
            if bytes > MAX_BYTES {
                return Err(Status::InternalFailure);
            }
            value.clone_into(present);
            *number = next;
            store.bytes = bytes;
        } else {
            let bytes = store.bytes.saturating_add(key.len()).saturating_add(value.len());
            if bytes > MAX_BYTES {
                return Err(Status::InternalFailure);
            }
            map.insert(key.to_vec(), (value.to_vec(), next));
            store.bytes = bytes;
        }
        store.last_cas = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_and_swap_over_four_threads_loses_no_increment() {
        const EACH: u64 = 20_000;
        let data = SharedData::default();
        data.set("vm", b"n", &0_u64.to_le_bytes(), 0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        loop {
                            let (value, cas) = data.read("vm", b"n").unwrap();
                            let next = u64::from_le_bytes(value.try_into().unwrap()) + 1;
                            if data.set("vm", b"n", &next.to_le_bytes(), cas).is_ok() {
                                break;
                            }
                        }
                    }
                });
            }
        });
        let (value, _) = data.read("vm", b"n").unwrap();
        assert_eq!(u64::from_le_bytes(value.try_into().unwrap()), 4 * EACH);
    }

    #[test]
    fn cas_of_zero_overwrites_and_a_stale_one_does_not() {
        let data = SharedData::default();
        data.set("", b"k", b"a", 77).unwrap();
        let (_, first) = data.read("", b"k").unwrap();
        assert_ne!(first, 0);
        data.set("", b"k", b"b", 0).unwrap();
        assert_eq!(data.set("", b"k", b"c", first), Err(Status::CasMismatch));
        assert_eq!(data.read("", b"k").unwrap().0, b"b");
    }

    #[test]
    fn vm_ids_are_apart() {
        let data = SharedData::default();
        data.set("one", b"k", b"a", 0).unwrap();
        assert_eq!(data.read("two", b"k"), None);
    }
}
