//! The guard: the policy as HTTP middleware in front of a Spin function, for teams without Envoy.
//!
//! [`store`] is where its limits are counted, so that many machines share them. `docs/limits-store.md` says what is exact, and why it
//! is made so.
#![deny(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    not(test),
    allow(
        dead_code,
        unused_imports,
        reason = "the guard itself is not there yet: only the tests ask its stores"
    )
)]

mod store;
