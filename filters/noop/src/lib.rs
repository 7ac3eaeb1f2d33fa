//! Does nothing, for measuring: what a filter of this SDK costs before it has done anything.
//!
//! It handles the callbacks that jwt-auth handles, and answers each with «go on». `cargo xtask bench` builds it, takes
//! the same exports out of it, and measures jwt-auth against it. It is no part of Portcullis: `cargo xtask build`
//! leaves it out, and it must never stand where something is to be protected.
#![forbid(unsafe_code)]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Noop));
}}

struct Noop;

impl Context for Noop {}

impl RootContext for Noop {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Noop))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

// All callbacks as the SDK has them.
impl HttpContext for Noop {}
