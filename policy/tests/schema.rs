//! policy.schema.json is what editors check policy documents with, and is made here.
#![cfg(feature = "schema")]

use std::path::Path;

use portcullis_policy::Document;

#[test]
fn the_schema_is_fresh() {
    let text = format!("{:#}\n", Document::json_schema());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.schema.json");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "policy.schema.json is stale: run this test with PORTCULLIS_BLESS=1");
}
