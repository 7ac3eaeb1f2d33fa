//! Several filters in a row on the wasmtime host. `portcullis serve` runs one; the library runs any number.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use portcullis::bundle::Bundle;
use portcullis::clusters::{ClusterLimits, Clusters};
use portcullis::compile_cache::CompileCache;
use portcullis::gateway::{
    AccessLog, Filters, Gateway, Server, ServerLimits, Upstream as GatewayUpstream,
};
use portcullis::proxy_wasm::{Engine, FilterPool, Host, LogLevel, MemoryLog, Module, PluginConfig};
use portcullis::tls;
use tokio::task::JoinHandle;

use super::{CHAIN, Gate, Place, Running, Upstream};

/// A gateway in this process.
pub(super) struct Chain {
    server: JoinHandle<()>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Chain {
    pub(super) fn log(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(super) fn start(
    place: &Place,
    policy: &Path,
    upstream: Upstream,
    secrets: BTreeMap<String, String>,
) -> Result<Gate> {
    let Upstream::Service(upstream) = upstream else { bail!("a chain needs an echo behind it") };
    let configuration = fs::read(policy)?;
    let engine = Engine::new(&CompileCache::User)?;
    let mut filters = Vec::new();
    for name in CHAIN {
        let mut config = PluginConfig::new(name, configuration.clone());
        config.environment = secrets.clone();
        filters.push((Module::load(&engine, place.tools.artifact(name))?, config));
    }
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let log: AccessLog = Arc::new(move |line: &str| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    });
    let clusters = Bundle::read(policy)?.clusters()?;
    let trust = tls::client_config(&[place.authority()])?;
    let limits = ClusterLimits::default();
    let clusters = Clusters::new(&clusters, Some(&trust), limits, place.runtime.clone(), &log)?;
    let host = Host::default().with_log(Arc::new(MemoryLog::new(LogLevel::Warn, 64)));
    let host = Arc::new(host.with_call_outs(Arc::new(clusters)));
    let filters = FilterPool::start(&host, &filters, 2)?;

    let upstream = format!("http://{upstream}").parse().context("the echo's address")?;
    let filters = Filters { host, pool: filters };
    let upstream = GatewayUpstream::Http(upstream);
    let gateway = Gateway::new(filters, upstream, Arc::clone(&log), log);
    let tls = tls::server_config(&place.certificate(), &place.key(), None)?;
    let any = ([127, 0, 0, 1], 0).into();
    let server = place.runtime.block_on(Server::bind(any, Some(tls), ServerLimits::default()))?;
    let address = server.local_address()?;
    let forever = std::future::pending::<()>();
    let server = place.runtime.spawn(server.run(Arc::new(gateway), forever));
    Ok(Gate { address, running: Running::Here(Chain { server, lines }) })
}
