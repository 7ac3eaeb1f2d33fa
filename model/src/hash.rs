//! From a feature's name to its bucket.

/// Size of the feature space. Every id is below it.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 17;

/// FNV-1a, 32 bits, folded to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u32);

impl Hash {
    pub(crate) fn new(salt: u8) -> Self {
        Self(0x811c_9dc5).word(u32::from(salt))
    }

    pub(crate) fn text(self, text: &str) -> Self {
        text.bytes().fold(self, |hash, byte| hash.word(u32::from(byte)))
    }

    /// Takes in 32 bits at once: a character, or another hash.
    pub(crate) fn word(self, word: u32) -> Self {
        Self((self.0 ^ word).wrapping_mul(0x0100_0193))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        // Not FNV's own step, under which pairs of similar words would fall together.
        Self(self.0.rotate_left(13).wrapping_mul(0x9e37_79b1) ^ other.0.wrapping_mul(0x85eb_ca77))
    }

    /// Always below [`BUCKETS`]: an id out of range would be a fault in the inference engine.
    pub(crate) fn bucket(self) -> u32 {
        // FNV's low bits are its weak ones: mix the high ones in (murmur3's finaliser).
        let mut hash = self.0;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        (hash ^ (hash >> 16)) >> (32 - BUCKET_BITS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_in_the_table(words in prop::collection::vec(any::<u32>(), 0..9)) {
            let hash = words.iter().fold(Hash::new(b'w'), |hash, &word| hash.word(word));
            prop_assert!((hash.bucket() as usize) < BUCKETS);
        }
    }
}
