//! What makes a picture a program as well.
//!
//! Its structure leaves no room before, between and behind; but a palette, or a scan that no decoder reads to its end, may hold
//! what another reader looks for anywhere in a file.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use memchr::memmem::rfind;

use super::Fault;

/// Long enough that none of them comes about by chance: the likeliest once in some sixty gigabytes.
const ACTIVE: [&str; 8] =
    ["<?php", "<script", "<iframe", "<!doctype", "<html", "<object ", "__halt_compiler", "#!/bin/"];

/// How far readers look for the beginning of a PDF, and from the end of a file for the directory of a ZIP.
const PDF_WINDOW: usize = 1024;
const ZIP_WINDOW: usize = 22 + 65_535;

pub(super) fn check(bytes: &[u8]) -> Result<(), Fault> {
    static PATTERNS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let build = || AhoCorasickBuilder::new().ascii_case_insensitive(true).build(ACTIVE).ok();
    let patterns = PATTERNS.get_or_init(build);
    if patterns.as_ref().is_none_or(|patterns| patterns.is_match(bytes)) {
        return Err("no script inside of the file");
    }
    check_documents(bytes)
}

/// The same of what is no script.
pub(super) fn check_documents(bytes: &[u8]) -> Result<(), Fault> {
    let start = bytes.get(..bytes.len().min(PDF_WINDOW)).unwrap_or_default();
    if start.windows(5).any(|sign| sign == b"%PDF-") {
        return Err("no document inside of the file");
    }
    let end = bytes.get(bytes.len().saturating_sub(ZIP_WINDOW)..).unwrap_or_default();
    if rfind(end, b"PK\x05\x06").is_some_and(|at| is_zip_end(end.get(at..).unwrap_or_default())) {
        return Err("no archive inside of the file");
    }
    Ok(())
}

/// The end of a ZIP's directory: its comment ends where the file does, or not far from it.
fn is_zip_end(record: &[u8]) -> bool {
    let comment = record.get(20..22).and_then(|length| <[u8; 2]>::try_from(length).ok());
    let length = comment.map_or(0, |length| usize::from(u16::from_le_bytes(length)));
    // The disks' numbers are nought in every archive of today.
    let is_first = record.get(4..8).is_some_and(|disks| disks == [0; 4]);
    is_first && record.len() >= length.saturating_add(22)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_readers_look_for_is_found() {
        let padded = |sign: &[u8], before: usize| [&vec![b'.'; before], sign, b"..."].concat();
        for sign in ["<?php", "<ScRiPt", "__HALT_COMPILER();", "<!DOCTYPE"] {
            assert!(check(&padded(sign.as_bytes(), 5000)).is_err(), "{sign}");
        }
        assert!(check(&padded(b"%PDF-1.4", 900)).is_err());
        assert!(check(&padded(b"%PDF-1.4", 2000)).is_ok());
        let archive = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        assert!(check(&padded(&archive, 50)).is_err());
        // Four bytes by chance.
        assert!(check(&padded(b"PK\x05\x06\x81\x33\xaa\x01", 50)).is_ok());
        assert!(check(b"").is_ok());
    }
}
