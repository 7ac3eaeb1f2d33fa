//! `cargo xtask corpora`: what the screens find in collections of attacks and of ordinary text.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::error::BadInput;
use crate::process;
use crate::step::Step;
use crate::workspace::Workspace;

/// The tests of the policy that measure, and print a table for each file.
const MEASURING: [&str; 4] = ["detection", "prompt_injection", "personal_data", "corpora"];

pub(crate) fn measure(workspace: &Workspace, folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder else {
        let message = "expected the folder with the corpora: --corpora DIR or PORTCULLIS_CORPORA";
        bail!(BadInput(message.to_owned()));
    };
    let folder = folder.canonicalize().map_err(|error| {
        BadInput(format!("--corpora {}: expected a folder: {error}", folder.display()))
    })?;
    let step = Step::begin("time", "whether any text takes longer than others of its length");
    let mut command = test(workspace);
    // One at a time: they take time themselves.
    process::run(command.args(["--lib", "--", "--ignored", "--test-threads=1", "screening"]))?;
    step.done("none takes much longer");

    let step = Step::begin("corpora", "every row of every file (a few minutes)");
    let mut command = test(workspace);
    for test in MEASURING {
        command.args(["--test", test]);
    }
    command.args(["--", "--nocapture"]);
    command.env("PORTCULLIS_CORPORA", folder);
    command.env("PORTCULLIS_CORPORA_STRICT", "1");
    process::run(&mut command)?;
    step.done("no figure is below what docs/detection.md promises");
    Ok(())
}

fn test(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.args(["test", "--package", "portcullis-policy", "--all-features"]);
    command.arg("--target-dir").arg(workspace.target());
    command
}
