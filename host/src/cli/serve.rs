//! `portcullis serve`: the gate and what it protects in one process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_policy::{Secrets as _, Stages};
use zeroize::Zeroizing;

use super::databases::DatabaseArgs;
use super::variables::VariableArgs;
use super::{Failure, Logs, input_file};
use crate::bundle::Bundle;
use crate::clusters::{Cluster, ClusterLimits, Clusters};
use crate::compile_cache::CompileCache;
use crate::component::{Function, FunctionConfig, OutboundHost};
use crate::envoy::Sizes;
use crate::gateway::{
    AccessLog, Gateway, GatewayLimits, HttpUpstream, Server, ServerLimits, Upstream,
};
use crate::proxy_wasm::{Engine, FilterPool, Host, LineLog, LogLevel, Module, PluginConfig};
use crate::secrets::SecretArgs;
use crate::tls::{self, ClientCertificateMode, ClientCertificates};
use crate::upstream_at::{UpstreamAt, in_order};

/// Serve a function, or an HTTP service, behind the gate
///
/// Requests pass the filter, which enforces the policy, and then reach the function in this
/// process or the HTTP service at --upstream. One line of JSON per request goes to standard
/// output, everything else to standard error.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("behind").required(true).args(["function", "upstream"])))]
#[command(group(clap::ArgGroup::new("rules").required(true).args(["policy", "configuration"])))]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// In place of a policy: the filter's configuration as it is, for filters other than gate
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,

    /// The proxy-wasm filter that enforces it
    #[arg(long, value_name = "FILE", default_value = "target/portcullis/gate.wasm")]
    filter: PathBuf,

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

    /// The server's certificate chain, PEM; with --key, to speak TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,

    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,

    /// Ask clients for a certificate (mutual TLS), by the authorities in this file, PEM; what is done with it says the
    /// policy
    #[arg(long, value_name = "FILE", requires = "certificate")]
    client_ca: Option<PathBuf>,

    /// Whether clients without a certificate may connect
    #[arg(long, value_enum, value_name = "MODE", default_value_t, requires = "client_ca")]
    client_certificate: ClientCertificateMode,

    /// The authorities, PEM, that vouch for the servers that the policy fetches from, in place of those that this machine
    /// trusts; may be given more than once
    #[arg(long, value_name = "FILE", requires = "policy")]
    trusted_ca: Vec<PathBuf>,

    /// A host the function may call, such as https://api.example.com, or a Redis, redis://127.0.0.1; by default none
    #[arg(long = "allow-host", value_name = "SCHEME://HOST[:PORT]")]
    allowed_hosts: Vec<OutboundHost>,

    #[command(flatten)]
    databases: DatabaseArgs,

    #[command(flatten)]
    variables: VariableArgs,

    #[command(flatten)]
    secrets: SecretArgs,

    /// How many VMs run the filter, as an Envoy with as many workers has; by default one for
    /// each processor
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// The variable that a function finds the key of the gate's assertions in, unless it is given another one.
const ASSERTION_KEY: &str = "assertion_key";

/// What the filter is given: its configuration, and the environment that its secrets come from.
#[derive(Default)]
pub struct FilterInput {
    pub configuration: Vec<u8>,
    pub environment: BTreeMap<String, String>,
    /// How much of a body the filter may hold back, in bytes, where the policy says.
    pub buffer_limit: Option<usize>,
    /// The servers that the filter may call.
    pub clusters: Vec<Cluster>,
    /// What a function verifies the gate's assertions with.
    pub assertion_key: Option<Zeroizing<String>>,
}

impl Args {
    /// Serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// The policy, the filter, the function, a variable or a certificate is bad, or the address
    /// cannot be had.
    pub fn run(self) -> Result<(), Failure> {
        // Dropped last: whatever ends here has said so by then.
        let logs = Logs::start()?;
        let mut input = self.filter_input()?;
        let elsewhere = in_order(self.upstream_at.clone()).map_err(Failure::input)?;
        let clients = self.client_ca.clone().map(|authorities| ClientCertificates {
            authorities,
            required: self.client_certificate == ClientCertificateMode::Required,
        });
        let tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let config = tls::server_config(certificate, key, clients.as_ref());
                Some(config.map_err(Failure::input)?)
            }
            _ => None,
        };
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
        let clusters = self.clusters(&input.clusters, runtime.handle(), &error_log)?;
        let host = Arc::new(host.with_call_outs(Arc::new(clusters)));
        let filters = self.filters(&host, input)?;
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

        let gateway = Arc::new(Gateway {
            host,
            filters,
            upstream,
            limits: GatewayLimits::default(),
            access_log: logs.output.lines(),
            error_log,
        });
        runtime.block_on(async {
            let url = server.url().map_err(Failure::runtime)?;
            (logs.error.lines())(&format!("listening on {url}"));
            server.run(gateway, super::interrupted()).await;
            Ok(())
        })
    }

    /// The servers that the policy fetches from.
    fn clusters(
        &self,
        clusters: &[Cluster],
        runtime: &tokio::runtime::Handle,
        error_log: &AccessLog,
    ) -> Result<Clusters, Failure> {
        // A file that is named must be one, whether it is needed or not.
        let tls = match clusters.iter().any(|cluster| cluster.tls) || !self.trusted_ca.is_empty() {
            true => Some(tls::client_config(&self.trusted_ca).map_err(Failure::input)?),
            false => None,
        };
        let limits = ClusterLimits::default();
        Clusters::new(clusters, tls.as_ref(), limits, runtime.clone(), error_log)
            .map_err(Failure::input)
    }

    fn filters(&self, host: &Arc<Host>, input: FilterInput) -> Result<Arc<FilterPool>, Failure> {
        let engine = Engine::new(&CompileCache::User).map_err(Failure::runtime)?;
        let module = Module::load(&engine, &self.filter).map_err(Failure::input)?;
        let name = self.filter.file_stem().and_then(|name| name.to_str()).unwrap_or("filter");
        let mut config = PluginConfig::new(name, input.configuration);
        config.environment = input.environment;
        config.buffer_limit = input.buffer_limit.unwrap_or(config.buffer_limit);

        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.workers.map_or(processors, usize::from);
        FilterPool::start(host, &[(module, config)], workers).map_err(Failure::input)
    }

    fn filter_input(&self) -> Result<FilterInput, Failure> {
        let secrets = self.secrets.load()?;
        let (mut input, names) = match (&self.policy, &self.configuration) {
            (Some(path), _) => {
                let bundle = Bundle::read(path).map_err(Failure::input)?;
                // So that an error names the line in the policy, not in what the filter gets.
                bundle.compile(&secrets, Stages::ALL).map_err(Failure::input)?;
                let assertion = bundle.document().assertion.as_ref();
                let input = FilterInput {
                    configuration: bundle.json().into_bytes(),
                    buffer_limit: Some(Sizes::of(bundle.document()).buffer_bytes() as usize),
                    clusters: bundle.clusters().map_err(Failure::input)?,
                    assertion_key: assertion.and_then(|section| secrets.secret(&section.key.env)),
                    ..FilterInput::default()
                };
                (input, bundle.secret_names())
            }
            // The rest of this process's environment is none of the filter's business.
            (None, Some(path)) => {
                let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
                let names = names.filter(|name| name.starts_with("PORTCULLIS_")).collect();
                let input =
                    FilterInput { configuration: input_file(path)?, ..FilterInput::default() };
                (input, names)
            }
            (None, None) => return Err(Failure::input("expected --policy or --configuration")),
        };
        let environment = secrets.environment(&names).into_iter();
        input.environment = environment.map(|(name, value)| (name, value.to_string())).collect();
        Ok(input)
    }
}
