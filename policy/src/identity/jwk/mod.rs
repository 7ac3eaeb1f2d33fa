//! JSON Web Keys and sets of them (RFC 7517), checked when they are loaded: a weak or ambiguous key is an error
//! then, not a hole later.
//!
//! Read [`KeySet`] first; a [`Key`] alone is what a client sends along. What each kind of key must be is in `rsa`, `roca`,
//! `elliptic` and `symmetric`, how its members are read in `member`.

mod algorithm;
mod elliptic;
mod envelope;
mod key;
mod member;
mod roca;
mod rsa;
mod set;
mod symmetric;

pub use algorithm::Algorithm;
pub use key::Key;
pub use set::KeySet;

pub(super) use key::Material;

/// What is wrong with a key or a set of them, and in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{expected}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct JwkError {
    /// Such as `keys[0].n`; empty for the set as a whole.
    pub field: String,
    /// What was expected there.
    pub expected: String,
}

impl JwkError {
    fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { field: field.into(), expected: expected.into() }
    }
}
