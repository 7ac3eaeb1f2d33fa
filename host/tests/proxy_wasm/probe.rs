//! Probe filters, written as WebAssembly text, and what is needed to run them.

use std::sync::{Arc, OnceLock};

use portcullis::compile_cache::CompileCache;
use portcullis::proxy_wasm::{
    Engine, Exchange, FilterChain, HeaderMap, Host, LogLevel, MemoryLog, Message, Module, Plugin,
    PluginConfig, StreamInfo,
};

/// What every probe has: the imports by short names, a memory, an allocator that never frees,
/// and functions to log a number.
const PRELUDE: &str = r#"
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value"
    (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes"
    (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_http_call"
    (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data"
    (func $shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data"
    (func $set_shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (global $heap (mut i32) (i32.const 65536))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (local.get $at)
      (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16))))
    (local.get $at))
  ;; Logs a text.
  (func $say (param i32 i32)
    (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
  ;; Logs a number in decimal.
  (func $number (param $value i32)
    (local $at i32)
    (local.set $at (i32.const 528))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $digits (local.get $value)))
    (call $say (local.get $at) (i32.sub (i32.const 528) (local.get $at))))
"#;

/// Compiles a probe. In `text`, `#"…"` stands for the address and the length of that text.
pub(crate) fn module(text: &str) -> Module {
    let (mut code, mut data, mut rest) = (String::new(), String::new(), text);
    let mut at = 1024;
    while let Some((before, after)) = rest.split_once("#\"") {
        let (literal, after) = after.split_once('"').expect("a closing quote");
        let length = wast_length(literal);
        code += &format!("{before}(i32.const {at}) (i32.const {length})");
        data += &format!("  (data (i32.const {at}) \"{literal}\")\n");
        at += length;
        rest = after;
    }
    let bytes =
        wat::parse_str(format!("(module {PRELUDE} {code}{rest}\n{data})")).expect("a probe");
    Module::from_bytes(engine(), "probe", &bytes).expect("a module")
}

/// Length of a text with escapes of the form `\ff`.
fn wast_length(literal: &str) -> usize {
    literal.len() - 2 * literal.matches('\\').count()
}

pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&CompileCache::Off).expect("an engine"))
}

/// One probe in a chain of its own, and its log.
pub(crate) struct Rig {
    pub(crate) host: Arc<Host>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) chain: FilterChain,
}

impl Rig {
    pub(crate) fn new(text: &str) -> Self {
        Self::with(text, |_| {})
    }

    pub(crate) fn with(text: &str, configure: impl FnOnce(&mut PluginConfig)) -> Self {
        Self::on(Host::default(), text, configure)
    }

    pub(crate) fn on(host: Host, text: &str, configure: impl FnOnce(&mut PluginConfig)) -> Self {
        let log = Arc::new(MemoryLog::new(LogLevel::Trace, 1000));
        let host = Arc::new(host.with_log(Arc::clone(&log) as _));
        let mut config = PluginConfig::new("probe", "");
        configure(&mut config);
        let plugin = Plugin::start(&host, &module(text), config).expect("a probe that starts");
        Self { host, log, chain: FilterChain::new(vec![plugin]) }
    }

    pub(crate) fn begin(&self) -> Exchange {
        self.chain.begin(info())
    }

    /// What has been logged since the last time, without what the host said.
    pub(crate) fn said(&self) -> Vec<String> {
        let lines = self.log.take().into_iter().filter(|line| line.level == LogLevel::Info);
        lines.map(|line| line.message).collect()
    }
}

pub(crate) fn info() -> StreamInfo {
    StreamInfo::new("192.0.2.7:4711".parse().unwrap(), "192.0.2.1:80".parse().unwrap(), 0)
}

pub(crate) fn headers(more: &[(&str, &str)]) -> HeaderMap {
    let base = [(":method", "POST"), (":path", "/"), (":authority", "a"), (":scheme", "http")];
    base.iter().chain(more).copied().collect()
}

pub(crate) fn request(chunks: &[&str]) -> Message {
    let body = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
    Message { headers: headers(&[]), body, trailers: None }
}

pub(crate) fn response(status: &str, body: &str) -> Message {
    Message::new([(":status", status)].into_iter().collect(), body)
}
