//! Which hosts a function may call. None, unless the operator lists them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use http_body_util::BodyExt;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);

/// One entry of the allow list, such as `https://api.example.com`, `http://127.0.0.1:8080` or `redis://127.0.0.1`; `rediss` is a Redis
/// behind TLS.
///
/// Scheme, host and port must all match; a missing port is the scheme's default. There are no
/// wildcards: a host that is not written down is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundHost {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl OutboundHost {
    /// Whether HTTP requests may go there: not to a Redis, which is no HTTP server.
    fn allows(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(host)) = (uri.scheme(), uri.host()) else {
            return false;
        };
        if is_redis(scheme) {
            return false;
        }
        let port = uri.port_u16().or_else(|| default_port(scheme));
        *scheme == self.scheme && host.eq_ignore_ascii_case(&self.host) && port == Some(self.port)
    }

    /// Whether this is a Redis.
    pub(super) fn is_redis(&self) -> bool {
        is_redis(&self.scheme)
    }

    /// Whether this is a Redis at that place, behind TLS or not: who is allowed the one is not allowed the other.
    pub(super) fn allows_redis(&self, host: &str, port: u16, has_tls: bool) -> bool {
        let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
        let scheme = if has_tls { REDIS_TLS } else { REDIS };
        self.scheme.as_str() == scheme && bare(host) == bare(&self.host) && port == self.port
    }
}

const REDIS: &str = "redis";
const REDIS_TLS: &str = "rediss";

fn is_redis(scheme: &Scheme) -> bool {
    matches!(scheme.as_str(), REDIS | REDIS_TLS)
}

impl FromStr for OutboundHost {
    type Err = InvalidOutboundHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidOutboundHost(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains(['@', '*']) {
            return Err(invalid());
        }
        let scheme = uri.scheme().ok_or_else(invalid)?.clone();
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
        let port = uri.port_u16().or_else(|| default_port(&scheme)).ok_or_else(invalid)?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS && !is_redis(&scheme) {
            return Err(invalid());
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for OutboundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// An entry of the allow list that is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "allowed host {0:?}: expected SCHEME://HOST or SCHEME://HOST:PORT with http, https, redis or rediss"
)]
pub struct InvalidOutboundHost(String);

/// What stands between a function's requests and the network.
pub(super) struct Outbound {
    pub(super) allowed: Arc<[OutboundHost]>,
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_result: Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>,
    ) -> Sending {
        if !self.allowed.iter().any(|host| host.allows(request.uri())) {
            return Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) });
        }
        let options = bounded(options.unwrap_or_default());
        Box::new(async move {
            let (response, io) =
                wasmtime_wasi_http::default_send_request(request, Some(options)).await?;
            let io: Transmission = Box::new(io);
            Ok((response.map(BodyExt::boxed_unsync), io))
        })
    }
}

type Transmission = Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>;
type Sending = Box<
    dyn Future<Output = wasmtime_wasi_http::Result<(http::Response<WasiBody>, Transmission)>>
        + Send,
>;

/// A function may ask for less time than we allow, never for more.
fn bounded(options: RequestOptions) -> RequestOptions {
    let at_most = |asked: Option<Duration>, limit| Some(asked.map_or(limit, |a| a.min(limit)));
    RequestOptions {
        connect_timeout: at_most(options.connect_timeout, CONNECT_TIMEOUT),
        first_byte_timeout: at_most(options.first_byte_timeout, FIRST_BYTE_TIMEOUT),
        between_bytes_timeout: at_most(options.between_bytes_timeout, BETWEEN_BYTES_TIMEOUT),
    }
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        REDIS | REDIS_TLS => Some(6379),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_scheme_host_and_port() {
        let host: OutboundHost = "https://api.example.com".parse().unwrap();
        for allowed in ["https://api.example.com/x?y", "https://API.example.com:443/"] {
            assert!(host.allows(&allowed.parse().unwrap()), "{allowed}");
        }
        for denied in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://evil.example.com/",
            "https://api.example.com.evil.com/",
            "https://api.example.com@evil.com/",
            "/relative",
        ] {
            assert!(!host.allows(&denied.parse().unwrap()), "{denied}");
        }
    }

    #[test]
    fn a_redis_is_a_redis_and_nothing_else() {
        let host: OutboundHost = "redis://Cache.internal".parse().unwrap();
        assert!(host.is_redis() && host.allows_redis("cache.internal", 6379, false));
        assert!(!host.allows_redis("cache.internal", 6379, true));
        assert!(!host.allows_redis("cache.internal", 6380, false));
        assert!(!host.allows_redis("cache.internal.evil", 6379, false));
        for uri in ["redis://cache.internal/", "http://cache.internal:6379/"] {
            assert!(!host.allows(&uri.parse().unwrap()), "{uri}");
        }
        let host: OutboundHost = "http://cache.internal:6379".parse().unwrap();
        assert!(!host.is_redis() && !host.allows_redis("cache.internal", 6379, false));
        let host: OutboundHost = "redis://[::1]:7000".parse().unwrap();
        assert!(host.allows_redis("::1", 7000, false));
        // What is to be encrypted is not asked in the clear.
        let host: OutboundHost = "rediss://cache.internal".parse().unwrap();
        assert!(host.is_redis() && host.allows_redis("cache.internal", 6379, true));
        assert!(!host.allows_redis("cache.internal", 6379, false));
        assert!(!host.allows(&"rediss://cache.internal/".parse().unwrap()));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", "example.com", "ftp://a", "http://", "http://*.a", "http://u@a", "http://a/path"]
        {
            assert!(text.parse::<OutboundHost>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_function_cannot_lengthen_timeouts() {
        let day = Some(Duration::from_secs(86400));
        let options = bounded(RequestOptions {
            connect_timeout: day,
            first_byte_timeout: Some(Duration::from_millis(1)),
            between_bytes_timeout: None,
        });
        assert_eq!(options.connect_timeout, Some(CONNECT_TIMEOUT));
        assert_eq!(options.first_byte_timeout, Some(Duration::from_millis(1)));
        assert_eq!(options.between_bytes_timeout, Some(BETWEEN_BYTES_TIMEOUT));
    }
}
