//! Real pictures and sounds, with everything in them that should not be.

use std::io::Cursor;

use image::{Frame, ImageFormat, RgbaImage};

use super::{FileType, webp};

pub(crate) const SECRET: &[u8] = b"48.8584N 2.2945E Canon 0123456789";

pub(crate) fn drawing() -> RgbaImage {
    RgbaImage::from_fn(19, 13, |x, y| image::Rgba([x as u8 * 13, y as u8 * 19, (x * y) as u8, 255]))
}

pub(crate) fn written(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => {
            image::DynamicImage::from(drawing()).to_rgb8().write_to(&mut bytes, format)
        }
        format => drawing().write_to(&mut bytes, format),
    }
    .unwrap();
    bytes.into_inner()
}

pub(crate) fn animation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    encoder.set_repeat(image::codecs::gif::Repeat::Infinite).unwrap();
    encoder.encode_frames((0..3).map(|_| Frame::new(drawing()))).unwrap();
    drop(encoder);
    bytes
}

fn riff(kind: &[u8; 4], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    chunks.iter().for_each(|(name, data)| webp::put(&mut all, name, data));
    webp::container(kind, &all)
}

fn sound() -> Vec<u8> {
    let format =
        [&b"\x01\0\x01\0"[..], &8000_u32.to_le_bytes(), &16000_u32.to_le_bytes(), b"\x02\0\x10\0"];
    riff(b"WAVE", &[(b"fmt ", &format.concat()), (b"data", &[1, 2, 3, 4, 5, 6])])
}

/// Frames of 417 and 418 bytes: 128 kbit/s at 44100 Hz, the second of them padded.
fn frames() -> Vec<u8> {
    let frame = |padding: usize| {
        [vec![0xff, 0xfb, 0x90 | (padding as u8) << 1, 0], vec![0x55; 413 + padding]].concat()
    };
    [frame(0), frame(1), frame(0)].concat()
}

/// Without anything that could be taken out.
pub(crate) fn plain() -> Vec<(FileType, Vec<u8>)> {
    vec![
        (FileType::Png, written(ImageFormat::Png)),
        (FileType::Jpeg, written(ImageFormat::Jpeg)),
        (FileType::Gif, animation()),
        (FileType::Webp, written(ImageFormat::WebP)),
        (FileType::Wav, sound()),
        (FileType::Mp3, frames()),
    ]
}

pub(crate) fn png_chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
    let body = [name, data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat()
}

pub(crate) fn jpeg_segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, data].concat()
}

pub(crate) fn spliced(bytes: &[u8], at: usize, parts: &[Vec<u8>]) -> Vec<u8> {
    [&bytes[..at], &parts.concat(), &bytes[at..]].concat()
}

/// Exif with an orientation and a secret.
fn exif(orientation: u8) -> Vec<u8> {
    let directory = [&b"II\x2a\0\x08\0\0\0\x02\0\x0f\x01\x02\0"[..], &[33, 0, 0, 0, 38, 0, 0, 0]];
    let end = [0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
    [&directory.concat(), &end[..], SECRET].concat()
}

/// The VP8X form of a picture in the simple form, with more chunks.
fn extended(more: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let simple = written(ImageFormat::WebP);
    let length = u32::from_le_bytes(simple[16..20].try_into().unwrap()) as usize;
    let picture = simple[20..20 + length].to_vec();
    let header = [0x3c, 0, 0, 0, 18, 0, 0, 12, 0, 0];
    let chunks = [&[(b"VP8X", &header[..]), (b"ICCP", SECRET), (b"VP8L", &picture)], more].concat();
    riff(b"WEBP", &chunks)
}

/// With everything that should be taken out.
pub(crate) fn loaded(orientation: u8) -> Vec<(FileType, Vec<u8>)> {
    let exif = exif(orientation);
    let jpeg_exif = [b"Exif\0\0", exif.as_slice()].concat();
    let sized = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let png = spliced(
        &written(ImageFormat::Png),
        33,
        &[
            png_chunk(b"iCCP", SECRET),
            png_chunk(b"eXIf", &exif),
            png_chunk(b"tEXt", SECRET),
            png_chunk(b"zTXt", SECRET),
            png_chunk(b"iTXt", SECRET),
            png_chunk(b"tIME", SECRET),
            png_chunk(b"caBX", SECRET),
            png_chunk(b"gAMA", &45455_u32.to_be_bytes()),
        ],
    );
    let jpeg = spliced(
        &written(ImageFormat::Jpeg),
        2,
        &[
            jpeg_segment(0xe1, &jpeg_exif),
            jpeg_segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
            jpeg_segment(0xe2, &[b"ICC_PROFILE\0", SECRET].concat()),
            jpeg_segment(0xed, SECRET),
            jpeg_segment(0xfe, SECRET),
            jpeg_segment(0xef, SECRET),
            vec![0xff, 0xff],
        ],
    );
    let gif = animation();
    let gif = spliced(
        &gif,
        gif.len() - 1,
        &[
            [b"!\xfe", sized(SECRET).as_slice(), b"\0"].concat(),
            [b"!\xff\x0bXMP DataXMP", sized(SECRET).as_slice(), b"\0"].concat(),
            [b"!\xff\x0bNETSCAPE2.0", sized(SECRET).as_slice(), b"\0"].concat(),
        ],
    );
    let webp = extended(&[(b"EXIF", &exif), (b"XMP ", SECRET), (b"what", SECRET)]);
    let mut wav = sound();
    webp::put(&mut wav, b"LIST", SECRET);
    webp::put(&mut wav, b"id3 ", SECRET);
    let wav = webp::container(b"WAVE", &wav[12..]);
    let tag = [b"ID3\x04\0\0\0\0\0\x21", SECRET].concat();
    let last = [&b"TAG"[..], SECRET, &[0; 92]].concat();
    let mp3 = [tag.clone(), tag, frames(), last].concat();
    vec![
        (FileType::Png, png),
        (FileType::Jpeg, jpeg),
        (FileType::Gif, gif),
        (FileType::Webp, webp),
        (FileType::Wav, wav),
        (FileType::Mp3, mp3),
    ]
}
