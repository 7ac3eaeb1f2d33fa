//! Does nothing, for measuring: what a filter of this SDK costs before it has done anything.
//!
//! It handles the callbacks that jwt-auth handles, and answers each with «go on»; configured with `{"reads":true}`, it reads
//! the request's header section first, which whoever decides by more than one field has to; with `{"reads":true,"tells":true}` it also
//! sets two fields of the response, as whoever tells clients of limits has to. `cargo xtask bench` builds it, takes
//! the same exports out of it, and measures jwt-auth and rate-limit against it. It is no part of Portcullis: `cargo xtask build`
//! leaves it out, and it must never stand where something is to be protected.
#![forbid(unsafe_code)]

use portcullis_filter::HeaderMap;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Noop { reads: false, tells: false }));
}}

#[derive(Clone, Copy)]
struct Noop {
    reads: bool,
    tells: bool,
}

impl Context for Noop {}

impl RootContext for Noop {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let configuration = configuration.ok().flatten().unwrap_or_default();
        self.tells = configuration == br#"{"reads":true,"tells":true}"#;
        self.reads = self.tells || configuration == br#"{"reads":true}"#;
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(*self))
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

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.tells {
            for (name, value) in [
                ("ratelimit-policy", "\"leased\";q=10000000;w=1"),
                ("ratelimit", "\"leased\";r=9999999;t=1"),
            ] {
                let _ = hostcalls::set_map_value(MapType::HttpResponseHeaders, name, Some(value));
            }
        }
        Action::Continue
    }
}
