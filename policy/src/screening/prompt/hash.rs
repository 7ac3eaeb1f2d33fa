//! From words and classes to weights. Integers only: the same on every platform, and in the training script.

const FNV_PRIME: u64 = 0x0100_0000_01b3;
/// What the hash of nothing is.
pub(super) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
pub(super) const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
/// The hash of a row of words is theirs, each times this to the power of its place from behind.
pub(super) const CHAIN: u64 = 0xd134_2543_de82_ef95;
/// There are two to the power of this many weights.
pub(super) const BITS: u32 = 16;

/// What a feature is made of, so that a word and a pair of the same hash do not meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    Word = 1,
    Pair,
    Triple,
    Start,
    Gap,
    GapWord,
    Class,
    ClassPair,
    ClassTriple,
    Together,
    Stem,
}

/// FNV-1a, 64 bits.
pub(super) fn fnv(text: &str) -> u64 {
    text.bytes().fold(FNV_OFFSET, fnv_step)
}

pub(super) fn fnv_step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
}

/// The hash with one character more.
pub(super) fn step(hash: u64, character: char) -> u64 {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => fnv_step(hash, byte),
        _ => character.encode_utf8(&mut [0; 4]).bytes().fold(hash, fnv_step),
    }
}

/// Appends to a row.
pub(super) fn chain(row: u64, next: u64) -> u64 {
    row.wrapping_mul(CHAIN).wrapping_add(next)
}

/// The weight of a feature.
pub(super) fn bucket(made: Made, value: u64) -> u16 {
    let mixed = value.wrapping_add((made as u64).wrapping_mul(CHAIN)).wrapping_mul(MIX);
    (mixed >> (u64::BITS - BITS)) as u16
}
