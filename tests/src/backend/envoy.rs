//! Real Envoy, with the bootstrap that `portcullis envoy` makes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{CHAIN, Gate, Jose, Place, Running, Upstream};
use crate::process::Process;
use crate::scenario::{Filters, Setup};

/// How Envoy speaks to the upstream, in the bootstrap.
const HTTP1: &str = "explicit_http_config: { http_protocol_options: {} }";
const HTTP2: &str = "explicit_http_config: { http2_protocol_options: {} }";

pub(super) fn start(
    place: &Place,
    policy: &Path,
    setup: &Setup,
    upstream: Upstream,
    secrets: &BTreeMap<String, String>,
) -> Result<Gate> {
    let bootstrap = bootstrap(place, policy, setup, upstream)?;
    let mut process = spawn(place, &bootstrap, secrets)?;
    let admin = admin_file(&bootstrap);
    let address = process.wait_for(|_| listener(&admin))?;
    Ok(Gate { address, running: Running::Process(process) })
}

/// Makes the bootstrap and tells where it is.
pub(super) fn bootstrap(
    place: &Place,
    policy: &Path,
    setup: &Setup,
    upstream: Upstream,
) -> Result<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);

    let (upstream, jose) = match upstream {
        Upstream::Service(upstream) => (upstream, None),
        Upstream::Jose(function, jose) => (function, Some(jose)),
        Upstream::Function => bail!("Envoy needs a service behind it"),
    };
    let mut command = Command::new(&place.tools.portcullis);
    command.arg("envoy").arg("--policy").arg(policy);
    command.arg("--filter").arg(place.tools.artifact("gate"));
    command.arg("--upstream").arg(upstream.to_string());
    command.args(jose.iter().flat_map(Jose::arguments));
    command.arg("--certificate").arg(place.certificate()).arg("--key").arg(place.key());
    command.arg("--trusted-ca").arg(place.authority());
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let output = command.output().context("portcullis envoy")?;
    if output.status.code() != Some(0) {
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(2) {
            bail!("portcullis envoy: expected exit code 0 or 2, got {}: {log}", output.status);
        }
        bail!("portcullis envoy: {log}");
    }
    let mut text = String::from_utf8(output.stdout).context("the bootstrap")?;
    if setup.filters == Filters::Chain {
        text = chained(&text)?;
    }
    if setup.upstream_http2 {
        text = text.replace(HTTP1, HTTP2);
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = place.directory().join(format!("envoy-{number}.yaml"));
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// The bootstrap with three filters in gate's place.
fn chained(bootstrap: &str) -> Result<String> {
    let begin = bootstrap.find("- name: envoy.filters.http.wasm").context("no wasm filter")?;
    let end = bootstrap.find("- name: envoy.filters.http.router").context("no router")?;
    let (Some(before), Some(gate), Some(after)) =
        (bootstrap.get(..begin), bootstrap.get(begin..end), bootstrap.get(end..))
    else {
        bail!("the router comes before the filter");
    };
    let filters = CHAIN.map(|name| {
        gate.replace("gate.wasm", &format!("{name}.wasm"))
            .replace("name: gate\n", &format!("name: {name}\n"))
    });
    Ok(format!("{before}{}{after}", filters.concat()))
}

pub(super) fn spawn(
    place: &Place,
    bootstrap: &Path,
    secrets: &BTreeMap<String, String>,
) -> Result<Process> {
    let mut command = Command::new(&place.tools.envoy);
    command.arg("--config-path").arg(bootstrap);
    command.arg("--admin-address-path").arg(admin_file(bootstrap));
    command.args(["--concurrency", &place.envoy_workers.to_string(), "--disable-hot-restart"]);
    command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
    command.env_clear().envs(secrets);
    Process::start("Envoy", &mut command)
}

fn admin_file(bootstrap: &Path) -> PathBuf {
    bootstrap.with_extension("admin")
}

/// The listener's address, once Envoy is ready.
fn listener(admin_file: &Path) -> Option<SocketAddr> {
    let admin = fs::read_to_string(admin_file).ok()?.trim().parse().ok()?;
    if !ask(admin, "/ready")?.starts_with("HTTP/1.1 200") {
        return None;
    }
    let answer = ask(admin, "/listeners?format=json")?;
    // It may come in one chunk, whose length is around it.
    let body = answer.get(answer.find('{')?..=answer.rfind('}')?)?;
    let listeners: Value = serde_json::from_str(body).ok()?;
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
    Some(SocketAddr::new(address["address"].as_str()?.parse().ok()?, port))
}

/// One request to Envoy's administration, or to what listens like it.
pub(super) fn ask(admin: SocketAddr, path: &str) -> Option<String> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&admin, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).ok()?;
    Some(answer)
}
