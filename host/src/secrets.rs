//! The secrets that a policy names, from this process's environment or a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_policy::Secrets;
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::cli::variables::read_assignments;

/// How the secrets of a policy are given.
#[derive(Debug, Default, clap::Args)]
pub struct SecretArgs {
    /// A file with the secrets that the policy names, one NAME=VALUE per line; what is not in it is taken from the
    /// environment
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
}

impl SecretArgs {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it is no NAME=VALUE.
    pub fn load(&self) -> Result<EnvironmentSecrets, Failure> {
        self.secrets.as_deref().map_or_else(|| Ok(Default::default()), EnvironmentSecrets::read)
    }
}

/// Secrets from a file and, where it has none of that name, from the environment of this process.
#[derive(Default)]
pub struct EnvironmentSecrets {
    file: BTreeMap<String, Zeroizing<String>>,
}

impl EnvironmentSecrets {
    /// Reads a file with one NAME=VALUE per line.
    ///
    /// # Errors
    ///
    /// The file cannot be read, a line is no NAME=VALUE, or a name is there twice.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut file = BTreeMap::new();
        read_assignments(path, |name, value, place| {
            if name.is_empty() {
                return Err(Failure::input(format_args!("{place}: expected NAME=VALUE")));
            }
            match file.insert(name.to_owned(), value) {
                None => Ok(()),
                Some(_) => {
                    Err(Failure::input(format_args!("{place}: {name} is in this file before")))
                }
            }
        })?;
        Ok(Self { file })
    }

    /// Those of the given names that there are, as the environment of a VM.
    pub fn environment(&self, names: &[String]) -> Vec<(String, Zeroizing<String>)> {
        let found = names.iter().filter_map(|name| Some((name.clone(), self.secret(name)?)));
        found.collect()
    }
}

impl Secrets for EnvironmentSecrets {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        let from_environment = || std::env::var(name).ok().map(Zeroizing::new);
        self.file.get(name).cloned().or_else(from_environment)
    }
}

impl std::fmt::Debug for EnvironmentSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.file.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EnvironmentSecrets, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        EnvironmentSecrets::read(file.path())
    }

    #[test]
    fn a_file_goes_before_the_environment_and_is_not_shown() {
        let secrets = read("# comment\nPATH=hunter2\n").unwrap();
        assert_eq!(secrets.secret("PATH").unwrap().as_str(), "hunter2");
        assert!(secrets.secret("PORTCULLIS_TEST_NO_SUCH_NAME").is_none());
        assert!(!format!("{secrets:?}").contains("hunter2"));
        let default = EnvironmentSecrets::default();
        assert_eq!(default.secret("PATH").map(|path| path.to_string()), std::env::var("PATH").ok());
    }

    #[test]
    fn errors_name_the_line_and_not_the_secret() {
        for (text, expected) in
            [("a=b\nhunter2", ":2: expected NAME=VALUE"), ("a=x\na=hunter2", ":2: a is in")]
        {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
        }
    }
}
