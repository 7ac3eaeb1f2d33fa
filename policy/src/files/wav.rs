//! WAV: a RIFF container with samples.

use super::reader::Reader;
use super::webp::{Chunk, container, put, riff};
use super::{Fault, TRUNCATED};

/// PCM, floating point, A-law, µ-law, and an extension of these.
const FORMATS: [u16; 5] = [1, 3, 6, 7, 0xfffe];

/// The samples, and what they are; without names, places and pictures.
pub(super) fn walk(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(bytes);
    riff(&mut reader, b"WAVE")?;
    let mut chunks = Vec::with_capacity(bytes.len());
    let (mut has_format, mut has_data) = (false, false);
    while !reader.is_at_end() {
        let chunk = Chunk::read(&mut reader)?;
        match &chunk.name {
            b"fmt " if !has_format && !has_data => {
                let format = Reader::new(chunk.data).little_16().ok_or(TRUNCATED)?;
                if !FORMATS.contains(&format) || !matches!(chunk.data.len(), 16 | 18 | 40) {
                    return Err("samples that are not compressed");
                }
                has_format = true;
            }
            b"data" if has_format && !has_data => has_data = true,
            b"fact" if chunk.data.len() == 4 => {}
            b"fmt " | b"data" => return Err("samples once, behind what they are"),
            _ => continue,
        }
        put(&mut chunks, &chunk.name, chunk.data);
    }
    match has_data {
        true => Ok(container(b"WAVE", &chunks)),
        false => Err("a file with samples"),
    }
}
