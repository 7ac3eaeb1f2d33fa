//! The variables of a function, from where they are not seen by others.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Failure;
use crate::component::Variables;

/// Environment variables with this prefix are variables of the function.
const PREFIX: &str = "PORTCULLIS_VARIABLE_";
/// The largest variables file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How the variables of a function are given.
#[derive(Debug, clap::Args)]
pub struct VariableArgs {
    /// A variable of the function. Other users of this machine can see it: for a secret, use the
    /// environment variable PORTCULLIS_VARIABLE_<NAME> or --variables-file
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    variables: Vec<String>,

    /// A file with one NAME=VALUE per line; empty lines and lines that begin with # are skipped
    #[arg(long, value_name = "FILE")]
    variables_file: Option<PathBuf>,
}

impl VariableArgs {
    /// All variables. The file replaces what the environment says, and `--variable` both.
    ///
    /// # Errors
    ///
    /// The file is unreadable, or something in it, in the environment or on the command line is
    /// no variable.
    pub fn load(&self) -> Result<Variables, Failure> {
        let mut variables = Variables::default();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let place = format!("environment variable {PREFIX}{name}");
            let value = value
                .into_string()
                .map_err(|_| Failure::input(format_args!("{place}: the value is not UTF-8")))?;
            insert(&mut variables, &name.to_ascii_lowercase(), Zeroizing::new(value), &place)?;
        }
        if let Some(path) = &self.variables_file {
            read_assignments(path, |name, value, place| {
                insert(&mut variables, name, value, place)
            })?;
        }
        for pair in &self.variables {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Failure::input("--variable: expected NAME=VALUE"));
            };
            insert(&mut variables, name, Zeroizing::new(value.to_owned()), "--variable")?;
        }
        Ok(variables)
    }
}

/// Reads a file of NAME=VALUE lines, and gives `take` each name, value and place (`FILE:LINE`).
pub(crate) fn read_assignments(
    path: &Path,
    mut take: impl FnMut(&str, Zeroizing<String>, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    use std::io::Read as _;

    let shown = path.display();
    let unreadable = |error| Failure::input(format_args!("{shown}: {error}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err(Failure::input(format_args!("{shown}: larger than {MAX_FILE} bytes")));
    }
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line is not shown: it may be a secret.
        let Some((name, value)) = line.split_once('=') else {
            return Err(Failure::input(format_args!("{shown}:{number}: expected NAME=VALUE")));
        };
        let place = format!("{shown}:{number}");
        take(name.trim(), Zeroizing::new(value.trim().to_owned()), &place)?;
    }
    Ok(())
}

fn insert(
    variables: &mut Variables,
    name: &str,
    value: Zeroizing<String>,
    place: &str,
) -> Result<(), Failure> {
    variables.insert(name, value).map_err(|error| Failure::input(format_args!("{place}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Variables, Failure> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), file).unwrap();
        let args = VariableArgs { variables: vec![], variables_file: Some(path.path().to_owned()) };
        args.load()
    }

    #[test]
    fn a_file_has_comments_and_empty_lines() {
        let variables = load("# secrets\n\nassertion_key = a=b \nother=\n").unwrap();
        assert_eq!(variables.lookup("assertion_key").unwrap(), "a=b");
        assert_eq!(variables.lookup("other").unwrap(), "");
    }

    #[test]
    fn an_error_names_the_line_and_not_the_secret() {
        let failure = load("a=1\nhunter2\n").unwrap_err();
        assert!(failure.message.ends_with(":2: expected NAME=VALUE"), "{failure:?}");
        let failure = load("a=1\nA-B=hunter2\n").unwrap_err();
        assert!(failure.message.contains(":2: variable name \"A-B\""), "{failure:?}");
        assert!(!failure.message.contains("hunter2"));
    }
}
