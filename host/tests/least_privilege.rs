//! What the shipped components import: what a host grants them, and nothing else can reach them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use wasmparser::{Parser, Payload};

/// What the SDK and the standard library ask for in any component: output for the operator, clocks, random numbers,
/// and an environment that is empty.
const EVERY: [&str; 22] = [
    "spin:variables/variables@3.0.0",
    "wasi:cli/environment@0.2",
    "wasi:cli/exit@0.2",
    "wasi:cli/stderr@0.2",
    "wasi:cli/stdin@0.2",
    "wasi:cli/stdin@0.3",
    "wasi:cli/stdout@0.2",
    "wasi:cli/terminal-input@0.2",
    "wasi:cli/terminal-output@0.2",
    "wasi:cli/terminal-stderr@0.2",
    "wasi:cli/terminal-stdin@0.2",
    "wasi:cli/terminal-stdout@0.2",
    "wasi:cli/types@0.3",
    "wasi:clocks/monotonic-clock@0.2",
    "wasi:clocks/wall-clock@0.2",
    "wasi:clocks/types@0.3",
    "wasi:http/types@0.3",
    "wasi:io/error@0.2",
    "wasi:io/poll@0.2",
    "wasi:io/streams@0.2",
    "wasi:random/insecure-seed@0.2",
    "wasi:random/random@0.2",
];

#[test]
fn components_import_what_they_need_and_no_more() {
    for (file, own) in [
        ("scam_detector.wasm", &["spin:key-value/key-value@3.0.0"][..]),
        ("token_issuer.wasm", &["spin:key-value/key-value@3.0.0"]),
        (
            "jose.wasm",
            &[
                "spin:key-value/key-value@3.0.0",
                // It calls one host, and does not wait for ever.
                "wasi:http/client@0.3",
                "wasi:clocks/monotonic-clock@0.3",
            ],
        ),
        (
            "guard.wasm",
            &[
                // What is known of keys that are fetched.
                "spin:key-value/key-value@3.0.0",
                // Where limits are counted.
                "spin:redis/redis@3.0.0",
                "spin:sqlite/sqlite@3.1.0",
                "wasi:http/client@0.3",
                "wasi:clocks/monotonic-clock@0.3",
            ],
        ),
    ] {
        let Some(imports) = imports(file) else { continue };
        let surplus: Vec<&String> = imports
            .iter()
            .filter(|import| !EVERY.iter().chain(own).any(|known| import.starts_with(known)))
            .collect();
        assert!(surplus.is_empty(), "{file} imports more than is granted: {surplus:?}");
        for forbidden in
            ["wasi:sockets", "wasi:filesystem", "wasi:http/client", "wasi:http/outgoing"]
        {
            let is_own = own.iter().any(|import| import.starts_with(forbidden));
            let is_imported = imports.iter().any(|import| import.starts_with(forbidden));
            assert!(is_own || !is_imported, "{file}: {forbidden}");
        }
    }
}

/// `spin.toml` names the hosts that each component may call one by one: what decrypts and what guards may call the function behind, and
/// the others nobody.
#[test]
fn components_may_call_nobody_outside() {
    let guarded = include_str!("../../functions/guard/spin.toml");
    for manifest in [include_str!("../../spin.toml"), guarded] {
        let components = manifest.lines().filter(|line| line.starts_with("source = ")).count();
        let allowed: Vec<&str> =
            manifest.lines().filter(|line| line.starts_with("allowed_outbound_hosts")).collect();
        let inside = r#"allowed_outbound_hosts = ["http://scam-detector.spin.internal"]"#;
        let calling: Vec<&&str> =
            allowed.iter().filter(|line| **line != "allowed_outbound_hosts = []").collect();
        assert_eq!((allowed.len(), calling), (components, vec![&inside]));
    }
}

fn imports(file: &str) -> Option<BTreeSet<String>> {
    let artifacts = std::env::var_os("PORTCULLIS_ARTIFACTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/portcullis")),
        PathBuf::from,
    );
    let Ok(bytes) = std::fs::read(artifacts.join(file)) else {
        eprintln!("SKIPPED: {file} is not there (`cargo xtask build functions`)");
        return None;
    };
    let mut imports = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // Those of the component itself: what it is put together from imports from its other parts.
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports
                    .extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    assert!(!imports.is_empty());
    Some(imports)
}
