//! What the scenarios in `scenarios/` need to be run: their format, clients that may misbehave, an upstream that
//! tells what it saw, and the gate in both of its runtimes, the wasmtime host and real Envoy.

pub mod backend;
pub mod client;
pub mod credentials;
pub mod encrypted;
mod expect;
pub mod key_server;
mod policy;
mod process;
pub mod rate_limits;
pub mod runner;
pub mod scenario;
mod tools;
mod upstream;
