//! Redis, the real one: where the rate limit service of the tests has its counters.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::{Apt, files_in, fresh_folder};
use crate::error::Interrupted;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// The server, and of what it is linked with those that a system may be without.
const PACKAGES: [&str; 5] =
    ["redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];

/// The program: the system's, or Debian's under target/redis, which is downloaded if it is not there yet.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = process::find("redis-server") {
        Step::up_to_date("redis", &program.display().to_string());
        return Ok(program);
    }
    let home = workspace.redis_home();
    let program = home.join("redis-server");
    if program.is_file() {
        Step::up_to_date("redis", &workspace.display(&program));
        return Ok(program);
    }
    let _lock = workspace.install_lock()?;
    if program.is_file() {
        return Ok(program);
    }
    Apt::expect().context("redis-server is not installed, and cannot be downloaded")?;
    let step = Step::begin(
        "redis",
        "unpacking Debian's redis-server under target/redis (2 MB to download, some seconds; no root \
         needed, the system stays as it is)",
    );
    fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
    let debs = fresh_folder(&home.join("debs"))?;
    download(&home, &debs)?;
    let root = fresh_folder(&home.join("root"))?;
    for deb in files_in(&debs)? {
        process::run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
    }
    fs::remove_dir_all(&debs).with_context(|| format!("removing {}", debs.display()))?;
    let version = write_launcher(&root, &program)?;
    step.done(&version);
    Ok(program)
}

fn download(home: &Path, debs: &Path) -> Result<()> {
    let mut apt = Apt::new(home);
    let fetch = |apt: &Apt| {
        let versioned = |name: &&str| Ok(format!("{name}={}", apt.candidate(name)?));
        let packages = PACKAGES.iter().map(versioned).collect::<Result<Vec<_>>>()?;
        apt.fetch(&packages, debs)
    };
    match fetch(&apt) {
        // There are no package lists, or they name files that the mirror no longer has.
        Err(error) if !error.is::<Interrupted>() => {
            apt.update()?;
            fetch(&apt)
        }
        outcome => outcome,
    }
}

/// Writes a program that starts the server with the libraries unpacked beside it. Written last: they are all there.
fn write_launcher(root: &Path, program: &Path) -> Result<String> {
    let libraries = files_in(&root.join("usr/lib"))?;
    let libraries = libraries.iter().find(|folder| folder.join("libjemalloc.so.2").is_file());
    let Some(libraries) = libraries else { bail!("the package libjemalloc2 has no library") };
    let server = root.join("usr/bin/redis-server");
    // It becomes the server, so that who ends it ends the server.
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={libraries:?}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec {server:?} \"$@\"\n"
    );
    let fresh = program.with_extension("new");
    fs::write(&fresh, script).with_context(|| format!("writing {}", fresh.display()))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    let version = process::text(Command::new(&fresh).arg("--version"))
        .context("starting the unpacked redis-server")?;
    fs::rename(&fresh, program).with_context(|| format!("writing {}", program.display()))?;
    Ok(version)
}
