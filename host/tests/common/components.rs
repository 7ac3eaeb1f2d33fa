//! The components as they are built, and the scam detector in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A component, or `None` where it has not been built.
pub(crate) fn artifact(file: &str) -> Option<PathBuf> {
    let artifacts = std::env::var_os("PORTCULLIS_ARTIFACTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/portcullis")),
        PathBuf::from,
    );
    let path = artifacts.join(file);
    if !path.exists() {
        eprintln!("SKIPPED: {} has not been built (`cargo xtask build functions`)", path.display());
        return None;
    }
    Some(path)
}

/// The scam detector, until it is dropped.
pub(crate) struct Detector {
    process: Child,
    pub(crate) origin: String,
}

impl Detector {
    /// Answers what is asserted under this key. `None` where it has not been built.
    pub(crate) fn start(assertion_key: &str) -> Option<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("function")
            .arg(artifact("scam_detector.wasm")?)
            .args(["--listen", "127.0.0.1:0"])
            .env("PORTCULLIS_VARIABLE_ASSERTION_KEY", assertion_key)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let origin = line.trim().strip_prefix("listening on ").unwrap().trim_end_matches('/');
        Some(Self { process, origin: origin.to_owned() })
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
