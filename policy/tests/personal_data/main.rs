//! Personal data and secrets in texts of others. The corpora are not part of the project: these tests run where
//! `PORTCULLIS_CORPORA` names their folder, and say so where they do not.

mod ordinary;
mod recognisers;
mod sentences;

use std::path::{Path, PathBuf};

use portcullis_policy::screening::PersonalData;
use serde_json::Value;

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CORPORA").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        eprintln!("!! SKIPPED: PORTCULLIS_CORPORA is not set, the corpora were not tried");
    }
    folder.map(PathBuf::from)
}

fn rows(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn every_kind() -> PersonalData {
    PersonalData::compile(&PersonalData::KINDS, "kinds").unwrap()
}

/// Whether the lines about single findings are wanted too.
fn is_verbose() -> bool {
    std::env::var_os("PORTCULLIS_VERBOSE").is_some()
}

/// Where characters stand in bytes: the corpora count characters.
fn bytes_of(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(place, _)| place)
}
