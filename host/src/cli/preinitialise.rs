//! `portcullis preinitialise`: a component that has done its first work when it is built.

use std::path::PathBuf;

use super::Failure;
use crate::component::{FunctionConfig, preinitialise};

/// Run a component's own preparation and write it down with what it has prepared
///
/// A function with a model spends most of a request on loading it, since every request has an instance of its own. A
/// component that exports portcullis:function/prepare@0.1.0 (one function, prepare: func()) is called once here, and
/// the memory that it leaves becomes part of the .wasm: instances begin with it. Nothing of this machine reaches it:
/// no variables, files, sockets or environment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component, a .wasm file
    component: PathBuf,

    /// Where the prepared component is written
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

impl Args {
    /// Writes the prepared component.
    ///
    /// # Errors
    ///
    /// The component is bad or has nothing to prepare, or the file cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        let shown = self.component.display();
        let prepared = super::runtime()?
            .block_on(preinitialise(&self.component, &FunctionConfig::default()))
            .map_err(|error| Failure::input(format_args!("{shown}: {error}")))?;
        // Written beside and renamed: whoever loads the file meanwhile sees the old or the new one whole.
        let unwritable =
            |error| Failure::runtime(format_args!("{}: {error}", self.output.display()));
        let fresh = self.output.with_extension("wasm.new");
        std::fs::write(&fresh, prepared)
            .and_then(|()| std::fs::rename(&fresh, &self.output))
            .map_err(unwritable)
    }
}
