//! What filters learn of a client's certificate, in the form that Envoy gives it.

use std::fmt::Write as _;
use std::io;

use ring::digest::{SHA256, digest};
use x509_parser::der_parser::asn1_rs::{Any, BmpString, Tag};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

use crate::proxy_wasm::PeerCertificate;

/// Reads a certificate that has been verified.
///
/// # Errors
///
/// It cannot be read all the same: better no connection than one with half a name.
pub(super) fn read(certificate: &[u8]) -> io::Result<PeerCertificate> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "an unreadable certificate");
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| invalid())?;
    if !rest.is_empty() {
        return Err(invalid());
    }
    let mut peer = PeerCertificate {
        subject: distinguished_name(parsed.subject()),
        sha256_digest: hex(digest(&SHA256, certificate).as_ref()),
        ..PeerCertificate::default()
    };
    if let Some(names) = parsed.subject_alternative_name().map_err(|_| invalid())? {
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) if peer.dns_san.is_empty() => {
                    peer.dns_san = (*name).to_owned();
                }
                GeneralName::URI(uri) if peer.uri_san.is_empty() => {
                    peer.uri_san = (*uri).to_owned();
                }
                _ => {}
            }
        }
    }
    Ok(peer)
}

/// A name as RFC 2253 writes it and Envoy, by OpenSSL's `XN_FLAG_RFC2253`, shows it: the last part first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            let identifier = attribute.attr_type().to_id_string();
            match (short_name(&identifier), attribute_text(attribute.attr_value())) {
                (Some(short), Some(value)) => {
                    let _ = write!(text, "{short}=");
                    escape(&value, &mut text);
                }
                // A type without a name is written as its bytes, whatever it may be.
                (short, _) => {
                    let der = der(attribute.attr_value());
                    let _ = write!(
                        text,
                        "{}=#{}",
                        short.unwrap_or(&identifier),
                        hex(&der).to_uppercase()
                    );
                }
            }
        }
    }
    text
}

/// The names of RFC 4519 and a few others that are found in subjects, as OpenSSL has them.
fn short_name(identifier: &str) -> Option<&'static str> {
    Some(match identifier {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.45" => "x500UniqueIdentifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        _ => return None,
    })
}

/// A string of any of the kinds that names are made of, as UTF-8.
fn attribute_text(value: &Any<'_>) -> Option<Vec<u8>> {
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(|text| text.as_bytes().to_vec()),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            bytes.is_ascii().then(|| bytes.to_vec())
        }
        // ISO 8859-1 in practice, and in OpenSSL.
        Tag::TeletexString => {
            Some(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
        }
        Tag::BmpString => {
            BmpString::try_from(value.clone()).ok().map(|text| text.string().into_bytes())
        }
        _ => None,
    }
}

fn escape(value: &[u8], text: &mut String) {
    for (index, byte) in value.iter().enumerate() {
        let edge = index == 0 && b" #".contains(byte) || index + 1 == value.len() && *byte == b' ';
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            byte if edge => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\{other:02X}");
            }
        }
    }
}

fn der(value: &Any<'_>) -> Vec<u8> {
    use x509_parser::der_parser::asn1_rs::ToDer as _;

    value.to_der_vec().unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(subject: DistinguishedName, names: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = subject;
        parameters.subject_alt_names = names;
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_subject_is_written_as_openssl_does() {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CountryName, "DE");
        subject.push(DnType::OrganizationName, DnValue::Utf8String("A, B + \"C\" <d>;\\e".into()));
        subject.push(DnType::OrganizationalUnitName, DnValue::Utf8String("#é\n ".into()));
        subject.push(DnType::CommonName, DnValue::Utf8String(" client".into()));
        subject.push(DnType::CustomDnType(vec![1, 2, 3, 4]), DnValue::Utf8String("x".into()));
        let peer = read(&certificate(subject, Vec::new())).unwrap();
        assert_eq!(
            peer.subject,
            "1.2.3.4=#0C0178,CN=\\ client,OU=\\#\\C3\\A9\\0A\\ ,\
             O=A\\, B \\+ \\\"C\\\" \\<d\\>\\;\\\\e,C=DE"
        );
        assert_eq!(peer.sha256_digest.len(), 64);
        assert!(peer.sha256_digest.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
        assert_eq!((peer.dns_san.as_str(), peer.uri_san.as_str()), ("", ""));
    }

    #[test]
    fn the_first_of_each_kind_of_name_is_told() {
        let names = vec![
            SanType::URI("spiffe://one/client".try_into().unwrap()),
            SanType::DnsName("a.example".try_into().unwrap()),
            SanType::DnsName("b.example".try_into().unwrap()),
            SanType::URI("spiffe://two/client".try_into().unwrap()),
        ];
        let peer = read(&certificate(DistinguishedName::new(), names)).unwrap();
        assert_eq!(peer.dns_san, "a.example");
        assert_eq!(peer.uri_san, "spiffe://one/client");
        assert_eq!(peer.subject, "");
    }

    #[test]
    fn what_cannot_be_read_is_no_client() {
        let good = certificate(DistinguishedName::new(), Vec::new());
        assert!(read(&good[..good.len() - 1]).is_err());
        assert!(read(&[good.as_slice(), b"more"].concat()).is_err());
        assert!(read(b"").is_err());
    }
}
