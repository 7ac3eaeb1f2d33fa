//! The proxy-wasm host, driven with probe filters: each test is one way in which Envoy behaves
//! that a filter depends on, or one way in which a filter or a client could do harm.

mod bodies;
mod calls;
mod clusters;
mod failure;
mod maps;
mod probe;
mod sharing;
mod waiting;
