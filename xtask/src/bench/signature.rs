//! A token's signature as a filter hands it to Envoy's `verify_signature`.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::credentials::Algorithm;

/// `VerifySignatureArguments` of envoy/source/extensions/common/wasm/ext/verify_signature.proto: the hash, the public key as
/// SubjectPublicKeyInfo, the signature (of ECDSA in DER) and what is signed.
pub(super) fn arguments(algorithm: Algorithm, token: &str) -> Result<Vec<u8>> {
    let (message, signature) = token.rsplit_once('.').context("reading the token")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).context("reading the signature")?;
    let set = algorithm.key_set();
    let key = &set["keys"][0];
    let member = |name: &str| {
        let text = key[name].as_str().with_context(|| format!("reading {name} of the key"))?;
        URL_SAFE_NO_PAD.decode(text).with_context(|| format!("reading {name} of the key"))
    };
    let (public_key, signature) = match algorithm {
        Algorithm::Rs256 => {
            let key = sequence(&[integer(&member("n")?), integer(&member("e")?)]);
            (sequence(&[RSA_ENCRYPTION.to_vec(), bits(&key)]), signature)
        }
        Algorithm::Es256 => {
            let point = [&[UNCOMPRESSED][..], &member("x")?, &member("y")?].concat();
            let (r, s) = signature.split_at_checked(32).context("splitting the signature")?;
            (sequence(&[P_256.to_vec(), bits(&point)]), sequence(&[integer(r), integer(s)]))
        }
        Algorithm::EdDsa | Algorithm::Hs256 => {
            bail!("the host does not verify {}", algorithm.name())
        }
    };
    let fields = [(1, &b"sha256"[..]), (2, &public_key), (3, &signature), (4, message.as_bytes())];
    Ok(fields.into_iter().flat_map(|(number, bytes)| field(number, bytes)).collect())
}

/// RFC 8017 §A.1: rsaEncryption, with NULL for its parameters.
const RSA_ENCRYPTION: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// RFC 5480 §2.1.1: id-ecPublicKey, with secp256r1.
const P_256: &[u8] = &[
    0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
];

/// What comes before the coordinates of a point that has both.
const UNCOMPRESSED: u8 = 4;

/// A field of a protobuf message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    let mut rest = bytes.len();
    while rest > 0x7f {
        encoded.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    encoded.push(rest as u8);
    encoded.extend_from_slice(bytes);
    encoded
}

/// DER (X.690 §8.1): a tag, the length, the contents.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let significant = &length[contents.len().leading_zeros() as usize / 8..];
    let mut encoded = vec![tag];
    match contents.len() {
        short @ 0..=0x7f => encoded.push(short as u8),
        _ => {
            encoded.push(0x80 | significant.len() as u8);
            encoded.extend_from_slice(significant);
        }
    }
    encoded.extend_from_slice(contents);
    encoded
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    der(3, &[&[0], bytes].concat())
}

/// A number that is not negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = &bytes[zeros..];
    let sign = if significant.first().is_some_and(|byte| *byte < 0x80) { &[][..] } else { &[0] };
    der(2, &[sign, significant].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_is_as_the_standard_has_it() {
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der(4, &[1; 0x7f])[..2], [4, 0x7f]);
        assert_eq!(der(4, &[1; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(der(4, &[1; 300])[..4], [4, 0x82, 1, 44]);
        assert_eq!(bits(&[9]), [3, 2, 0, 9]);
    }

    #[test]
    fn lengths_are_varints() {
        assert_eq!(field(1, &[7; 127])[..2], [10, 127]);
        assert_eq!(field(4, &[7; 300])[..3], [34, 0xac, 2]);
    }
}
