//! What the Spin components have in common: requests that come through the gate, and replies.
//!
//! A component is a function from a [`Request`] to a [`Reply`] that any test can call; `spin` connects it to Spin.
#![deny(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

mod caller;
#[cfg(any(test, feature = "testing"))]
pub mod described;
#[cfg(feature = "jwe")]
pub mod jwe;
#[cfg(feature = "keys")]
pub mod keys;
mod log;
mod problem;
mod reply;
mod request;
#[cfg(target_family = "wasm")]
pub mod spin;
#[cfg(feature = "tenants")]
pub mod tenants;

pub use caller::{Gatekeeper, KEY_ID};
pub use log::log;
pub use problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem, UNAUTHENTICATED, UNAVAILABLE};
pub use reply::Reply;
pub use request::{Body, Limit, Request};
