//! The functions that a guest may import, by area.

use wasmtime::{Caller, Linker};

use super::abi::Status;
use super::guest::Guest;
use super::state::State;

mod calls;
mod maps;
mod shared;
mod stream;
mod system;
mod wasi;

/// All functions of the ABI and what is offered of WASI.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    calls::define(&mut linker)?;
    maps::define(&mut linker)?;
    shared::define(&mut linker)?;
    stream::define(&mut linker)?;
    system::define(&mut linker)?;
    wasi::define(&mut linker)?;
    Ok(linker)
}

/// Runs a host call and turns its outcome into the ABI's number.
fn answer<'a>(
    caller: Caller<'a, State>,
    call: impl FnOnce(&mut Guest<'a>) -> Result<(), Status>,
) -> u32 {
    Status::code(call(&mut Guest(caller)))
}
