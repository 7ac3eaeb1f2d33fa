//! The guard: the policy as HTTP middleware in front of a Spin function, for teams without Envoy.
//!
//! A request is judged by the policy as the gate judges it, and goes on to the function behind with the signed assertion.
//! Limits are counted in a [`store`], so that many machines share them. [`service`] is the whole of it, a function from a request to an
//! answer that any test can call; `component` connects it to Spin. `docs/limits-store.md` says what is exact, and why it is made so.
#![deny(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing
)]
#![cfg_attr(
    not(target_family = "wasm"),
    allow(
        dead_code,
        unused_imports,
        reason = "what answers Spin is not there natively, only the tests are"
    )
)]

mod counting;
mod environment;
mod message;
mod remotes;
mod service;
mod settings;
mod store;

#[cfg(target_family = "wasm")]
mod archive;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod network;
#[cfg(test)]
mod remotes_tests;
#[cfg(test)]
mod service_tests;
#[cfg(target_family = "wasm")]
mod stores;
#[cfg(test)]
mod testing;
