//! The `access` section.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Who may connect and with what kind of request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AccessSection {
    /// Client addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Networks>,
    /// The methods let through. Default: GET, HEAD, POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// How many header fields, and how long in all. Not for routes: it holds before a route is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderLimits>,
}

impl AccessSection {
    /// This section where it says something, else `base`.
    pub(crate) fn over(&self, base: &Self) -> Self {
        Self {
            networks: self.networks.clone().or_else(|| base.networks.clone()),
            methods: self.methods.clone().or_else(|| base.methods.clone()),
            headers: self.headers.or(base.headers),
        }
    }
}

/// Client addresses, in CIDR notation (RFC 4632, RFC 4291 §2.3): `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Networks {
    /// Only these may connect; empty: everybody.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub allow: Vec<IpNet>,
    /// These may not, even where `allow` lists them.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub deny: Vec<IpNet>,
}

/// Bounds on the header section as the gate sees it. Envoy adds up to four fields of its own before that, some
/// 200 bytes; the pseudo-header fields count as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HeaderLimits {
    /// The most header fields.
    pub max_count: u32,
    /// The most bytes of names and values together.
    pub max_bytes: u32,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { max_count: 64, max_bytes: 32 * 1024 }
    }
}
