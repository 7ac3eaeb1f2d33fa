//! Does nothing, for measuring: what a filter of this SDK costs before it has done anything.
//!
//! It handles the callbacks that jwt-auth handles, and answers each with «go on». Its [`Configuration`] has it do some of what filters
//! cannot be without. `cargo xtask bench` builds it, takes
//! the same exports out of it, and measures jwt-auth and rate-limit against it. It is no part of Portcullis: `cargo xtask build`
//! leaves it out, and it must never stand where something is to be protected.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

use portcullis_filter::HeaderMap;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};
use serde::Deserialize;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Noop>::default());
}}

/// What is done for each request, all the same.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Configuration {
    /// The request's header section is read, which whoever decides by more than one field has to.
    reads: bool,
    /// Two fields of the response are set, as whoever tells clients of limits has to.
    tells: bool,
    /// The host is asked to verify a signature, one of these in turn: its `VerifySignatureArguments`. If it is not good, the request
    /// is answered with 500.
    verifies: Vec<Vec<u8>>,
    #[serde(skip)]
    requests: Cell<usize>,
}

impl Configuration {
    /// What is to be verified for this request.
    fn next(&self) -> Option<&[u8]> {
        let request = self.requests.get();
        self.requests.set(request.wrapping_add(1));
        let place = request.checked_rem(self.verifies.len())?;
        self.verifies.get(place).map(Vec::as_slice)
    }
}

#[derive(Default, Clone)]
struct Noop(Rc<Configuration>);

impl Context for Noop {}

impl RootContext for Noop {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let configuration = configuration.ok().flatten().unwrap_or_default();
        match serde_json::from_slice(&configuration) {
            Ok(configuration) => {
                self.0 = Rc::new(configuration);
                true
            }
            Err(error) => {
                let _ = hostcalls::log(LogLevel::Critical, &format!("noop: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(self.clone()))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Noop {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.0.reads {
            let map = HeaderMap::read(MapType::HttpRequestHeaders);
            // Kept from being optimised away.
            std::hint::black_box(map.as_ref().and_then(HeaderMap::fields));
        }
        if let Some(arguments) = self.0.next() {
            let reply = hostcalls::call_foreign_function("verify_signature", Some(arguments));
            // A message whose one field, the result, is true.
            if reply.ok().flatten().as_deref() != Some(&[8, 1]) {
                let _ = hostcalls::send_http_response(500, Vec::new(), None);
                return Action::Pause;
            }
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.0.tells {
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
