//! What a policy has looked for in files, and what comes of it.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::kind::{FileType, Sniffed, sniff};
use super::{Fault, active, gif, jpeg, malware, mp3, pdf, png, svg, text, wav, webp};
use crate::document::{FilesSection, Metadata, Reaction};
use crate::policy::CompileError;
use crate::problem::Reason;
use crate::screening::Prose;

/// The most digests of a policy.
const MAXIMUM_DIGESTS: usize = 10_000;

/// A compiled `input.files` section.
#[derive(Debug)]
pub(crate) struct FileRules {
    types: Vec<FileType>,
    max_bytes: usize,
    max_pixels: u64,
    max_count: u32,
    metadata: Metadata,
    known_bad: BTreeSet<[u8; 32]>,
    addresses: Reaction,
    places: Prose,
}

/// A file, and what is said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) bytes: &'a [u8],
    /// Its media type, or the short name of one, wherever one is said.
    pub(crate) declared: &'a [String],
    /// The end of its name.
    pub(crate) extension: Option<&'a str>,
}

/// A file that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) file_type: FileType,
    /// The file without its metadata, if it had any that is not to go on.
    pub(crate) stripped: Option<Vec<u8>>,
}

/// Why a file may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) reason: Reason,
    pub(crate) expected: String,
}

impl FileRules {
    /// `field` is where the section stands in the document.
    pub(crate) fn compile(section: &FilesSection, field: &str) -> Result<Self, CompileError> {
        let error = |name: &str, message: String| {
            Err(CompileError::new(format!("{field}.{name}"), message))
        };
        if section.types.is_empty() {
            return error("types", "expected at least one".to_owned());
        }
        if section.known_bad.len() > MAXIMUM_DIGESTS {
            return error("known_bad", format!("expected at most {MAXIMUM_DIGESTS}"));
        }
        let mut known_bad = BTreeSet::new();
        for (index, digest) in section.known_bad.iter().enumerate() {
            let Some(digest) = hexadecimal(digest) else {
                let message = "expected a SHA-256 of 64 hexadecimal digits".to_owned();
                return error(&format!("known_bad[{index}]"), message);
            };
            known_bad.insert(digest);
        }
        Ok(Self {
            types: section.types.clone(),
            max_bytes: section.max_bytes as usize,
            max_pixels: u64::from(section.max_pixels),
            max_count: section.max_count,
            metadata: section.metadata,
            known_bad,
            addresses: section.addresses,
            places: Prose::compile(Some(&section.places), &format!("{field}.places"))?,
        })
    }

    /// The strings that are files wherever they stand in a body.
    pub(crate) fn places(&self) -> &Prose {
        &self.places
    }

    /// What comes of an address in place of a file.
    pub(crate) fn addresses(&self) -> Reaction {
        self.addresses
    }

    pub(crate) fn max_count(&self) -> u32 {
        self.max_count
    }

    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(crate) fn too_large(&self) -> Unfit {
        refused(format!("a file of at most {} bytes", self.max_bytes))
    }

    /// What goes on of a file.
    pub(crate) fn check(&self, file: File<'_>) -> Result<Checked, Unfit> {
        if file.bytes.len() > self.max_bytes {
            return Err(self.too_large());
        }
        let is_bad = || self.known_bad.contains(&<[u8; 32]>::from(Sha256::digest(file.bytes)));
        if malware::find_test_virus(file.bytes).is_some() || !self.known_bad.is_empty() && is_bad()
        {
            let expected = "no file that is known to be harmful".to_owned();
            return Err(Unfit { reason: Reason::MalwareSuspected, expected });
        }
        let known = match sniff(file.bytes) {
            Sniffed::Known(file_type) => Some(file_type).filter(|known| self.types.contains(known)),
            Sniffed::Refused(expected) => return Err(refused(expected)),
            Sniffed::Unknown => text::told(&file, &self.types),
        };
        let Some(file_type) = known else {
            let names: Vec<&str> = self.types.iter().map(|known| known.as_str()).collect();
            let expected = format!("a file of one of these types: {}", names.join(", "));
            return Err(refused(expected));
        };
        if !file_type.agrees(file.declared, file.extension) {
            let name = file_type.as_str();
            return Err(refused(format!("the type and the name of what the file is, {name}")));
        }
        let plain = self.walk(file_type, file.bytes).map_err(refused)?;
        let stripped = (self.metadata == Metadata::Strip && plain != file.bytes).then_some(plain);
        // A document may well talk of scripts, and has its own rules.
        if file_type != FileType::Pdf && file_type.text_form().is_none() {
            active::check(stripped.as_deref().unwrap_or(file.bytes)).map_err(refused)?;
        }
        Ok(Checked { file_type, stripped })
    }

    /// The file without what is not needed to show it.
    fn walk(&self, file_type: FileType, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        match file_type {
            FileType::Png => png::walk(bytes, self.max_pixels),
            FileType::Jpeg => jpeg::walk(bytes, self.max_pixels),
            FileType::Gif => gif::walk(bytes, self.max_pixels),
            FileType::Webp => webp::walk(bytes, self.max_pixels),
            FileType::Svg => svg::walk(bytes, self.max_pixels),
            FileType::Pdf => pdf::walk(bytes),
            FileType::Wav => wav::walk(bytes),
            FileType::Mp3 => mp3::walk(bytes),
            FileType::Text
            | FileType::Markdown
            | FileType::Csv
            | FileType::Json
            | FileType::JsonLines => text::walk(bytes),
        }
    }
}

fn refused(expected: impl Into<String>) -> Unfit {
    Unfit { reason: Reason::FileRefused, expected: expected.into() }
}

fn hexadecimal(digest: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = digest
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    bytes.try_into().ok()
}
