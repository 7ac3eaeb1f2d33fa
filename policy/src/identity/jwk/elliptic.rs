//! ECDSA keys (RFC 7518 §6.2), each curve with its one hash (§3.4), and Ed25519 (RFC 8037).

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

use super::algorithm::Algorithm;
use super::envelope;

/// A point on one of the NIST curves.
#[derive(Clone)]
pub(in crate::identity) enum EllipticKey {
    /// With its SubjectPublicKeyInfo in DER, for hosts that verify natively.
    P256(p256::ecdsa::VerifyingKey, Vec<u8>),
    P384(p384::ecdsa::VerifyingKey, Vec<u8>),
    P521(p521::ecdsa::VerifyingKey),
}

/// The names of the curves, in `crv`.
pub(super) const CURVES: [&str; 3] = ["P-256", "P-384", "P-521"];

/// An ECDSA signature whose two numbers are from 1 to below the order: of any other, no host is asked (CVE-2022-21449).
pub(in crate::identity) enum EllipticSignature {
    P256(p256::ecdsa::Signature),
    P384(p384::ecdsa::Signature),
    P521(p521::ecdsa::Signature),
}

impl EllipticKey {
    /// Takes a point by its coordinates, which are as long as the curve's field (RFC 7518 §6.2.1.2); else tells which member
    /// is wrong, and what was expected there.
    pub(super) fn new(curve: &str, x: &[u8], y: &[u8]) -> Result<Self, (&'static str, String)> {
        let length = match curve {
            "P-256" => 32,
            "P-384" => 48,
            "P-521" => 66,
            _ => return Err(("crv", format!("expected {}", CURVES.join(", ")))),
        };
        for (name, coordinate) in [("x", x), ("y", y)] {
            if coordinate.len() != length {
                return Err((name, format!("expected a coordinate of {length} bytes")));
            }
        }
        // Uncompressed (SEC 1 §2.3.3); that it is on the curve is verified by reading it.
        let point = [[4].as_slice(), x, y].concat();
        Self::from_point(curve, &point).ok_or_else(|| ("x", format!("expected a point on {curve}")))
    }

    fn from_point(curve: &str, point: &[u8]) -> Option<Self> {
        Some(match curve {
            "P-256" => Self::P256(
                p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?,
                envelope::elliptic(envelope::P256, point)?,
            ),
            "P-384" => Self::P384(
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?,
                envelope::elliptic(envelope::P384, point)?,
            ),
            _ => Self::P521(p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?),
        })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(..) => Algorithm::Es256,
            Self::P384(..) => Algorithm::Es384,
            Self::P521(_) => Algorithm::Es512,
        }
    }

    pub(super) fn curve(&self) -> &'static str {
        match self {
            Self::P256(..) => "P-256",
            Self::P384(..) => "P-384",
            Self::P521(_) => "P-521",
        }
    }

    /// Both coordinates.
    pub(super) fn coordinates(&self) -> (Vec<u8>, Vec<u8>) {
        let point = match self {
            Self::P256(key, _) => key.to_sec1_point(false).as_bytes().to_vec(),
            Self::P384(key, _) => key.to_sec1_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        };
        let (_, coordinates) = point.split_first().unwrap_or((&0, &[]));
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        (x.to_vec(), y.to_vec())
    }

    /// The SubjectPublicKeyInfo in DER, where there are hosts that take it.
    pub(in crate::identity) fn spki(&self) -> Option<&[u8]> {
        match self {
            Self::P256(_, spki) | Self::P384(_, spki) => Some(spki),
            Self::P521(_) => None,
        }
    }

    /// Reads a signature as JWS has it: both numbers, in as many bytes as the order (RFC 7518 §3.4).
    pub(in crate::identity) fn signature(&self, bytes: &[u8]) -> Option<EllipticSignature> {
        Some(match self {
            Self::P256(..) => {
                EllipticSignature::P256(p256::ecdsa::Signature::from_slice(bytes).ok()?)
            }
            Self::P384(..) => {
                EllipticSignature::P384(p384::ecdsa::Signature::from_slice(bytes).ok()?)
            }
            Self::P521(_) => {
                EllipticSignature::P521(p521::ecdsa::Signature::from_slice(bytes).ok()?)
            }
        })
    }

    pub(in crate::identity) fn verifies(
        &self,
        message: &[u8],
        signature: &EllipticSignature,
    ) -> bool {
        let digest = self.algorithm().hash().digest(&[message]);
        match (self, signature) {
            (Self::P256(key, _), EllipticSignature::P256(signature)) => {
                key.verify_prehash(&digest, signature).is_ok()
            }
            (Self::P384(key, _), EllipticSignature::P384(signature)) => {
                key.verify_prehash(&digest, signature).is_ok()
            }
            (Self::P521(key), EllipticSignature::P521(signature)) => {
                key.verify_prehash(&digest, signature).is_ok()
            }
            _ => false,
        }
    }
}

impl EllipticSignature {
    /// As an ECDSA-Sig-Value (RFC 3279 §2.2.3) in DER, which is what hosts take.
    pub(in crate::identity) fn to_der(&self) -> Vec<u8> {
        match self {
            Self::P256(signature) => der(&signature.to_bytes()),
            Self::P384(signature) => der(&signature.to_bytes()),
            Self::P521(signature) => der(&signature.to_bytes()),
        }
    }
}

/// Two INTEGERs in a SEQUENCE (X.690 §8.3, §8.9), of two positive numbers of the same length. By hand: a library of all of
/// DER is much code for what comes to 72 bytes.
fn der(numbers: &[u8]) -> Vec<u8> {
    const INTEGER: u8 = 2;
    const SEQUENCE: u8 = 0x30;
    const LONG: u8 = 0x81;
    let (first, second) = numbers.split_at(numbers.len() / 2);
    let integers = [first, second].map(|number| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        // Else it would be negative.
        let sign: &[u8] = if digits.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
        (sign, digits)
    });
    // At most 66 bytes of digits: each length is one byte.
    let length = |(sign, digits): &(&[u8], &[u8])| sign.len().saturating_add(digits.len()) as u8;
    let total = integers.iter().fold(0_u8, |sum, integer| sum.saturating_add(2 + length(integer)));
    let mut der = Vec::with_capacity(usize::from(total).saturating_add(3));
    der.push(SEQUENCE);
    der.extend((total >= 0x80).then_some(LONG));
    der.push(total);
    for (sign, digits) in &integers {
        der.extend_from_slice(&[INTEGER, length(&(sign, digits))]);
        der.extend_from_slice(sign);
        der.extend_from_slice(digits);
    }
    der
}

/// An Ed25519 key.
#[derive(Clone)]
pub(in crate::identity) struct EdwardsKey(ed25519_dalek::VerifyingKey);

impl EdwardsKey {
    /// Takes a compressed point. Not one of small order, which anybody can sign for, and not one whose coordinate is written
    /// larger than the field (RFC 8032 §5.1.3), which libraries read differently.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        if !is_canonical(bytes) {
            return None;
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// RFC 8032 §5.1.7, the strict way: S below the order, and neither R nor the key of small order, so that nobody can
    /// make a second signature of one.
    pub(in crate::identity) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

/// Whether the coordinate, little-endian and without its sign, is below 2^255 - 19.
fn is_canonical([first, middle @ .., last]: &[u8; 32]) -> bool {
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_as_the_library_writes_them() {
        let of = |bytes: &[u8]| [bytes, bytes].concat();
        let mut small = [0; 32];
        small[31] = 1;
        let mut high = [0; 32];
        high[5] = 0x80;
        let mut low = [0xff; 32];
        low[0] = 0x7f;
        for number in [small, high, low, [0x80; 32], [1; 32]] {
            for numbers in [of(&number), [number, small].concat(), [small, number].concat()] {
                let signature = p256::ecdsa::Signature::from_slice(&numbers).unwrap();
                let by_hand = EllipticSignature::P256(signature).to_der();
                assert_eq!(by_hand, signature.to_der().as_bytes(), "{numbers:?}");
            }
        }
        let long = p384::ecdsa::Signature::from_slice(&of(&[0x80; 48])).unwrap();
        assert_eq!(EllipticSignature::P384(long).to_der(), long.to_der().as_bytes());
        let mut number = [0xff; 66];
        (number[0], number[1]) = (1, 0);
        let longest = p521::ecdsa::Signature::from_slice(&of(&number)).unwrap();
        assert_eq!(EllipticSignature::P521(longest).to_der(), longest.to_der().as_bytes());
    }

    #[test]
    fn weak_edwards_points_are_no_keys() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        // The identity once more, as 2^255 - 18.
        let mut larger = [0xff; 32];
        (larger[0], larger[31]) = (0xee, 0x7f);
        for point in [identity, [0; 32], order_two, larger] {
            assert!(EdwardsKey::new(&point).is_none(), "{point:?}");
        }
        assert!(is_canonical(&order_two) && !is_canonical(&larger));
        assert!(EdwardsKey::new(&[1; 31]).is_none() && EdwardsKey::new(&[]).is_none());
    }
}
