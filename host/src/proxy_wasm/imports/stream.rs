//! What a filter does with the stream: go on, cut it off, answer it.

use wasmtime::{Caller, Linker};

use super::answer;
use crate::proxy_wasm::abi::{Direction, Status};
use crate::proxy_wasm::headers::HeaderMap;
use crate::proxy_wasm::local_reply::LocalReply;
use crate::proxy_wasm::state::{ROOT, State};

type C<'a> = Caller<'a, State>;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_continue_stream", |c: C<'_>, kind: u32| {
        answer(c, |guest| {
            let direction = direction(kind)?;
            // Like Envoy: done once the guest has returned, and nothing where there is no stream. The request's fields
            // are out of reach from here on, whichever way goes on.
            if let (Some(direction), Some(stream)) = (direction, guest.state_mut().stream_mut()) {
                stream.side(direction).resume = true;
                stream.request.headers_open = false;
                stream.request.trailers_open = false;
            }
            Ok(())
        })
    })?;
    linker.func_wrap("env", "proxy_close_stream", |c: C<'_>, kind: u32| {
        answer(c, |guest| {
            let direction = direction(kind)?;
            if let (Some(_), Some(stream)) = (direction, guest.state_mut().stream_mut()) {
                stream.reset = true;
            }
            Ok(())
        })
    })?;
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |c: C<'_>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         pairs: u32,
         pairs_size: u32,
         grpc_status: u32| {
            answer(c, |guest| {
                let details = guest.read(details, details_size)?;
                let body = guest.read(body, body_size)?;
                let headers = HeaderMap::from_pairs(&guest.read(pairs, pairs_size)?);
                let Some(stream) = guest.state_mut().stream_mut() else { return Ok(()) };
                if std::mem::replace(&mut stream.replied, true) {
                    return Err(Status::BadArgument);
                }
                let reply = LocalReply::by_filter(status, headers, body, grpc_status, &details);
                stream.reply = Some(reply);
                Ok(())
            })
        },
    )?;
    // Routes are the embedder's; it takes them after the filters have run.
    linker.func_wrap("env", "proxy_clear_route_cache", |_: C<'_>| Status::Ok as u32)?;
    linker.func_wrap("env", "proxy_set_effective_context", |c: C<'_>, context: u32| {
        answer(c, |guest| {
            let state = guest.state_mut();
            if context != ROOT && !state.streams.contains_key(&context) {
                return Err(Status::BadArgument);
            }
            state.effective = Some(context);
            Ok(())
        })
    })?;
    linker.func_wrap("env", "proxy_done", |_: C<'_>| {
        // Contexts end when their streams do, whether the filter is ready or not; as for Envoy's
        // HTTP filters.
        Status::NotFound as u32
    })?;
    Ok(())
}

/// Request and response streams; none for those of TCP, which are not there.
fn direction(kind: u32) -> Result<Option<Direction>, Status> {
    match kind {
        0 => Ok(Some(Direction::Request)),
        1 => Ok(Some(Direction::Response)),
        2 | 3 => Ok(None),
        _ => Err(Status::BadArgument),
    }
}
