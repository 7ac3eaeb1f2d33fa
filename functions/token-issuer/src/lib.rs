//! The token issuer as a Spin component: OAuth 2 client credentials (RFC 6749 §4.4) for those who have no issuer.
//!
//! [`service`] is the whole of it, a function from a request to a reply that any test can call; `component`
//! connects it to Spin. It calls nobody, and keeps nothing but its signing keys.
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

mod clients;
mod credentials;
mod grant;
mod metadata;
mod oauth_error;
mod service;
mod settings;
mod signing_key;
mod token;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(test)]
mod testing;
