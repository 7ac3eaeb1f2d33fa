//! `portcullis serve`: the gate and what it protects in one process.

mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use self::rules::{Reloading, Rules};
use super::databases::DatabaseArgs;
use super::variables::VariableArgs;
use super::{Failure, Logs};
use crate::component::{Function, FunctionConfig, OutboundHost};
use crate::gateway::{Gateway, HttpUpstream, Server, ServerLimits, Upstream};
use crate::proxy_wasm::{Host, LineLog, LogLevel};
use crate::upstream_at::{UpstreamAt, in_order};

/// Serve a function, or an HTTP service, behind the gate
///
/// Requests pass the filter, which enforces the policy, and then reach the function in this
/// process or the HTTP service at --upstream. One line of JSON per request goes to standard
/// output, everything else to standard error.
///
/// On SIGHUP the policy with its files, the filter, the secrets and the certificates are read again, and hold for further requests and
/// connections; what limits have counted stays. Where something is not right, all stays as it was. The function, its variables and
/// all other options stay as they are.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("behind").required(true).args(["function", "upstream"])))]
pub struct Args {
    #[command(flatten)]
    rules: Rules,

    /// The function behind the gate, a WebAssembly component
    #[arg(long, value_name = "FILE")]
    function: Option<PathBuf>,

    /// The HTTP service behind the gate
    #[arg(long, value_name = "http://HOST:PORT")]
    upstream: Option<HttpUpstream>,

    /// Another HTTP service for one path, or, where that ends in a slash, for all that begin so; may be given more than once.
    /// The gate's policy holds for them all the same
    #[arg(long, value_name = "PATH=http://HOST:PORT")]
    upstream_at: Vec<UpstreamAt<HttpUpstream>>,

    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// A host the function may call, such as https://api.example.com, or a Redis, redis://127.0.0.1; by default none
    #[arg(long = "allow-host", value_name = "SCHEME://HOST[:PORT]")]
    allowed_hosts: Vec<OutboundHost>,

    #[command(flatten)]
    databases: DatabaseArgs,

    #[command(flatten)]
    variables: VariableArgs,
}

/// The variable that a function finds the key of the gate's assertions in, unless it is given another one.
const ASSERTION_KEY: &str = "assertion_key";

impl Args {
    /// Serves until SIGINT or SIGTERM; SIGHUP has the policy, the filter, the secrets and the certificates read again.
    ///
    /// # Errors
    ///
    /// The policy, the filter, the function, a variable or a certificate is bad, or the address
    /// cannot be had.
    pub fn run(mut self) -> Result<(), Failure> {
        // Dropped last: whatever ends here has said so by then.
        let logs = Logs::start()?;
        let mut input = self.rules.input()?;
        let elsewhere = in_order(std::mem::take(&mut self.upstream_at)).map_err(Failure::input)?;
        let tls = self.rules.tls()?;
        let mut variables = self.variables.load()?;
        if let Some(key) = input.assertion_key.take()
            && !variables.contains(ASSERTION_KEY)
        {
            variables.insert(ASSERTION_KEY, key).map_err(Failure::runtime)?;
        }

        // Before the compilation, which takes seconds: a port that is in use is told at once.
        let runtime = super::runtime()?;
        let error_log = logs.error.prefixed("portcullis: ");
        let server = runtime
            .block_on(Server::bind(self.listen, tls, ServerLimits::of_process()))
            .map_err(|error| Failure::runtime(format_args!("--listen {}: {error}", self.listen)))?
            .with_log(error_log.clone());

        let host = Host::default()
            .with_log(Arc::new(LineLog { level: LogLevel::Info, write: logs.error.lines() }));
        let filters = self.rules.filters(host, input, runtime.handle(), &error_log)?;
        let upstream = match (self.function, self.upstream) {
            (Some(path), _) => {
                let config = FunctionConfig {
                    variables,
                    databases: self.databases.load()?,
                    allowed_outbound_hosts: self.allowed_hosts,
                    log: logs.error.prefixed("function: "),
                    ..FunctionConfig::default()
                };
                Upstream::Function(Function::load(path, config).map_err(Failure::input)?)
            }
            (None, Some(upstream)) => Upstream::Http(upstream),
            (None, None) => return Err(Failure::input("expected --function or --upstream")),
        };
        let upstream = match elsewhere.is_empty() {
            true => upstream,
            false => Upstream::ByPath { elsewhere, otherwise: Box::new(upstream) },
        };

        let access_log = logs.output.lines();
        let gateway = Arc::new(Gateway::new(filters, upstream, access_log, error_log.clone()));
        let reloading = Reloading {
            rules: Arc::new(self.rules),
            gateway: Arc::clone(&gateway),
            tls: server.tls(),
            log: error_log,
        };
        runtime.block_on(async {
            let url = server.url().map_err(Failure::runtime)?;
            (logs.error.lines())(&format!("listening on {url}"));
            let reloading = tokio::spawn(reloading.run());
            server.run(gateway, super::interrupted()).await;
            reloading.abort();
            Ok(())
        })
    }
}
