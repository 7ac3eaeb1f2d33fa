//! WebP (RFC 9649): a RIFF container with a VP8 or VP8L picture, or frames of them.

use super::reader::Reader;
use super::{Canvas, Fault, TRAILING, TRUNCATED, exif};

/// The flags of a VP8X chunk.
const HAS_EXIF: u8 = 0x08;
const METADATA: u8 = 0x20 | HAS_EXIF | 0x04;

/// The picture without colour profile and metadata.
pub(super) fn walk(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(bytes);
    riff(&mut reader, b"WEBP")?;
    let mut plain = Vec::with_capacity(bytes.len());
    let first = Chunk::read(&mut reader)?;
    let Some((flags, width, height)) = extended(&first) else {
        let (width, height) = bitstream(&first).ok_or("a picture that WebP has")?;
        Canvas::new(width, height, max_pixels)?;
        put(&mut plain, &first.name, first.data);
        return if reader.is_at_end() { Ok(container(b"WEBP", &plain)) } else { Err(TRAILING) };
    };
    let mut canvas = Canvas::new(width, height, max_pixels)?;
    let is_animated = flags & 0x02 != 0;
    let (mut frames, mut minimal) = (0_usize, None);
    while !reader.is_at_end() {
        let chunk = Chunk::read(&mut reader)?;
        match &chunk.name {
            b"VP8 " | b"VP8L" if !is_animated && frames == 0 => {
                if bitstream(&chunk) != Some((width, height)) {
                    return Err("a picture as large as its canvas");
                }
                frames = 1;
            }
            b"ANMF" if is_animated => {
                frame(&chunk, width, height)?;
                canvas.add_frame()?;
                frames = frames.saturating_add(1);
            }
            b"ANIM" if is_animated && frames == 0 => {}
            b"ALPH" if !is_animated && frames == 0 => {}
            b"VP8 " | b"VP8L" | b"VP8X" | b"ANMF" | b"ANIM" | b"ALPH" => {
                return Err("one picture, or frames of one");
            }
            b"EXIF" if minimal.is_none() => {
                // Some writers begin it as in JPEG.
                let data = chunk.data.strip_prefix(b"Exif\0\0").unwrap_or(chunk.data);
                minimal = Some(exif::minimal(data));
                continue;
            }
            _ => continue,
        }
        put(&mut plain, &chunk.name, chunk.data);
    }
    if frames == 0 {
        return Err("a picture with a frame");
    }
    let minimal = minimal.flatten();
    let flags = (flags & !METADATA) | if minimal.is_some() { HAS_EXIF } else { 0 };
    let mut chunks = Vec::with_capacity(bytes.len());
    let header = first.data.get(1..).unwrap_or_default();
    put(&mut chunks, &first.name, &[&[flags], header].concat());
    chunks.append(&mut plain);
    if let Some(exif) = minimal {
        put(&mut chunks, b"EXIF", &exif);
    }
    Ok(container(b"WEBP", &chunks))
}

/// The beginning of a RIFF file of a kind, which must be as long as it says.
pub(super) fn riff(reader: &mut Reader<'_>, kind: &[u8; 4]) -> Result<(), Fault> {
    let mut head =
        || Some((reader.name()?, reader.little_32()?, reader.rest().len(), reader.name()?));
    let (name, length, actual, found) = head().ok_or(TRUNCATED)?;
    if &name != b"RIFF" || &found != kind {
        return Err(TRUNCATED);
    }
    match usize::try_from(length).map(|length| length.cmp(&actual)) {
        Ok(std::cmp::Ordering::Equal) => Ok(()),
        Ok(std::cmp::Ordering::Less) => Err(TRAILING),
        _ => Err(TRUNCATED),
    }
}

/// A RIFF file of a kind, of these chunks.
pub(super) fn container(kind: &[u8; 4], chunks: &[u8]) -> Vec<u8> {
    let length = u32::try_from(chunks.len().saturating_add(4)).unwrap_or(u32::MAX);
    [b"RIFF", length.to_le_bytes().as_slice(), kind, chunks].concat()
}

pub(super) fn put(chunks: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    chunks.extend_from_slice(name);
    chunks.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    chunks.extend_from_slice(data);
    if data.len() % 2 == 1 {
        chunks.push(0);
    }
}

/// A chunk of a RIFF file.
pub(super) struct Chunk<'a> {
    pub(super) name: [u8; 4],
    pub(super) data: &'a [u8],
}

impl<'a> Chunk<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let mut read = || {
            let (name, length) = (reader.name()?, reader.little_32()?);
            let data = reader.take_long(length)?;
            let padding = if data.len() % 2 == 1 { reader.byte()? } else { 0 };
            Some((Self { name, data }, padding))
        };
        match read().ok_or(TRUNCATED)? {
            (chunk, 0) => Ok(chunk),
            _ => Err("chunks filled up with noughts"),
        }
    }
}

/// The flags and the canvas of a picture in the extended format.
fn extended(chunk: &Chunk<'_>) -> Option<(u8, u32, u32)> {
    let mut reader = Reader::new(chunk.data);
    if &chunk.name != b"VP8X" || chunk.data.len() != 10 {
        return None;
    }
    let flags = reader.byte()?;
    let _reserved = reader.little_24()?;
    let (width, height) = (reader.little_24()?, reader.little_24()?);
    Some((flags, width.checked_add(1)?, height.checked_add(1)?))
}

/// The size that a picture itself says.
fn bitstream(chunk: &Chunk<'_>) -> Option<(u32, u32)> {
    let mut reader = Reader::new(chunk.data);
    match &chunk.name {
        b"VP8 " => {
            // A key frame that is shown.
            let is_picture = reader.little_24()? & 0x11 == 0x10;
            let is_start = reader.take(3)? == b"\x9d\x01\x2a";
            let (width, height) = (reader.little_16()? & 0x3fff, reader.little_16()? & 0x3fff);
            (is_picture && is_start).then_some((u32::from(width), u32::from(height)))
        }
        b"VP8L" => {
            let is_picture = reader.byte()? == 0x2f;
            let size = reader.little_32()?;
            // The version is nought.
            let is_known = is_picture && size >> 29 == 0;
            is_known.then_some(((size & 0x3fff) + 1, ((size >> 14) & 0x3fff) + 1))
        }
        _ => None,
    }
}

/// A frame of an animation, which lies within the picture and has nothing but a picture in it.
fn frame(chunk: &Chunk<'_>, width: u32, height: u32) -> Result<(), Fault> {
    let mut reader = Reader::new(chunk.data);
    let mut read = || {
        let (left, top) =
            (reader.little_24()?.checked_mul(2)?, reader.little_24()?.checked_mul(2)?);
        let frame_width = reader.little_24()?.checked_add(1)?;
        let frame_height = reader.little_24()?.checked_add(1)?;
        let _duration_and_flags = reader.take(4)?;
        let is_inside =
            left.checked_add(frame_width)? <= width && top.checked_add(frame_height)? <= height;
        is_inside.then_some((frame_width, frame_height))
    };
    let size = read().ok_or("frames inside of the picture")?;
    let mut first = Chunk::read(&mut reader)?;
    if &first.name == b"ALPH" {
        first = Chunk::read(&mut reader)?;
    }
    match bitstream(&first) == Some(size) && reader.is_at_end() {
        true => Ok(()),
        false => Err("frames that are one picture each"),
    }
}
