//! The judges of what `portcullis token verify` says, other libraries on tokens good and bad; and who else reads and writes the
//! encrypted messages of functions.

use std::fs;

use anyhow::{Context, Result};

use crate::process;
use crate::python::Packages;
use crate::step::Step;
use crate::workspace::Workspace;

const PACKAGES: Packages = Packages {
    list: "tests/oracle/requirements.txt",
    folder: "oracle/python",
    what: "installing PyJWT, joserfc and jwcrypto under target/oracle (some seconds)",
};

/// The release of jose, an npm package without dependencies, that messages are exchanged with.
const JOSE: &str = "6.2.18";

/// Asks Portcullis, PyJWT and joserfc about the same tokens. The `portcullis` command must have been built.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    PACKAGES.ensure(workspace)?;
    let step = Step::begin(
        "oracle",
        "10,000 tokens judged by Portcullis, PyJWT and joserfc (half a minute)",
    );
    let mut command = PACKAGES.python(workspace);
    command.arg("tests/oracle/judge.py").arg("--command").arg(workspace.portcullis());
    command.arg("--out").arg(workspace.target().join("oracle"));
    process::run(&mut command).context(
        "Portcullis and the other libraries do not agree. See target/oracle/verdicts.jsonl",
    )?;
    step.done("Portcullis accepts nothing that the others do not, and every good token");
    encryption(workspace)
}

/// Exchanges encrypted messages with joserfc, jwcrypto and jose. The example `jwe` must have been built, as `cargo test` does.
fn encryption(workspace: &Workspace) -> Result<()> {
    jose(workspace)?;
    let step = Step::begin("encryption", "messages of joserfc, jwcrypto and jose (some seconds)");
    let mut command = PACKAGES.python(workspace);
    let example = workspace.target().join("debug/examples/jwe");
    command.arg("tests/oracle/jwe.py").arg("--command").arg(example);
    command.arg("--out").arg(workspace.target().join("oracle"));
    process::run(&mut command)
        .context("Portcullis and the other libraries do not read each other's messages")?;
    step.done("all read each other, and what has to be refused is");
    Ok(())
}

/// Installs jose under target/oracle/node. Where there is no node, the exchange with it is left out, and says so.
fn jose(workspace: &Workspace) -> Result<()> {
    if ["node", "npm"].iter().any(|program| process::find(program).is_none()) {
        Step::skipped("jose", "there is no node with npm: messages are not exchanged with jose");
        return Ok(());
    }
    let folder = workspace.target().join("oracle/node");
    let package = folder.join("node_modules/jose/package.json");
    let version = format!("\"version\": \"{JOSE}\"");
    let is_installed = || fs::read_to_string(&package).is_ok_and(|text| text.contains(&version));
    if is_installed() {
        Step::up_to_date("jose", JOSE);
        return Ok(());
    }
    let _lock = workspace.install_lock()?;
    if is_installed() {
        return Ok(());
    }
    let step = Step::begin("jose", "installing jose under target/oracle/node (some seconds)");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut command = workspace.command("npm");
    command.args([
        "install",
        "--no-save",
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]);
    command.arg("--prefix").arg(&folder).arg(format!("jose@{JOSE}"));
    process::run(&mut command).with_context(|| {
        format!("installing jose {JOSE} from the npm registry. Remedy: let npm reach a registry, and run this again")
    })?;
    step.done(&workspace.display(&folder));
    Ok(())
}
