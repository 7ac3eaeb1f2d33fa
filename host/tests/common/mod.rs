//! Small WebAssembly made on the spot.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]

use std::path::PathBuf;

use tempfile::TempDir;

/// A file that is gone with the value.
pub struct Artifact {
    _directory: TempDir,
    pub path: PathBuf,
}

impl Artifact {
    pub fn new(content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("artifact.wasm");
        std::fs::write(&path, content).unwrap();
        Self { _directory: directory, path }
    }
}

/// The function in `probe.wat`.
pub fn probe() -> Artifact {
    Artifact::new(&wat::parse_str(include_str!("../component/probe.wat")).unwrap())
}

/// A filter that lets everything pass.
pub const PASS: &str = r#"
    (module
      (memory (export "memory") 2)
      (global $next (mut i32) (i32.const 4096))
      (func (export "malloc") (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (global.get $next))
        (global.set $next
          (i32.and (i32.add (local.get $at) (i32.add (local.get $size) (i32.const 7)))
            (i32.const 65528)))
        (local.get $at))
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "_initialize"))
      (func (export "proxy_on_context_create") (param i32 i32))
      (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
      (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
      (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
      (func (export "proxy_on_log") (param i32))
      (func (export "proxy_on_delete") (param i32)))
"#;
