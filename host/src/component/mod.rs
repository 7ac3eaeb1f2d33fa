//! Runs functions: WebAssembly components that answer HTTP requests, as Spin and other hosts run
//! them.
//!
//! A function exports `wasi:http/handler@0.3.0` or `wasi:http/incoming-handler@0.2.x` and may
//! import WASI and Spin's `variables`, `key-value`, `redis` and `sqlite`. It sees no files, no sockets and no
//! environment, calls no host that is not on its allow list, and opens no database that it was not given.
//!
//! Every request gets a fresh instance. (Spin reuses an instance of a WASI 0.3 component for many
//! requests; a function must not rely on either.)

mod body;
mod function;
mod instance;
mod key_value;
mod limits;
mod load;
mod outbound;
mod output;
mod preinitialise;
mod spin;
mod sqlite;
mod state;
mod upload;
mod variables;

pub use body::{BodyError, FunctionBody};
pub use function::{Function, FunctionConfig, HandleError};
pub use key_value::{Full, KeyValueStore, MAX_KEY, MAX_TOTAL, MAX_VALUE};
pub use limits::Limits;
pub use load::LoadError;
pub use outbound::{InvalidOutboundHost, OutboundHost};
pub use output::LogSink;
pub use preinitialise::{INTERFACE as PREPARE_INTERFACE, PreinitialiseError, preinitialise};
pub use sqlite::{InvalidDatabase, SqliteDatabases};
pub use variables::{InvalidName, Variables};
