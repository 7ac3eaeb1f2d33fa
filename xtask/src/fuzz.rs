//! `cargo xtask fuzz`: hostile bytes for everything that reads what a client sent, for as long as wanted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::error::BadInput;
use crate::process;
use crate::step::{QuietStep, Step};
use crate::workspace::Workspace;

/// The fuzzer's driver, from the package registry. The library under it is LLVM's libFuzzer.
const CARGO_FUZZ: &str = "cargo-fuzz";
const CARGO_FUZZ_VERSION: &str = "0.13.2";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to fuzz; by default everything, one after the other
    targets: Vec<String>,
    /// How long all of it together takes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// A folder with collections of texts to begin with; docs/detection.md names them
    #[arg(long, env = "PORTCULLIS_CORPORA", value_name = "DIR")]
    corpora: Option<PathBuf>,
}

pub(crate) fn fuzz(workspace: &Workspace, options: &Options) -> Result<()> {
    let known = targets(workspace)?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        return Err(BadInput(format!("{unknown}: expected one of {}", known.join(", "))).into());
    }
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let driver = ensure(workspace)?;
    let seconds = (options.minutes * 60 / u32::try_from(chosen.len())?).max(1);

    let step =
        QuietStep::new("fuzz targets", "compiling the engine with coverage (2 to 4 minutes)");
    process::run_cargo(Fuzz::new(workspace, &driver, "build").command(), &step)?;
    step.done("target/fuzz", "target/fuzz");

    for target in chosen {
        let step = Step::begin("fuzz", &format!("{target}, {seconds} s"));
        let corpus = workspace.target().join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| format!("creating {}", corpus.display()))?;
        seed(workspace, options.corpora.as_deref(), &corpus)?;
        let mut run = Fuzz::new(workspace, &driver, "run");
        run.command().arg(target).arg(&corpus).arg("--");
        // 10 s for one input would be a finding too; none of ours may take a hundredth of that.
        run.command().args([
            "-timeout=5",
            "-rss_limit_mb=2048",
            "-max_len=65536",
            "-print_final_stats=1",
        ]);
        run.command().arg(format!("-max_total_time={seconds}"));
        let artifacts = workspace.target().join("fuzz/artifacts").join(target);
        fs::create_dir_all(&artifacts)?;
        run.command().arg(format!("-artifact_prefix={}/", artifacts.display()));
        process::run(run.command()).with_context(|| {
            format!("{target} has a finding: the input is in {}", workspace.display(&artifacts))
        })?;
        step.done("no finding");
    }
    Ok(())
}

/// The names of the fuzz targets, those of their files.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("policy/fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// A call of cargo-fuzz.
struct Fuzz(Command);

impl Fuzz {
    fn new(workspace: &Workspace, driver: &Path, subcommand: &str) -> Self {
        let mut command = workspace.command(driver);
        command.args(["fuzz", subcommand, "--fuzz-dir", "policy/fuzz"]);
        // The engine has no `unsafe` of its own to look behind; without the sanitiser the stable compiler does.
        command.args(["--sanitizer", "none"]);
        command.arg("--target-dir").arg(workspace.target().join("fuzz"));
        Self(command)
    }

    fn command(&mut self) -> &mut Command {
        &mut self.0
    }
}

/// Finds cargo-fuzz, or installs it under target/.
fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = process::find(CARGO_FUZZ) {
        return Ok(found);
    }
    let home = workspace.target().join("tools");
    let driver = home.join("bin").join(CARGO_FUZZ);
    if driver.is_file() {
        return Ok(driver);
    }
    let _lock = workspace.install_lock()?;
    let step = Step::begin("cargo-fuzz", "installing it under target/tools (a minute)");
    let mut command = workspace.cargo();
    command.args(["install", CARGO_FUZZ, "--version", CARGO_FUZZ_VERSION, "--locked", "--root"]);
    process::run(command.arg(&home))?;
    step.done(&workspace.display(&driver));
    Ok(driver)
}

/// The most inputs to begin with, and the largest, in bytes.
const MAXIMUM_SEEDS: usize = 4000;
const MAXIMUM_SEED_BYTES: u64 = 16 << 10;

/// Copies what tests and collections have into the corpus, where the fuzzer does not know it yet.
fn seed(workspace: &Workspace, corpora: Option<&Path>, corpus: &Path) -> Result<()> {
    let mut folders =
        vec![workspace.root().join("tests/scenarios"), workspace.root().join("policy/tests")];
    folders.extend(corpora.map(Path::to_path_buf));
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let lines = path.extension().is_some_and(|kind| kind == "txt" || kind == "jsonl");
            if lines {
                let text = fs::read_to_string(&path).unwrap_or_default();
                // Some of each file, spread over it.
                let step = (text.lines().count() / 100).max(1);
                for line in text.lines().step_by(step) {
                    count += 1;
                    fs::write(corpus.join(format!("seed-{count}")), line)?;
                }
            } else if metadata.len() <= MAXIMUM_SEED_BYTES {
                count += 1;
                fs::copy(&path, corpus.join(format!("seed-{count}")))?;
            }
            if count >= MAXIMUM_SEEDS {
                return Ok(());
            }
        }
    }
    Ok(())
}
