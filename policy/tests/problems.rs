//! docs/problems.md lists every problem type, and is made here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use portcullis_policy::{PROBLEM_TYPE_PREFIX, Reason};

#[test]
fn the_list_of_problems_is_fresh() {
    let mut text = format!(
        "# Problems\n\n\
         Every refusal is an RFC 9457 problem document (`application/problem+json`). Its `type` is\n\
         `{PROBLEM_TYPE_PREFIX}` and a name from this list; the names are stable. `detail` says what to change,\n\
         `errors` what was expected where (a JSON pointer into the body, a header field, or a parameter, as\n\
         `query/limit`), and `instance` is the request's id, by which the operator finds the record.\n\n\
         Made by `PORTCULLIS_BLESS=1 cargo test -p portcullis-policy --test problems`.\n\n\
         gRPC clients (`content-type: application/grpc`) get a response of trailers only, with the status code beside\n\
         and title and detail as `grpc-message`.\n\n\
         | type | status | gRPC | stage | title |\n|---|---|---|---|---|\n"
    );
    for reason in Reason::ALL {
        let (name, status, stage, title) =
            (reason.as_str(), reason.status(), reason.stage().as_str(), reason.title());
        let grpc = reason.grpc_status() as u8;
        writeln!(text, "| `{name}` | {status} | {grpc} | {stage} | {title} |").unwrap();
    }
    text.push_str(
        "\n## Of the functions\n\n\
         The functions behind the gate (the scam detector, jose, the token issuer, the guard) refuse in the same form, without\n\
         `instance`: the request's id is in the response's `x-request-id`. Which path answers which: their `openapi.yaml`.\n\n\
         | type | status | title |\n|---|---|---|\n",
    );
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let mut problems = BTreeSet::new();
    problems_in(&functions, &mut problems);
    assert!(problems.len() > 20, "{problems:?}");
    for (name, status, title) in problems {
        writeln!(text, "| `{name}` | {status} | {title} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/problems.md");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "docs/problems.md is stale: run this test with PORTCULLIS_BLESS=1");
}

/// The problems that the functions' sources name: type, status and title.
fn problems_in(folder: &Path, found: &mut BTreeSet<(String, u16, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            problems_in(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for call in source.split("Problem::new(").skip(1) {
            let (status, rest) = call.split_once(',').unwrap_or_default();
            let mut texts = rest.split('"').skip(1).step_by(2);
            let status: Option<u16> = status.trim().parse().ok();
            if let (Some(status), Some(name), Some(title)) = (status, texts.next(), texts.next()) {
                found.insert((name.to_owned(), status, title.to_owned()));
            }
        }
    }
}
