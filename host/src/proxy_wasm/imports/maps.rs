//! Header maps and buffers.

use wasmtime::{Caller, Linker};

use super::answer;
use crate::proxy_wasm::abi::{BufferKind, MapKind, Status};
use crate::proxy_wasm::headers::HeaderMap;
use crate::proxy_wasm::state::State;

type C<'a> = Caller<'a, State>;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define_reading(linker)?;
    define_changing(linker)?;
    define_buffers(linker)
}

fn define_reading(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |c: C<'_>, kind: u32, name: u32, name_size: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let name = guest.read(name, name_size)?;
                let state = guest.state();
                let Some(map) = state.map(kind) else {
                    let logging = state.stream().is_some_and(|stream| stream.logging);
                    return Err(if logging { Status::NotFound } else { Status::BadArgument });
                };
                let value = map.first(&name).ok_or(Status::NotFound)?.to_vec();
                guest.give(&value, at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |c: C<'_>, kind: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let pairs = guest.state().map(kind).map(HeaderMap::to_pairs).unwrap_or_default();
                guest.give(&pairs, at, size_at)
            })
        },
    )?;
    linker.func_wrap("env", "proxy_get_header_map_size", |c: C<'_>, kind: u32, size_at: u32| {
        answer(c, |guest| {
            let kind = MapKind::try_from(kind)?;
            let size = guest.state_mut().map_mut(kind)?.byte_size();
            guest.write_u32(size_at, u32::try_from(size).unwrap_or(u32::MAX))
        })
    })?;
    Ok(())
}

fn define_changing(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |c: C<'_>, kind: u32, pairs: u32, size: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let pairs = guest.read(pairs, size)?;
                *guest.state_mut().map_mut(kind)? = HeaderMap::from_pairs(&pairs);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_add_header_map_value",
        |c: C<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let (name, value) = (guest.read(name, name_size)?, guest.read(value, size)?);
                let bytes = name.len().saturating_add(value.len());
                guest.state_mut().map_to_grow(kind, bytes)?.add(&name, &value);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |c: C<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let (name, value) = (guest.read(name, name_size)?, guest.read(value, size)?);
                let bytes = name.len().saturating_add(value.len());
                guest.state_mut().map_to_grow(kind, bytes)?.replace(&name, &value);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |c: C<'_>, kind: u32, name: u32, name_size: u32| {
            answer(c, |guest| {
                let kind = MapKind::try_from(kind)?;
                let name = guest.read(name, name_size)?;
                guest.state_mut().map_mut(kind)?.remove(&name);
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn define_buffers(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |c: C<'_>, kind: u32, start: u32, length: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let kind = BufferKind::try_from(kind)?;
                let buffer = guest.state().buffer(kind).ok_or(Status::NotFound)?;
                let start = start as usize;
                let end = start.saturating_add(length as usize).min(buffer.len());
                let part = buffer.get(start..end).unwrap_or_default().to_vec();
                if part.is_empty() {
                    guest.write_u32(at, 0)?;
                    return guest.write_u32(size_at, 0);
                }
                guest.give(&part, at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_status",
        |c: C<'_>, kind: u32, length_at: u32, flags_at: u32| {
            answer(c, |guest| {
                let kind = BufferKind::try_from(kind)?;
                let length = guest.state().buffer(kind).ok_or(Status::NotFound)?.len();
                guest.write_u32(length_at, u32::try_from(length).unwrap_or(u32::MAX))?;
                guest.write_u32(flags_at, 0)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |c: C<'_>, kind: u32, start: u32, length: u32, data: u32, size: u32| {
            answer(c, |guest| {
                let kind = BufferKind::try_from(kind)?;
                guest.state().buffer(kind).ok_or(Status::NotFound)?;
                let data = guest.read(data, size)?;
                let stream = guest.state_mut().stream_mut();
                let side = match (kind, stream) {
                    (BufferKind::RequestBody, Some(stream)) => &mut stream.request,
                    (BufferKind::ResponseBody, Some(stream)) => &mut stream.response,
                    _ => return Err(Status::BadArgument),
                };
                side.change_body(start as usize, length as usize, &data)
            })
        },
    )?;
    Ok(())
}
