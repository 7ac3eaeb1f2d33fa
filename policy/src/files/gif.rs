//! GIF (87a and 89a).

use super::reader::Reader;
use super::{Canvas, Fault, TRAILING, TRUNCATED};

/// How often an animation is shown, by the two programs that said so first.
const LOOPS: [&[u8]; 2] = [b"NETSCAPE2.0", b"ANIMEXTS1.0"];

/// The picture without comments and what programs put into it.
pub(super) fn walk(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(bytes);
    let mut plain = Vec::with_capacity(bytes.len());
    let (width, height) = screen(&mut reader).ok_or(TRUNCATED)?;
    let mut canvas = Canvas::new(u32::from(width), u32::from(height), max_pixels)?;
    keep(&mut plain, bytes, 0, &reader);
    let mut has_frame = false;
    loop {
        let start = bytes.len().saturating_sub(reader.rest().len());
        match reader.byte().ok_or(TRUNCATED)? {
            b';' => {
                plain.push(b';');
                return match (has_frame, reader.is_at_end()) {
                    (false, _) => Err("a picture with a frame"),
                    (true, true) => Ok(plain),
                    (true, false) => Err(TRAILING),
                };
            }
            b',' => {
                has_frame = true;
                canvas.add_frame()?;
                if !frame(&mut reader, width, height).ok_or(TRUNCATED)? {
                    return Err("frames inside of the picture");
                }
                keep(&mut plain, bytes, start, &reader);
            }
            b'!' => {
                if extension(&mut reader)? {
                    keep(&mut plain, bytes, start, &reader);
                }
            }
            _ => return Err("frames and extensions only"),
        }
    }
}

/// What was read since `start`.
fn keep(plain: &mut Vec<u8>, bytes: &[u8], start: usize, reader: &Reader<'_>) {
    let end = bytes.len().saturating_sub(reader.rest().len());
    plain.extend_from_slice(bytes.get(start..end).unwrap_or_default());
}

/// The header, and the size of the picture.
fn screen(reader: &mut Reader<'_>) -> Option<(u16, u16)> {
    let _version = reader.take(6)?;
    let (width, height) = (reader.little_16()?, reader.little_16()?);
    let flags = reader.byte()?;
    let _background_and_aspect = reader.take(2)?;
    colours(reader, flags)?;
    Some((width, height))
}

fn colours(reader: &mut Reader<'_>, flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        reader.take(3 << ((flags & 7) + 1))?;
    }
    Some(())
}

/// Whether a frame lies within the picture.
fn frame(reader: &mut Reader<'_>, width: u16, height: u16) -> Option<bool> {
    let (left, top) = (reader.little_16()?, reader.little_16()?);
    let (frame_width, frame_height) = (reader.little_16()?, reader.little_16()?);
    let flags = reader.byte()?;
    colours(reader, flags)?;
    let code_size = reader.byte()?;
    blocks(reader)?;
    let is_inside = left.checked_add(frame_width).is_some_and(|right| right <= width)
        && top.checked_add(frame_height).is_some_and(|bottom| bottom <= height);
    Some(is_inside && frame_width > 0 && frame_height > 0 && (1..=11).contains(&code_size))
}

/// Blocks up to the empty one.
fn blocks(reader: &mut Reader<'_>) -> Option<()> {
    loop {
        match reader.byte()? {
            0 => return Some(()),
            length => reader.take(usize::from(length))?,
        };
    }
}

/// Whether an extension says how the picture is shown.
fn extension(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    let label = reader.byte().ok_or(TRUNCATED)?;
    let before = reader.rest();
    blocks(reader).ok_or(TRUNCATED)?;
    let length = before.len().saturating_sub(reader.rest().len());
    let content = before.get(..length).unwrap_or_default();
    match label {
        // How long a frame stays, and which colour is none: four bytes.
        0xf9 => match content {
            [4, _, _, _, _, 0] => Ok(true),
            _ => Err("control extensions of four bytes"),
        },
        // Text that only some readers show would be another picture for others.
        0x01 => Err("no text in place of a frame"),
        0xff => Ok(LOOPS.iter().any(|program| {
            let blocks = content.strip_prefix(&[11]).and_then(|rest| rest.strip_prefix(*program));
            matches!(blocks, Some([3, 1, _, _, 0]))
        })),
        _ => Ok(false),
    }
}
