//! A host for proxy-wasm HTTP filters (ABI 0.2.1) that behaves as Envoy does.
//!
//! From the bottom up: an [`Engine`] compiles a [`Module`]; a [`Plugin`] is a module on a VM with a
//! configuration; a [`FilterChain`] is several of them in order, and a [`FilterPool`] the same
//! chain once for each thread; [`begin`](FilterPool::begin) gives an [`Exchange`], which takes one
//! request and its response through the chain. What all VMs of a process share is in a [`Host`].
//!
//! Where Envoy sets no bound, this host does: on the time of a callback, on shared data, queues,
//! metrics, filter state, and on what a filter may make of headers and bodies.
//!
//! ```no_run
//! use std::sync::Arc;
//! use portcullis::compile_cache::CompileCache;
//! use portcullis::proxy_wasm::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(&CompileCache::User)?;
//! let module = Module::load(&engine, "target/portcullis/gate.wasm")?;
//! let host = Arc::new(Host::default());
//! let pool = FilterPool::start(&host, &[(module, PluginConfig::new("gate", "{}"))], 4)?;
//!
//! let now = host.clock().now_nanoseconds();
//! let info = StreamInfo::new("192.0.2.7:4711".parse()?, "192.0.2.1:8080".parse()?, now);
//! let headers = [(":method", "GET"), (":path", "/"), (":authority", "a"), (":scheme", "http")];
//! let request = Message::new(headers.into_iter().collect(), "");
//! match block_on(pool.begin(info).request(request)) {
//!     RequestOutcome::Forward(request) => println!("goes on: {:?}", request.headers),
//!     RequestOutcome::Reply(response) => println!("answered {:?}", response.status()),
//!     RequestOutcome::Reset => println!("cut off"),
//! }
//! # Ok(())
//! # }
//! ```

mod abi;
mod call_out;
mod clock;
mod engine;
mod errand;
mod exchange;
mod filter_stream;
mod foreign;
mod guest;
mod headers;
mod host;
mod imports;
mod local_reply;
mod log;
mod message;
mod metrics;
mod pass;
mod plugin;
mod pool;
mod properties;
mod protobuf;
mod shared_data;
mod shared_queue;
mod state;
mod stream_info;
mod vm;

pub use abi::Status;
pub use call_out::{CallOut, CallOuts, CallResponse, Completion, NoCallOuts};
pub use clock::{Clock, ManualClock, SystemClock};
pub use engine::{Engine, EngineError, LoadError, Module};
pub use exchange::Exchange;
pub(crate) use foreign::verifies;
pub use headers::HeaderMap;
pub use host::Host;
pub use log::{LineLog, LogLevel, LogRecord, LogSink, MemoryLog, StderrLog};
pub use message::{Event, Message, RequestOutcome, ResponseOutcome};
pub use metrics::{MetricKind, MetricReading, Metrics};
pub use plugin::{FailurePolicy, Limits, Plugin, PluginConfig, StartError};
pub use pool::{FilterChain, FilterPool, block_on};
pub use shared_data::SharedData;
pub use stream_info::{PeerCertificate, StreamInfo, TlsInfo};
