//! What the proxy-wasm filters have in common. A filter is this adapter and the stages it runs; what is
//! decided is `portcullis-policy`'s alone.
#![deny(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod environment;
mod fetches;
mod header_map;
mod root;
mod service_calls;
mod stream;
mod waiting;

pub use header_map::HeaderMap;

use portcullis_policy::Stages;
use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

/// A filter: its name, as logs have it, and the stages it runs.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// The name of the .wasm.
    pub name: &'static str,
    /// What it decides.
    pub stages: Stages,
}

impl Filter {
    /// The filter's root context. To be called from `proxy_wasm::main!`.
    pub fn root(self, context_id: u32) -> Box<dyn RootContext> {
        // Below the host's own level nothing is written; this only keeps the SDK from filtering.
        proxy_wasm::set_log_level(LogLevel::Info);
        Box::new(root::Root::new(context_id, self))
    }
}
