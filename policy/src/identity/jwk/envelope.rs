//! Public keys in their envelope, a SubjectPublicKeyInfo (RFC 5280 §4.1): what hosts are given keys in, and what must
//! not be taken for a secret.

use spki::der::asn1::{AnyRef, BitStringRef, UintRef};
use spki::der::{Decode as _, Encode as _, SliceReader, Tag, Tagged as _};
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// An RSA key (RFC 3279 §2.3.1), of numbers in big-endian bytes.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let numbers = [UintRef::new(modulus).ok()?, UintRef::new(exponent).ok()?].to_der().ok()?;
    of(RSA, AnyRef::NULL, &numbers)
}

/// A point on a named curve (RFC 5480 §2).
pub(super) fn elliptic(curve: ObjectIdentifier, point: &[u8]) -> Option<Vec<u8>> {
    of(ELLIPTIC, AnyRef::from(&curve), point)
}

fn of(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifier { oid, parameters: Some(parameters) };
    let subject_public_key = BitStringRef::from_bytes(key).ok()?;
    SubjectPublicKeyInfo { algorithm, subject_public_key }.to_der().ok()
}

/// Whether these bytes are a public key or a certificate in DER: one SEQUENCE, with another one or a number in the
/// beginning. Of random secrets of 32 bytes not one in ten million is.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    let Ok(outer) = AnyRef::from_der(bytes) else { return false };
    let first = SliceReader::new(outer.value()).and_then(|mut reader| AnyRef::decode(&mut reader));
    outer.tag() == Tag::Sequence
        && first.is_ok_and(|first| matches!(first.tag(), Tag::Sequence | Tag::Integer))
}
