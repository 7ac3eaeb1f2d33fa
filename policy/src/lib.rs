//! What Portcullis decides: who may come in, how often, with what in their hands.
//!
//! This crate is a pure library. It never reads a clock, a socket, a file or a header map: it is told, and it answers what to
//! do. So the same verdict is reached inside Envoy, in the wasmtime host and in a test, and all of it
//! can be fuzzed without a proxy.
//!
//! Start reading at [`Policy`] (a compiled policy document) and [`Exchange`] (one request's way through the
//! stages). Each stage is a module of that name, with a section of that name in the policy document.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![warn(missing_docs)]

pub mod assertion;
pub mod form;
mod principal;
mod secret;

#[cfg(feature = "engine")]
mod access;
#[cfg(feature = "engine")]
mod audit;
#[cfg(feature = "engine")]
mod authorisation;
#[cfg(feature = "engine")]
mod byte_set;
#[cfg(feature = "engine")]
pub mod document;
#[cfg(feature = "engine")]
mod environment;
#[cfg(feature = "engine")]
mod exchange;
#[cfg(feature = "engine")]
mod files;
#[cfg(feature = "engine")]
mod grpc;
#[cfg(feature = "engine")]
pub mod identity;
#[cfg(feature = "engine")]
mod input;
#[cfg(feature = "engine")]
mod limits;
#[cfg(feature = "engine")]
mod matcher;
#[cfg(feature = "engine")]
mod output;
#[cfg(feature = "engine")]
mod policy;
#[cfg(feature = "engine")]
mod problem;
#[cfg(feature = "engine")]
mod remote;
#[cfg(feature = "engine")]
mod route;
#[cfg(feature = "engine")]
pub mod screening;
#[cfg(feature = "engine")]
mod spread;
#[cfg(feature = "engine")]
mod stages;
#[cfg(all(test, feature = "engine"))]
mod testing;
#[cfg(feature = "engine")]
mod trace;

pub use principal::{CredentialKind, Principal};
pub use secret::{MINIMUM_SECRET_BYTES, Secret, SecretError, Secrets};

#[cfg(feature = "engine")]
pub use self::{
    access::{Header, TOLD_BY_PROXIES, is_reserved},
    document::{Document, DocumentError},
    environment::{
        Environment, MemoryStore, NativeSignature, Swap, Timestamp, Unavailable, Version,
    },
    exchange::{Exchange, HeaderEdit, RequestHead, ResponseInterest, Step},
    files::FileType,
    grpc::GrpcStatus,
    limits::{LimitAnswer, LimitCount, LimitSettlement, LimitTake},
    limits::{ServiceAnswer, ServiceCall, ServiceOutcome},
    policy::{CompileError, Policy, Upkeep},
    problem::{Finding, PROBLEM_MEDIA_TYPE, PROBLEM_TYPE_PREFIX, Reason, Reply, Stage},
    remote::{Answer, Fetch, Outcome},
    stages::Stages,
    trace::{LocatedField, PolicyField, Trace, TraceEntry},
};
