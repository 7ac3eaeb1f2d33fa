//! The content: AES-256 in Galois/Counter Mode (RFC 7518 §5.3).

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

use super::ContentKey;

pub(super) const IV_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;

/// Encrypts in place. `None` only for contents of gigabytes.
pub(super) fn seal(
    key: &ContentKey,
    iv: &[u8; IV_BYTES],
    header: &str,
    content: &mut [u8],
) -> Option<[u8; TAG_BYTES]> {
    let cipher = Aes256Gcm::new_from_slice(key.as_slice()).ok()?;
    let tag =
        cipher.encrypt_inout_detached(&Nonce::from(*iv), header.as_bytes(), content.into()).ok()?;
    Some(tag.into())
}

/// Decrypts in place. `None` where anything of it was changed.
pub(super) fn open(
    key: &ContentKey,
    iv: &[u8; IV_BYTES],
    header: &str,
    ciphertext: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let cipher = Aes256Gcm::new_from_slice(key.as_slice()).ok()?;
    let (iv, tag) = (Nonce::from(*iv), Tag::from(*tag));
    cipher.decrypt_inout_detached(&iv, header.as_bytes(), ciphertext.into(), &tag).ok()
}
