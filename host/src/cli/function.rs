//! `portcullis function`: a function alone, for other proxies to stand in front of.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::databases::DatabaseArgs;
use super::variables::VariableArgs;
use super::{Failure, Logs};
use crate::component::{Function, FunctionConfig, OutboundHost};
use crate::gateway::head::end_to_end;
use crate::gateway::{
    AccessLog, Handler, Peer, Problem, ResponseBody, Server, ServerLimits, function_response,
};

/// Serve a function, a WebAssembly component that answers HTTP requests
///
/// HTTP/1.1 and HTTP/2 (with prior knowledge) on one port, without TLS and without any policy:
/// let nothing but the gate reach it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component, a .wasm file
    component: PathBuf,

    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// A host the function may call, such as https://api.example.com, or a Redis, redis://127.0.0.1; by default none
    #[arg(long = "allow-host", value_name = "SCHEME://HOST[:PORT]")]
    allowed_hosts: Vec<OutboundHost>,

    #[command(flatten)]
    databases: DatabaseArgs,

    #[command(flatten)]
    variables: VariableArgs,
}

impl Args {
    /// Serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// The component or a variable is bad, or the address cannot be had.
    pub fn run(self) -> Result<(), Failure> {
        // Dropped last: whatever ends here has said so by then.
        let logs = Logs::start()?;
        let log = logs.error.prefixed("portcullis: ");
        let config = FunctionConfig {
            variables: self.variables.load()?,
            databases: self.databases.load()?,
            allowed_outbound_hosts: self.allowed_hosts,
            log: logs.error.prefixed("function: "),
            ..FunctionConfig::default()
        };
        let runtime = super::runtime()?;
        let server = runtime
            .block_on(Server::bind(self.listen, None, ServerLimits::of_process()))
            .map_err(|error| Failure::runtime(format_args!("--listen {}: {error}", self.listen)))?
            .with_log(log.clone());
        let function = Function::load(&self.component, config).map_err(Failure::input)?;

        runtime.block_on(async {
            let url = server.url().map_err(Failure::runtime)?;
            (logs.output.lines())(&format!("listening on {url}"));
            server.run(Arc::new(FunctionHandler { function, log }), super::interrupted()).await;
            Ok(())
        })
    }
}

/// The field in which Spin tells a function who has connected.
const CLIENT_ADDRESS: &str = "spin-client-addr";

struct FunctionHandler {
    function: Function,
    log: AccessLog,
}

impl Handler for FunctionHandler {
    async fn handle(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (mut head, body) = request.into_parts();
        if let Err(malformed) = end_to_end(&mut head) {
            (self.log)(malformed.0);
            return Problem::BadRequest.response();
        }
        // As Spin does: whatever the client has sent in this field is gone.
        if let Ok(address) = HeaderValue::try_from(peer.address.to_string()) {
            head.headers.insert(CLIENT_ADDRESS, address);
        }
        let result = self.function.handle(Request::from_parts(head, body)).await;
        if let Err(error) = &result {
            (self.log)(&error.to_string());
        }
        function_response(result)
    }
}
