//! The part of WASI preview 1 that filters get: environment, clocks, random numbers, output to the
//! log. There are no files, sockets or arguments.

use ring::rand::{SecureRandom, SystemRandom};
use wasmtime::{Caller, Linker};

use crate::proxy_wasm::abi::Status;
use crate::proxy_wasm::guest::Guest;
use crate::proxy_wasm::log::LogLevel;
use crate::proxy_wasm::state::State;

type C<'a> = Caller<'a, State>;

/// Most bytes that one `random_get` gives; proxy-wasm-cpp-host's.
const MAX_RANDOM: u32 = 64 * 1024;
/// Most bytes that one `fd_write` takes.
const MAX_WRITE: usize = 64 * 1024;

/// WASI's error numbers.
const BADF: Errno = Errno(8);
const FAULT: Errno = Errno(21);
const INVAL: Errno = Errno(28);
const NOENT: Errno = Errno(44);
const NOSYS: Errno = Errno(52);
const NOTSUP: Errno = Errno(58);

struct Errno(u32);

impl From<Status> for Errno {
    fn from(_: Status) -> Self {
        FAULT
    }
}

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        define_environment(linker, module)?;
        define_clocks(linker, module)?;
        define_files(linker, module)?;
        define_paths(linker, module)?;
    }
    Ok(())
}

fn answer<'a>(caller: C<'a>, call: impl FnOnce(&mut Guest<'a>) -> Result<(), Errno>) -> u32 {
    match call(&mut Guest(caller)) {
        Ok(()) => 0,
        Err(Errno(number)) => number,
    }
}

fn define_environment(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(module, "environ_sizes_get", |c: C<'_>, count_at: u32, size_at: u32| {
        answer(c, |guest| {
            let variables = &guest.state().config.environment;
            let count = u32::try_from(variables.len()).map_err(|_| FAULT)?;
            let size: usize = variables.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
            guest.write_u32(count_at, count)?;
            Ok(guest.write_u32(size_at, u32::try_from(size).map_err(|_| FAULT)?)?)
        })
    })?;
    linker.func_wrap(
        module,
        "environ_get",
        |c: C<'_>, mut pointers_at: u32, mut data_at: u32| {
            answer(c, |guest| {
                let config = std::sync::Arc::clone(&guest.state().config);
                for (name, value) in &config.environment {
                    let text = format!("{name}={value}\0");
                    guest.write_u32(pointers_at, data_at)?;
                    guest.write(data_at, text.as_bytes())?;
                    pointers_at = pointers_at.checked_add(4).ok_or(FAULT)?;
                    let size = u32::try_from(text.len()).map_err(|_| FAULT)?;
                    data_at = data_at.checked_add(size).ok_or(FAULT)?;
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(module, "args_sizes_get", |c: C<'_>, count_at: u32, size_at: u32| {
        answer(c, |guest| {
            guest.write_u32(count_at, 0)?;
            Ok(guest.write_u32(size_at, 0)?)
        })
    })?;
    linker.func_wrap(module, "args_get", |_: C<'_>, _: u32, _: u32| 0_u32)?;
    linker.func_wrap(module, "random_get", |c: C<'_>, at: u32, length: u32| {
        answer(c, |guest| {
            if length > MAX_RANDOM {
                return Err(INVAL);
            }
            let mut bytes = vec![0; length as usize];
            SystemRandom::new().fill(&mut bytes).map_err(|_| NOSYS)?;
            Ok(guest.write(at, &bytes)?)
        })
    })?;
    // As in Envoy the guest goes on, into the trap that its compiler put behind the call.
    linker.func_wrap(module, "proc_exit", |_: C<'_>, _: u32| {})?;
    linker.func_wrap(module, "sched_yield", |_: C<'_>| 0_u32)?;
    linker.func_wrap(module, "poll_oneoff", |c: C<'_>, _: u32, _: u32, _: u32, at: u32| {
        answer(c, |guest| Ok(guest.write_u32(at, 0)?))
    })?;
    Ok(())
}

fn define_clocks(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(module, "clock_time_get", |c: C<'_>, id: u32, _: u64, at: u32| {
        answer(c, |guest| {
            // Real time and monotonic time are both the host's clock.
            if id > 1 {
                return Err(NOTSUP);
            }
            let now = guest.state().host.clock.now_nanoseconds();
            Ok(guest.write_u64(at, now)?)
        })
    })?;
    linker.func_wrap(module, "clock_res_get", |c: C<'_>, id: u32, at: u32| {
        answer(c, |guest| {
            if id > 1 {
                return Err(NOTSUP);
            }
            Ok(guest.write_u64(at, 1)?)
        })
    })?;
    Ok(())
}

fn define_files(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "fd_write",
        |c: C<'_>, file: u32, vectors: u32, count: u32, written_at: u32| {
            answer(c, |guest| {
                let level = match file {
                    1 => LogLevel::Info,
                    2 => LogLevel::Error,
                    _ => return Err(BADF),
                };
                let mut text = Vec::new();
                let mut vector = vectors;
                for _ in 0..count {
                    let data = guest.read_u32(vector)?;
                    let length = guest.read_u32(vector.checked_add(4).ok_or(FAULT)?)?;
                    vector = vector.checked_add(8).ok_or(FAULT)?;
                    // A short write is no error; the guest comes again with the rest.
                    let room = u32::try_from(MAX_WRITE - text.len()).unwrap_or_default();
                    text.extend(guest.read(data, length.min(room))?);
                    if length > room {
                        break;
                    }
                }
                let line = text.strip_suffix(b"\n").unwrap_or(&text);
                if !text.is_empty() {
                    guest.state_mut().log(level, line);
                }
                Ok(guest.write_u32(written_at, u32::try_from(text.len()).map_err(|_| FAULT)?)?)
            })
        },
    )?;
    linker.func_wrap(module, "fd_fdstat_get", |c: C<'_>, file: u32, at: u32| {
        answer(c, |guest| {
            if file != 1 && file != 2 {
                return Err(BADF);
            }
            let mut status = [0; 24];
            // The right to write.
            status[8] = 64;
            Ok(guest.write(at, &status)?)
        })
    })?;
    linker.func_wrap(module, "fd_fdstat_set_flags", |_: C<'_>, _: u32, _: u32| NOSYS.0)?;
    linker.func_wrap(module, "fd_filestat_get", |_: C<'_>, _: u32, _: u32| BADF.0)?;
    linker.func_wrap(module, "fd_prestat_get", |_: C<'_>, _: u32, _: u32| BADF.0)?;
    linker.func_wrap(module, "fd_prestat_dir_name", |_: C<'_>, _: u32, _: u32, _: u32| NOSYS.0)?;
    linker.func_wrap(module, "fd_read", |_: C<'_>, _: u32, _: u32, _: u32, _: u32| NOSYS.0)?;
    linker.func_wrap(module, "fd_pread", |_: C<'_>, _: u32, _: u32, _: u32, _: u64, _: u32| {
        NOSYS.0
    })?;
    linker.func_wrap(
        module,
        "fd_readdir",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u64, _: u32| BADF.0,
    )?;
    linker.func_wrap(module, "fd_seek", |_: C<'_>, _: u32, _: i64, _: u32, _: u32| 0_u32)?;
    linker.func_wrap(module, "fd_close", |_: C<'_>, _: u32| 0_u32)?;
    Ok(())
}

fn define_paths(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "path_open",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u64, _: u64, _: u32, _: u32| NOENT.0,
    )?;
    linker.func_wrap(
        module,
        "path_filestat_get",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| NOTSUP.0,
    )?;
    linker.func_wrap(
        module,
        "path_readlink",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NOTSUP.0,
    )?;
    linker.func_wrap(module, "path_unlink_file", |_: C<'_>, _: u32, _: u32, _: u32| NOTSUP.0)?;
    linker
        .func_wrap(module, "path_remove_directory", |_: C<'_>, _: u32, _: u32, _: u32| NOTSUP.0)?;
    linker
        .func_wrap(module, "path_create_directory", |_: C<'_>, _: u32, _: u32, _: u32| NOTSUP.0)?;
    Ok(())
}
