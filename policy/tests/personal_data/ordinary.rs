//! Prose, code and exercises, in which there should be next to nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{corpora, every_kind, is_verbose, rows};

/// Of ordinary texts, so many in a thousand may have a finding.
const FINDINGS_PER_MILLE: usize = 5;

#[test]
fn next_to_nothing_is_found() {
    let Some(corpora) = corpora() else { return };
    let data = every_kind();
    let mut files: Vec<_> =
        std::fs::read_dir(corpora.join("benign")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut texts, mut with_findings) = (0, 0);
    let (mut bytes, mut spent) = (0, Duration::ZERO);
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "jsonl")) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut of_file = 0;
        for row in rows(file) {
            let Some(text) = row["text"].as_str() else { continue };
            let start = Instant::now();
            let found = data.find(text);
            spent += start.elapsed();
            bytes += text.len();
            of_file += 1;
            with_findings += usize::from(!found.is_empty());
            for finding in found {
                *counts.entry(format!("{:?}/{}", finding.kind, finding.rule)).or_default() += 1;
                if is_verbose() {
                    let near = text.floor_char_boundary(finding.range.start.saturating_sub(40));
                    let end = text.ceil_char_boundary(finding.range.end + 10);
                    println!(
                        "{:?} {} {:?} in {:?}",
                        finding.kind,
                        finding.rule,
                        &text[finding.range.clone()],
                        &text[near..end]
                    );
                }
            }
        }
        texts += of_file;
        println!("{}: {of_file} texts {counts:?}", file.file_name().unwrap().display());
    }
    let speed = bytes as f64 / spent.as_secs_f64() / 1e6;
    println!("{bytes} bytes at {speed:.1} MB/s (as this test is compiled)");
    println!("{with_findings} of {texts} texts have findings");
    assert!(texts > 1000);
    assert!(with_findings * 1000 <= texts * FINDINGS_PER_MILLE, "{with_findings} of {texts}");
}
