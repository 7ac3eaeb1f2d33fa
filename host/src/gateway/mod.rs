//! The gateway without Envoy: HTTP in, the filters, a function or an upstream, HTTP out.

mod connection;
mod problem;
mod server;

pub use connection::{Peer, Tls};
pub use problem::Problem;
pub use server::{BodyError, Handler, ResponseBody, Server, ServerLimits};
