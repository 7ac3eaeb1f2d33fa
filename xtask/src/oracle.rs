//! The judge of what `portcullis token verify` says: other libraries, on tokens good and bad.

use anyhow::{Context, Result};

use crate::process;
use crate::python::Packages;
use crate::step::Step;
use crate::workspace::Workspace;

const PACKAGES: Packages = Packages {
    list: "tests/oracle/requirements.txt",
    folder: "oracle/python",
    what: "installing PyJWT and joserfc under target/oracle (some seconds)",
};

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
    Ok(())
}
