//! Envoy's configuration, made from a policy: a bootstrap in which everything that an edge proxy should have is set, and
//! nothing else.
//!
//! The parts are YAML files in `template/`, each with its reasons beside the settings; this module fills in what
//! depends on the policy and on the place.

mod clusters;
mod local_reply;
mod process;
mod size;
mod template;
mod upstreams;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;

use portcullis_policy::TOLD_BY_PROXIES;
use serde_json::json;

pub use self::process::{Envoy, EnvoyError};
pub use self::size::Sizes;
use self::template::Template;
use crate::clusters::{ANSWER_BYTES, Cluster};
use crate::tls::ClientCertificates;
use crate::upstream_at::UpstreamAt;

/// What an Envoy is to be started with.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The filter's configuration: the policy document as JSON, files inlined.
    pub policy: String,
    /// The environment variables that hold the policy's secrets. Only their names are written.
    pub secrets: Vec<String>,
    /// What the policy asks of buffers and of the header section.
    pub sizes: Sizes,
    /// The filter, as Envoy finds it.
    pub filter: PathBuf,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// With TLS, or without.
    pub tls: Option<Certificate>,
    /// How many proxies in front vouch for the client's address in X-Forwarded-For.
    pub trusted_hops: u32,
    /// Where allowed requests go.
    pub upstream: Upstream,
    /// And where those for some paths go, in the order in which they are asked.
    pub upstreams_at: Vec<UpstreamAt<Upstream>>,
    /// The servers that the policy fetches from.
    pub clusters: Vec<Cluster>,
    /// The authorities that vouch for those servers, PEM, as Envoy finds them.
    pub trusted_ca: PathBuf,
    /// Envoy's administration, if there is to be one.
    pub admin: Option<SocketAddr>,
    /// The file for the access log, or none.
    pub access_log: Option<PathBuf>,
    /// The header that holds the time of a request, for [`crate::replay`] alone.
    pub replay_clock_header: Option<String>,
}

/// The files of a certificate, PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain, the server's own first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Which clients are asked for a certificate of theirs, if any.
    pub clients: Option<ClientCertificates>,
}

/// Where allowed requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// To this service, HTTP/1.1.
    Service {
        /// A name or an address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Nowhere: 200 without a body, by Envoy itself.
    Nothing,
}

impl std::str::FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected HOST:PORT, such as 127.0.0.1:3000 or [::1]:3000".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(expected)?;
        if let Some(address) = host.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or_else(expected)?;
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| expected())?;
            return Ok(Self::Service { host: address.to_string(), port });
        }
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_name_byte) {
            return Err(expected());
        }
        Ok(Self::Service { host: host.to_owned(), port })
    }
}

impl Bootstrap {
    /// The bootstrap as YAML: the same for the same input.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut template = Template::default();
        template
            .value("secret_list", self.secrets.join(", "))
            .value("secrets", self.secrets.clone())
            .value("buffer_bytes", self.sizes.buffer_bytes())
            .value("headers_kb", self.sizes.headers_kb())
            .value("headers_count", self.sizes.headers_count())
            .value("heap_bytes", HEAP_BYTES)
            .value("connections", CONNECTIONS)
            .value("trusted_hops", self.trusted_hops)
            .value("not_vouched_for", self.not_vouched_for())
            .value("answer_bytes", ANSWER_BYTES)
            .value("vm_id", "portcullis")
            .value("filter", self.filter.display().to_string())
            .section("connection_manager", include_str!("template/connection_manager.yaml"))
            .section("local_reply", local_reply::section())
            .literal("policy", &self.policy);
        address(&mut template, "listen_address", "listen_port", self.listen);
        self.place(&mut template);
        template.fill(include_str!("template/bootstrap.yaml"))
    }

    /// The fields that only a trusted proxy could have set, and none is.
    fn not_vouched_for(&self) -> Vec<&'static str> {
        match self.trusted_hops {
            0 => TOLD_BY_PROXIES.to_vec(),
            _ => Vec::new(),
        }
    }

    /// What is there or not, as the place wants it.
    fn place(&self, template: &mut Template) {
        let clients = self.tls.as_ref().and_then(|certificate| certificate.clients.as_ref());
        match clients {
            Some(clients) => template
                .value("client_ca", clients.authorities.display().to_string())
                .value("client_required", clients.required)
                .section("client_request", include_str!("template/client_request.yaml"))
                .section("client_validation", include_str!("template/client_validation.yaml")),
            None => template.section("client_request", "").section("client_validation", ""),
        };
        match &self.tls {
            Some(certificate) => template
                .value("certificate", certificate.chain.display().to_string())
                .value("key", certificate.key.display().to_string())
                .section("transport", include_str!("template/transport_tls.yaml"))
                .section("listener_filters", include_str!("template/listener_filters_tls.yaml")),
            None => template.section("transport", "").section("listener_filters", ""),
        };
        let (routes, upstreams) = upstreams::parts(self);
        template.literal("routes", &routes).literal("upstreams", &upstreams);
        let remotes: String = self
            .clusters
            .iter()
            .map(|cluster| clusters::remote(cluster, &self.trusted_ca))
            .collect();
        template.literal("remotes", &remotes);
        match upstreams.is_empty() && remotes.is_empty() {
            true => template.section("clusters", ""),
            false => template.section("clusters", "clusters:\n  #{upstreams}\n  #{remotes}"),
        };
        match remotes.is_empty() {
            true => template.section("runtime", ""),
            false => template.section("runtime", include_str!("template/runtime.yaml")),
        };
        match self.admin {
            Some(admin) => {
                address(template, "admin_address", "admin_port", admin);
                template.section("admin", include_str!("template/admin.yaml"))
            }
            None => template.section("admin", ""),
        };
        match &self.access_log {
            Some(path) => {
                // The one file that every Envoy has open already.
                let path = if path.as_os_str() == "-" {
                    "/dev/stdout".into()
                } else {
                    path.display().to_string()
                };
                template
                    .value("access_log", path)
                    .section("access_log", include_str!("template/access_log.yaml"))
            }
            None => template.section("access_log", ""),
        };
        match &self.replay_clock_header {
            Some(name) => template
                .value("replay_clock", json!({ "PORTCULLIS_REPLAY_CLOCK_HEADER": name }))
                .section("environment", include_str!("template/environment_replay.yaml")),
            None if self.secrets.is_empty() => template.section("environment", ""),
            None => template.section("environment", include_str!("template/environment.yaml")),
        };
    }
}

/// What Envoy itself may allocate, in bytes; the filter's memory comes on top.
const HEAP_BYTES: u32 = 1 << 30;

/// The most clients at one time.
const CONNECTIONS: u32 = 10_000;

fn address(template: &mut Template, name: &'static str, port: &'static str, address: SocketAddr) {
    template.value(name, address.ip().to_string()).value(port, address.port());
}

#[cfg(test)]
mod tests;
