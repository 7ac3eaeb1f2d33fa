//! The scam detector as a Spin component: what Portcullis protects.
//!
//! [`service`] is the whole of it, a function from a request to a reply that any test can call;
//! `component` connects it to Spin.
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
    allow(dead_code, reason = "what answers Spin is not there natively, only the tests are")
)]

mod accounts;
mod predict;
mod service;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod no_files;
#[cfg(target_family = "wasm")]
mod prepare;
