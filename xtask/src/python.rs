//! Python packages for what is written in Python. They are installed under target/; the system stays as it is.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::envoy::Pip;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// Packages that something needs.
pub(crate) struct Packages {
    /// The list of them with their versions, a file that pip reads, from the workspace's root.
    pub(crate) list: &'static str,
    /// The folder under target/ that they are installed in.
    pub(crate) folder: &'static str,
    /// What is said while they are installed.
    pub(crate) what: &'static str,
}

impl Packages {
    /// Installs them, again only when the list or Python itself has changed.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<()> {
        let pip = Pip::find(workspace)?;
        let folder = self.path(workspace);
        let wanted = self.digest(workspace)?;
        let stamp = folder.join(".requirements");
        let is_installed = || fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
        if is_installed() {
            Step::up_to_date("python packages", &workspace.display(&folder));
            return Ok(());
        }
        let _lock = workspace.install_lock()?;
        if is_installed() {
            return Ok(());
        }
        let step = Step::begin("python packages", self.what);
        let mut command = pip.command();
        command.args(["install", "--upgrade", "--only-binary", ":all:", "--target"]).arg(&folder);
        process::run(command.arg("--requirement").arg(self.list)).with_context(|| {
            format!(
                "installing {} from the Python package index. Remedy: let pip reach an index, such \
                 as with PIP_INDEX_URL, and run this again",
                self.list
            )
        })?;
        fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
        step.done(&workspace.display(&folder));
        Ok(())
    }

    /// `python3` that finds these packages, and no others that a user may have.
    pub(crate) fn python(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.command("python3");
        command.env("PYTHONPATH", self.path(workspace)).env("PYTHONNOUSERSITE", "1");
        // Its bytecode would be left beside the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn path(&self, workspace: &Workspace) -> PathBuf {
        workspace.target().join(self.folder)
    }

    /// Changes with the list, and with the version of Python, for which some of them are compiled.
    fn digest(&self, workspace: &Workspace) -> Result<String> {
        let list = workspace.root().join(self.list);
        let list = fs::read(&list).with_context(|| format!("reading {}", list.display()))?;
        let mut digest = DefaultHasher::new();
        list.hash(&mut digest);
        process::text(workspace.command("python3").arg("--version"))?.hash(&mut digest);
        Ok(format!("{:016x}", digest.finish()))
    }
}
