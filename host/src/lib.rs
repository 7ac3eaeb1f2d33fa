//! Where Portcullis runs without Envoy: a host for proxy-wasm filters, a host for functions, the
//! gateway made of both, and the `portcullis` command.

pub mod cli;
pub mod compile_cache;
pub mod component;
pub mod gateway;
pub mod proxy_wasm;
pub mod tls;
