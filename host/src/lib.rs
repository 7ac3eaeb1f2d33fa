//! Where Portcullis runs without Envoy: a host for proxy-wasm filters, a host for functions, the
//! gateway made of both, and the `portcullis` command.

pub mod bundle;
pub mod cli;
pub mod clusters;
pub mod compile_cache;
pub mod component;
pub mod envoy;
pub mod gateway;
mod json_lines;
mod native;
pub mod proxy_wasm;
pub mod replay;
pub mod secrets;
mod terminal;
pub mod tls;
pub mod upstream_at;
