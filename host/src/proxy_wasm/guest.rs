//! Reading and writing a guest's memory from within a host call.

use wasmtime::{Caller, Memory};

use super::abi::Status;
use super::state::State;

/// The guest that is calling.
pub(super) struct Guest<'a>(pub(super) Caller<'a, State>);

impl Guest<'_> {
    pub(super) fn state(&self) -> &State {
        self.0.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.0.data_mut()
    }

    /// A copy of `length` bytes at `pointer`.
    pub(super) fn read(&mut self, pointer: u32, length: u32) -> Result<Vec<u8>, Status> {
        let memory = self.memory()?;
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Status::InvalidMemoryAccess)?;
        let bytes = memory.data(&self.0).get(start..end).ok_or(Status::InvalidMemoryAccess)?;
        Ok(bytes.to_vec())
    }

    pub(super) fn read_u32(&mut self, pointer: u32) -> Result<u32, Status> {
        let bytes = self.read(pointer, 4)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    pub(super) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.memory()?;
        memory.write(&mut self.0, pointer as usize, bytes).map_err(|_| Status::InvalidMemoryAccess)
    }

    pub(super) fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), Status> {
        self.write(pointer, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), Status> {
        self.write(pointer, &value.to_le_bytes())
    }

    /// Gives `bytes` to the guest: memory that the guest's own allocator hands out, its address and
    /// size at the two places given, unless those are null.
    pub(super) fn give(
        &mut self,
        bytes: &[u8],
        address_at: u32,
        size_at: u32,
    ) -> Result<(), Status> {
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let address = if size == 0 { 0 } else { self.allocate(size)? };
        if size > 0 {
            self.write(address, bytes)?;
        }
        if address_at != 0 {
            self.write_u32(address_at, address)?;
        }
        if size_at != 0 {
            self.write_u32(size_at, size)?;
        }
        Ok(())
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Status> {
        let allocate = self.state().allocate.clone().ok_or(Status::InvalidMemoryAccess)?;
        // If the allocator traps the guest is beyond help; it finds out at its next step.
        match allocate.call(&mut self.0, size) {
            Ok(address) if address != 0 => Ok(address),
            _ => Err(Status::InvalidMemoryAccess),
        }
    }

    /// The guest's memory, also while the module is being instantiated.
    fn memory(&mut self) -> Result<Memory, Status> {
        if let Some(memory) = self.state().memory {
            return Ok(memory);
        }
        let export = self.0.get_export("memory").and_then(wasmtime::Extern::into_memory);
        export.ok_or(Status::InvalidMemoryAccess)
    }
}
