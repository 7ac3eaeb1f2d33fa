//! Log, time, timers, metrics, properties, foreign functions.

use std::time::Duration;

use wasmtime::{Caller, Linker};

use super::answer;
use crate::proxy_wasm::abi::Status;
use crate::proxy_wasm::foreign;
use crate::proxy_wasm::log::LogLevel;
use crate::proxy_wasm::state::State;

type C<'a> = Caller<'a, State>;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_log", |c: C<'_>, level: u32, text: u32, size: u32| {
        answer(c, |guest| {
            let level = LogLevel::from_number(level).ok_or(Status::BadArgument)?;
            let text = guest.read(text, size)?;
            guest.state_mut().log(level, &text);
            Ok(())
        })
    })?;
    linker.func_wrap("env", "proxy_get_log_level", |c: C<'_>, level_at: u32| {
        answer(c, |guest| {
            let level = guest.state().host.log.level();
            guest.write_u32(level_at, level as u32)
        })
    })?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |c: C<'_>, at: u32| {
        answer(c, |guest| {
            let now = guest.state().host.clock.now_nanoseconds();
            guest.write_u64(at, now)
        })
    })?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", |c: C<'_>, period: u32| {
        answer(c, |guest| {
            let period = (period > 0).then(|| Duration::from_millis(period.into()));
            guest.state_mut().tick_period = period;
            if let Some(plugin) = guest.state().plugin.upgrade() {
                plugin.schedule_tick(period);
            }
            Ok(())
        })
    })?;
    define_metrics(linker)?;
    define_properties(linker)?;
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |c: C<'_>, name: u32, name_size: u32, data: u32, size: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let name = guest.read(name, name_size)?;
                let arguments = guest.read(data, size)?;
                let result = foreign::call(&name, &arguments)?;
                guest.give(&result, at, size_at)
            })
        },
    )?;
    Ok(())
}

fn define_metrics(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |c: C<'_>, kind: u32, name: u32, size: u32, id_at: u32| {
            answer(c, |guest| {
                let name = guest.read(name, size)?;
                let state = guest.state_mut();
                let id = state.metrics.define(&state.host.metrics, kind, &name)?;
                guest.write_u32(id_at, id)
            })
        },
    )?;
    linker.func_wrap("env", "proxy_increment_metric", |c: C<'_>, id: u32, offset: i64| {
        answer(c, |guest| guest.state().metrics.increment(id, offset))
    })?;
    linker.func_wrap("env", "proxy_record_metric", |c: C<'_>, id: u32, value: u64| {
        answer(c, |guest| guest.state().metrics.record(id, value))
    })?;
    linker.func_wrap("env", "proxy_get_metric", |c: C<'_>, id: u32, value_at: u32| {
        answer(c, |guest| {
            let value = guest.state().metrics.value(id)?;
            guest.write_u64(value_at, value)
        })
    })?;
    Ok(())
}

fn define_properties(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |c: C<'_>, path: u32, path_size: u32, at: u32, size_at: u32| {
            answer(c, |guest| {
                let path = guest.read(path, path_size)?;
                let value = guest.state().property(&path)?;
                guest.give(&value, at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |c: C<'_>, path: u32, path_size: u32, value: u32, size: u32| {
            answer(c, |guest| {
                let path = guest.read(path, path_size)?;
                let value = guest.read(value, size)?;
                let stream = guest.state().stream().ok_or(Status::NotFound)?;
                stream.info.set_filter_state(&path, &value)
            })
        },
    )?;
    Ok(())
}
