//! MP3 (ISO/IEC 11172-3 and 13818-3, layer III): frames, between tags.

use super::reader::Reader;
use super::{Fault, TRUNCATED};

/// Kilobits per second of MPEG 1, and of MPEG 2 and 2.5.
const RATES: [[u32; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Samples per second of MPEG 1.
const SAMPLES: [u32; 3] = [44_100, 48_000, 32_000];

/// The frames without tags.
pub(super) fn walk(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut frames = bytes;
    while frames.starts_with(b"ID3") {
        frames = after_tag(frames).ok_or(TRUNCATED)?;
    }
    // ID3v1: 128 bytes at the end.
    if let Some((rest, tag)) = frames.len().checked_sub(128).map(|at| frames.split_at(at))
        && tag.starts_with(b"TAG")
    {
        frames = rest;
    }
    let mut reader = Reader::new(frames);
    while !reader.is_at_end() {
        let length =
            frame_length(reader.rest()).ok_or("frames of MPEG audio, layer III, and tags only")?;
        reader.take_long(length).ok_or(TRUNCATED)?;
    }
    if frames.is_empty() {
        return Err("a file with sound");
    }
    Ok(frames.to_vec())
}

/// What follows an ID3v2 tag.
fn after_tag(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let _name_and_version = reader.take(5)?;
    let flags = reader.byte()?;
    // Seven bits of each byte.
    let length = reader.name()?.iter().try_fold(0_u32, |length, byte| {
        (*byte < 0x80).then_some((length << 7) | u32::from(*byte))
    })?;
    reader.take_long(length)?;
    if flags & 0x10 != 0 {
        reader.take(10)?;
    }
    Some(reader.rest())
}

/// How long the frame is that begins here.
fn frame_length(bytes: &[u8]) -> Option<u32> {
    let header = Reader::new(bytes).big_32()?;
    let bits = |from: u32, count: u32| (header >> from) & ((1 << count) - 1);
    let (version, layer) = (bits(19, 2), bits(17, 2));
    if bits(21, 11) != 0x7ff || version == 1 || layer != 1 {
        return None;
    }
    // 3 is MPEG 1, 2 is MPEG 2 with half of the samples, 0 is MPEG 2.5 with a quarter.
    let (table, divisor) = match version {
        3 => (RATES.first()?, 1),
        2 => (RATES.last()?, 2),
        _ => (RATES.last()?, 4),
    };
    let rate = table.get(usize::try_from(bits(12, 4)).ok()?.checked_sub(1)?)?.checked_mul(1000)?;
    let samples = SAMPLES.get(usize::try_from(bits(10, 2)).ok()?)? / divisor;
    let factor = if version == 3 { 144 } else { 72 };
    (rate.checked_mul(factor)? / samples).checked_add(bits(9, 1))
}
