//! JPEG (ISO/IEC 10918-1): baseline, extended and progressive, of one frame.

use memchr::memchr;

use super::reader::Reader;
use super::{Canvas, Fault, TRAILING, TRUNCATED, exif};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// A progressive picture has some ten scans. Each makes a decoder go through all pixels again.
const MAXIMUM_SCANS: usize = 100;

/// The picture without metadata.
pub(super) fn walk(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.take(2) != Some(&[0xff, START]) {
        return Err(TRUNCATED);
    }
    let mut plain = vec![0xff, START];
    let (mut has_frame, mut scans, mut has_exif) = (false, 0_usize, false);
    loop {
        let marker = marker(&mut reader).ok_or("segments that begin with a marker")?;
        if marker == END {
            plain.extend_from_slice(&[0xff, END]);
            return match (scans, reader.is_at_end()) {
                (0, _) => Err("a picture with a scan"),
                (_, true) => Ok(plain),
                // Some cameras put a second picture there, which nobody would have looked at.
                (_, false) => Err(TRAILING),
            };
        }
        let data = segment(&mut reader, marker)?;
        match marker {
            0xc0..=0xc2 => {
                if has_frame {
                    return Err("one frame");
                }
                has_frame = true;
                let (width, height) = dimensions(data).ok_or("a frame that JPEG has")?;
                Canvas::new(width, height, max_pixels)?;
                put(&mut plain, marker, data);
            }
            SCAN => {
                scans = scans.saturating_add(1);
                if !has_frame || scans > MAXIMUM_SCANS {
                    return Err("scans of one frame, and not many of them");
                }
                put(&mut plain, marker, data);
                plain.extend_from_slice(entropy(&mut reader).ok_or(TRUNCATED)?);
            }
            // Tables, and how often a scan begins anew.
            0xc4 | 0xdb | 0xdd => put(&mut plain, marker, data),
            // JFIF, without the thumbnail: it may be another picture than the one that is seen.
            0xe0 if data.starts_with(b"JFIF\0") && data.len() >= 14 => {
                put(&mut plain, marker, &[data.get(..12).unwrap_or_default(), &[0, 0]].concat());
            }
            0xe1 => {
                if let Some(exif) = data.strip_prefix(b"Exif\0\0")
                    && !has_exif
                {
                    has_exif = true;
                    if let Some(exif) = exif::minimal(exif) {
                        put(&mut plain, marker, &[b"Exif\0\0", exif.as_slice()].concat());
                    }
                }
            }
            // How colours are to be read.
            0xee if data.starts_with(b"Adobe") && data.len() == 12 => put(&mut plain, marker, data),
            0xe0..=0xef | 0xfe => {}
            // Lossless, hierarchical and arithmetic coding, heights that come later: readers know them or do not.
            _ => return Err("a baseline or progressive picture"),
        }
    }
}

/// The next marker. Any number of 0xff may stand before it.
fn marker(reader: &mut Reader<'_>) -> Option<u8> {
    if reader.byte()? != 0xff {
        return None;
    }
    loop {
        match reader.byte()? {
            0xff => {}
            marker => return Some(marker),
        }
    }
}

/// What a marker is about.
fn segment<'a>(reader: &mut Reader<'a>, marker: u8) -> Result<&'a [u8], Fault> {
    if matches!(marker, 0 | 1 | 0xd0..=0xd8) {
        return Err("markers where they may be");
    }
    let length = reader.big_16().and_then(|length| length.checked_sub(2)).ok_or(TRUNCATED)?;
    reader.take(usize::from(length)).ok_or(TRUNCATED)
}

fn put(plain: &mut Vec<u8>, marker: u8, data: &[u8]) {
    // What was taken from a segment fits into one.
    let length = u16::try_from(data.len().saturating_add(2)).unwrap_or(u16::MAX);
    plain.extend_from_slice(&[0xff, marker]);
    plain.extend_from_slice(&length.to_be_bytes());
    plain.extend_from_slice(data);
}

/// The data of a scan, up to the next marker that is not part of it.
fn entropy<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let all = reader.rest();
    let mut at = 0_usize;
    loop {
        at = at.checked_add(memchr(0xff, all.get(at..)?)?)?;
        match all.get(at.checked_add(1)?)? {
            // A byte of 0xff, or a new beginning.
            0 | 0xd0..=0xd7 => at = at.checked_add(2)?,
            _ => return reader.take(at),
        }
    }
}

/// Width and height.
fn dimensions(frame: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(frame);
    let precision = reader.byte()?;
    let (height, width) = (reader.big_16()?, reader.big_16()?);
    let components = reader.byte()?;
    let length = usize::from(components).checked_mul(3)?;
    let is_known = matches!(precision, 8 | 12)
        && (1..=4).contains(&components)
        && reader.rest().len() == length;
    is_known.then_some((u32::from(width), u32::from(height)))
}
