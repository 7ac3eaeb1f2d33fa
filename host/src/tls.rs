//! TLS: certificate and key files into configurations of rustls, for the gateway and for the calls of its filters.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: expected a certificate chain in PEM form: {reason}", path.display())]
    Certificate { path: PathBuf, reason: String },
    #[error("{}: expected a private key in PEM form: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    #[error("{} and {} do not go together: {reason}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, reason: String },
    #[error("{}: expected certificates of authorities in PEM form: {reason}", path.display())]
    Authority { path: PathBuf, reason: String },
    #[error("this machine has no list of certificate authorities: name a file with --trusted-ca")]
    NoAuthorities,
    #[error("the cryptography library does not offer TLS: {0}")]
    Provider(rustls::Error),
}

/// Which clients may connect, by their certificates.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    /// The certificates of the authorities that vouch for clients, PEM.
    pub authorities: PathBuf,
    /// Whether a client without a certificate is refused. One whose certificate is not good always is.
    pub required: bool,
}

/// What `--client-certificate` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ClientCertificateMode {
    /// Clients may present a certificate; the policy decides what those without one may do
    #[default]
    Optional,
    /// Clients without a certificate cannot connect
    Required,
}

/// A server's TLS: version 1.2 or 1.3, HTTP/2 or HTTP/1.1, with the given certificate. Without `clients` nobody is
/// asked for a certificate.
///
/// # Errors
///
/// A file is unreadable, is not what it should be, or the key is not the certificate's.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    clients: Option<&ClientCertificates>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let private_key = private_key(key)?;
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    };

    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(client_verifier(clients)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, private_key).map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let path = &clients.authorities;
    let roots = Arc::new(authorities(std::slice::from_ref(path))?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder
        .build()
        .map_err(|error| TlsError::Authority { path: path.clone(), reason: error.to_string() })
}

/// A client's TLS: version 1.2 or 1.3, HTTP/2 or HTTP/1.1. Servers must be vouched for by an authority in one of the
/// files `trusted`, or where there are none by one that this machine trusts.
///
/// # Errors
///
/// A file is unreadable or not what it should be, or there is no authority at all.
pub fn client_config(trusted: &[PathBuf]) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match trusted {
        [] => system_authorities()?,
        trusted => authorities(trusted)?,
    };
    let config =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(TlsError::Provider)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn authorities(paths: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        let invalid = |reason: String| TlsError::Authority { path: path.clone(), reason };
        let certificates = match certificates(path) {
            Err(TlsError::Certificate { reason, .. }) => return Err(invalid(reason)),
            other => other?,
        };
        for certificate in certificates {
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        }
    }
    Ok(roots)
}

/// What this machine trusts, or the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Certificates that cannot be used are
/// passed over: a machine's list has some.
fn system_authorities() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (usable, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
///
/// The file is unreadable or has no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let invalid = |reason: String| TlsError::Certificate { path: path.to_owned(), reason };
    let chain: Vec<_> = CertificateDer::pem_reader_iter(open(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(error.to_string()))?;
    if chain.is_empty() {
        return Err(invalid("it has no CERTIFICATE section".into()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_reader(open(path)?)
        .map_err(|error| TlsError::Key { path: path.to_owned(), reason: error.to_string() })
}

fn open(path: &Path) -> Result<BufReader<File>, TlsError> {
    match File::open(path) {
        Ok(file) => Ok(BufReader::new(file)),
        Err(error) => Err(TlsError::Read { path: path.to_owned(), error }),
    }
}
