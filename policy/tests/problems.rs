//! docs/problems.md lists every problem type, and is made here.

use std::fmt::Write as _;
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/problems.md");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "docs/problems.md is stale: run this test with PORTCULLIS_BLESS=1");
}
