//! A compiler for the two WebAssembly targets: rustup's where it can be had, Debian's elsewhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};

use crate::debian::DebianToolchain;
use crate::error::{BadInput, Interrupted};
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// The targets that Portcullis is compiled to, besides the machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WasmTarget {
    /// proxy-wasm filters: core modules.
    Wasip1,
    /// Spin functions: components.
    Wasip2,
}

impl WasmTarget {
    pub(crate) const ALL: [Self; 2] = [Self::Wasip1, Self::Wasip2];

    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm32-wasip1",
            Self::Wasip2 => "wasm32-wasip2",
        }
    }

    /// The profile in Cargo.toml, and the name of the folder that it is built in.
    pub(crate) fn profile(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm",
            Self::Wasip2 => "function",
        }
    }
}

/// A way to compile for [`WasmTarget`]s that is known to be complete.
pub(crate) enum Toolchain {
    /// The active Rust toolchain has the targets.
    Active,
    Debian(DebianToolchain),
}

impl Toolchain {
    /// Finds a toolchain, or installs one: into rustup's toolchain, else under target/.
    ///
    /// `PORTCULLIS_WASM_TOOLCHAIN=rustup` or `=debian` forbids the other way.
    pub(crate) fn ensure(workspace: &Workspace) -> Result<Self> {
        let choice = Choice::from_environment()?;
        if let Some(toolchain) = Self::find(workspace, choice)? {
            toolchain.report();
            return Ok(toolchain);
        }
        let _lock = workspace.install_lock()?;
        if let Some(toolchain) = Self::find(workspace, choice)? {
            return Ok(toolchain);
        }
        let refusal = match choice {
            Choice::Debian => None,
            Choice::Any | Choice::Rustup => match Rustup::new(workspace).add_targets() {
                Ok(()) => return Ok(Self::Active),
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => Some(error),
            },
        };
        match (choice, refusal) {
            (Choice::Rustup, Some(refusal)) => Err(refusal),
            (_, refusal) => DebianToolchain::install(workspace).map(Self::Debian).map_err(|error| {
                let Some(refusal) = refusal else { return error };
                if error.is::<Interrupted>() {
                    return error;
                }
                anyhow!(
                    "no compiler for WebAssembly can be had.\n  rustup: {refusal:#}\n  Debian's \
                     packages: {error:#}\nRemedy: with a network, run `rustup target add {}` and \
                     try again.",
                    triples().join(" ")
                )
            }),
        }
    }

    fn find(workspace: &Workspace, choice: Choice) -> Result<Option<Self>> {
        if choice != Choice::Debian && active_has_targets(workspace)? {
            return Ok(Some(Self::Active));
        }
        if choice == Choice::Rustup {
            return Ok(None);
        }
        Ok(DebianToolchain::installed(workspace)?.map(Self::Debian))
    }

    fn report(&self) {
        match self {
            Self::Active => Step::up_to_date("wasm targets", "in the active Rust toolchain"),
            Self::Debian(debian) => Step::up_to_date("wasm targets", debian.version()),
        }
    }

    /// Cargo set up to compile for `target` in the workspace, with its profile: the
    /// subcommand and all that the toolchain needs is there, packages and more come from the caller.
    pub(crate) fn cargo(
        &self,
        workspace: &Workspace,
        subcommand: &str,
        target: WasmTarget,
    ) -> Result<Command> {
        let mut command = workspace.cargo();
        // These would silently replace the flags below.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
            command.env_remove(variable);
        }
        command.args([subcommand, "--profile", target.profile(), "--target", target.triple()]);
        command.arg("--target-dir").arg(workspace.wasm_target());
        let mut rustflags = vec![TARGET_FEATURES.to_owned()];
        if let Self::Debian(debian) = self {
            debian.equip(&mut command, target, &mut rustflags)?;
        }
        command.arg("--config").arg(format!("target.{}.rustflags={rustflags:?}", target.triple()));
        Ok(command)
    }
}

/// Fixed-width SIMD is in every runtime we run in (V8 in Envoy, wasmtime in our host and in Spin).
/// The model's matrix code and the scanners' automata live on it.
const TARGET_FEATURES: &str = "-Ctarget-feature=+simd128";

/// Who may provide the toolchain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Any,
    Rustup,
    Debian,
}

impl Choice {
    fn from_environment() -> Result<Self> {
        match env::var("PORTCULLIS_WASM_TOOLCHAIN").as_deref() {
            Err(_) | Ok("") => Ok(Self::Any),
            Ok("rustup") => Ok(Self::Rustup),
            Ok("debian") => Ok(Self::Debian),
            Ok(other) => {
                bail!(BadInput(format!(
                    "PORTCULLIS_WASM_TOOLCHAIN is {other:?}; expected \"rustup\" or \"debian\""
                )))
            }
        }
    }
}

fn triples() -> [&'static str; 2] {
    WasmTarget::ALL.map(WasmTarget::triple)
}

/// Whether the toolchain in use can compile for both targets, however it came by that.
fn active_has_targets(workspace: &Workspace) -> Result<bool> {
    for triple in triples() {
        let mut query = workspace.command("rustc");
        query.args(["--print", "target-libdir", "--target", triple]);
        let folder = PathBuf::from(process::text(&mut query)?);
        let has_std = fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        });
        if !has_std {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Rustup<'a> {
    workspace: &'a Workspace,
    failed: PathBuf,
}

impl<'a> Rustup<'a> {
    fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, failed: workspace.wasm_toolchain().join("rustup-failed.txt") }
    }

    /// Adds the targets to the active toolchain, unless that failed less than a day ago.
    fn add_targets(&self) -> Result<()> {
        if let Some(reason) = self.remembered_failure() {
            bail!(
                "{reason} (tried less than a day ago; `rm {}` to try again)",
                self.workspace.display(&self.failed)
            );
        }
        if process::find("rustup").is_none() {
            bail!("rustup is not installed");
        }
        let step = Step::begin(
            "wasm targets",
            "asking rustup for wasm32-wasip1 and wasm32-wasip2 (45 MB, some seconds)",
        );
        let mut command = self.workspace.command("rustup");
        command.args(["target", "add"]).args(triples());
        let mut stalled = Stalled::new(DOWNLOADS_STALL_AFTER);
        let reason = match process::output_unless(&mut command, || stalled.check()) {
            Ok(output) if output.status.success() && active_has_targets(self.workspace)? => {
                step.done("installed by rustup");
                return Ok(());
            }
            Ok(output) if output.status.success() => {
                "it added them to a toolchain of its own, but the `rustc` on PATH is another"
                    .to_owned()
            }
            Ok(output) => process::last_words(&output.stderr),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => error.to_string(),
        };
        self.remember_failure(&reason)?;
        step.done("rustup cannot provide them here");
        bail!(reason)
    }

    fn remembered_failure(&self) -> Option<String> {
        let written = fs::metadata(&self.failed).ok()?.modified().ok()?;
        let age = SystemTime::now().duration_since(written).unwrap_or_default();
        if age > RETRY_AFTER {
            return None;
        }
        fs::read_to_string(&self.failed).ok()
    }

    fn remember_failure(&self, reason: &str) -> Result<()> {
        fs::create_dir_all(self.workspace.wasm_toolchain())
            .and_then(|()| fs::write(&self.failed, reason))
            .with_context(|| format!("writing {}", self.failed.display()))
    }
}

const RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Behind a firewall that swallows packets rustup would wait for minutes.
const DOWNLOADS_STALL_AFTER: Duration = Duration::from_secs(20);

/// Notices that rustup's downloads no longer grow.
struct Stalled {
    patience: Duration,
    size: u64,
    grew: Instant,
    looked: Instant,
}

impl Stalled {
    fn new(patience: Duration) -> Self {
        Self { patience, size: 0, grew: Instant::now(), looked: Instant::now() }
    }

    fn check(&mut self) -> bool {
        if self.looked.elapsed() < Duration::from_millis(500) {
            return false;
        }
        self.looked = Instant::now();
        let size = rustup_home().map_or(0, |home| {
            ["downloads", "tmp", "toolchains"]
                .iter()
                .map(|name| size_below(&home.join(name), 2))
                .sum()
        });
        if size != self.size {
            self.size = size;
            self.grew = Instant::now();
        }
        self.grew.elapsed() > self.patience
    }
}

fn rustup_home() -> Option<PathBuf> {
    env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".rustup")))
}

/// The bytes of the files in a folder, and of those in its folders down to `depth`.
fn size_below(folder: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| match metadata.is_dir() {
            true if depth > 0 => size_below(&path, depth - 1),
            true => 0,
            false => metadata.len(),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_that_stands_still_is_noticed() {
        let mut stalled = Stalled::new(Duration::from_millis(1));
        stalled.size = u64::MAX;
        stalled.looked = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        assert!(!stalled.check(), "it has just changed");
        stalled.looked = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        stalled.grew = stalled.looked;
        assert!(stalled.check());
    }
}
