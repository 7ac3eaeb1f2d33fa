//! PDF (ISO 32000): pages, and nothing that runs, opens, sends or holds files.
//!
//! Readers find objects in many ways: by a table, by a compressed table, by looking through the file. So nothing is said here
//! about objects; names that a document without actions has not are looked for everywhere, also in what is compressed.
//! What is compressed with predictors may hide them, if a reader takes it for a stream of objects: this is no
//! scanner of malware, and a document that matters should be made anew by a renderer.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use memchr::memmem::find_iter;
use miniz_oxide::inflate::stream::{InflateState, MinReset, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use super::{Fault, TRAILING, TRUNCATED};

/// What all streams together may be when they are no longer compressed, and what may be read of them, some of it twice.
const MAXIMUM_INFLATED: usize = 16 * 1024 * 1024;

/// The most streams that are compressed.
const MAXIMUM_STREAMS: u32 = 10_000;

const ACTIVE: [&str; 16] = [
    "/JavaScript",
    "/OpenAction",
    "/Launch",
    "/EmbeddedFile",
    "/RichMedia",
    "/Rendition",
    "/SubmitForm",
    "/ImportData",
    "/GoToR",
    "/GoToE",
    "/XFA",
    "/Encrypt",
    "/Crypt",
    // Old ways to compress, which are not followed here.
    "/LZWDecode",
    "/ASCII85Decode",
    "/ASCIIHexDecode",
];

/// Short names of the same, which only count if nothing follows.
const SHORT: [&str; 4] = ["/LZW", "/A85", "/AHx", "/RunLengthDecode"];

pub(super) fn walk(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    // Readers would take it 1024 bytes later as well; then there is something before it.
    if !matches!(
        bytes.get(..8),
        Some([b'%', b'P', b'D', b'F', b'-', b'1' | b'2', b'.', b'0'..=b'9'])
    ) {
        return Err(TRUNCATED);
    }
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    if !end.ends_with(b"%%EOF") {
        return Err(TRAILING);
    }
    check(bytes)?;
    let mut budget = Budget::new();
    // Wherever the word is: what is within another stream may be an object too.
    for at in find_iter(bytes, b"stream") {
        let rest = bytes.get(at.saturating_add(6)..).unwrap_or_default();
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        let Some(rest) = rest.strip_prefix(b"\n") else { continue };
        if let Some(content) = budget.inflate(rest)? {
            check(&content)?;
        }
    }
    Ok(bytes.to_vec())
}

/// How much may still be read and written.
struct Budget {
    streams: u32,
    read: usize,
    written: usize,
    state: Box<InflateState>,
}

impl Budget {
    fn new() -> Self {
        let state = InflateState::new_boxed(DataFormat::Zlib);
        let (streams, size) = (MAXIMUM_STREAMS, MAXIMUM_INFLATED);
        Self { streams, read: size, written: size, state }
    }

    /// What a stream is when it is not compressed, as far as it can be told; None where it is not compressed.
    fn inflate(&mut self, mut data: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        // The header of zlib: Deflate, and a checksum.
        let is_zlib = matches!(data, [method, flags, ..]
            if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0);
        if !is_zlib {
            return Ok(None);
        }
        let too_large = "less that is compressed";
        self.streams = self.streams.checked_sub(1).ok_or(too_large)?;
        self.state.reset_as(MinReset);
        let mut content = Vec::new();
        let mut piece = [0; 8192];
        loop {
            let result = inflate(&mut self.state, data, &mut piece, MZFlush::None);
            self.read = self.read.checked_sub(result.bytes_consumed).ok_or(too_large)?;
            self.written = self.written.checked_sub(result.bytes_written).ok_or(too_large)?;
            content.extend_from_slice(piece.get(..result.bytes_written).unwrap_or_default());
            data = data.get(result.bytes_consumed..).unwrap_or_default();
            let is_stuck = result.bytes_consumed == 0 && result.bytes_written == 0;
            // What is broken is shown by some as far as it goes.
            if is_stuck || result.status != Ok(MZStatus::Ok) {
                return Ok(Some(content));
            }
        }
    }
}

/// Whether there are names of what is not let through, also written with numbers in place of letters.
fn check(content: &[u8]) -> Result<(), Fault> {
    static PATTERNS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let patterns =
        PATTERNS.get_or_init(|| AhoCorasick::new(ACTIVE.iter().chain(&SHORT)).ok()).as_ref();
    let is_bad = |content: &[u8]| {
        patterns.is_none_or(|patterns| {
            patterns.find_overlapping_iter(content).any(|found| {
                let follows = content.get(found.end());
                found.pattern().as_usize() < ACTIVE.len()
                    || follows.is_none_or(|byte| !byte.is_ascii_alphanumeric())
            })
        })
    };
    let resolved = content.contains(&b'#').then(|| resolve(content));
    match is_bad(content) || resolved.as_deref().is_some_and(is_bad) {
        true => Err("a document without actions, files and forms of its own, and not encrypted"),
        false => Ok(()),
    }
}

/// `#4a` for what it stands for in a name.
fn resolve(content: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((first, after)) = rest.split_first() {
        let digit = |place: usize| {
            let digit = after.get(place).and_then(|digit| char::from(*digit).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        match (first, digit(0), digit(1)) {
            (b'#', Some(high), Some(low)) => {
                resolved.push((high << 4) | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                resolved.push(*first);
                rest = after;
            }
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    fn document(object: &[u8]) -> Vec<u8> {
        [b"%PDF-1.7\n1 0 obj\n", object, b"\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"].concat()
    }

    fn stream(content: &[u8]) -> Vec<u8> {
        [b"<</Length 1>>\nstream\r\n", content, b"\nendstream"].concat()
    }

    #[test]
    fn pages_are_let_through() {
        let pages = document(b"<</Type/Catalog/Pages 2 0 R/Lang(en#20)/A855/Names 3 0 R>>");
        assert_eq!(walk(&pages), Ok(pages.clone()));
        for content in
            [compress_to_vec_zlib(b"BT (hello) Tj ET", 6), vec![0xff; 20], b"x\x9c".to_vec()]
        {
            assert!(walk(&document(&stream(&content))).is_ok());
        }
    }

    #[test]
    fn what_runs_or_opens_is_refused_wherever_it_is() {
        for name in
            ["/JavaScript", "/OpenAction", "/EmbeddedFiles", "/XFA", "/Launch", "/A85", "/Encrypt"]
        {
            let object = format!("<</S{name} (x)>>").into_bytes();
            let hidden =
                format!("<</S/#{:02x}{} (x)>>", name.as_bytes()[1], &name[2..]).into_bytes();
            for object in [object, hidden] {
                assert!(walk(&document(&object)).is_err(), "{name}");
                let compressed = stream(&compress_to_vec_zlib(&object, 6));
                assert!(walk(&document(&compressed)).is_err(), "{name}");
                // Cut off, and within another one that is not compressed at all.
                let stored = compress_to_vec_zlib(&compressed, 0);
                assert!(walk(&document(&stream(&stored))).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn nothing_stands_before_or_behind() {
        let good = document(b"null");
        for bad in [
            [b"x", good.as_slice()].concat(),
            [good.as_slice(), b"x"].concat(),
            [good.as_slice(), b"\n"].concat(),
            good[..good.len() - 3].to_vec(),
            b"%PDF-".to_vec(),
            Vec::new(),
        ] {
            assert!(walk(&bad).is_err());
        }
    }

    #[test]
    fn a_bomb_goes_off_nowhere() {
        let bomb = compress_to_vec_zlib(&vec![0; MAXIMUM_INFLATED + 1], 9);
        assert_eq!(walk(&document(&stream(&bomb))), Err("less that is compressed"));
        // Streams that begin in each other are read again and again, but not for long.
        let nested = b"stream\n\x78\x01\x00\x07\x00\xf8\xff".repeat(60_000);
        let _ = walk(&document(&nested));
    }
}
