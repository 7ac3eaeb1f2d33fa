//! Compressed bodies (RFC 9110 §8.4): decoded under caps, or refused.
//!
//! One coding, one member, nothing behind it: what one reader skips and another reads is refused. Whatever a body expands to,
//! no more is made of it than may go on.

use std::io::Read as _;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::GzDecoder;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstandard,
}

/// How far a body may expand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) bytes: usize,
    /// How many times its own length.
    pub(super) expansion: usize,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// It expands beyond the caps.
    TooLarge,
    /// It is not of the coding, is cut off, or something follows it.
    Malformed,
}

/// The window that decoders must have for HTTP, and no more (RFC 9659).
const ZSTANDARD_WINDOW: u64 = 8 * 1024 * 1024;

/// What is decoded at a time.
const STEP: usize = 16 * 1024;

impl Coding {
    /// What there is to choose from.
    pub(super) const NAMES: &'static str = "gzip, br, zstd";

    /// By the value of `content-encoding`. A list of two is none of them.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstandard),
            () => None,
        }
    }

    pub(super) fn decode(self, body: &[u8], caps: Caps) -> Result<Vec<u8>, DecodeError> {
        let most = caps.bytes.min(body.len().saturating_mul(caps.expansion));
        match self {
            Self::Gzip => gzip(body, most),
            Self::Brotli => brotli(body, most),
            Self::Zstandard => zstandard(body, most),
        }
    }
}

fn gzip(body: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoded = Vec::new();
    // One more than may be, to see that there is more.
    let mut decoder = GzDecoder::new(body).take(most.saturating_add(1) as u64);
    let read = decoder.read_to_end(&mut decoded);
    if decoded.len() > most {
        return Err(DecodeError::TooLarge);
    }
    read.map_err(|_| DecodeError::Malformed)?;
    // To its end: length and checksum have been compared.
    match decoder.into_inner().into_inner().is_empty() {
        true => Ok(decoded),
        false => Err(DecodeError::Malformed),
    }
}

fn brotli(body: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    let allocator = StandardAlloc::default;
    // Strict: no windows beyond those of RFC 7932.
    let mut state = BrotliState::new_strict(allocator(), allocator(), allocator());
    let (mut left, mut offset, mut total) = (body.len(), 0, 0);
    let (mut decoded, mut step) = (Vec::new(), vec![0; STEP]);
    loop {
        let (mut room, mut written) = (step.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut offset,
            body,
            &mut room,
            &mut written,
            &mut step,
            &mut total,
            &mut state,
        );
        decoded.extend_from_slice(step.get(..written).unwrap_or_default());
        if decoded.len() > most {
            return Err(DecodeError::TooLarge);
        }
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok(decoded),
            BrotliResult::NeedsMoreOutput if written > 0 => {}
            _ => return Err(DecodeError::Malformed),
        }
    }
}

fn zstandard(body: &[u8], most: usize) -> Result<Vec<u8>, DecodeError> {
    let malformed = |_| DecodeError::Malformed;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(ZSTANDARD_WINDOW);
    let mut rest = body;
    // A dictionary is none that is known here, and so an error.
    decoder.init(&mut rest).map_err(malformed)?;
    if decoder.content_size() > most as u64 {
        return Err(DecodeError::TooLarge);
    }
    let mut decoded = Vec::new();
    while !decoder.is_finished() {
        // At most 128 KiB, beside what the window holds back.
        decoder
            .decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(malformed)?;
        decoded.extend(decoder.collect().unwrap_or_default());
        if decoded.len() > most {
            return Err(DecodeError::TooLarge);
        }
    }
    let is_sound = decoder
        .get_checksum_from_data()
        .is_none_or(|sum| decoder.get_calculated_checksum() == Some(sum));
    match is_sound && rest.is_empty() {
        true => Ok(decoded),
        false => Err(DecodeError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const CAPS: Caps = Caps { bytes: 100_000, expansion: 1000 };

    /// "hello " forty times, and a mebibyte of zeros, as Google's encoder makes them.
    const HELLO: &[u8] =
        b"\x1b\xef\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x31\x5b\x1c\x80\x14\x07";
    const ZEROS: &[u8] = b"\x5b\xff\xff\x8f\x7f\x02\x20\x1e\x0b\x04\x72\xef\x1f\x00";

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstandard(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    /// Stored as it is: 16 bits of window, one piece of at most 65536 bytes, and the empty last one (RFC 7932 §9).
    fn stored(text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len() - 1).unwrap();
        // WBITS 0; ISLAST 0, MNIBBLES 00, MLEN - 1 in 16 bits, ISUNCOMPRESSED 1.
        let head = (length << 4) | (1 << 20);
        let mut body = head.to_le_bytes()[..3].to_vec();
        body.extend(text);
        // ISLAST 1, ISLASTEMPTY 1.
        body.push(3);
        body
    }

    /// What each makes of a text.
    fn each(text: &[u8]) -> [(Coding, Vec<u8>); 3] {
        [
            (Coding::Gzip, gzipped(text)),
            (Coding::Brotli, stored(text)),
            (Coding::Zstandard, zstandard(text)),
        ]
    }

    #[test]
    fn names_are_those_of_one_coding() {
        assert_eq!(Coding::read(b"GZip"), Some(Coding::Gzip));
        assert_eq!(Coding::read(b"x-gzip"), Some(Coding::Gzip));
        for name in ["", "deflate", "gzip, gzip", "gzip,br", "identity, gzip", "gzip ", "compress"]
        {
            assert_eq!(Coding::read(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn what_was_encoded_comes_back() {
        for (coding, body) in each(br#"{"text": "hello"}"#) {
            assert_eq!(coding.decode(&body, CAPS).as_deref(), Ok(&br#"{"text": "hello"}"#[..]));
        }
        // By another encoder.
        let decoded = Coding::Brotli.decode(HELLO, CAPS);
        assert_eq!(decoded, Ok("hello ".repeat(40).into_bytes()));
        let decoded = Coding::Brotli.decode(ZEROS, CAPS);
        assert_eq!(decoded, Err(DecodeError::TooLarge));
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        for (coding, body) in each(b"some text, and some text again") {
            for length in 0..body.len() {
                let cut = coding.decode(&body[..length], CAPS);
                assert_eq!(cut, Err(DecodeError::Malformed), "{coding:?} {length}");
            }
            for more in [&b"\0"[..], b"x", &body] {
                let longer = [&body[..], more].concat();
                let decoded = coding.decode(&longer, CAPS);
                assert_eq!(decoded, Err(DecodeError::Malformed), "{coding:?} {more:?}");
            }
        }
        // The checksum.
        let mut body = gzipped(b"some text");
        let place = body.len() - 8;
        body[place] ^= 1;
        assert_eq!(Coding::Gzip.decode(&body, CAPS), Err(DecodeError::Malformed));
    }

    #[test]
    fn what_expands_too_far_is_refused_before_it_has() {
        for (coding, body) in each(&[b'a'; 60_000]) {
            let caps = |bytes, expansion| Caps { bytes, expansion };
            assert_eq!(coding.decode(&body, caps(60_000, 100_000)).map(|it| it.len()), Ok(60_000));
            let decoded = coding.decode(&body, caps(59_999, 100_000));
            assert_eq!(decoded, Err(DecodeError::TooLarge), "{coding:?}");
        }
        for body in
            [(Coding::Gzip, gzipped(&[0; 60_000])), (Coding::Zstandard, zstandard(&[0; 60_000]))]
        {
            let decoded = body.0.decode(&body.1, Caps { bytes: 100_000, expansion: 20 });
            assert_eq!(decoded, Err(DecodeError::TooLarge), "{:?}", body.0);
        }
        // A gigabyte.
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..1024).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
        let bomb = encoder.finish().unwrap();
        let begun = std::time::Instant::now();
        assert_eq!(Coding::Gzip.decode(&bomb, CAPS), Err(DecodeError::TooLarge));
        assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    #[test]
    fn windows_and_dictionaries_have_bounds() {
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        // A window of 16 MiB; a dictionary; a content of 2^40 bytes. Each with one empty block.
        for head in [&[0x00, 0x70][..], &[0x21, 0x07, 0x00], &[0xe0, 0, 0, 0, 0, 0, 1, 0, 0]] {
            let body = [&magic[..], head, &[1, 0, 0]].concat();
            assert!(Coding::Zstandard.decode(&body, CAPS).is_err(), "{head:?}");
        }
        let allowed = [&magic[..], &[0x00, 0x68], &[1, 0, 0]].concat();
        assert_eq!(Coding::Zstandard.decode(&allowed, CAPS), Ok(Vec::new()));
        // Blocks of one byte that is repeated, 128 KiB each.
        let mut body = [&magic[..], &[0x00, 0x68]].concat();
        (0..100_000).for_each(|_| body.extend([0x02, 0x00, 0x10, b'a']));
        assert_eq!(Coding::Zstandard.decode(&body, CAPS), Err(DecodeError::TooLarge));
        // A large window, which RFC 7932 does not have.
        assert!(Coding::Brotli.decode(&[0x11, 0x1e, 0x03], CAPS).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200), of in 0..3_usize) {
            let codings = [Coding::Gzip, Coding::Brotli, Coding::Zstandard];
            let _ = codings[of].decode(&body, CAPS);
        }

        #[test]
        fn never_panics_where_something_is_changed(text in ".{1,80}", place in 0..200_usize, bit in 0..8_u8, of in 0..3_usize) {
            let (coding, mut body) = each(text.as_bytes())[of].clone();
            let place = place % body.len();
            body[place] ^= 1 << bit;
            if let Ok(decoded) = coding.decode(&body, CAPS) {
                prop_assert!(decoded.len() <= CAPS.bytes);
            }
        }
    }
}
