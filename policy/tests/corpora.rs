//! Real attacks and ordinary text through whole exchanges. The corpora are not part of the project: these tests
//! run where `PORTCULLIS_CORPORA` names their folder, and say so where they do not.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Fixture, Request};
use serde_json::{Value, json};

/// Of ordinary texts, so many in a thousand may be refused.
const REFUSED_PER_MILLE: usize = 1;

#[test]
fn ordinary_text_gets_through() {
    let Some(corpora) = corpora() else { return };
    let (mut texts, mut reasons) = (0, BTreeMap::new());
    for_each_text(&corpora.join("benign"), |file, outcome| {
        texts += 1;
        if let Err(reason) = outcome {
            *reasons.entry(format!("{file}: {reason}")).or_insert(0) += 1;
        }
    });
    let refused: usize = reasons.values().sum();
    println!("benign: {texts} texts, {refused} refused {reasons:?}");
    assert!(texts > 1000, "found only {texts} texts in {}", corpora.display());
    assert!(refused * 1000 <= texts * REFUSED_PER_MILLE, "{refused} of {texts}: {reasons:?}");
}

/// What attacks are is not judged yet; that none of them breaks the engine is.
#[test]
fn attacks_end_in_a_verdict() {
    let Some(corpora) = corpora() else { return };
    for folder in ["attacks", "libinjection", "prompt_injection"] {
        let (mut texts, mut refused) = (0, 0);
        for_each_text(&corpora.join(folder), |_, outcome| {
            texts += 1;
            refused += usize::from(outcome.is_err());
        });
        println!("{folder}: {texts} texts, {refused} refused");
        assert!(texts > 1000, "found only {texts} texts in {folder}");
    }
}

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CORPORA").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        eprintln!("!! SKIPPED: PORTCULLIS_CORPORA is not set, the corpora were not tried");
    }
    folder.map(PathBuf::from)
}

/// Sends the `text` of every row of every .jsonl file as a request, and tells how each ended.
fn for_each_text(folder: &Path, mut tell: impl FnMut(&str, Result<(), String>)) {
    let mut fixture = Fixture::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut request = Request::predict(&fixture.token("caller"));
    let mut sent = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "jsonl")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let Some(text) = row["text"].as_str().filter(|text| !text.is_empty()) else { continue };
            // Neither the limits nor the token's life are what is tried here.
            fixture.advance_seconds(1);
            sent += 1;
            if sent % 100 == 0 {
                request = Request::predict(&fixture.token("caller"));
            }
            let body = json!({ "text": text }).to_string();
            let outcome = fixture.run(&request.clone().body(body.as_bytes()));
            let outcome = outcome.map(drop).map_err(|reply| {
                let problem: Value = serde_json::from_slice(&reply.body).unwrap();
                problem["type"].as_str().unwrap().to_owned()
            });
            tell(&name, outcome);
        }
    }
}
