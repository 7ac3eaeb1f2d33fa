//! The servers that filters call out to, and the client that carries their calls out.
//!
//! Which servers there are comes from the policy document alone: a filter names a cluster, and neither it nor an answer
//! from the network can make the gate connect elsewhere. Redirects are not followed and no proxy is asked.

mod client;
mod connector;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::client::Client;
use crate::gateway::AccessLog;
use crate::proxy_wasm::{CallOut, CallOuts, Completion};

/// A server that filters may call, under the name they know it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cluster {
    pub name: String,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// A DNS name or an address, without brackets.
    pub host: String,
    pub port: u16,
    /// Whether it speaks HTTP/2 alone, as gRPC does: without TLS, with prior knowledge.
    pub http2: bool,
}

impl Cluster {
    /// Where it is, such as `https://issuer.example:443`.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => format!("{scheme}://[{}]:{}", self.host, self.port),
            false => format!("{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// The bounds of calls to one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterLimits {
    /// Calls at a time; further ones are answered 503 at once.
    pub calls: usize,
    /// The same, to a cluster that speaks HTTP/2 alone.
    pub http2_calls: usize,
    /// The longest body of an answer, in bytes.
    pub body_bytes: usize,
    /// The longest header section of an answer, in bytes.
    pub header_bytes: usize,
    /// The most header fields of an answer.
    pub header_count: usize,
    /// How long a connection may take, its TLS handshake included.
    pub connect_timeout: Duration,
    /// How long a call may take whatever the filter asks for.
    pub call_timeout: Duration,
}

/// The longest answer to a call, in bytes, here and in Envoy.
pub(crate) const ANSWER_BYTES: usize = 1 << 20;
/// The most calls to a cluster at a time, here and in Envoy.
pub(crate) const CALLS: usize = 64;
/// As many as all workers together make to a rate limit service, where a call is a stream and not a connection.
pub(crate) const HTTP2_CALLS: usize = 1024;

impl Default for ClusterLimits {
    fn default() -> Self {
        Self {
            calls: CALLS,
            http2_calls: HTTP2_CALLS,
            body_bytes: ANSWER_BYTES,
            header_bytes: 32 << 10,
            header_count: 100,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(60),
        }
    }
}

/// The clusters of a gate, ready to be called.
pub struct Clusters {
    by_name: BTreeMap<String, Arc<Member>>,
    runtime: Handle,
}

/// A cluster that cannot be called at all.
#[derive(Debug, thiserror::Error)]
#[error("cluster {name}: {reason}")]
pub struct InvalidCluster {
    name: String,
    reason: String,
}

impl Clusters {
    /// Readies the client for each cluster; connects to none yet. Calls run on `runtime`. What goes wrong with a
    /// cluster is told to `error_log`, once until it changes.
    ///
    /// # Errors
    ///
    /// A cluster is to be spoken to over TLS, and there is no `tls`, or its host is no name that a certificate could be
    /// for.
    pub fn new(
        clusters: &[Cluster],
        tls: Option<&Arc<ClientConfig>>,
        limits: ClusterLimits,
        runtime: Handle,
        error_log: &AccessLog,
    ) -> Result<Self, InvalidCluster> {
        let members = clusters.iter().map(|cluster| {
            let client = Client::new(cluster, tls, limits).map_err(|reason| InvalidCluster {
                name: cluster.name.clone(),
                reason: format!("{}: {reason}", cluster.origin()),
            })?;
            let member = Member {
                cluster: cluster.clone(),
                client,
                places: Arc::new(Semaphore::new(match cluster.http2 {
                    true => limits.http2_calls,
                    false => limits.calls,
                })),
                trouble: Mutex::default(),
                error_log: error_log.clone(),
            };
            Ok((cluster.name.clone(), Arc::new(member)))
        });
        Ok(Self { by_name: members.collect::<Result<_, _>>()?, runtime })
    }
}

impl CallOuts for Clusters {
    fn has_cluster(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    fn send(&self, call: CallOut, completion: Completion) {
        let Some(member) = self.by_name.get(&call.cluster).cloned() else {
            return completion.failed();
        };
        let Ok(place) = Arc::clone(&member.places).try_acquire_owned() else {
            member.note(Some("too many calls at a time"));
            return completion.overloaded();
        };
        // When the runtime ends first, the completion is dropped, which tells the filter.
        self.runtime.spawn(async move {
            let answer = member.client.call(call).await;
            drop(place);
            member.note(answer.trouble());
            answer.complete(completion);
        });
    }
}

/// A cluster with its connections.
struct Member {
    cluster: Cluster,
    client: Client,
    places: Arc<Semaphore>,
    /// What was last told of it.
    trouble: Mutex<Option<String>>,
    error_log: AccessLog,
}

impl Member {
    /// Tells the operator what is wrong with a cluster, or that it is well again: once until it changes, since a
    /// server that is down is asked again and again.
    fn note(&self, trouble: Option<&str>) {
        let mut last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() == trouble {
            return;
        }
        let (name, origin) = (&self.cluster.name, self.cluster.origin());
        (self.error_log)(&match trouble {
            Some(trouble) => format!("cluster {name} ({origin}): {trouble}"),
            None => format!("cluster {name} ({origin}): it answers again"),
        });
        *last = trouble.map(str::to_owned);
    }
}

/// The name that a server's certificate must be for.
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| "expected a DNS name or an address as host".to_owned())
}
