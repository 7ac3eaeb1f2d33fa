//! `cargo xtask train`: the scam detector's model, from data to ONNX file and model card.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::error::BadInput;
use crate::process;
use crate::python::Packages;
use crate::step::{QuietStep, Step};
use crate::workspace::Workspace;

const PACKAGES: Packages = Packages {
    list: "model/training/requirements.txt",
    folder: "python",
    what: "installing what training needs under target/python (a minute; the system stays as it is)",
};

/// The key of the mark in the model that this repository ships. It is public, as the model is.
const PUBLIC_KEY: &str = "model/watermark/public.key";

/// Trains on the data in `data`, a folder laid out as model/training/README.md says, and marks the weights with a key.
pub(crate) fn train(workspace: &Workspace, data: Option<&Path>, key: Option<&Path>) -> Result<()> {
    let data = Data::open(data)?;
    let key = match key {
        Some(key) => key.canonicalize().map_err(|error| {
            BadInput(format!("--watermark-key-file {}: {error}", key.display()))
        })?,
        None => workspace.root().join(PUBLIC_KEY),
    };
    PACKAGES.ensure(workspace)?;

    let step =
        QuietStep::new("features", "compiling the feature extractor (a minute the first time)");
    let mut command = workspace.cargo();
    command.args(["build", "--package", "portcullis-model", "--features", "training", "--bins"]);
    process::run_cargo(command.arg("--target-dir").arg(workspace.target()), &step)?;
    step.done("target/debug/features", "target/debug/features");

    let step = Step::begin(
        "train",
        "fitting, calibrating and measuring (4 to 10 minutes, 4 GB of memory)",
    );
    let mut command = PACKAGES.python(workspace);
    command.arg("model/training/train.py").arg("--data").arg(&data.0);
    command.arg("--features").arg(workspace.target().join("debug/features"));
    command.arg("--out").arg(workspace.root().join("model"));
    command.arg("--watermark-key-file").arg(key);
    process::run(&mut command)?;
    step.done("model/scam-detector.onnx, model/model.json, model/MODEL_CARD.md, model/REPORT.md");
    Ok(())
}

/// A folder that holds [`NEEDED`].
#[derive(Debug)]
struct Data(PathBuf);

impl Data {
    fn open(folder: Option<&Path>) -> Result<Self, BadInput> {
        let Some(folder) = folder else {
            return Err(BadInput(
                "the training data is not part of the repository. Remedy: `cargo xtask train \
                 --data DIR` or PORTCULLIS_MODEL_DATA=DIR, with the folder that \
                 model/training/README.md describes"
                    .to_owned(),
            ));
        };
        let shown = folder.display();
        let folder =
            folder.canonicalize().map_err(|error| BadInput(format!("--data {shown}: {error}")))?;
        let Some(missing) = NEEDED.iter().find(|file| !folder.join(file).is_file()) else {
            return Ok(Self(folder));
        };
        let expected = NEEDED.join(", ");
        Err(BadInput(format!("--data {shown}: {missing} is missing; expected {expected}")))
    }
}

/// The files without which training cannot begin.
const NEEDED: [&str; 4] = [
    "merged/train.with_source.tsv",
    "merged/valid.with_source.tsv",
    "merged/test.with_source.tsv",
    "promo.tsv",
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn data_is_complete_or_refused() {
        assert!(Data::open(None).unwrap_err().0.contains("--data DIR"));
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert!(Data::open(Some(&absent)).unwrap_err().0.contains("absent"));
        fs::create_dir(folder.path().join("merged")).unwrap();
        for file in NEEDED {
            let error = Data::open(Some(folder.path())).unwrap_err();
            assert!(error.0.contains(&format!("{file} is missing")), "{error}");
            fs::write(folder.path().join(file), "").unwrap();
        }
        Data::open(Some(folder.path())).unwrap();
    }
}
