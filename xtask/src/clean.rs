//! `cargo xtask clean`: removes what xtask installed and built.

use std::fs;

use anyhow::{Context, Result};

use crate::step::Step;
use crate::workspace::Workspace;

/// What `clean` removes, each with what it is.
const FOLDERS: [(&str, &str); 11] = [
    ("portcullis", "finished .wasm files, development certificates and keys"),
    ("envoy", "Envoy"),
    ("redis", "Redis"),
    ("modsecurity", "nginx with ModSecurity and its rules"),
    ("wasm-toolchain", "Debian's WebAssembly compiler"),
    ("wasm", "WebAssembly builds"),
    ("python", "Python packages for training"),
    ("debug", "native builds"),
    ("release", "native release builds"),
    ("tmp", "test scratch space"),
    // Last: this program runs from it.
    ("xtask", "xtask itself; the next call builds it again"),
];

/// Removes everything under target/, saying what it was.
pub(crate) fn clean(workspace: &Workspace) -> Result<()> {
    for (name, what) in FOLDERS {
        let folder = workspace.target().join(name);
        if !folder.exists() {
            continue;
        }
        let step = Step::begin("clean", &format!("target/{name} ({what})"));
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        step.done("removed");
    }
    Step::skipped(
        "targets added to rustup's toolchain",
        "other projects may use them; `rustup target remove wasm32-wasip1 wasm32-wasip2` takes them \
         away",
    );
    Ok(())
}
