//! Call-outs over HTTP, and the refusal of those over gRPC.

use std::time::Duration;

use wasmtime::{Caller, Linker};

use super::answer;
use crate::proxy_wasm::abi::Status;
use crate::proxy_wasm::call_out::CallOut;
use crate::proxy_wasm::headers::HeaderMap;
use crate::proxy_wasm::state::State;

type C<'a> = Caller<'a, State>;

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |c: C<'_>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout: u32,
         token_at: u32| {
            answer(c, |guest| {
                let cluster = guest.read(cluster, cluster_size)?;
                let mut headers = HeaderMap::from_pairs(&guest.read(headers, headers_size)?);
                let body = guest.read(body, body_size)?;
                let trailers = HeaderMap::from_pairs(&guest.read(trailers, trailers_size)?);
                // Written first, so that a bad address is found before a call goes out.
                guest.write_u32(token_at, 0)?;
                let cluster = String::from_utf8(cluster).map_err(|_| Status::BadArgument)?;
                if i32::try_from(timeout).is_err() {
                    return Err(Status::BadArgument);
                }
                if !body.is_empty() {
                    headers.replace("content-length", body.len().to_string());
                }
                let timeout = (timeout > 0).then(|| Duration::from_millis(timeout.into()));
                let call = CallOut { cluster, headers, body, trailers, timeout };
                let token = guest.state_mut().call_out(call)?;
                guest.write_u32(token_at, token)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_status",
        |c: C<'_>, code_at: u32, message_at: u32, size_at: u32| {
            answer(c, |guest| {
                let (code, message) = guest.state().status.clone();
                guest.write_u32(code_at, code)?;
                guest.give(message.as_bytes(), message_at, size_at)
            })
        },
    )?;
    define_grpc(linker)
}

/// There are no gRPC services: every call is answered as Envoy answers one to an unknown cluster.
fn define_grpc(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_grpc_call",
        |_: C<'_>,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32,
         _: u32| Status::ParseFailure as u32,
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_stream",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| {
            Status::ParseFailure as u32
        },
    )?;
    linker.func_wrap("env", "proxy_grpc_send", |_: C<'_>, _: u32, _: u32, _: u32, _: u32| {
        Status::NotFound as u32
    })?;
    linker.func_wrap("env", "proxy_grpc_cancel", |_: C<'_>, _: u32| Status::NotFound as u32)?;
    linker.func_wrap("env", "proxy_grpc_close", |_: C<'_>, _: u32| Status::NotFound as u32)?;
    Ok(())
}
