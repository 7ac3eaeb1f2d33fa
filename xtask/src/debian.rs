//! The WebAssembly toolchain from Debian's packages, for machines where rustup cannot download.
//!
//! The packages are downloaded and unpacked under target/: no root, nothing on the system changes.
//! rustup's own cargo then builds with Debian's rustc, std from source, and the linkers that rustup's
//! toolchain ships.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::error::Interrupted;
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
        if !home.join(STAMP).is_file() {
            return Ok(None);
        }
        let host = Host::of_active_rustc(workspace)?;
        Ok(Self::open(home.join("root"), host).ok())
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
        fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
        let mut apt = Apt::new(&home);
        let packages = apt.resolve()?;
        let debs = fresh_folder(&home.join("debs"))?;
        apt.download(&packages, &debs)?;
        let root = fresh_folder(&home.join("root"))?;
        for deb in files_in(&debs)? {
            process::run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
        }
        let toolchain = Self::open(root, host)?;
        fs::remove_dir_all(&debs).with_context(|| format!("removing {}", debs.display()))?;
        let stamp = home.join(STAMP);
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

/// What the packages were, and that they are all there: written last.
const STAMP: &str = "packages.txt";

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

/// apt as an unprivileged user may call it.
pub(crate) struct Apt {
    home: PathBuf,
    /// Set once the system's package lists have turned out absent or stale, and we keep our own.
    own_lists: bool,
}

impl Apt {
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn expect() -> Result<()> {
        for tool in ["apt-get", "apt-cache", "dpkg-deb", "dpkg-query"] {
            if process::find(tool).is_none() {
                bail!("`{tool}` is not installed: this is not a Debian or Ubuntu system");
            }
        }
        Ok(())
    }

    /// What is downloaded goes into folders under `home`.
    pub(crate) fn new(home: &Path) -> Self {
        Self { home: home.to_path_buf(), own_lists: false }
    }

    /// The packages to unpack, as `name=version`.
    fn resolve(&mut self) -> Result<Vec<String>> {
        let compiler = match self.compiler_version() {
            Ok(version) => version,
            Err(_) => {
                self.update()?;
                self.compiler_version()?
            }
        };
        // libstd-rust-web-dev is the std of this machine, for build scripts and procedural macros.
        // Its runtime package carries the compiler's version in its name, and LLVM's is behind that.
        let mut packages = vec![
            format!("rustc-web={compiler}"),
            format!("libstd-rust-web-dev={compiler}"),
            format!("rust-web-src={compiler}"),
            format!("wasi-libc={}", self.candidate("wasi-libc")?),
        ];
        let runtime = self
            .dependencies("libstd-rust-web-dev", false)?
            .into_iter()
            .find(|name| name.starts_with("libstd-rust-web-"))
            .context("libstd-rust-web-dev names no libstd-rust-web-* package as its dependency")?;
        for name in self.dependencies(&runtime, true)? {
            let ours = name == runtime || name.starts_with("libllvm");
            if ours || !is_installed(&name)? {
                packages.push(format!("{name}={}", self.candidate(&name)?));
            }
        }
        Ok(packages)
    }

    /// The compiler's version on offer, if it is new enough for this workspace.
    fn compiler_version(&self) -> Result<String> {
        let version = self.candidate("rustc-web")?;
        let needed = env!("CARGO_PKG_RUST_VERSION");
        if release(&version) < release(needed) {
            bail!("Debian's rustc-web is {version} here; Portcullis needs {needed} or newer");
        }
        Ok(version)
    }

    /// The version of a package that is on offer.
    pub(crate) fn candidate(&self, package: &str) -> Result<String> {
        let policy = process::text(self.command("apt-cache").args(["policy", package]))?;
        candidate_in(&policy).map(str::to_owned).ok_or_else(|| {
            anyhow!(
                "apt knows no package {package}; is Debian 12 or newer with its security \
                     updates in /etc/apt/sources.list?"
            )
        })
    }

    fn dependencies(&self, package: &str, recursively: bool) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        command.args(["depends", "--no-recommends", "--no-suggests", "--no-conflicts"]);
        command.args(["--no-breaks", "--no-replaces", "--no-enhances"]);
        if recursively {
            command.arg("--recurse");
        }
        let listing = process::text(command.arg(package))?;
        Ok(if recursively { packages_in(&listing) } else { depends_in(&listing) })
    }

    fn download(&mut self, packages: &[String], folder: &Path) -> Result<()> {
        match self.fetch(packages, folder) {
            // Lists from another day name files that the mirror no longer has.
            Err(error) if !self.own_lists && !error.is::<Interrupted>() => {
                self.update()?;
                let renewed = self.resolve()?;
                self.fetch(&renewed, folder)
            }
            outcome => outcome,
        }
    }

    /// Downloads packages, given as `name=version`.
    pub(crate) fn fetch(&self, packages: &[String], folder: &Path) -> Result<()> {
        let mut command = self.command("apt-get");
        process::run(command.arg("download").args(packages).current_dir(folder))
    }

    /// Fetches package lists into a folder of our own, from the system's sources.
    pub(crate) fn update(&mut self) -> Result<()> {
        self.own_lists = true;
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = self.home.join("apt").join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        process::run(self.command("apt-get").arg("update"))
            .context("fetching Debian's package lists; is a mirror in reach?")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Progress; standard output is for what the user asked for.
        command.stdout(io::stderr());
        // Our folders are not readable for apt's own download user, which root would switch to.
        command.env("LC_ALL", "C").args(["-o", "APT::Sandbox::User=root"]);
        if self.own_lists {
            let apt = self.home.join("apt");
            for (option, folder) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
                command.arg("-o").arg(format!("{option}={}", apt.join(folder).display()));
            }
        }
        command
    }
}

fn is_installed(package: &str) -> Result<bool> {
    let mut query = Command::new("dpkg-query");
    let answer = process::output(query.args(["-W", "-f", "${db:Status-Status}", package]))?;
    Ok(answer.stdout.starts_with(b"installed"))
}

/// The version that `apt-cache policy` would install.
fn candidate_in(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then_some(version)
}

/// The packages of a recursive `apt-cache depends`: the lines that are not indented. Virtual packages
/// stand in angle brackets, and their providers follow as lines of their own.
fn packages_in(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// The direct dependencies that `apt-cache depends` lists.
fn depends_in(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect()
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

pub(crate) fn fresh_folder(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(path.to_path_buf())
}

pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
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

    #[test]
    fn a_package_without_candidate_is_absent() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate_in(policy), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(candidate_in("rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate_in(""), None);
    }

    #[test]
    fn dependencies_are_read_from_both_listings() {
        let direct = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n";
        assert_eq!(depends_in(direct), ["libstd-rust-web-1.96"]);
        let recursive = "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: <virtual>\n    real\n\
                         libc6\n<virtual>\nlibllvm22\n  Depends: libz3-4\n";
        assert_eq!(packages_in(recursive), ["libstd-rust-web-1.96", "libc6", "libllvm22"]);
    }
}
