//! `portcullis envoy`: Envoy's bootstrap, made from a policy.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Failure;
use crate::bundle::Bundle;
use crate::envoy::{Bootstrap, Certificate, Sizes, Upstream};
use crate::secrets::SecretArgs;
use crate::tls::{ClientCertificateMode, ClientCertificates};
use crate::upstream_at::{UpstreamAt, in_order};

/// Print an Envoy bootstrap that enforces a policy
///
/// A hardened edge proxy: one listener, the gate filter with the policy, one upstream. It goes to standard output. The
/// secrets that the policy names are not in it: start Envoy with them in its environment. Paths are taken
/// as they will be where Envoy runs, and are not looked at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy document, YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// The gate filter, as Envoy will find it
    #[arg(long, value_name = "FILE", default_value = "target/portcullis/gate.wasm")]
    filter: PathBuf,

    /// The service that the gate protects, HTTP/1.1
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Upstream,

    /// Another service for one path, or, where that ends in a slash, for all that begin so; may be given more than once. The
    /// gate's policy holds for them all the same
    #[arg(long, value_name = "PATH=HOST:PORT")]
    upstream_at: Vec<UpstreamAt<Upstream>>,

    /// Where clients connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,

    /// The server's certificate chain, PEM, as Envoy will find it
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,

    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,

    /// Ask clients for a certificate (mutual TLS), by the authorities in this file, PEM, as Envoy will find it; what is
    /// done with it says the policy
    #[arg(long, value_name = "FILE", requires = "certificate")]
    client_ca: Option<PathBuf>,

    /// Whether clients without a certificate may connect
    #[arg(long, value_enum, value_name = "MODE", default_value_t, requires = "client_ca")]
    client_certificate: ClientCertificateMode,

    /// The authorities, PEM, that vouch for the servers that the policy fetches from, as Envoy will find them
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    trusted_ca: PathBuf,

    /// Without TLS, where something in front of Envoy ends it
    #[arg(long, conflicts_with = "certificate")]
    plaintext: bool,

    /// Envoy's administration, on loopback; without this there is none
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,

    /// Where access records go, one line of JSON each; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    access_log: PathBuf,

    /// How many proxies in front of this one are trusted to tell the client's address
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=16))]
    trusted_hops: u32,

    #[command(flatten)]
    secrets: SecretArgs,
}

impl Args {
    /// Prints the bootstrap.
    ///
    /// # Errors
    ///
    /// The policy does not compile, or the place is not a safe one.
    pub fn run(self) -> Result<(), Failure> {
        let bootstrap = self.bootstrap()?;
        super::print(&bootstrap.to_yaml())
    }

    fn bootstrap(self) -> Result<Bootstrap, Failure> {
        if let Some(admin) = self.admin
            && !admin.ip().is_loopback()
        {
            return Err(Failure::input(format_args!(
                "--admin {admin}: expected an address on loopback, such as 127.0.0.1:9901: whoever reaches it can \
                 stop Envoy"
            )));
        }
        if self.certificate.is_none() && !self.plaintext {
            return Err(Failure::input(
                "expected --certificate and --key, or --plaintext where TLS ends in front of Envoy",
            ));
        }
        let bundle = Bundle::read(&self.policy).map_err(Failure::input)?;
        // A bad policy never becomes a bootstrap.
        bundle.check(&self.secrets.load()?).map_err(Failure::input)?;
        let clients = self.client_ca.map(|authorities| ClientCertificates {
            authorities,
            required: self.client_certificate == ClientCertificateMode::Required,
        });
        let tls = self.certificate.zip(self.key);
        Ok(Bootstrap {
            // Laid out for readers: it stands in the bootstrap as it is.
            policy: serde_json::to_string_pretty(bundle.document()).map_err(Failure::runtime)?,
            secrets: bundle.secret_names(),
            sizes: Sizes::of(bundle.document()),
            filter: self.filter,
            listen: self.listen,
            tls: tls.map(|(chain, key)| Certificate { chain, key, clients }),
            trusted_hops: self.trusted_hops,
            upstream: self.upstream,
            upstreams_at: in_order(self.upstream_at).map_err(Failure::input)?,
            clusters: bundle.clusters().map_err(Failure::input)?,
            trusted_ca: self.trusted_ca,
            admin: self.admin,
            access_log: Some(self.access_log),
            replay_clock_header: None,
        })
    }
}
