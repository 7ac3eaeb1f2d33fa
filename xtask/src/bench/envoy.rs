//! The Envoys that are compared, as configurations.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::up::{AUDIENCE, ISSUER};
use crate::workspace::Workspace;

/// An Envoy with its filters; what it lets through, it answers itself.
pub(super) struct Envoy {
    pub(super) name: String,
    environment: Vec<(&'static str, String)>,
    filters: Vec<Value>,
    access_log: bool,
}

impl Envoy {
    pub(super) fn new(name: impl Into<String>, filters: Vec<Value>) -> Self {
        Self { name: name.into(), environment: Vec::new(), filters, access_log: false }
    }

    pub(super) fn with_access_log(self) -> Self {
        Self { access_log: true, ..self }
    }

    pub(super) fn with_environment(self, environment: Vec<(&'static str, String)>) -> Self {
        Self { environment, ..self }
    }

    /// What starts it, listening on a port.
    pub(super) fn command(
        &self,
        workspace: &Workspace,
        config: &Path,
        log: &Path,
        port: u16,
    ) -> Result<Command> {
        fs::write(config, self.bootstrap(port).to_string())
            .with_context(|| format!("writing {}", config.display()))?;
        let mut command = Command::new(workspace.envoy());
        command.args(["--concurrency", "1", "--log-level", "warning"]);
        command.args(["--component-log-level", "wasm:info", "--disable-hot-restart"]);
        command.arg("--config-path").arg(config).arg("--log-path").arg(log);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn bootstrap(&self, port: u16) -> Value {
        let mut filters = self.filters.clone();
        filters.push(typed(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            json!({}),
        ));
        let mut manager = json!({
            "stat_prefix": "bench",
            "use_remote_address": true,
            "normalize_path": true,
            "http_filters": filters,
            "route_config": { "virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{
                    "match": { "prefix": "/" },
                    "direct_response": { "status": 200, "body": { "inline_string": "ok" } },
                }],
            }] },
        });
        if self.access_log {
            let format = json!({ "time": "%START_TIME%", "user": "%REQ(X-USER)%", "path": "%REQ(:PATH)%",
                "method": "%REQ(:METHOD)%", "status": "%RESPONSE_CODE%", "duration": "%DURATION%",
                "source": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "id": "%REQ(X-REQUEST-ID)%" });
            manager["access_log"] = json!([typed(
                "envoy.access_loggers.file",
                "envoy.extensions.access_loggers.file.v3.FileAccessLog",
                json!({ "path": "/dev/null", "log_format": { "json_format": format } }),
            )]);
        }
        let manager = typed(
            "envoy.filters.network.http_connection_manager",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        );
        json!({ "static_resources": { "listeners": [{
            "name": "bench",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{ "filters": [manager] }],
        }] } })
    }
}

fn typed(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/{kind}").into();
    json!({ "name": name, "typed_config": config })
}

pub(super) fn jwt_authn(keys: &Value, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": keys.to_string() },
        "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
    });
    if cached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 1000 });
    }
    typed(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": { "issuer": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "issuer" } }],
        }),
    )
}

/// With as many keys as there are, and none of them sent on, as jwt-auth has it.
pub(super) fn api_key_auth(keys: &[String]) -> Value {
    let credentials = keys.iter().map(|key| json!({ "key": key, "client": "bench" }));
    typed(
        "envoy.filters.http.api_key_auth",
        "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        json!({
            "credentials": credentials.collect::<Vec<_>>(),
            "key_sources": [{ "header": "x-api-key" }],
            "forwarding": { "hide_credentials": true },
        }),
    )
}

/// With a bucket for each value of `field`; `tells` is whether responses have the RateLimit fields.
pub(super) fn local_ratelimit(field: &str, tells: bool) -> Value {
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
    let bucket = json!({ "max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s" });
    typed(
        "envoy.filters.http.local_ratelimit",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        json!({
            "stat_prefix": "limit",
            "token_bucket": bucket,
            "filter_enabled": always,
            "filter_enforced": always,
            "descriptors": [{ "entries": [{ "key": "user" }], "token_bucket": bucket }],
            "rate_limits": [{ "actions": [{ "request_headers":
                { "header_name": field, "descriptor_key": "user" } }] }],
            "enable_x_ratelimit_headers": if tells { "DRAFT_VERSION_03" } else { "OFF" },
        }),
    )
}

pub(super) fn buffer() -> Value {
    typed(
        "envoy.filters.http.buffer",
        "envoy.extensions.filters.http.buffer.v3.Buffer",
        json!({ "max_request_bytes": 65536 }),
    )
}

/// A filter of ours.
pub(super) struct Wasm {
    package: &'static str,
    module: PathBuf,
}

impl Wasm {
    pub(super) fn new(workspace: &Workspace, package: &'static str) -> Self {
        Self { package, module: workspace.artifacts().join(format!("{package}.wasm")) }
    }

    /// `secrets` are read by the filter, from the environment of Envoy.
    pub(super) fn filter(&self, policy: &Value, secrets: &[(&str, String)]) -> Value {
        let names: Vec<&str> = secrets.iter().map(|(name, _)| *name).collect();
        let configuration = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": policy.to_string(),
        });
        typed(
            "envoy.filters.http.wasm",
            "envoy.extensions.filters.http.wasm.v3.Wasm",
            json!({ "config": {
                "name": self.package,
                "root_id": self.package,
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": true,
                "configuration": configuration,
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": self.module } },
                    "environment_variables": { "host_env_keys": names },
                },
            } }),
        )
    }
}
