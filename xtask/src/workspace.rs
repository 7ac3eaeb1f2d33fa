//! Where things are: every path that the tasks share.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

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

    pub(crate) fn envoy_home(&self) -> PathBuf {
        self.target().join("envoy")
    }

    pub(crate) fn envoy(&self) -> PathBuf {
        self.envoy_home().join("bin").join("envoy")
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

    /// Lets one `cargo xtask` at a time change what is installed and built.
    pub(crate) fn lock(&self) -> Result<File> {
        let target = self.target();
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        let path = target.join(".xtask.lock");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        if file.try_lock().is_err() {
            eprintln!("  waiting for another `cargo xtask` to finish …");
            file.lock().with_context(|| format!("locking {}", path.display()))?;
        }
        Ok(file)
    }
}
