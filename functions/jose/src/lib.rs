//! JSON Web Encryption as a Spin component of its own, in front of a function that knows nothing of it.
//!
//! It holds the decryption keys and the policy's input stage; the function behind it holds neither, and gets what the
//! gate would have sent it, had the request not been encrypted. [`service`] is the whole of it, a function from a
//! request to an answer that any test can call; `component` connects it to Spin.
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

mod forward;
mod origin;
mod screens;
mod service;
mod settings;
mod upstream;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod network;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod testing;
