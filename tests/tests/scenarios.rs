//! Every file of `scenarios/` is a test: on the wasmtime host and on real Envoy, with equal verdicts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use portcullis_tests::runner::Runner;
use portcullis_tests::scenario::Scenario;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One after the other, on this thread: they share gates, which end with the thread that started them.
    arguments.test_threads = Some(1);

    let runner = Arc::new(Mutex::new(None));
    let trials = files().into_iter().map(|(name, path)| {
        let runner = Arc::clone(&runner);
        Trial::test(name.clone(), move || run(&runner, &name, &path).map_err(Failed::from))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // Ends everything that was started.
    drop(runner);
    conclusion.exit_code()
}

fn run(runner: &Mutex<Option<Runner>>, name: &str, path: &Path) -> Result<(), String> {
    let shown = |error: anyhow::Error| format!("{error:#}");
    let scenario = Scenario::read(path).map_err(shown)?;
    let mut runner = runner.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ready = match runner.take() {
        Some(ready) => ready,
        None => Runner::new().map_err(shown)?,
    };
    let result = ready.run(name, &scenario).map_err(shown);
    *runner = Some(ready);
    result
}

/// The scenarios by name, those of one setup together so that no more gates than needed are started.
fn files() -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    files.sort();
    files
}
