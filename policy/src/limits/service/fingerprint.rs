//! What stands for a key of a limit at the service, and in the leases on what it grants.

/// 128 bits of a SHA-256: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedFingerprint([u8; Self::BYTES]);

impl SharedFingerprint {
    /// How many bytes it has.
    pub(super) const BYTES: usize = 16;

    pub(crate) fn of(digest: &[u8; 32]) -> Self {
        let [half, _] = digest.as_chunks::<{ Self::BYTES }>().0 else { return Self([0; 16]) };
        Self(*half)
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Its first 64 bits, for choosing a slot.
    pub(super) fn number(self) -> u64 {
        self.0.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}
