//! The Envoys that are compared.

use std::path::Path;

use serde_json::{Value, json};

use super::Credentials;
use crate::up::{AUDIENCE, ISSUER};

/// 32 bytes in base64url, for measuring only.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// One Envoy and what is sent to it.
pub(super) struct Variant {
    pub(super) name: &'static str,
    /// The variant whose cost is taken off.
    pub(super) base: &'static str,
    /// The native variant to compare with.
    pub(super) peer: Option<&'static str>,
    pub(super) request: Vec<u8>,
    pub(super) expected_status: u16,
    pub(super) environment: Vec<(&'static str, &'static str)>,
    filters: Vec<Value>,
    access_log: bool,
}

const BARE: &str = "bare Envoy";
const BUFFER: &str = "buffer filter, POST 1 kB";
const BUFFER_16: &str = "buffer filter, POST 16 kB";
const NATIVE: &str = "jwt_authn + local_ratelimit + access log";
const NATIVE_CACHED: &str = "the same, jwt_authn with its cache";

pub(super) fn variants(credentials: &Credentials, gate: &Path) -> Vec<Variant> {
    let get = request(&credentials.token, None);
    let post = |bytes: usize| {
        let text = "You have won a prize, call now. ".repeat(bytes / 32);
        request(&credentials.token, Some(&json!({ "text": text }).to_string()))
    };
    let variant = |name, base, peer, request: Vec<u8>, filters| Variant {
        name,
        base,
        peer,
        request,
        expected_status: 200,
        environment: vec![],
        filters,
        access_log: false,
    };
    let native = |name, cached| Variant {
        access_log: true,
        ..variant(
            name,
            BARE,
            None,
            get.clone(),
            vec![jwt_authn(credentials, cached), local_ratelimit()],
        )
    };
    let gated = |name, base, peer, request, full: bool| Variant {
        environment: vec![("PORTCULLIS_ASSERTION_KEY", KEY)],
        ..variant(name, base, peer, request, vec![wasm(gate, &policy(credentials, full))])
    };
    vec![
        variant(BARE, BARE, None, get.clone(), vec![]),
        native(NATIVE, false),
        native(NATIVE_CACHED, true),
        gated("gate: the same policy", BARE, Some(NATIVE), get.clone(), false),
        variant(BUFFER, BARE, None, post(1024), vec![buffer()]),
        gated("gate: all stages, POST 1 kB", BUFFER, None, post(1024), true),
        variant(BUFFER_16, BARE, None, post(16 * 1024), vec![buffer()]),
        gated("gate: all stages, POST 16 kB", BUFFER_16, None, post(16 * 1024), true),
    ]
}

/// A request with 11 header fields, as a browser or a client library sends them.
fn request(token: &str, body: Option<&str>) -> Vec<u8> {
    let (method, path) = match body {
        Some(_) => ("POST", "/v1/predict"),
        None => ("GET", "/v1/model"),
    };
    let body = body.unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench/1.0\r\n\
         accept: application/json\r\naccept-language: en\r\naccept-encoding: identity\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nx-client-version: 1.2.3\r\n\
         x-trace: 0123456789abcdef\r\norigin: https://app.example\r\n\
         authorization: Bearer {token}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Variant {
    pub(super) fn file_name(&self) -> String {
        self.name.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    pub(super) fn bootstrap(&self, port: u16) -> Value {
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

fn jwt_authn(credentials: &Credentials, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": credentials.jwks.to_string() },
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

/// A bucket for each user, as the gate has.
fn local_ratelimit() -> Value {
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
                { "header_name": "x-user", "descriptor_key": "user" } }] }],
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        }),
    )
}

fn buffer() -> Value {
    typed(
        "envoy.filters.http.buffer",
        "envoy.extensions.filters.http.buffer.v3.Buffer",
        json!({ "max_request_bytes": 65536 }),
    )
}

fn wasm(gate: &Path, policy: &Value) -> Value {
    let configuration = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": policy.to_string(),
    });
    typed(
        "envoy.filters.http.wasm",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({ "config": {
            "name": "gate",
            "root_id": "gate",
            "failure_policy": "FAIL_RELOAD",
            "allow_on_headers_stop_iteration": true,
            "configuration": configuration,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": gate } },
                "environment_variables": { "host_env_keys": ["PORTCULLIS_ASSERTION_KEY"] },
            },
        } }),
    )
}

/// `full`: with body inspection and assertion; else what the native variant does.
fn policy(credentials: &Credentials, full: bool) -> Value {
    let mut policy = json!({
        "version": 1,
        "identity": { "jwt": { "issuers": [{
            "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": { "inline": credentials.jwks },
        }] } },
        "authorisation": { "roles": ["caller"] },
        "limits": [{ "name": "per-caller", "key": "principal",
            "requests": 100_000_000, "per_seconds": 1, "burst": 100_000_000 }],
        "routes": [
            { "name": "predict", "match": { "path": "/v1/predict", "methods": ["POST"] } },
            { "name": "model", "match": { "path": "/v1/model", "methods": ["GET"] } },
        ],
    });
    if full {
        policy["assertion"] =
            json!({ "key": { "env": "PORTCULLIS_ASSERTION_KEY" }, "key_id": "bench" });
        policy["routes"][0]["input"] = json!({ "schema": { "inline": {
            "type": "object", "required": ["text"], "additionalProperties": false,
            "properties": { "text": { "type": "string", "minLength": 1, "maxLength": 20000 } },
        } } });
    }
    policy
}
