//! Clients that say exactly what they are told to, allowed or not.

mod http1;
mod http2;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

pub use http2::Connection;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, down to the bytes.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields besides host and length.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// In chunks rather than with a length.
    pub chunked: bool,
    /// Behind the body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// In place of everything above, HTTP/1.1 only.
    pub raw: Option<Vec<u8>>,
    /// By HTTP/2 rather than HTTP/1.1.
    pub http2: bool,
    /// The client's address.
    pub source: Option<Ipv4Addr>,
    /// Go away after so many bytes.
    pub disconnect_after: Option<usize>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Whom to trust, by version of HTTP.
#[derive(Debug, Clone)]
pub struct Trust {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts one certificate authority and nobody else.
    ///
    /// # Errors
    ///
    /// The file is not a certificate in PEM.
    pub fn of(authority: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let with_protocol = |name: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![name.to_vec()];
            Arc::new(config)
        };
        Ok(Self { http1: with_protocol(b"http/1.1"), http2: with_protocol(b"h2") })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends a request on a connection of its own; None where it was closed without an answer. Without `trust` there is no TLS.
///
/// # Errors
///
/// There is no connection, or no answer in time.
pub async fn send(
    address: SocketAddr,
    trust: Option<&Trust>,
    outgoing: &Outgoing,
) -> Result<Option<Answer>> {
    let exchange = async {
        let stream = connect(address, trust, outgoing).await?;
        if outgoing.http2 {
            http2::exchange(stream, address, outgoing).await
        } else {
            http1::exchange(stream, address, outgoing).await
        }
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    answer.with_context(|| format!("no answer from {address} after {PATIENCE:?}"))?
}

async fn connect(
    address: SocketAddr,
    trust: Option<&Trust>,
    outgoing: &Outgoing,
) -> Result<Pin<Box<dyn Stream>>> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = outgoing.source {
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    let stream = socket.connect(address).await;
    let stream = stream.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let Some(trust) = trust else { return Ok(Box::pin(stream)) };
    let config = if outgoing.http2 { &trust.http2 } else { &trust.http1 };
    let name = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    Ok(Box::pin(stream.with_context(|| format!("TLS with {address}"))?))
}
