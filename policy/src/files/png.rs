//! PNG (ISO/IEC 15948, third edition with APNG).

use super::reader::Reader;
use super::{Canvas, Fault, TRAILING, TRUNCATED, exif};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Chunks beside the picture's own that change how it is shown. Colour profiles are not among them: they are compressed, so
/// anything could be in them, and some name the monitor that they were made for.
const SHOWN: [&[u8; 4]; 10] =
    [b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"cICP", b"mDCV", b"cLLI"];

/// Where a walk is, by the data of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Within,
    After,
}

/// The picture without metadata.
pub(super) fn walk(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.take(SIGNATURE.len()) != Some(SIGNATURE) {
        return Err(TRUNCATED);
    }
    let header = Chunk::read(&mut reader)?;
    let (width, height) = dimensions(&header).ok_or("an image header that PNG has")?;
    let mut canvas = Canvas::new(width, height, max_pixels)?;
    canvas.add_frame()?;
    let mut plain = SIGNATURE.to_vec();
    plain.extend_from_slice(header.bytes);
    let (mut state, mut has_palette, mut has_exif) = (State::Before, false, false);
    loop {
        let chunk = Chunk::read(&mut reader)?;
        match &chunk.name {
            b"IEND" if state == State::Before || !chunk.data.is_empty() => {
                return Err("one whole picture");
            }
            b"IEND" => {
                plain.extend_from_slice(chunk.bytes);
                return if reader.is_at_end() { Ok(plain) } else { Err(TRAILING) };
            }
            b"IDAT" if state == State::After => return Err("the picture in one piece"),
            b"IDAT" => {
                state = State::Within;
                plain.extend_from_slice(chunk.bytes);
                continue;
            }
            b"PLTE" => {
                let is_palette = chunk.data.len() % 3 == 0 && (3..=768).contains(&chunk.data.len());
                if has_palette || state != State::Before || !is_palette {
                    return Err("one palette of at most 256 colours");
                }
                has_palette = true;
                plain.extend_from_slice(chunk.bytes);
            }
            b"fcTL" => {
                if !is_frame(&chunk, width, height) {
                    return Err("frames inside of the picture");
                }
                canvas.add_frame()?;
                plain.extend_from_slice(chunk.bytes);
            }
            b"acTL" | b"fdAT" => plain.extend_from_slice(chunk.bytes),
            b"eXIf" if !has_exif => {
                has_exif = true;
                plain.extend(
                    exif::minimal(chunk.data)
                        .map(|exif| made(b"eXIf", &exif))
                        .into_iter()
                        .flatten(),
                );
            }
            name if SHOWN.contains(&name) => plain.extend_from_slice(chunk.bytes),
            // A chunk without which the picture cannot be shown, and that no reader knows.
            [first, ..] if first.is_ascii_uppercase() => return Err("no chunks that PNG has not"),
            _ => {}
        }
        if state == State::Within {
            state = State::After;
        }
    }
}

struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// All of it, with its length and its checksum.
    bytes: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let all = reader.rest();
        let mut read = || {
            let length = reader.big_32()?;
            let name = reader.name()?;
            let data = reader.take_long(length)?;
            Some((name, data, reader.big_32()?))
        };
        let (name, data, checksum) = read().ok_or(TRUNCATED)?;
        let bytes = all.get(..data.len().saturating_add(12)).unwrap_or_default();
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Err("chunks with names");
        }
        // Readers differ about what to do then.
        if checked(bytes) != checksum {
            return Err("chunks with their checksums");
        }
        Ok(Self { name, data, bytes })
    }
}

/// The checksum of a chunk: over its name and its data.
fn checked(chunk: &[u8]) -> u32 {
    let end = chunk.len().saturating_sub(4);
    crc32fast::hash(chunk.get(4..end).unwrap_or_default())
}

fn made(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(0).to_be_bytes();
    let mut chunk = [&length, name.as_slice(), data, &[0; 4]].concat();
    let checksum = checked(&chunk).to_be_bytes();
    let end = chunk.len().saturating_sub(checksum.len());
    chunk.truncate(end);
    chunk.extend_from_slice(&checksum);
    chunk
}

fn dimensions(header: &Chunk<'_>) -> Option<(u32, u32)> {
    if &header.name != b"IHDR" || header.data.len() != 13 {
        return None;
    }
    let mut reader = Reader::new(header.data);
    let (width, height) = (reader.big_32()?, reader.big_32()?);
    let is_known = matches!(
        reader.rest(),
        [1 | 2 | 4 | 8 | 16, 0, 0, 0, 0 | 1]
            | [8 | 16, 2 | 4 | 6, 0, 0, 0 | 1]
            | [1 | 2 | 4 | 8, 3, 0, 0, 0 | 1]
    );
    (is_known && width.max(height) <= i32::MAX.unsigned_abs()).then_some((width, height))
}

/// A frame of an animation that lies within the picture.
fn is_frame(chunk: &Chunk<'_>, width: u32, height: u32) -> bool {
    let mut reader = Reader::new(chunk.data);
    let mut read = || {
        let _number = reader.big_32()?;
        let (frame_width, frame_height) = (reader.big_32()?, reader.big_32()?);
        let (left, top) = (reader.big_32()?, reader.big_32()?);
        let is_inside =
            left.checked_add(frame_width)? <= width && top.checked_add(frame_height)? <= height;
        Some(is_inside && frame_width > 0 && frame_height > 0)
    };
    chunk.data.len() == 26 && read() == Some(true)
}
