//! Debian's packages without root: downloaded with apt and unpacked under target/. Nothing on the system changes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::error::Interrupted;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// A program of Debian's, unpacked with the libraries that the system is without.
pub(crate) struct Unpacked {
    /// What the step is called.
    pub(crate) step: &'static str,
    /// Unpacked whether the system has them or not. Of what they depend on, what the system is without.
    pub(crate) packages: &'static [&'static str],
    /// Where in the packages the program is.
    pub(crate) program: &'static str,
    /// What makes it say its version, and end.
    pub(crate) version: &'static str,
    /// How much is downloaded, for people.
    pub(crate) size: &'static str,
}

impl Unpacked {
    /// A launcher of the program under `home`, for which everything is downloaded if it is not there yet.
    pub(crate) fn ensure(&self, workspace: &Workspace, home: &Path) -> Result<PathBuf> {
        let name = self.program.rsplit('/').next().unwrap_or(self.program);
        let launcher = home.join(name);
        if launcher.is_file() {
            Step::up_to_date(self.step, &workspace.display(&launcher));
            return Ok(launcher);
        }
        let _lock = workspace.install_lock()?;
        if launcher.is_file() {
            return Ok(launcher);
        }
        Apt::expect().with_context(|| format!("Debian's {name} cannot be downloaded"))?;
        let what = format!(
            "unpacking Debian's {} under {} ({} to download, some seconds; no root needed, the system \
             stays as it is)",
            self.packages.join(", "),
            workspace.display(home),
            self.size,
        );
        let step = Step::begin(self.step, &what);
        let packages = Apt::new(home).unpack(|apt| apt.lacking(self.packages))?;
        let list = home.join(LIST);
        fs::write(&list, packages.join("\n"))
            .with_context(|| format!("writing {}", list.display()))?;
        step.done(&self.write_launcher(home, &launcher)?);
        Ok(launcher)
    }

    /// Writes a program that starts the unpacked one with the libraries beside it. Written last: they are all there.
    fn write_launcher(&self, home: &Path, launcher: &Path) -> Result<String> {
        let libraries = library_folders(&home.join(ROOT))?;
        let fresh = launcher.with_extension("new");
        fs::write(&fresh, launch(self.program, &libraries))
            .with_context(|| format!("writing {}", fresh.display()))?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        let answer = process::output(Command::new(&fresh).arg(self.version))?;
        if !answer.status.success() {
            let words = process::last_words(&answer.stderr);
            bail!("the unpacked {} does not start: {words}", self.program);
        }
        fs::rename(&fresh, launcher).with_context(|| format!("writing {}", launcher.display()))?;
        // Some say it on one, some on the other.
        let said = [answer.stdout, answer.stderr].concat();
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }
}

/// Where the files of the packages are, under the folder they were unpacked in.
pub(crate) const ROOT: &str = "root";

/// What was unpacked: a line of `name=version` for each package.
pub(crate) const LIST: &str = "packages.txt";

/// The folders, within `root`, of libraries for this kind of machine.
fn library_folders(root: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for libraries in ["lib", "usr/lib"] {
        if !root.join(libraries).is_dir() {
            continue;
        }
        for folder in files_in(&root.join(libraries))? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if name.contains("-linux-gnu") {
                folders.push(format!("{libraries}/{name}"));
            }
        }
    }
    Ok(folders)
}

/// A script that becomes the program, so that who ends it ends the program. It finds what it needs from where it is
/// itself: whatever the folder's name, nothing has to be quoted.
fn launch(program: &str, libraries: &[String]) -> String {
    let mut script = format!("#!/bin/sh\nroot=${{0%/*}}/{ROOT}\n");
    for folder in libraries {
        script.push_str(&format!(
            "LD_LIBRARY_PATH=$root/{folder}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n"
        ));
    }
    if !libraries.is_empty() {
        script.push_str("export LD_LIBRARY_PATH\n");
    }
    script.push_str(&format!("exec \"$root/{program}\" \"$@\"\n"));
    script
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

    /// Downloads the packages that `resolve` names, as `name=version`, unpacks them into [`ROOT`] and answers which
    /// they were.
    pub(crate) fn unpack(
        &mut self,
        resolve: impl Fn(&Self) -> Result<Vec<String>>,
    ) -> Result<Vec<String>> {
        fs::create_dir_all(&self.home)
            .with_context(|| format!("creating {}", self.home.display()))?;
        let debs = self.home.join("debs");
        let download = |apt: &Self| -> Result<_> {
            let packages = resolve(apt)?;
            apt.fetch(&packages, &fresh_folder(&debs)?)?;
            Ok(packages)
        };
        let packages = match download(self) {
            // There are no package lists, or they name files that the mirror no longer has.
            Err(error) if !error.is::<Interrupted>() => {
                self.update()?;
                download(self)?
            }
            outcome => outcome?,
        };
        let root = fresh_folder(&self.home.join(ROOT))?;
        for deb in files_in(&debs)? {
            process::run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
        }
        fs::remove_dir_all(&debs).with_context(|| format!("removing {}", debs.display()))?;
        Ok(packages)
    }

    /// These packages, and what they depend on that the system is without or has too old, as `name=version`.
    fn lacking(&self, packages: &[&str]) -> Result<Vec<String>> {
        let mut command = self.command("apt-get");
        command.args(["install", "--simulate", "--reinstall", "--no-install-recommends", "-qq"]);
        let simulation = process::text(command.args(packages)).with_context(|| {
            format!("asking apt for {}; is this Debian 12 or newer?", packages.join(", "))
        })?;
        let lacking = installed_in(&simulation);
        for package in packages {
            if !lacking.iter().any(|found| found.starts_with(&format!("{package}="))) {
                bail!("apt would not install {package}: {simulation}");
            }
        }
        Ok(lacking)
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

    pub(crate) fn dependencies(&self, package: &str, recursively: bool) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        command.args(["depends", "--no-recommends", "--no-suggests", "--no-conflicts"]);
        command.args(["--no-breaks", "--no-replaces", "--no-enhances"]);
        if recursively {
            command.arg("--recurse");
        }
        let listing = process::text(command.arg(package))?;
        Ok(if recursively { packages_in(&listing) } else { depends_in(&listing) })
    }

    /// Downloads packages, given as `name=version`.
    fn fetch(&self, packages: &[String], folder: &Path) -> Result<()> {
        let mut command = self.command("apt-get");
        process::run(command.arg("download").args(packages).current_dir(folder))
    }

    /// Fetches package lists into a folder of our own, from the system's sources.
    fn update(&mut self) -> Result<()> {
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

pub(crate) fn is_installed(package: &str) -> Result<bool> {
    let mut query = Command::new("dpkg-query");
    let answer = process::output(query.args(["-W", "-f", "${db:Status-Status}", package]))?;
    Ok(answer.stdout.starts_with(b"installed"))
}

/// The version that `apt-cache policy` would install.
fn candidate_in(policy: &str) -> Option<&str> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then_some(version)
}

/// What `apt-get install --simulate` would install, as `name=version`. Where another version is there already, that one
/// stands before the new one, in square brackets.
fn installed_in(simulation: &str) -> Vec<String> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let (_before, new) = rest.split_once('(')?;
        Some(format!("{name}={}", new.split_whitespace().next()?))
    };
    simulation.lines().filter_map(package).collect()
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

fn fresh_folder(path: &Path) -> Result<PathBuf> {
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
#[path = "apt_tests.rs"]
mod tests;
