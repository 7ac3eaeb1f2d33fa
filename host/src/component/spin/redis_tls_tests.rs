//! A real Redis behind TLS, and certificates that are good and that are not.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// An authority, and the files that it has written.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).unwrap().pem();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self { folder, issuer: Issuer::new(authority, key) }
    }

    /// A server with a certificate for this name.
    fn server(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Option<server::Redis> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let written = |name: &str, content: String| -> PathBuf {
            let path = self.folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let certificate = written("server.pem", certificate.pem());
        server::Redis::start_tls(certificate, written("server.key", key.serialize_pem()))
    }

    /// Who trusts it, and nobody else.
    fn trusted(&self) -> Result<Arc<ClientConfig>, Error> {
        let file: &Path = &self.folder.path().join("ca.pem");
        Ok(without_alpn(client_config(&[file.to_owned()]).unwrap()))
    }
}

async fn connect(address: &str, authority: &Authority) -> Result<OpenRedis, Error> {
    let allowed = [address.parse().unwrap()];
    OpenRedis::connect(address, &allowed, connections(), || authority.trusted()).await
}

/// What there is to be read in the error.
async fn refusal(address: &str, authority: &Authority) -> String {
    match connect(address, authority).await.map(drop) {
        Err(Error::Other(reason)) => reason,
        other => panic!("{address}: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let authority = Authority::new();
    let Some(server) = authority.server("localhost", |_| {}) else { return };
    let address = format!("rediss://localhost:{}", server.port());
    let redis = connect(&address, &authority).await.unwrap();
    redis.query("SET", &["a", "b"]).await.unwrap();
    assert_eq!(binary(redis.query("GET", &["a"]).await.unwrap()).unwrap(), b"b");

    // The right place, by a name that is not in the certificate.
    let reason = refusal(&format!("rediss://127.0.0.1:{}", server.port()), &authority).await;
    assert!(reason.contains("not valid for"), "{reason}");
    // Another authority, which has the same name.
    let reason = refusal(&address, &Authority::new()).await;
    assert!(reason.contains("BadSignature"), "{reason}");
    // Nobody trusts it who has not been told to.
    let allowed = [address.parse().unwrap()];
    let failed = OpenRedis::connect(&address, &allowed, connections(), trusted).await.map(drop);
    assert!(matches!(failed, Err(Error::Other(_))), "{failed:?}");
    // What is allowed with TLS is not without, and the other way round.
    let plain = address.replace("rediss://", "redis://");
    for (address, allowed) in [(&plain, &address), (&address, &plain)] {
        let allowed = [allowed.parse().unwrap()];
        let trusted = || authority.trusted();
        let refused = OpenRedis::connect(address, &allowed, connections(), trusted).await;
        assert!(matches!(refused.map(drop), Err(Error::InvalidAddress)), "{address}");
    }
}

#[tokio::test]
async fn an_address_is_in_a_certificate_too() {
    let authority = Authority::new();
    let Some(server) = authority.server("127.0.0.1", |_| {}) else { return };
    let of = |host: &str| format!("rediss://{host}:{}", server.port());
    assert!(connect(&of("127.0.0.1"), &authority).await.is_ok());
    let reason = refusal(&of("localhost"), &authority).await;
    assert!(reason.contains("not valid for"), "{reason}");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_none() {
    let authority = Authority::new();
    let over = |params: &mut CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let Some(server) = authority.server("localhost", over) else { return };
    let reason = refusal(&format!("rediss://localhost:{}", server.port()), &authority).await;
    assert!(reason.contains("xpired"), "{reason}");
}

#[tokio::test]
async fn who_does_not_speak_tls_is_not_spoken_to() {
    let authority = Authority::new();
    let Some(plain) = server::Redis::start() else { return };
    let address = plain.address().replace("redis://", "rediss://");
    assert!(!refusal(&address, &authority).await.is_empty());
    let Some(encrypted) = authority.server("localhost", |_| {}) else { return };
    assert!(!refusal(&encrypted.address(), &authority).await.is_empty());
}
