//! `cargo xtask test` and `cargo xtask lint`: what CI runs.

use std::env;

use anyhow::Result;

use crate::artifacts::{self, Part, native_packages};
use crate::envoy;
use crate::oracle;
use crate::process;
use crate::redis;
use crate::step::{QuietStep, Step};
use crate::workspace::Workspace;

/// Installs and builds what the tests need, then runs them all. `arguments` go to `cargo test`.
pub(crate) fn test(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    envoy::ensure(workspace)?;
    let redis = redis::ensure(workspace)?;
    artifacts::build(workspace, &[Part::Filters])?;
    let step = QuietStep::new(
        "tests",
        "compiling the tests of all native packages (15 minutes the first time: wasmtime)",
    );
    process::run_cargo(native_packages(workspace, "test").arg("--no-run"), &step)?;
    step.done("compiled", "compiled");
    artifacts::build(workspace, &[Part::Functions])?;

    let step = Step::begin("xtask", "testing xtask itself (some seconds)");
    let mut command = workspace.cargo();
    command.args(["test", "--package", "xtask", "--profile", "xtask", "--quiet"]);
    process::run(command.arg("--target-dir").arg(workspace.target()))?;
    step.done("passed");

    let step = Step::begin("tests", "running the tests of all native packages (8 minutes)");
    let mut command = native_packages(workspace, "test");
    command.arg("--no-fail-fast").args(arguments);
    command.env("PORTCULLIS_ARTIFACTS", workspace.artifacts());
    command.env("PORTCULLIS_ENVOY", workspace.envoy());
    command.env("PORTCULLIS_COMMAND", workspace.portcullis());
    command.env("PORTCULLIS_REDIS", redis);
    command.env("PORTCULLIS_RATE_LIMIT_SERVICE", workspace.rate_limit_service());
    process::run(&mut command)?;
    step.done("passed");

    match arguments {
        // The tests have built the command.
        [] => oracle::run(workspace)?,
        _ => Step::skipped("oracle", "only some tests were asked for"),
    }

    if env::var_os("PORTCULLIS_CORPORA").is_none_or(|folder| folder.is_empty()) {
        eprintln!();
        eprintln!("!! PORTCULLIS_CORPORA is not set: the tests on attack and benign corpora were");
        eprintln!("!! SKIPPED. Set it to the folder that holds the corpora to run them.");
    }
    Ok(())
}

/// Formatting, clippy, and the licences and advisories of dependencies.
pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    let step = Step::begin("format", "cargo fmt --check");
    process::run(workspace.cargo().args(["fmt", "--all", "--", "--check"]))?;
    step.done("as it should be");

    let step =
        Step::begin("clippy", "all packages, warnings are errors (5 to 10 minutes the first time)");
    let mut command = workspace.cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--all-features"]);
    command.arg("--target-dir").arg(workspace.target()).args(["--", "--deny", "warnings"]);
    process::run(&mut command)?;
    step.done("nothing to complain about");

    deny(workspace)
}

fn deny(workspace: &Workspace) -> Result<()> {
    if process::find("cargo-deny").is_none() {
        Step::skipped("cargo-deny", "not installed (`cargo install cargo-deny`)");
        return Ok(());
    }
    if !workspace.root().join("deny.toml").is_file() {
        Step::skipped("cargo-deny", "the workspace has no deny.toml");
        return Ok(());
    }
    let step = Step::begin("cargo-deny", "licences, advisories and sources of dependencies");
    process::run(workspace.cargo().args(["deny", "check"]))?;
    step.done("nothing to complain about");
    Ok(())
}
