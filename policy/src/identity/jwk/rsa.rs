//! RSA signatures (RFC 8017 §8): the power, and the two paddings.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use subtle::ConstantTimeEq as _;

use super::algorithm::{Algorithm, Hash};
use super::{envelope, roca};

/// The bits of a modulus. NIST SP 800-131A and RFC 7518 §3.3 want 2048 at least; the time of a verification grows with
/// the square, and no host takes more than 8192.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The exponents that are taken: 65537, which nearly all keys have, and larger. FIPS 186-5 §5.1 wants more than 2^16: 3
/// is what every forgery against lax paddings has used, and 1 is no signature. BoringSSL and ring end at 33
/// bits: a power takes as long as its exponent.
const EXPONENTS: std::ops::RangeInclusive<u64> = 65_537..=0x1_ffff_ffff;

/// A public key, and what can be computed of it once.
#[derive(Clone)]
pub(in crate::identity) struct RsaKey {
    modulus: Vec<u8>,
    bits: usize,
    exponent: u64,
    arithmetic: BoxedMontyParams,
    spki: Vec<u8>,
}

impl RsaKey {
    /// Takes modulus and exponent in big-endian bytes; else tells which member is wrong, and what was expected there.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, (&'static str, String)> {
        // A zero in front is against RFC 7518 §6.3.1.1 and common nevertheless; it means nothing.
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let first = modulus.first().copied().unwrap_or(u8::MAX);
        let bits = (modulus.len() * 8).saturating_sub(first.leading_zeros() as usize);
        if !MODULUS_BITS.contains(&bits) {
            let (least, most) = (MODULUS_BITS.start(), MODULUS_BITS.end());
            let expected = format!("expected a modulus of {least} to {most} bits, found {bits}");
            return Err(("n", expected));
        }
        let value = exponent
            .iter()
            .try_fold(0u64, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
        let value = value.filter(|value| EXPONENTS.contains(value) && value % 2 == 1);
        let Some(value) = value else {
            return Err(("e", "expected an odd exponent of 65537 (AQAB) to 2^33".to_owned()));
        };
        if roca::is_fingerprinted(modulus) {
            let expected = "expected a key that is not of the kind of CVE-2017-15361 (ROCA), which anybody can \
                factor";
            return Err(("n", expected.to_owned()));
        }
        if roca::has_small_factor(modulus) {
            return Err(("n", NO_MODULUS.to_owned()));
        }
        let odd = Option::from(Odd::new(BoxedUint::from_be_slice_vartime(modulus)))
            .ok_or_else(|| ("n", NO_MODULUS.to_owned()))?;
        let spki = envelope::rsa(modulus, exponent).ok_or_else(|| ("n", NO_MODULUS.to_owned()))?;
        Ok(Self {
            modulus: modulus.to_vec(),
            bits,
            exponent: value,
            arithmetic: BoxedMontyParams::new_vartime(odd),
            spki,
        })
    }

    /// The modulus in big-endian bytes, as few as possible (RFC 7518 §2, Base64urlUInt).
    pub(super) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Likewise the exponent.
    pub(super) fn exponent(&self) -> Vec<u8> {
        without_leading_zeros(&self.exponent.to_be_bytes()).to_vec()
    }

    pub(super) fn bits(&self) -> usize {
        self.bits
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(in crate::identity) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether a signature is one at all: a number below the modulus, in as many bytes (RFC 8017 §5.2.2, §8.1.2).
    /// To be asked before any host is.
    pub(in crate::identity) fn is_in_range(&self, signature: &[u8]) -> bool {
        signature.len() == self.modulus.len() && signature < self.modulus.as_slice()
    }

    /// Verifies a signature by one of the RSA algorithms.
    pub(in crate::identity) fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let hash = algorithm.hash();
        let Some(encoded) = self.encoded_message(signature) else { return false };
        match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
                let expected = pkcs1(hash, &hash.digest(&[message]), self.modulus.len());
                expected.is_some_and(|expected| encoded.ct_eq(&expected).into())
            }
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
                pss_verifies(hash, &hash.digest(&[message]), &encoded, self.bits.saturating_sub(1))
            }
            _ => false,
        }
    }

    /// The padded digest that was signed (RSAVP1, RFC 8017 §5.2.2), in as many bytes as the modulus. Nothing in it is
    /// secret: powers by squaring, one step for each bit of the exponent.
    fn encoded_message(&self, signature: &[u8]) -> Option<Vec<u8>> {
        if !self.is_in_range(signature) {
            return None;
        }
        let base = BoxedUint::from_be_slice(signature, self.arithmetic.bits_precision()).ok()?;
        let base = BoxedMontyForm::new(base, &self.arithmetic);
        let mut power = base.clone();
        let bits = u64::BITS - self.exponent.leading_zeros();
        for bit in (0..bits.saturating_sub(1)).rev() {
            power = power.square();
            if self.exponent >> bit & 1 == 1 {
                power = power.mul(&base);
            }
        }
        let bytes = power.retrieve().to_be_bytes();
        // Whole limbs: zeros in front.
        bytes.get(bytes.len().checked_sub(self.modulus.len())?..).map(<[u8]>::to_vec)
    }
}

const NO_MODULUS: &str = "expected the product of two large primes";

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2) in `length` bytes. There is one encoding of a digest; to compare with it is safe where
/// parsing what was signed has let forgeries in (CVE-2006-4339 and its kin).
fn pkcs1(hash: Hash, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    // DigestInfo with NULL parameters (RFC 8017 §9.2, note 1); its last byte is the digest's length.
    let prefix: &[u8; 19] = match hash {
        Hash::Sha256 => {
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
        }
        Hash::Sha384 => {
            b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
        }
        Hash::Sha512 => {
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
        }
    };
    let filled = length.checked_sub(prefix.len() + digest.len() + 3)?;
    let mut encoded = vec![0, 1];
    encoded.resize(filled.checked_add(2)?, 0xff);
    encoded.push(0);
    encoded.extend_from_slice(prefix);
    encoded.extend_from_slice(digest);
    Some(encoded)
}

/// EMSA-PSS-VERIFY (RFC 8017 §9.1.2) with MGF1 by the same hash and a salt as long as a digest (RFC 7518 §3.5). `bits` is one
/// less than the modulus has.
fn pss_verifies(hash: Hash, digest: &[u8], encoded: &[u8], bits: usize) -> bool {
    let length = hash.length();
    let encoded_length = bits.div_ceil(8);
    // Where the modulus begins a byte with its first bit, the message is a byte shorter than it.
    let Some((spare, encoded)) =
        encoded.len().checked_sub(encoded_length).and_then(|spare| encoded.split_at_checked(spare))
    else {
        return false;
    };
    let Some((masked, rest)) =
        encoded_length.checked_sub(length + 1).and_then(|masked| encoded.split_at_checked(masked))
    else {
        return false;
    };
    let Some((signed, [0xbc])) = rest.split_at_checked(length) else { return false };
    let unused_bits = (8 * encoded_length).saturating_sub(bits);
    let used = 0xffu8.checked_shr(u32::try_from(unused_bits).unwrap_or(u32::MAX)).unwrap_or(0);
    if spare.iter().any(|byte| *byte != 0) || masked.first().is_none_or(|first| first & !used != 0)
    {
        return false;
    }
    let mut block: Vec<u8> = masked
        .iter()
        .zip(mgf1(hash, signed, masked.len()))
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    if let Some(first) = block.first_mut() {
        *first &= used;
    }
    let Some((padding, salt)) =
        block.len().checked_sub(length).and_then(|padding| block.split_at_checked(padding))
    else {
        return false;
    };
    let Some((1, zeros)) = padding.split_last() else { return false };
    zeros.iter().all(|byte| *byte == 0)
        && hash.digest(&[&[0; 8], digest, salt]).ct_eq(signed).into()
}

/// MGF1 (RFC 8017 appendix B.2.1).
fn mgf1(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0u32..).map(|counter| hash.digest(&[seed, &counter.to_be_bytes()]));
    blocks.flatten().take(length).collect()
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
