//! A certificate for this machine's gate, by an authority that signs nothing else: its key is
//! thrown away.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};
use zeroize::Zeroizing;

use super::{Failure, Group, NewFile, unusable};
use crate::tls;

const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// As long as clients accept at most.
const DAYS: i64 = 825;

pub(super) const GROUP: Group = Group { files: &[AUTHORITY, CERTIFICATE, KEY], make, check };

fn make() -> Result<Vec<NewFile>, Failure> {
    let (authority, certificate, key) = generate()
        .map_err(|error| Failure::runtime(format_args!("cannot make a certificate: {error}")))?;
    let file = |name, content, secret| NewFile { name, content: Zeroizing::new(content), secret };
    Ok(vec![
        file(KEY, key, true),
        file(CERTIFICATE, certificate, false),
        file(AUTHORITY, authority, false),
    ])
}

fn generate() -> Result<(String, String, String), rcgen::Error> {
    let now = time::OffsetDateTime::now_utc();
    let (begin, end) = (now - time::Duration::days(1), now + time::Duration::days(DAYS));

    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "Portcullis development CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = (begin, end);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;

    let mut server = CertificateParams::new(NAMES.map(String::from).to_vec())?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    (server.not_before, server.not_after) = (begin, end);
    let key = KeyPair::generate()?;
    let issuer = Issuer::new(authority, authority_key);
    let certificate = server.signed_by(&key, &issuer)?;
    Ok((authority_certificate.pem(), certificate.pem(), key.serialize_pem()))
}

fn check(directory: &Path) -> Result<(), Failure> {
    let authority = directory.join(AUTHORITY);
    let certificate = directory.join(CERTIFICATE);
    let key = directory.join(KEY);
    tls::server_config(&certificate, &key, None).map_err(Failure::input)?;

    let mut roots = rustls::RootCertStore::empty();
    for root in tls::certificates(&authority).map_err(Failure::input)? {
        roots.add(root).map_err(|error| unusable(&authority, error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| unusable(&authority, error))?;
    let chain = tls::certificates(&certificate).map_err(Failure::input)?;
    let Some((leaf, rest)) = chain.split_first() else {
        return Err(unusable(&certificate, "it has no certificate"));
    };
    for name in NAMES {
        let name = ServerName::try_from(name).map_err(|error| unusable(&certificate, error))?;
        verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()).map_err(|error| {
            let reason = format!("not a certificate of {AUTHORITY} for this machine: {error}");
            unusable(&certificate, reason)
        })?;
    }
    Ok(())
}
