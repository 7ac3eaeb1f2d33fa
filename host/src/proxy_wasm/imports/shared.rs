//! Shared data and shared queues.

use wasmtime::{Caller, Linker};

use super::answer;
use crate::proxy_wasm::abi::Status;
use crate::proxy_wasm::state::State;

type C<'a> = Caller<'a, State>;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |c: C<'_>, key: u32, key_size: u32, at: u32, size_at: u32, cas_at: u32| {
            answer(c, |guest| {
                let key = guest.read(key, key_size)?;
                let state = guest.state();
                let found = state.host.shared_data.read(&state.config.vm_id, &key);
                let (value, cas) = found.ok_or(Status::NotFound)?;
                guest.give(&value, at, size_at)?;
                guest.write_u32(cas_at, cas)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |c: C<'_>, key: u32, key_size: u32, value: u32, size: u32, cas: u32| {
            answer(c, |guest| {
                let (key, value) = (guest.read(key, key_size)?, guest.read(value, size)?);
                let state = guest.state();
                state.host.shared_data.set(&state.config.vm_id, &key, &value, cas)
            })
        },
    )?;
    define_queues(linker)
}

fn define_queues(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_register_shared_queue",
        |c: C<'_>, name: u32, size: u32, token_at: u32| {
            answer(c, |guest| {
                let name = guest.read(name, size)?;
                let state = guest.state();
                let plugin = state.plugin.clone();
                let token = state.host.queues.register(&state.config.vm_id, &name, plugin)?;
                guest.write_u32(token_at, token)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_resolve_shared_queue",
        |c: C<'_>, vm_id: u32, vm_id_size: u32, name: u32, size: u32, token_at: u32| {
            answer(c, |guest| {
                let vm_id = guest.read(vm_id, vm_id_size)?;
                let name = guest.read(name, size)?;
                let state = guest.state();
                let vm_id = match std::str::from_utf8(&vm_id) {
                    Ok("") => &state.config.vm_id,
                    Ok(vm_id) => vm_id,
                    Err(_) => return Err(Status::NotFound),
                };
                let token = state.host.queues.resolve(vm_id, &name).ok_or(Status::NotFound)?;
                guest.write_u32(token_at, token)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_dequeue_shared_queue",
        |c: C<'_>, token: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let data = guest.state().host.queues.dequeue(token)?;
                guest.give(&data, at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_enqueue_shared_queue",
        |c: C<'_>, token: u32, data: u32, size: u32| {
            answer(c, |guest| {
                let data = guest.read(data, size)?;
                let listener = guest.state().host.queues.enqueue(token, &data)?;
                guest.state_mut().queue_events.push((listener, token));
                Ok(())
            })
        },
    )?;
    Ok(())
}
