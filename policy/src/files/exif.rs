//! Exif (CIPA DC-008): one thing in it changes the picture, and all else is about who took it, with what, where and when.

use super::reader::Reader;

/// Which way is up.
const ORIENTATION: u16 = 0x0112;

/// Exif that says nothing but which way is up, for pictures of which it says something: a picture that lies on its side is another
/// one for a model. None where it stands upright, or where nobody could read it.
pub(super) fn minimal(exif: &[u8]) -> Option<Vec<u8>> {
    let orientation = orientation(exif).filter(|orientation| (2..=8).contains(orientation))?;
    let mut minimal = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    minimal.extend_from_slice(&ORIENTATION.to_be_bytes());
    // A SHORT, one of them, in the first half of the value; no directory follows.
    minimal.extend_from_slice(b"\0\x03\0\0\0\x01");
    minimal.extend_from_slice(&orientation.to_be_bytes());
    minimal.extend_from_slice(&[0; 6]);
    Some(minimal)
}

fn orientation(exif: &[u8]) -> Option<u16> {
    let is_big = match exif.get(..4)? {
        b"MM\0\x2a" => true,
        b"II\x2a\0" => false,
        _ => return None,
    };
    let short = |reader: &mut Reader<'_>| match is_big {
        true => reader.big_16(),
        false => reader.little_16(),
    };
    let long = |reader: &mut Reader<'_>| match is_big {
        true => reader.big_32(),
        false => reader.little_32(),
    };
    let mut reader = Reader::new(exif.get(4..)?);
    let offset = usize::try_from(long(&mut reader)?).ok()?;
    let mut directory = Reader::new(exif.get(offset..)?);
    for _ in 0..short(&mut directory)? {
        let mut entry = Reader::new(directory.take(12)?);
        let (tag, kind) = (short(&mut entry)?, short(&mut entry)?);
        let count = long(&mut entry)?;
        if tag == ORIENTATION {
            return if kind == 3 && count == 1 { short(&mut entry) } else { None };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_which_way_is_up_is_kept() {
        let exif = b"II\x2a\0\x08\0\0\0\x02\0\
            \x0f\x01\x02\0\x04\0\0\0Cam\0\
            \x12\x01\x03\0\x01\0\0\0\x06\0\0\0\
            \0\0\0\0";
        let kept = minimal(exif).unwrap();
        assert_eq!(orientation(&kept), Some(6));
        assert!(!kept.windows(3).any(|bytes| bytes == b"Cam"));
        assert_eq!(minimal(&kept), Some(kept.clone()));
        for (place, byte) in [(30, 1), (30, 0), (30, 9), (24, 4), (26, 2), (0, b'M'), (4, 200)] {
            let mut other = exif.to_vec();
            other[place] = byte;
            assert_eq!(minimal(&other), None, "{place}");
        }
        for end in 0..exif.len() - 6 {
            assert_eq!(minimal(&exif[..end]), None, "{end}");
        }
    }
}
