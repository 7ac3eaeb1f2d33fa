//! The compact serialisation (RFC 7516 §7.1), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::content::{IV_BYTES, TAG_BYTES};
use super::{BODY_LIMIT, JweError};

/// The longest header, encoded. A public RSA key of 4096 bits in it is 700 bytes.
const MAXIMUM_HEADER_BYTES: usize = 8 * 1024;

/// The longest encrypted key, encoded: RSA with 4096 bits.
const MAXIMUM_KEY_BYTES: usize = 512_usize.div_ceil(3) * 4;

/// The parts of a message.
pub(super) struct Compact<'a> {
    /// As it came: that is what is authenticated.
    pub(super) encoded_header: &'a str,
    pub(super) header: Vec<u8>,
    pub(super) encrypted_key: Vec<u8>,
    pub(super) iv: [u8; IV_BYTES],
    /// Becomes the content.
    pub(super) ciphertext: Zeroizing<Vec<u8>>,
    pub(super) tag: [u8; TAG_BYTES],
}

impl<'a> Compact<'a> {
    pub(super) fn split(body: &'a [u8]) -> Result<Self, JweError> {
        Self::split_within(BODY_LIMIT.bytes, body)
    }

    /// With another bound than that of requests.
    pub(super) fn split_within(most: usize, body: &'a [u8]) -> Result<Self, JweError> {
        const EXPECTED: JweError = JweError::Refused(
            "expected five parts in base64url without padding, dots between them",
        );
        if body.len() > most {
            return Err(JweError::Refused("expected a shorter message"));
        }
        let text = std::str::from_utf8(body).map_err(|_| EXPECTED)?;
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(EXPECTED);
        let (header, key, iv, ciphertext, tag) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(EXPECTED);
        }
        if header.len() > MAXIMUM_HEADER_BYTES {
            return Err(JweError::Refused("expected a shorter header"));
        }
        if key.len() > MAXIMUM_KEY_BYTES {
            return Err(JweError::Refused("expected a shorter encrypted key"));
        }
        let decode = |part: &str| decode(part).ok_or(EXPECTED);
        const LENGTHS: JweError = JweError::Refused("expected an iv of 12 bytes and a tag of 16");
        Ok(Self {
            encoded_header: header,
            header: decode(header)?,
            encrypted_key: decode(key)?,
            iv: decode(iv)?.try_into().map_err(|_| LENGTHS)?,
            ciphertext: Zeroizing::new(decode(ciphertext)?),
            tag: decode(tag)?.try_into().map_err(|_| LENGTHS)?,
        })
    }
}

/// Strict base64url (RFC 7515 §2): no padding, nothing in bits that are not used, no other characters. So there is one
/// way to write each value.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_write_each_value() {
        assert_eq!(decode("AQ").unwrap(), [1]);
        for other in ["AR", "AQ==", "AQ=", "A", "A+", "A/", "AQ\n", " AQ", "A Q", "é"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        assert_eq!(decode("").unwrap(), [0; 0]);
    }
}
