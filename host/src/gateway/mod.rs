//! The gateway without Envoy: HTTP in, the filters, a function or an upstream, HTTP out.

mod access_log;
mod activity;
mod client_certificate;
mod clients;
mod connection;
mod framing;
mod gate;
pub(crate) mod head;
mod log_writer;
mod path;
mod problem;
mod response;
mod server;
mod serving;
mod socket;
mod upstream;

pub use access_log::AccessLog;
pub use connection::{Peer, Tls};
pub use gate::{Filters, Gateway};
pub use log_writer::LogWriter;
pub use problem::Problem;
pub use server::{BodyError, CurrentTls, Handler, ResponseBody, Server, ServerLimits};
pub(crate) use upstream::innermost;
pub use upstream::{HttpUpstream, InvalidUpstream, Upstream, function_response};
