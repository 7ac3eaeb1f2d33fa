//! The `rate_limit_service` section.

use serde::{Deserialize, Serialize};

use super::Endpoint;

/// A rate limit service (gRPC, `envoy.service.ratelimit.v3.RateLimitService`) that counts for many gates. It is asked about
/// the limits that are `shared`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RateLimitServiceSection {
    /// Where: `https://` and the host and port. Plain http, which is HTTP/2 with prior knowledge, only on loopback, or to a
    /// `cluster` that is named.
    pub uri: String,
    /// The proxy's cluster that leads there, over HTTP/2. Default: one that `portcullis` makes of the URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The domain under which the service knows these limits.
    pub domain: String,
    /// How long an answer may take, in milliseconds. Default 250, 10 to 5000.
    #[serde(default = "default_timeout")]
    pub timeout_milliseconds: u32,
    /// What holds while the service does not answer. Default: refuse.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The most hits asked for at once, so that many requests need one call: as many are never used if a gate
    /// stops. Default 100, 1 to 10000.
    #[serde(default = "default_batch")]
    pub batch: u32,
}

/// What holds while a service does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Requests that need it are refused with 503.
    #[default]
    Refuse,
    /// Each gate goes by its own buckets alone: n gates may admit n times the limit.
    Local,
}

fn default_timeout() -> u32 {
    250
}

fn default_batch() -> u32 {
    100
}

impl RateLimitServiceSection {
    /// What the URI names. Answers what was expected where it is none, or where answers could be changed on the way.
    pub fn endpoint(&self) -> Result<Endpoint, &'static str> {
        let endpoint = Endpoint::parse(&self.uri)?;
        if endpoint.path_and_query != "/" {
            return Err("expected a scheme, a host and a port, without a path");
        }
        if !endpoint.tls && !endpoint.is_loopback() && self.cluster.is_none() {
            return Err("expected https: over http anybody on the way decides who comes in");
        }
        Ok(endpoint)
    }

    /// The proxy's cluster that leads there; empty where the URI is none.
    pub fn cluster_name(&self) -> String {
        // Not the name of what is fetched from the same place, which need not be over HTTP/2.
        let made = || {
            let endpoint = self.endpoint();
            endpoint.map(|endpoint| format!("{}_grpc", endpoint.default_cluster()))
        };
        self.cluster.clone().unwrap_or_else(|| made().unwrap_or_default())
    }
}
