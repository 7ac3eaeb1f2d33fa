//! Random bytes: WASI's, or the operating system's.

use zeroize::Zeroizing;

/// There are no random numbers. Nothing secret can be made then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host gives no random numbers")]
pub struct NoRandomness;

/// So many bytes that nobody can foretell.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
