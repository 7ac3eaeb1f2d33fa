//! Spin's application variables: configuration and secrets of a function.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// The longest variable name accepted, in bytes.
const MAX_NAME: usize = 128;

/// The variables a function can read, by name.
///
/// Values may be secrets: they are wiped from memory on drop and `Debug` shows only the names.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

impl Variables {
    /// Defines a variable; a second definition replaces the first.
    ///
    /// # Errors
    ///
    /// The name is not one that Spin accepts: a lower-case letter, then lower-case letters,
    /// digits and underscores.
    pub fn insert(&mut self, name: &str, value: Zeroizing<String>) -> Result<(), InvalidName> {
        if !is_valid_name(name) {
            return Err(InvalidName(name.chars().take(MAX_NAME).collect()));
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Whether the variable is defined.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn lookup(&self, name: &str) -> Result<String, LookupError> {
        if !is_valid_name(name) {
            return Err(LookupError::InvalidName);
        }
        match self.0.get(name) {
            Some(value) => Ok(value.as_str().to_owned()),
            None => Err(LookupError::Undefined),
        }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a variable could not be defined.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "variable name {0:?}: expected a lower-case letter, then lower-case letters, digits or \
     underscores"
)]
pub struct InvalidName(String);

/// Why a function's lookup found nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    InvalidName,
    Undefined,
}

fn is_valid_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= MAX_NAME
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spins() {
        let mut variables = Variables::default();
        for name in ["a", "assertion_key", "k2"] {
            assert_eq!(variables.insert(name, Zeroizing::new("v".into())), Ok(()));
        }
        for name in ["", "A", "2k", "a-b", "a b", "_a", &"a".repeat(129)] {
            assert!(variables.insert(name, Zeroizing::new("v".into())).is_err(), "{name:?}");
            assert_eq!(variables.lookup(name), Err(LookupError::InvalidName), "{name:?}");
        }
        assert_eq!(variables.lookup("other"), Err(LookupError::Undefined));
        assert_eq!(variables.lookup("a").unwrap(), "v");
    }

    #[test]
    fn debug_output_shows_no_value() {
        let mut variables = Variables::default();
        variables.insert("key", Zeroizing::new("hunter2".into())).unwrap();
        assert_eq!(format!("{variables:?}"), r#"{"key"}"#);
    }
}
