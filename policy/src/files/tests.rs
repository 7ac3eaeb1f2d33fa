//! With pictures that another implementation draws, and reads again.

use std::io::Cursor;

use image::{AnimationDecoder as _, Frame, ImageFormat, RgbaImage};
use proptest::prelude::*;

use super::samples::{SECRET, animation, jpeg_segment, loaded, plain, png_chunk, spliced, written};
use super::*;
use crate::document::{FilesSection, Metadata};
use crate::problem::Reason;

fn rules_of(section: &FilesSection) -> FileRules {
    FileRules::compile(section, "files").unwrap()
}

fn all_types() -> FilesSection {
    use FileType::{Gif, Jpeg, Mp3, Png, Wav, Webp};
    FilesSection { types: vec![Gif, Jpeg, Mp3, Png, Wav, Webp], ..Default::default() }
}

fn check_with(section: &FilesSection, bytes: &[u8]) -> Result<Checked, Unfit> {
    rules_of(section).check(File { bytes, declared: &[], extension: None })
}

fn check(bytes: &[u8]) -> Result<Checked, Unfit> {
    check_with(&all_types(), bytes)
}

fn expected(bytes: &[u8]) -> String {
    check(bytes).expect_err("refused").expected
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

fn pixels(bytes: &[u8]) -> Vec<RgbaImage> {
    match bytes.starts_with(b"GIF") {
        true => {
            let decoder = image::codecs::gif::GifDecoder::new(Cursor::new(bytes)).unwrap();
            let frames = decoder.into_frames().collect_frames().unwrap();
            frames.into_iter().map(Frame::into_buffer).collect()
        }
        false => vec![image::load_from_memory(bytes).unwrap().to_rgba8()],
    }
}

fn is_picture(file_type: FileType) -> bool {
    file_type.as_str().starts_with("image/")
}

#[test]
fn what_has_nothing_to_take_out_goes_on_as_it_is() {
    for (file_type, bytes) in plain() {
        assert_eq!(check(&bytes), Ok(Checked { file_type, stripped: None }), "{file_type:?}");
    }
}

#[test]
fn metadata_is_gone_and_the_picture_is_the_same() {
    for orientation in [1, 6] {
        for (file_type, bytes) in loaded(orientation) {
            assert!(holds(&bytes, SECRET));
            let checked = check(&bytes).unwrap_or_else(|unfit| panic!("{file_type:?}: {unfit:?}"));
            assert_eq!(checked.file_type, file_type);
            let stripped = checked.stripped.unwrap();
            assert!(!holds(&stripped, SECRET), "{file_type:?}");
            assert!(!holds(&stripped, b"Canon"), "{file_type:?}");
            let again = check(&stripped);
            assert_eq!(again, Ok(Checked { file_type, stripped: None }), "{file_type:?}");
            if is_picture(file_type) {
                assert_eq!(pixels(&stripped), pixels(&bytes), "{file_type:?}");
            } else {
                let plain = plain().into_iter().find(|(other, _)| *other == file_type);
                assert_eq!(stripped, plain.unwrap().1);
            }
            let kept =
                check_with(&FilesSection { metadata: Metadata::Keep, ..all_types() }, &bytes);
            assert_eq!(kept, Ok(Checked { file_type, stripped: None }));
        }
    }
}

#[test]
fn which_way_is_up_stays() {
    use image::ImageDecoder as _;
    use image::metadata::Orientation;
    for (file_type, bytes) in loaded(6).into_iter().filter(|(kind, _)| is_picture(*kind)) {
        let stripped = check(&bytes).unwrap().stripped.unwrap();
        let orientation = |bytes: &[u8]| {
            let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
            reader.into_decoder().unwrap().orientation().unwrap()
        };
        assert_eq!(orientation(&stripped), orientation(&bytes), "{file_type:?}");
        if file_type != FileType::Gif {
            assert_eq!(orientation(&stripped), Orientation::Rotate90, "{file_type:?}");
        }
    }
}

#[test]
fn nothing_follows_the_end() {
    let png = written(ImageFormat::Png);
    for (file_type, bytes) in plain() {
        for tail in
            [b"\0".as_slice(), b"PK\x03\x04", b"<script>alert(1)</script>", &png, &bytes[..4]]
        {
            let refused = check(&[&bytes, tail].concat());
            assert!(refused.is_err(), "{file_type:?} and {tail:?}");
        }
        for end in 0..bytes.len() {
            // Frames of MP3 end with each of them.
            let is_frame = file_type == FileType::Mp3 && [417, 835].contains(&end);
            assert_eq!(check(&bytes[..end]).is_ok(), is_frame, "{file_type:?} of {end}");
        }
    }
}

#[test]
fn what_a_file_says_is_what_it_is() {
    let rules = rules_of(&all_types());
    let bytes = written(ImageFormat::Png);
    let check = |declared: &[&str], extension| {
        let declared: Vec<String> = declared.iter().map(|name| (*name).to_owned()).collect();
        rules.check(File { bytes: &bytes, declared: &declared, extension }).is_ok()
    };
    assert!(check(&[], None));
    assert!(check(&["image/png", "PNG"], Some("PNG")));
    for (declared, extension) in [
        (&["image/jpeg"][..], None),
        (&["image/png", "image/gif"], None),
        (&[""], None),
        (&["image/png;x=y"], None),
        (&[], Some("jpg")),
        (&[], Some("")),
        (&["image/png"], Some("html")),
    ] {
        assert!(!check(declared, extension), "{declared:?} {extension:?}");
    }
}

#[test]
fn only_the_types_of_the_policy_are_taken() {
    let one = FilesSection { types: vec![FileType::Png], ..Default::default() };
    for (file_type, bytes) in plain() {
        assert_eq!(check_with(&one, &bytes).is_ok(), file_type == FileType::Png);
    }
    for other in [
        b"MZ\x90\0".as_slice(),
        b"\x7fELF\x02",
        b"#!/bin/sh\n",
        b"PK\x03\x04",
        b"%PDF-1.7",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"<!DOCTYPE html>",
        b"BM\x36\0\0\0",
        b"II\x2a\0",
        b"hello",
        b"",
        b"\xff",
    ] {
        assert_eq!(check(other).unwrap_err().reason, Reason::FileRefused, "{other:?}");
    }
}

#[test]
fn documents_are_taken_where_the_policy_names_them() {
    let types = vec![FileType::Svg, FileType::Pdf];
    let section = FilesSection { types, ..Default::default() };
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><!-- alice --><g/></svg>";
    let checked = check_with(&section, svg).unwrap();
    assert_eq!(checked.file_type, FileType::Svg);
    let plain = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><g/></svg>";
    assert_eq!(checked.stripped.as_deref(), Some(&plain[..]));
    let pdf = b"%PDF-1.4\n1 0 obj\n(how to write <script>)\nendobj\n%%EOF";
    let checked = check_with(&section, pdf);
    assert_eq!(checked, Ok(Checked { file_type: FileType::Pdf, stripped: None }));
    for bad in
        [&b"<html/>"[..], b"<svg onload=\"a()\"/>", b"%PDF-1.4\n/JavaScript\n%%EOF", b"GIF89a"]
    {
        assert_eq!(check_with(&section, bad).unwrap_err().reason, Reason::FileRefused);
    }
}

#[test]
fn pixels_are_counted_in_all_frames() {
    let size = 19 * 13;
    for (file_type, bytes) in plain().into_iter().filter(|(kind, _)| is_picture(*kind)) {
        let frames = if file_type == FileType::Gif { 3 } else { 1 };
        let with = |max_pixels| check_with(&FilesSection { max_pixels, ..all_types() }, &bytes);
        assert!(with(size * frames).is_ok(), "{file_type:?}");
        assert!(with(size * frames - 1).unwrap_err().expected.starts_with("fewer pixels"));
    }
    // What a header says is what a decoder takes memory for.
    let mut bomb = written(ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0x7f; 8]);
    let sum = crc32fast::hash(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    assert_eq!(expected(&bomb), "fewer pixels");
    bomb[16..20].copy_from_slice(&[0; 4]);
    let sum = crc32fast::hash(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    assert_eq!(expected(&bomb), "a picture with pixels");
}

#[test]
fn a_picture_of_two_readings_is_none() {
    let png = written(ImageFormat::Png);
    let end = png.len() - 12;
    for (bytes, wanted) in [
        (spliced(&png, 33, &[png_chunk(b"IHDR", &png[16..29])]), "no chunks that PNG has not"),
        (spliced(&png, 33, &[png_chunk(b"ABCD", b"")]), "no chunks that PNG has not"),
        (
            spliced(&png, end, &[png_chunk(b"tEXt", b""), png_chunk(b"IDAT", b"x")]),
            "the picture in one piece",
        ),
        (spliced(&png, end, &[png_chunk(b"IEND", b"")]), TRAILING),
        (spliced(&png, 33, &[png_chunk(b"IEND", b"")]), "one whole picture"),
        (spliced(&png, 33, &[png_chunk(b"tE t", b"")]), "chunks with names"),
        (spliced(&png, 33, &[vec![0xff; 12]]), TRUNCATED),
    ] {
        assert_eq!(expected(&bytes), wanted);
    }
    let mut wrong = png;
    wrong[30] ^= 1;
    assert_eq!(expected(&wrong), "chunks with their checksums");

    let jpeg = written(ImageFormat::Jpeg);
    for (bytes, wanted) in [
        (spliced(&jpeg, 2, &[vec![0xff, 0xd8]]), "markers where they may be"),
        (spliced(&jpeg, 2, &[vec![0xff, 0xd9]]), "a picture with a scan"),
        (spliced(&jpeg, 20, &[b"<?php".to_vec()]), "segments that begin with a marker"),
        (spliced(&jpeg, 2, &[jpeg_segment(0xdc, b"\0\x01")]), "a baseline or progressive picture"),
        (spliced(&jpeg, 2, &[vec![0xff, 0xfe, 0, 1]]), TRUNCATED),
        (spliced(&jpeg, 2, &[jpeg_segment(0xda, b"")]), "scans of one frame, and not many of them"),
    ] {
        assert_eq!(expected(&bytes), wanted);
    }
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let again = jpeg[frame..frame + 19].to_vec();
    assert_eq!(expected(&spliced(&jpeg, frame, &[again])), "one frame");
}

#[test]
fn a_picture_with_a_script_in_its_palette_is_none() {
    let gif = animation();
    let palette = b"<script>alert(1)</script>";
    let place = gif.windows(4).position(|bytes| bytes[0] == b',' && bytes[1..] == [0; 3]).unwrap();
    assert!(gif[place + 9] & 0x80 != 0);
    let mut bad = gif.clone();
    bad[place + 10..place + 10 + palette.len()].copy_from_slice(palette);
    assert_eq!(expected(&bad), "no script inside of the file");
    // Where it was metadata it is gone, and nothing is left to refuse.
    let comment = [b"!\xfe\x19", palette.as_slice(), b"\0"].concat();
    assert!(check(&spliced(&gif, gif.len() - 1, std::slice::from_ref(&comment))).is_ok());
    let keep = FilesSection { metadata: Metadata::Keep, ..all_types() };
    assert!(check_with(&keep, &spliced(&gif, gif.len() - 1, &[comment])).is_err());
}

#[test]
fn what_is_known_to_be_harmful_is_refused() {
    use sha2::{Digest as _, Sha256};
    let bytes = written(ImageFormat::Png);
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
    let section = FilesSection { known_bad: vec![digest.clone()], ..all_types() };
    assert_eq!(check_with(&section, &bytes).unwrap_err().reason, Reason::MalwareSuspected);
    assert!(check_with(&section, &written(ImageFormat::Jpeg)).is_ok());
    for bad in ["", "00", &digest[1..], &digest.replace('0', "g")] {
        let section = FilesSection { known_bad: vec![bad.to_owned()], ..all_types() };
        let error = FileRules::compile(&section, "files").map(drop);
        // A digest without a nought is the same one.
        assert!(error.is_err() || bad == digest, "{bad}");
    }
    let small = FilesSection { max_bytes: 10, ..all_types() };
    assert_eq!(check_with(&small, &bytes).unwrap_err().expected, "a file of at most 10 bytes");
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> =
        plain().into_iter().chain(loaded(6)).map(|(_, bytes)| bytes).collect();
    prop::sample::select(files)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever a file was made of: what goes on is of the same type, and there is nothing left to take out.
    #[test]
    fn what_goes_on_is_judged_alike(
        bytes in any_file(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut bytes = bytes;
        let is_changed = cut.is_some() || !changes.is_empty();
        if let Some((from, to)) = cut {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            bytes.drain(from.min(to)..from.max(to).min(from.min(to) + 40));
        }
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(Checked { file_type, stripped: Some(stripped) }) = check(&bytes) {
            prop_assert_eq!(check(&stripped), Ok(Checked { file_type, stripped: None }));
            // A picture or a sound that says that it is longer has what comes after it for its own, and only who plays it knows.
            prop_assert!(is_changed || !holds(&stripped, SECRET));
            prop_assert!(stripped.len() <= bytes.len());
        }
    }

    #[test]
    fn never_panics(
        start in prop::sample::select(vec![
            &b""[..], b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\xff\xd8\xff", b"GIF89a",
            b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0", b"RIFF\xff\0\0\0WAVEfmt ", b"ID3\x04\0\0\0\0\0\0", b"\xff\xfb",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &bytes].concat();
        let _ = check(&bytes);
        let _ = png::walk(&bytes, 1 << 20);
        let _ = jpeg::walk(&bytes, 1 << 20);
        let _ = gif::walk(&bytes, 1 << 20);
        let _ = webp::walk(&bytes, 1 << 20);
        let _ = wav::walk(&bytes);
        let _ = mp3::walk(&bytes);
        let _ = pdf::walk(&bytes);
        let _ = svg::walk(&bytes, 1 << 20);
        let _ = exif::minimal(&bytes);
    }
}
