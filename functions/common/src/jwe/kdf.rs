//! The key that two parties have agreed upon (RFC 7518 §4.6.2): the Concat KDF of NIST SP 800-56A with SHA-256.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Derives a key of at most 256 bits, for which one round of the function is enough.
pub(super) fn concat_kdf(
    shared: &[u8],
    algorithm: &str,
    apu: &[u8],
    apv: &[u8],
    bits: u32,
) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(1_u32.to_be_bytes());
    hash.update(shared);
    for part in [algorithm.as_bytes(), apu, apv] {
        // All of them are bounded far below that.
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(bits.to_be_bytes());
    Zeroizing::new(hash.finalize().into())
}
