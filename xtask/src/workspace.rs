//! Where things are: every path that the tasks share.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::error::Interrupted;
use crate::process;

/// The checkout that `cargo xtask` was called in.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> Result<Self> {
        // `cargo run` states the directory of xtask at run time; the one known at compile time
        // serves when the binary is called directly.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        let root = root.canonicalize().with_context(|| format!("finding {}", root.display()))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Where the finished .wasm files are.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.target().join("portcullis")
    }

    /// Certificates, keys and generated configuration of `cargo xtask up`.
    pub(crate) fn dev(&self) -> PathBuf {
        self.artifacts().join("dev")
    }

    /// Configurations, logs and credentials of `cargo xtask bench`.
    pub(crate) fn bench(&self) -> PathBuf {
        self.target().join("bench")
    }

    pub(crate) fn envoy_home(&self) -> PathBuf {
        self.target().join("envoy")
    }

    pub(crate) fn envoy(&self) -> PathBuf {
        self.envoy_home().join("bin").join("envoy")
    }

    pub(crate) fn redis_home(&self) -> PathBuf {
        self.target().join("redis")
    }

    pub(crate) fn modsecurity_home(&self) -> PathBuf {
        self.target().join("modsecurity")
    }

    pub(crate) fn wasm_toolchain(&self) -> PathBuf {
        self.target().join("wasm-toolchain")
    }

    /// Cargo's directory for the WebAssembly builds. Apart from the native one, so that neither
    /// waits for the other's lock.
    pub(crate) fn wasm_target(&self) -> PathBuf {
        self.target().join("wasm")
    }

    /// The `portcullis` command as the dev profile builds it.
    pub(crate) fn portcullis(&self) -> PathBuf {
        self.target().join("debug").join(format!("portcullis{}", env::consts::EXE_SUFFIX))
    }

    /// The rate limit service of the tests, which `cargo test` builds with its own tests.
    pub(crate) fn rate_limit_service(&self) -> PathBuf {
        self.target().join("debug").join(format!("rate-limit-service{}", env::consts::EXE_SUFFIX))
    }

    /// Cargo, started in the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        // The cargo that runs xtask, so that no second toolchain is consulted.
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// A program started in the workspace's root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Shortens a path inside the workspace for messages.
    pub(crate) fn display(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Lets one `cargo xtask` at a time install things. Builds have cargo's own locks.
    pub(crate) fn install_lock(&self) -> Result<File> {
        let target = self.target();
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        let path = target.join(".xtask.lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
            if !told {
                eprintln!("  waiting until another `cargo xtask` has installed what it needs …");
                told = true;
            }
            // Not `File::lock`: that would wait through Ctrl-C.
            if process::interrupted() {
                bail!(Interrupted);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_installs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: folder.path().to_path_buf() };
        let held = workspace.install_lock().unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| workspace.install_lock().map(drop));
            thread::sleep(Duration::from_millis(300));
            assert!(!second.is_finished());
            drop(held);
            second.join().unwrap().unwrap();
        });
    }
}
