//! What is fetched by HTTP, wherever in the document it stands.

use serde::{Deserialize, Serialize};

use super::{Document, JwksSource};

/// Something that is fetched by HTTP and kept fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Where: an https URI. Plain http only on loopback, or to a `cluster` that is named: who can change what is
    /// fetched decides who comes in.
    pub uri: String,
    /// The proxy's cluster that leads there. Default: one that `portcullis` makes of the URI. In Istio, such as
    /// `outbound|443||issuer.example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How often it is fetched anew, in seconds. Default 300, 5 to 86400.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u32,
    /// How long an answer may take, in seconds. Default 5, at most 60.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// How long the last good answer holds while there is no other, in seconds. Then requests that need it are refused.
    /// Default 3600, at most 604800, not less than `refresh_seconds`.
    #[serde(default = "default_max_stale")]
    pub max_stale_seconds: u32,
}

/// The key set that an OpenID Connect discovery document or RFC 8414 metadata leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Where the metadata is, such as `https://issuer.example/.well-known/openid-configuration`. Its `issuer` must be the
    /// issuer's.
    pub uri: String,
    /// The scheme, host and port of the `jwks_uri`, where that is not the metadata's own: what the metadata says does not
    /// choose whom the gate talks to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_origin: Option<String>,
    /// As for a remote key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The cluster that leads to `jwks_origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_cluster: Option<String>,
    /// As for a remote key set.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u32,
    /// As for a remote key set, for each of the two answers.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// As for a remote key set.
    #[serde(default = "default_max_stale")]
    pub max_stale_seconds: u32,
}

fn default_refresh() -> u32 {
    300
}

fn default_timeout() -> u32 {
    5
}

fn default_max_stale() -> u32 {
    3600
}

/// What an absolute http or https URI (RFC 9110 §4.2) names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Whether by https.
    pub tls: bool,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, the scheme's own where the URI names none.
    pub port: u16,
    /// What is asked for there.
    pub path_and_query: String,
}

impl Endpoint {
    /// Reads a URI. Answers what was expected where it is none.
    pub fn parse(uri: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str =
            "expected a URI such as https://issuer.example/jwks.json, without user or fragment";
        let (tls, rest) = match (uri.strip_prefix("https://"), uri.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(EXPECTED),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(EXPECTED)?;
        if uri.len() > 2048 || !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(EXPECTED);
        }
        let default_port = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(EXPECTED)?;
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| EXPECTED)?;
                let port = match rest.strip_prefix(':') {
                    Some(port) => port.parse().map_err(|_| EXPECTED)?,
                    None if rest.is_empty() => default_port,
                    None => return Err(EXPECTED),
                };
                (address.to_string(), port)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host.to_owned(), port.parse().map_err(|_| EXPECTED)?),
                None => (authority.to_owned(), default_port),
            },
        };
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || port == 0 || !host.bytes().all(is_host_byte) {
            return Err(EXPECTED);
        }
        let path_and_query = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, path_and_query })
    }

    /// What `:authority` says: the port only where it is not the scheme's own (RFC 9110 §4.2.3).
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{}", self.port),
        }
    }

    /// Whether both have the same scheme, host and port (RFC 6454 §5).
    pub fn is_same_origin(&self, other: &Self) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn default_cluster(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("portcullis_{scheme}_{}_{}", self.host, self.port)
    }
}

impl Remote {
    /// What the URI names. Answers what was expected where it is none, or where what is fetched could be changed on
    /// the way.
    pub fn endpoint(&self) -> Result<Endpoint, &'static str> {
        let endpoint = Endpoint::parse(&self.uri)?;
        if !endpoint.tls && !endpoint.is_loopback() && self.cluster.is_none() {
            return Err("expected https: over http anybody on the way decides who comes in");
        }
        Ok(endpoint)
    }

    /// The proxy's cluster that leads there; empty where the URI is none.
    pub fn cluster_name(&self) -> String {
        let made =
            || self.endpoint().map(|endpoint| endpoint.default_cluster()).unwrap_or_default();
        self.cluster.clone().unwrap_or_else(made)
    }
}

impl Discovery {
    /// Where the metadata is.
    pub fn metadata(&self) -> Remote {
        Remote {
            uri: self.uri.clone(),
            cluster: self.cluster.clone(),
            refresh_seconds: self.refresh_seconds,
            timeout_seconds: self.timeout_seconds,
            max_stale_seconds: self.max_stale_seconds,
        }
    }

    /// What a key set is fetched from: the origin alone, the path is the metadata's to say.
    pub fn key_set_origin(&self) -> Remote {
        match &self.jwks_origin {
            None => self.metadata(),
            Some(origin) => Remote {
                uri: origin.clone(),
                cluster: self.jwks_cluster.clone(),
                ..self.metadata()
            },
        }
    }
}

impl Document {
    /// Everything that is fetched, in the order of the document: what a proxy needs clusters for.
    pub fn remotes(&self) -> Vec<Remote> {
        let issuers = self.identity.jwt.iter().flat_map(|section| &section.issuers);
        let key_sets = issuers.flat_map(|issuer| match &issuer.jwks {
            JwksSource::Remote(remote) => vec![remote.clone()],
            JwksSource::Discovery(discovery) => match discovery.jwks_origin {
                Some(_) => vec![discovery.metadata(), discovery.key_set_origin()],
                None => vec![discovery.metadata()],
            },
            JwksSource::File(_) | JwksSource::Env(_) | JwksSource::Inline(_) => Vec::new(),
        });
        let api_keys = self.identity.api_keys.iter().filter_map(|section| section.remote.clone());
        let deny_list =
            self.identity.revocation.iter().filter_map(|section| section.remote.clone());
        key_sets.chain(api_keys).chain(deny_list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_strictly() {
        let endpoint = Endpoint::parse("https://Issuer.example/a/jwks?x=1").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("issuer.example", 443));
        assert_eq!(endpoint.path_and_query, "/a/jwks?x=1");
        assert_eq!(endpoint.authority(), "issuer.example");
        let endpoint = Endpoint::parse("http://[::1]:8080").unwrap();
        assert_eq!(endpoint.authority(), "[::1]:8080");
        assert_eq!(endpoint.path_and_query, "/");
        for uri in [
            "",
            "issuer.example",
            "ftp://a",
            "https://",
            "https://a:0/",
            "https://a:99999/",
            "https://u@a/",
            "https://a/#b",
            "https://a b/",
            "https://[::1",
            "https://[::1]x/",
            "https://[a]/",
            "//a",
        ] {
            assert!(Endpoint::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_named_clusters() {
        let remote = |uri: &str, cluster: Option<&str>| Remote {
            uri: uri.into(),
            cluster: cluster.map(str::to_owned),
            refresh_seconds: 300,
            timeout_seconds: 5,
            max_stale_seconds: 3600,
        };
        assert!(remote("http://issuer.example/", None).endpoint().is_err());
        // A name that begins like loopback is not loopback.
        assert!(remote("http://127.0.0.1.example/", None).endpoint().is_err());
        assert!(remote("http://127.0.0.1:8080/", None).endpoint().is_ok());
        assert!(
            remote("http://issuer.example/", Some("outbound|80||issuer.example"))
                .endpoint()
                .is_ok()
        );
        let name = remote("https://issuer.example/jwks", None).cluster_name();
        assert_eq!(name, "portcullis_https_issuer.example_443");
    }
}
