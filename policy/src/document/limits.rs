//! The `limits` section.

use serde::{Deserialize, Serialize};

/// A token bucket: `requests` per `per_seconds` on average, `burst` at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// Its name, as the RateLimit fields and the audit record give it: lower-case letters, digits, hyphens.
    /// Limits of the same name on several routes share their buckets and must be alike.
    pub name: String,
    /// What has a bucket of its own.
    pub key: LimitKey,
    /// How many requests flow back into the bucket in `per_seconds`.
    pub requests: u32,
    /// The time in which they do, in seconds.
    pub per_seconds: u32,
    /// How many fit into the bucket: the most at once. Default: `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Whether the `rate_limit_service` counts it for all gates, under this name. This gate alone then admits what is said here at
    /// most, and all gates together what the service says. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitKey {
    /// The caller: issuer's subject or API key. Anonymous callers go by their address.
    Principal,
    /// The caller's tenant. Callers without one go by their principal.
    Tenant,
    /// The client address; IPv6 by its /64, which is what one subscriber has.
    Address,
}
