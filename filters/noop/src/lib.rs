//! Does nothing, for measuring: what a filter of this SDK costs before it has done anything.
//!
//! It handles the callbacks that jwt-auth handles, and answers each with «go on»; configured with `{"reads":true}`, it reads
//! the request's header section first, which whoever decides by more than one field has to. `cargo xtask bench` builds it, takes
//! the same exports out of it, and measures jwt-auth against it. It is no part of Portcullis: `cargo xtask build`
//! leaves it out, and it must never stand where something is to be protected.
#![forbid(unsafe_code)]

use portcullis_filter::HeaderMap;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Noop { reads: false }));
}}

struct Noop {
    reads: bool,
}

impl Context for Noop {}

impl RootContext for Noop {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        self.reads = configuration.ok().flatten().is_some_and(|text| text == br#"{"reads":true}"#);
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Noop { reads: self.reads }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Noop {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.reads {
            let map = HeaderMap::read(MapType::HttpRequestHeaders);
            // Kept from being optimised away.
            std::hint::black_box(map.as_ref().and_then(HeaderMap::fields));
        }
        Action::Continue
    }
}
