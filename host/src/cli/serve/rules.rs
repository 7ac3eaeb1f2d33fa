//! What `serve` reads from files: when it starts, and again on SIGHUP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::{Secrets as _, Stages};
use rustls::ServerConfig;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::bundle::Bundle;
use crate::cli::{Failure, input_file};
use crate::clusters::{Cluster, ClusterLimits, Clusters};
use crate::compile_cache::CompileCache;
use crate::envoy::Sizes;
use crate::gateway::{AccessLog, CurrentTls, Filters, Gateway};
use crate::proxy_wasm::{Engine, FilterPool, Host, Module, PluginConfig};
use crate::secrets::SecretArgs;
use crate::tls::{self, ClientCertificateMode, ClientCertificates};

/// Where it is read from.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("rules").required(true).args(["policy", "configuration"])))]
pub(super) struct Rules {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// In place of a policy: the filter's configuration as it is, for filters other than gate
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,

    /// The proxy-wasm filter that enforces it
    #[arg(long, value_name = "FILE", default_value = "target/portcullis/gate.wasm")]
    filter: PathBuf,

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

    #[command(flatten)]
    secrets: SecretArgs,

    /// How many VMs run the filter, as an Envoy with as many workers has; by default one for
    /// each processor
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// What the filter is given: its configuration, and the environment that its secrets come from.
#[derive(Default)]
pub(super) struct FilterInput {
    pub(super) configuration: Vec<u8>,
    pub(super) environment: BTreeMap<String, String>,
    /// How much of a body the filter may hold back, in bytes, where the policy says.
    pub(super) buffer_limit: Option<usize>,
    /// The servers that the filter may call.
    pub(super) clusters: Vec<Cluster>,
    /// What a function verifies the gate's assertions with.
    pub(super) assertion_key: Option<Zeroizing<String>>,
}

impl Rules {
    pub(super) fn tls(&self) -> Result<Option<Arc<ServerConfig>>, Failure> {
        let clients = self.client_ca.clone().map(|authorities| ClientCertificates {
            authorities,
            required: self.client_certificate == ClientCertificateMode::Required,
        });
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(None);
        };
        tls::server_config(certificate, key, clients.as_ref()).map(Some).map_err(Failure::input)
    }

    /// The filters, started on `host`, whose calls to other servers run on `runtime`.
    pub(super) fn filters(
        &self,
        host: Host,
        input: FilterInput,
        runtime: &Handle,
        error_log: &AccessLog,
    ) -> Result<Filters, Failure> {
        let clusters = self.clusters(&input.clusters, runtime, error_log)?;
        let host = Arc::new(host.with_call_outs(Arc::new(clusters)));
        let pool = self.pool(&host, input)?;
        Ok(Filters { host, pool })
    }

    /// The servers that the policy fetches from.
    fn clusters(
        &self,
        clusters: &[Cluster],
        runtime: &Handle,
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

    fn pool(&self, host: &Arc<Host>, input: FilterInput) -> Result<Arc<FilterPool>, Failure> {
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

    pub(super) fn input(&self) -> Result<FilterInput, Failure> {
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

/// What is replaced when it is read again.
pub(super) struct Reloading {
    pub(super) rules: Arc<Rules>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) tls: CurrentTls,
    pub(super) log: AccessLog,
}

/// How long filters that were replaced stay: they give back what they have taken from limits in advance.
const FAREWELL: Duration = Duration::from_secs(3);

impl Reloading {
    /// Reads everything again at each SIGHUP. Where something is not right, all stays as it was.
    #[cfg(unix)]
    pub(super) async fn run(self) {
        use tokio::signal::unix::{SignalKind, signal};

        // Without a handler the signal ends the process.
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        let this = Arc::new(self);
        while hangup.recv().await.is_some() {
            let reloading = Arc::clone(&this);
            let runtime = Handle::current();
            let reloaded = tokio::task::spawn_blocking(move || reloading.reload(&runtime)).await;
            let failure = match reloaded {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure.to_string()),
                Err(error) => Some(error.to_string()),
            };
            let line = match failure {
                None => "reloaded: further requests go by what has been read now".to_owned(),
                Some(failure) => format!("not reloaded, all stays as it was: {failure}"),
            };
            (this.log)(&line);
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn run(self) {}

    fn reload(&self, runtime: &Handle) -> Result<(), Failure> {
        let (input, tls) = (self.rules.input()?, self.rules.tls()?);
        let host = self.gateway.filters().host.successor();
        let filters = self.rules.filters(host, input, runtime, &self.log)?;
        // Nothing can fail any more.
        self.tls.replace(tls);
        let replaced = self.gateway.replace_filters(filters);
        runtime.spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            drop(replaced);
        });
        Ok(())
    }
}
