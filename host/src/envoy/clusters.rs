//! The clusters of the servers that a policy fetches from.

use std::net::IpAddr;
use std::path::Path;

use super::template::Template;
use crate::clusters::{ANSWER_BYTES, CALLS, Cluster, HTTP2_CALLS};

/// A cluster, as an item of the list of clusters.
pub(super) fn remote(cluster: &Cluster, trusted_ca: &Path) -> String {
    let mut template = Template::default();
    template
        .value("name", cluster.name.as_str())
        .value("host", cluster.host.as_str())
        .value("port", cluster.port)
        .value("buffer_bytes", ANSWER_BYTES)
        .value("calls", if cluster.http2 { HTTP2_CALLS } else { CALLS })
        .value("trusted_ca", trusted_ca.display().to_string());
    let protocol = match (cluster.http2, cluster.tls) {
        (true, _) => "explicit_http_config: { http2_protocol_options: {} }",
        (false, false) => "explicit_http_config: { http_protocol_options: {} }",
        (false, true) => include_str!("template/remote_protocol.yaml"),
    };
    template.section("protocol", protocol);
    if !cluster.tls {
        template.section("transport", "");
        return template.fill(include_str!("template/remote.yaml"));
    }
    // An address is in no SNI (RFC 6066 section 3).
    match cluster.host.parse::<IpAddr>() {
        Ok(_) => template.value("name_kind", "IP_ADDRESS").section("server_name", ""),
        Err(_) => template.value("name_kind", "DNS").section("server_name", "sni: ${host}"),
    };
    template.section("transport", include_str!("template/remote_tls.yaml"));
    template.fill(include_str!("template/remote.yaml"))
}
