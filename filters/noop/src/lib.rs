//! Does nothing, for measuring: what a filter of this SDK costs before it has done anything.
//!
//! It handles the callbacks that jwt-auth handles, and answers each with «go on». Its [`Configuration`] has it do some of what filters
//! cannot be without. `cargo xtask bench` builds it, takes
//! the same exports out of it, and measures jwt-auth, rate-limit and gate against it. It is no part of Portcullis: `cargo xtask build`
//! leaves it out, and it must never stand where something is to be protected.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use portcullis_filter::HeaderMap;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType};
use serde::Deserialize;
use serde::de::IgnoredAny;

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
    /// A request that has a body waits until all of it is there, and it is copied in; then four fields of the request are set, as
    /// whoever tells the upstream who is calling has to.
    holds: bool,
    /// What is held is read as JSON, of which nothing is kept, and then looked at once more by an automaton that knows forty words.
    searches: bool,
    /// A line of so many bytes is logged of each request, once the status of its response and the client's address have been asked for.
    records: usize,
    #[serde(skip)]
    requests: Cell<usize>,
    #[serde(skip)]
    automaton: Option<AhoCorasick>,
}

/// What a screen for attacks may look for.
const WORDS: [&str; 40] = [
    "select",
    "union",
    "insert",
    "update",
    "delete",
    "drop",
    "exec",
    "sleep",
    "benchmark",
    "having",
    "script",
    "onerror",
    "onload",
    "javascript",
    "iframe",
    "svg",
    "eval",
    "document",
    "alert",
    "srcdoc",
    "etc/passwd",
    "../",
    "file:",
    "gopher:",
    "cmd.exe",
    "bash",
    "curl",
    "wget",
    "powershell",
    "whoami",
    "__proto__",
    "constructor",
    "process",
    "require",
    "system",
    "ignore",
    "instructions",
    "password",
    "secret",
    "begin private key",
];

impl Configuration {
    /// What is to be verified for this request.
    fn next(&self) -> Option<&[u8]> {
        let request = self.requests.get();
        self.requests.set(request.wrapping_add(1));
        let place = request.checked_rem(self.verifies.len())?;
        self.verifies.get(place).map(Vec::as_slice)
    }

    fn search(&self, body: &[u8]) {
        if let Some(automaton) = &self.automaton {
            // Kept from being optimised away.
            std::hint::black_box(serde_json::from_slice::<IgnoredAny>(body).is_ok());
            std::hint::black_box(automaton.find_iter(body).count());
        }
    }
}

#[derive(Default, Clone)]
struct Noop(Rc<Configuration>);

impl Context for Noop {}

impl RootContext for Noop {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size);
        let configuration = configuration.ok().flatten().unwrap_or_default();
        match serde_json::from_slice::<Configuration>(&configuration) {
            Ok(mut configuration) => {
                let mut builder = AhoCorasick::builder();
                builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
                let words = configuration.searches.then(|| builder.build(WORDS));
                configuration.automaton = words.and_then(Result::ok);
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
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
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
        if self.0.holds && !end_of_stream { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.0.holds {
            return Action::Continue;
        }
        if !end_of_stream {
            return Action::Pause;
        }
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size);
        self.0.search(body.ok().flatten().as_deref().unwrap_or_default());
        for (name, length) in [
            ("signature-input", 220),
            ("signature", 60),
            ("content-digest", 60),
            ("portcullis-principal", 100),
        ] {
            let value = "x".repeat(length);
            let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(&value));
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
        if self.0.records > 0 {
            let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status");
            std::hint::black_box(status.ok());
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if self.0.records > 0 {
            std::hint::black_box(hostcalls::get_property(vec!["source", "address"]).ok());
            let _ = hostcalls::log(LogLevel::Info, &"x".repeat(self.0.records));
        }
    }
}
