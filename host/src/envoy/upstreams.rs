//! Where requests go: the routes, and the clusters of the services.

use super::template::Template;
use super::{Bootstrap, Upstream};

/// The name of the cluster of the one service.
const CLUSTER: &str = "upstream";

/// The items of the list of routes, and of the list of clusters.
pub(super) fn parts(bootstrap: &Bootstrap) -> (String, String) {
    let (mut routes, mut clusters) = (String::new(), String::new());
    for (number, service) in (1..).zip(&bootstrap.upstreams_at) {
        let kind = if service.is_prefix() { "prefix" } else { "path" };
        let cluster = format!("{CLUSTER}-{number}");
        let part = part(kind, service.path(), &cluster, &service.upstream);
        routes.push_str(&part.0);
        clusters.push_str(&part.1);
    }
    let last = part("prefix", "/", CLUSTER, &bootstrap.upstream);
    (routes + &last.0, clusters + &last.1)
}

fn part(kind: &str, path: &str, cluster: &str, upstream: &Upstream) -> (String, String) {
    let mut template = Template::default();
    template.value("path", path).value("cluster", cluster);
    match upstream {
        Upstream::Service { host, port } => template
            .value("upstream_host", host.as_str())
            .value("upstream_port", *port)
            .section("action", include_str!("template/route.yaml"))
            .section("upstream", include_str!("template/upstream.yaml")),
        Upstream::Nothing => {
            template.section("action", "direct_response: { status: 200 }").section("upstream", "")
        }
    };
    let route = format!("- match: {{ {kind}: ${{path}} }}\n  #{{action}}");
    (template.fill(&route), template.fill("#{upstream}"))
}
