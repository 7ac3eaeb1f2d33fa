//! Markers that stand in a system's instructions, so that it is seen when they are told.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::super::personal::Folded;
use super::{Detection, Kind};
use crate::policy::CompileError;

/// The fewest letters and digits of a marker: shorter ones occur by chance.
const FEWEST_CHARACTERS: usize = 12;

/// The longest marker, in bytes. Twice as long in hexadecimal, and spelled with signs between, it is still held.
const MAXIMUM_MARKER_BYTES: usize = 64;

/// The longest spelling of a marker that is known before its end, in bytes.
const MAXIMUM_SPELLED_BYTES: usize = 512;

/// So many letters and digits of a marker are its beginning.
const FEWEST_BEGUN: usize = 3;

/// Secret markers that may never be in an answer, however they are spelled: in other case, with signs or spaces between
/// their letters, backwards, in ROT13, in hexadecimal or in base64.
#[derive(Debug, Clone)]
pub struct Canary {
    automaton: AhoCorasick,
    patterns: Arc<[Vec<u8>]>,
    rules: Arc<[&'static str]>,
}

impl Canary {
    /// For these markers. `field` is where they were written.
    pub fn compile(markers: &[&str], field: &str) -> Result<Self, CompileError> {
        let mut patterns = Vec::new();
        let mut rules = Vec::new();
        for (index, marker) in markers.iter().enumerate() {
            let plain = normal(marker).0;
            if plain.len() < FEWEST_CHARACTERS || marker.len() > MAXIMUM_MARKER_BYTES {
                let message = format!(
                    "expected at least {FEWEST_CHARACTERS} letters and digits, \
                     and at most {MAXIMUM_MARKER_BYTES} bytes"
                );
                return Err(CompileError::new(format!("{field}[{index}]"), message));
            }
            let backwards: Vec<u8> = plain.iter().rev().copied().collect();
            let rotated = plain.iter().map(|byte| match byte {
                b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
                other => *other,
            });
            let hex: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
            let mut add = |rule, pattern: Vec<u8>| {
                patterns.push(pattern);
                rules.push(rule);
            };
            add("canary_rot13", rotated.collect());
            add("canary_plain", plain);
            add("canary_backwards", backwards);
            add("canary_hexadecimal", hex.into_bytes());
            for shift in 0..3 {
                add("canary_base64", base64_within(marker.as_bytes(), shift));
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .map_err(|error| CompileError::new(field, error.to_string()))?;
        Ok(Self { automaton, patterns: patterns.into(), rules: rules.into() })
    }

    /// The markers in a text.
    pub fn find(&self, text: &str) -> Vec<Detection> {
        let (bytes, places) = normal(text);
        let found = self.automaton.find_iter(&bytes).filter_map(|found| {
            let start = places.get(found.start())?.start;
            let end = places.get(found.end().checked_sub(1)?)?.end;
            let rule = self.rules.get(found.pattern().as_usize())?;
            Some(Detection { kind: Kind::Canary, rule, range: start..end, score: 1.0 })
        });
        let mut detections: Vec<Detection> = Vec::new();
        for detection in found {
            // Two in one character (of which folding made several) are one.
            if detections.last().is_none_or(|last| last.range.end <= detection.range.start) {
                detections.push(detection);
            }
        }
        detections
    }

    /// From where the end of a text may be the beginning of a marker; its length where it is not. A few letters are none.
    pub(super) fn begun(&self, text: &str) -> usize {
        let from = text.floor_char_boundary(text.len().saturating_sub(MAXIMUM_SPELLED_BYTES));
        let (bytes, places) = normal(text.get(from..).unwrap_or_default());
        let longest = self.patterns.iter().map(Vec::len).max().unwrap_or_default();
        let first = bytes.len().saturating_sub(longest);
        let begun = (first..(bytes.len() + 1).saturating_sub(FEWEST_BEGUN)).find(|start| {
            let end = bytes.get(*start..).unwrap_or_default();
            self.patterns.iter().any(|pattern| pattern.starts_with(end))
        });
        begun.and_then(|start| places.get(start)).map_or(text.len(), |place| from + place.start)
    }
}

/// The letters and digits of a text in small letters, and where each of their bytes comes from.
fn normal(text: &str) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let folded = Folded::new(text);
    let bytes = folded.bytes().iter().enumerate();
    let kept = bytes.filter(|(_, byte)| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    kept.map(|(place, byte)| (byte.to_ascii_lowercase(), folded.original(place..place + 1))).unzip()
}

/// The part of a text's base64 that is the same whatever stands around it, `shift` bytes after a multiple of three.
fn base64_within(text: &[u8], shift: usize) -> Vec<u8> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(text);
    let encoded = STANDARD_NO_PAD.encode(&padded);
    let whole = padded.len() * 8 / 6;
    let part = encoded.get((shift * 8).div_ceil(6)..whole).unwrap_or_default();
    normal(part).0
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE;

    use super::*;

    const MARKER: &str = "Heron-4821-quartz";

    #[test]
    fn a_marker_is_found_however_it_is_spelled() {
        let canary = Canary::compile(&[MARKER], "markers").unwrap();
        let spaced: String = MARKER.chars().flat_map(|letter| [letter, ' ']).collect();
        let hidden: String = MARKER.chars().flat_map(|letter| [letter, '\u{200b}']).collect();
        let spellings = [
            MARKER.to_owned(),
            MARKER.to_uppercase(),
            MARKER.replace('-', ""),
            spaced.trim().to_owned(),
            hidden.trim_end_matches('\u{200b}').to_owned(),
            MARKER.chars().rev().collect(),
            "Ureba-4821-dhnegm".to_owned(),
            MARKER.bytes().map(|byte| format!("{byte:02X} ")).collect::<String>().trim().to_owned(),
            "Ｈｅｒｏｎ－４８２１－ｑｕａｒｔｚ".to_owned(),
        ];
        for spelling in &spellings {
            let text = format!("it says: {spelling}, I think");
            let found = canary.find(&text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(&text[found[0].range.clone()], spelling);
        }
        for around in ["", "a", "ab", "abc"] {
            let text = URL_SAFE.encode(format!("{around}{MARKER}{around}"));
            assert_eq!(canary.find(&text).len(), 1, "{text}");
        }
        assert_eq!(canary.find("a heron, 4821 of them, and quarts"), []);
    }

    #[test]
    fn short_markers_are_refused() {
        let error = Canary::compile(&[MARKER, "too-short"], "markers").unwrap_err();
        assert!(error.to_string().contains("markers[1]"), "{error}");
    }
}
