//! The WebAssembly toolchain from Debian's packages, for machines where rustup cannot download.
//!
//! The packages are downloaded and unpacked under target/: no root, nothing on the system changes.
//! rustup's own cargo then builds with Debian's rustc, std from source, and the linkers that rustup's
//! toolchain ships.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{Apt, LIST, ROOT, is_installed};
use crate::process;
use crate::step::Step;
use crate::toolchain::WasmTarget;
use crate::workspace::Workspace;

/// Debian's compiler, unpacked and known to start.
pub(crate) struct DebianToolchain {
    root: PathBuf,
    host: Host,
    version: String,
}

impl DebianToolchain {
    /// The toolchain of an earlier run, if it is there and still starts.
    pub(crate) fn installed(workspace: &Workspace) -> Result<Option<Self>> {
        let home = workspace.wasm_toolchain();
        // Written last: they are all there.
        if !home.join(LIST).is_file() {
            return Ok(None);
        }
        let host = Host::of_active_rustc(workspace)?;
        Ok(Self::open(home.join(ROOT), host).ok())
    }

    /// Downloads and unpacks the packages.
    pub(crate) fn install(workspace: &Workspace) -> Result<Self> {
        Apt::expect()?;
        let host = Host::of_active_rustc(workspace)?;
        let step = Step::begin(
            "wasm targets",
            "unpacking Debian's wasm compiler under target/wasm-toolchain (140 MB to download, \
             850 MB unpacked, under a minute; no root needed, the system stays as it is)",
        );
        let home = workspace.wasm_toolchain();
        let packages = Apt::new(&home).unpack(packages)?;
        let toolchain = Self::open(home.join(ROOT), host)?;
        let stamp = home.join(LIST);
        fs::write(&stamp, packages.join("\n"))
            .with_context(|| format!("writing {}", stamp.display()))?;
        step.done(&toolchain.version);
        Ok(toolchain)
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Makes a `cargo build` use this compiler; std is then built along (about 30 s, once per target).
    pub(crate) fn equip(
        &self,
        command: &mut Command,
        target: WasmTarget,
        rustflags: &mut Vec<String>,
    ) -> Result<()> {
        let linker = match target {
            WasmTarget::Wasip1 => "rust-lld",
            WasmTarget::Wasip2 => "wasm-component-ld",
        };
        let linker = self.host.linkers.join(linker);
        if !linker.is_file() {
            bail!(
                "{} is missing: the Rust toolchain in use does not come from rustup",
                linker.display()
            );
        }
        command
            .env("RUSTC", self.root.join("usr/bin/rustc"))
            // -Zbuild-std is unstable; the compiler itself is a release.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", prepended(&self.libraries(), "LD_LIBRARY_PATH")?)
            // wasm-component-ld calls the wasm-ld that is there.
            .env("PATH", prepended(&self.host.linkers.join("gcc-ld"), "PATH")?)
            .arg("-Zbuild-std=std,panic_abort")
            .arg("--config")
            .arg(format!("target.{}.linker={linker:?}", target.triple()));
        let libc = self.root.join("usr/lib/wasm32-wasi");
        rustflags.extend(["-L".to_owned(), format!("native={}", libc.display())]);
        Ok(())
    }

    fn open(root: PathBuf, host: Host) -> Result<Self> {
        let mut toolchain = Self { root, host, version: String::new() };
        let mut command = Command::new(toolchain.root.join("usr/bin/rustc"));
        command.arg("--version").env("LD_LIBRARY_PATH", toolchain.libraries());
        let version = process::text(&mut command).context("starting Debian's rustc")?;
        toolchain.version = format!("Debian's {version}");
        Ok(toolchain)
    }

    fn libraries(&self) -> PathBuf {
        self.root.join("usr/lib").join(self.host.multiarch)
    }
}

/// The machine that compiles.
struct Host {
    /// Debian's name of it in library paths.
    multiarch: &'static str,
    /// rustup's folder of linkers for it.
    linkers: PathBuf,
}

impl Host {
    fn of_active_rustc(workspace: &Workspace) -> Result<Self> {
        let sysroot = process::text(workspace.command("rustc").args(["--print", "sysroot"]))?;
        let (triple, multiarch) = match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => ("x86_64-unknown-linux-gnu", "x86_64-linux-gnu"),
            ("linux", "aarch64") => ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu"),
            (os, architecture) => bail!("there is no Debian toolchain for {os} on {architecture}"),
        };
        let linkers = Path::new(&sysroot).join("lib/rustlib").join(triple).join("bin");
        Ok(Self { multiarch, linkers })
    }
}

/// The packages to unpack, as `name=version`.
fn packages(apt: &Apt) -> Result<Vec<String>> {
    let compiler = compiler_version(apt)?;
    // libstd-rust-web-dev is the std of this machine, for build scripts and procedural macros.
    // Its runtime package carries the compiler's version in its name, and LLVM's is behind that.
    let mut packages = vec![
        format!("rustc-web={compiler}"),
        format!("libstd-rust-web-dev={compiler}"),
        format!("rust-web-src={compiler}"),
        format!("wasi-libc={}", apt.candidate("wasi-libc")?),
    ];
    let runtime = apt
        .dependencies("libstd-rust-web-dev", false)?
        .into_iter()
        .find(|name| name.starts_with("libstd-rust-web-"))
        .context("libstd-rust-web-dev names no libstd-rust-web-* package as its dependency")?;
    for name in apt.dependencies(&runtime, true)? {
        let ours = name == runtime || name.starts_with("libllvm");
        if ours || !is_installed(&name)? {
            packages.push(format!("{name}={}", apt.candidate(&name)?));
        }
    }
    Ok(packages)
}

/// The compiler's version on offer, if it is new enough for this workspace.
fn compiler_version(apt: &Apt) -> Result<String> {
    let version = apt.candidate("rustc-web")?;
    let needed = env!("CARGO_PKG_RUST_VERSION");
    if release(&version) < release(needed) {
        bail!("Debian's rustc-web is {version} here; Portcullis needs {needed} or newer");
    }
    Ok(version)
}

/// Major and minor number of a version such as `1.96.0+dfsg1-1~deb12u2`.
fn release(version: &str) -> (u32, u32) {
    let upstream = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let mut numbers = upstream
        .split(|character: char| !character.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn prepended(folder: &Path, variable: &str) -> Result<OsString> {
    let rest = env::var_os(variable).unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&rest));
    env::join_paths(folders).with_context(|| format!("extending {variable}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(release("1.96.0+dfsg1-1~deb12u2"), (1, 96));
        assert_eq!(release("1:22.1.8-1~deb12u1"), (22, 1));
        assert!(release("1.100.0") > release("1.95"));
        assert!(release("1.85.0+dfsg3-1~deb12u3") < release("1.95"));
    }
}
