//! `cargo xtask build`: the filters and functions as .wasm, and the `portcullis` command.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::envoy;
use crate::process;
use crate::redis;
use crate::step::QuietStep;
use crate::strip_exports::strip_exports;
use crate::toolchain::{Toolchain, WasmTarget};
use crate::workspace::Workspace;

/// What can be built on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The proxy-wasm filters: gate, jwt-auth, rate-limit, sanitize
    Filters,
    /// The Spin components: scam-detector, jose, guard, token-issuer
    Functions,
    /// The `portcullis` command
    Native,
    /// Envoy, which is downloaded; `up` and `test` see to it by themselves
    Envoy,
    /// Redis, where it is not installed; `test` sees to it by itself
    Redis,
    /// What `bench` compares the filters with. Not for the command line: it protects nothing.
    #[value(skip)]
    Yardsticks,
}

impl Part {
    /// What Portcullis itself consists of.
    pub(crate) const ALL: [Self; 3] = [Self::Filters, Self::Functions, Self::Native];

    fn build(self, workspace: &Workspace, toolchain: &OnceCell<Toolchain>) -> Result<()> {
        match self {
            Self::Filters => build_wasm(
                workspace,
                ensured(workspace, toolchain)?,
                WasmTarget::Wasip1,
                "filters",
                "compiling the proxy-wasm filters (2 to 5 minutes the first time)",
                &FILTERS,
            ),
            Self::Functions => {
                // What prepares a component is the command.
                build_native(workspace)?;
                build_wasm(
                    workspace,
                    ensured(workspace, toolchain)?,
                    WasmTarget::Wasip2,
                    "functions",
                    "compiling the Spin components (4 to 12 minutes the first time: the ONNX runtime)",
                    &FUNCTIONS,
                )
            }
            Self::Native => build_native(workspace),
            Self::Envoy => envoy::ensure(workspace),
            Self::Redis => redis::ensure(workspace).map(drop),
            Self::Yardsticks => {
                let toolchain = ensured(workspace, toolchain)?;
                let what = "compiling what does nothing (some seconds)";
                let name = "yardsticks";
                build_wasm(workspace, toolchain, WasmTarget::Wasip1, name, what, &YARDSTICKS)?;
                build_wasm(
                    workspace,
                    toolchain,
                    WasmTarget::Wasip2,
                    name,
                    what,
                    &FUNCTION_YARDSTICKS,
                )
            }
        }
    }
}

/// Builds the parts, and installs the toolchain first where they need one.
pub(crate) fn build(workspace: &Workspace, parts: &[Part]) -> Result<()> {
    let toolchain = OnceCell::new();
    parts.iter().try_for_each(|part| part.build(workspace, &toolchain))
}

fn ensured<'a>(workspace: &Workspace, toolchain: &'a OnceCell<Toolchain>) -> Result<&'a Toolchain> {
    if let Some(toolchain) = toolchain.get() {
        return Ok(toolchain);
    }
    let fresh = Toolchain::ensure(workspace)?;
    Ok(toolchain.get_or_init(|| fresh))
}

/// A package that becomes one .wasm.
struct Artifact {
    package: &'static str,
    finish: Finish,
}

/// What is done with a .wasm after it is linked.
#[derive(Clone, Copy)]
enum Finish {
    /// A filter handles [`CALLBACKS`] and these; other exports are taken out.
    Strip(&'static [&'static str]),
    /// A component begins with what it makes ready once: `portcullis preinitialise`.
    Preinitialise,
    Nothing,
}

impl Artifact {
    fn file_name(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }

    /// Makes `destination` of what was linked.
    fn finish(&self, workspace: &Workspace, source: &Path, destination: &Path) -> Result<()> {
        match self.finish {
            Finish::Preinitialise => {
                let mut command = workspace.command(workspace.portcullis());
                command.arg("preinitialise").arg(source).arg("--output").arg(destination);
                process::output(&mut command).map(drop)
            }
            Finish::Strip(more) => {
                let callbacks: Vec<&str> = CALLBACKS.iter().chain(more).copied().collect();
                let module = strip_exports(&read(source)?, &callbacks)
                    .with_context(|| format!("taking exports out of {}", source.display()))?;
                replace(destination, &module)
            }
            Finish::Nothing => replace(destination, &read(source)?),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

const FILTERS: [Artifact; 4] = [
    Artifact { package: "gate", finish: Finish::Strip(&RESPONSE_BODY) },
    Artifact { package: "jwt-auth", finish: Finish::Strip(&[]) },
    Artifact { package: "rate-limit", finish: Finish::Strip(&RESPONSE_BODY) },
    Artifact { package: "sanitize", finish: Finish::Strip(&RESPONSE_BODY) },
];

/// For limits by what a response reports, and for what is taken out of responses. The others do not look at responses.
const RESPONSE_BODY: [&str; 2] = ["proxy_on_response_body", "proxy_on_response_trailers"];

/// Stripped like jwt-auth, so that the difference is what jwt-auth does.
const YARDSTICKS: [Artifact; 1] = [Artifact { package: "noop", finish: FILTERS[1].finish }];

const FUNCTION_YARDSTICKS: [Artifact; 1] =
    [Artifact { package: "noop-function", finish: Finish::Nothing }];

const FUNCTIONS: [Artifact; 4] = [
    Artifact { package: "scam-detector", finish: Finish::Preinitialise },
    Artifact { package: "jose", finish: Finish::Nothing },
    Artifact { package: "guard", finish: Finish::Nothing },
    Artifact { package: "token-issuer", finish: Finish::Nothing },
];

/// The callbacks that the filters handle. All others are taken out of the .wasm: a filter that
/// begins to handle one more must be given it here, or it will never be called. `proxy_on_done` is not among them: the
/// SDK's own answer, that there is nothing to wait for, is also what hosts take where there is none.
const CALLBACKS: [&str; 12] = [
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_delete",
    "proxy_on_log",
    "proxy_on_tick",
    "proxy_on_http_call_response",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
];

fn build_wasm(
    workspace: &Workspace,
    toolchain: &Toolchain,
    target: WasmTarget,
    name: &'static str,
    what: &str,
    artifacts: &[Artifact],
) -> Result<()> {
    let step = QuietStep::new(name, what);
    let mut command = toolchain.cargo(workspace, "build", target)?;
    for artifact in artifacts {
        command.args(["--package", artifact.package]);
    }
    process::run_cargo(&mut command, &step)?;
    let built = workspace.wasm_target().join(target.triple()).join(target.profile());
    let folder = workspace.artifacts();
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut changed = Vec::new();
    for artifact in artifacts {
        let source = built.join(artifact.file_name());
        let destination = folder.join(artifact.file_name());
        if is_newer(&destination, &source) {
            continue;
        }
        step.announce();
        artifact.finish(workspace, &source, &destination)?;
        let size = fs::metadata(&destination).map_or(0, |file| file.len());
        changed.push(format!("{} ({} KiB)", workspace.display(&destination), size / 1024));
    }
    let unchanged = || format!("{}/*.wasm", workspace.display(&folder));
    step.done(&if changed.is_empty() { unchanged() } else { changed.join(", ") }, &unchanged());
    Ok(())
}

fn build_native(workspace: &Workspace) -> Result<()> {
    let step = QuietStep::new(
        "portcullis",
        "compiling the `portcullis` command (10 to 15 minutes the first time: wasmtime)",
    );
    // The command comes with any integration test of its package; with a small one, since what counts is that it has the
    // features of all tests. Built on its own it had others, and wasmtime was compiled once for `up` and once for `test`.
    let mut command = native_packages(workspace, "test");
    command.args(["--test", "least_privilege", "--no-run"]);
    process::run_cargo(&mut command, &step)?;
    let binary = workspace.display(&workspace.portcullis());
    step.done(&binary, &binary);
    Ok(())
}

/// A subcommand of cargo for everything that runs natively but for xtask itself, with the features of all.
pub(crate) fn native_packages(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = workspace.cargo();
    command.args([subcommand, "--workspace", "--all-features", "--exclude", "xtask"]);
    // Filters import their host's functions, which no native linker can find; the scenarios of the `portcullis-tests` package
    // test them as .wasm.
    for filter in FILTERS.iter().chain(&YARDSTICKS) {
        command.args(["--exclude", filter.package]);
    }
    // Stated, so that the command is where we look for it whatever CARGO_TARGET_DIR says.
    command.arg("--target-dir").arg(workspace.target());
    command
}

/// Whether `copy` was written after `source`, by an xtask that is not newer either: the list of
/// callbacks may have changed with it.
fn is_newer(copy: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(copied) = modified(copy) else { return false };
    let tool = std::env::current_exe().unwrap_or_else(|_| PathBuf::new());
    [modified(source), modified(&tool)]
        .into_iter()
        .all(|time| time.is_some_and(|time| time < copied))
}

/// Writes the file in one go: a host that reads it meanwhile sees the old or the new one whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("wasm.new");
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_cargos() {
        assert_eq!(FUNCTIONS[0].file_name(), "scam_detector.wasm");
        assert_eq!(FILTERS[1].file_name(), "jwt_auth.wasm");
        assert_eq!(YARDSTICKS[0].file_name(), "noop.wasm");
    }

    #[test]
    fn a_copy_older_than_its_source_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (source, copy) = (folder.path().join("source"), folder.path().join("copy"));
        assert!(!is_newer(&copy, &source), "no copy yet");
        replace(&copy, b"old").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&source, b"new").unwrap();
        assert!(!is_newer(&copy, &source));
        std::thread::sleep(std::time::Duration::from_millis(20));
        replace(&copy, b"new").unwrap();
        assert!(is_newer(&copy, &source));
    }
}
