//! Where keys are kept.

/// Spin's key-value store, or a map in the tests.
#[allow(
    async_fn_in_trait,
    reason = "a component has one thread: nobody asks whether these futures are Send"
)]
pub trait Store {
    /// The names of all entries, also those of others.
    async fn names(&self) -> Result<Vec<String>, StoreError>;
    /// An entry, or `None` where there is none of that name.
    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Writes an entry in place of any of that name.
    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError>;
    /// Deletes an entry, if there is one of that name.
    async fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// The store did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key-value store: {0}")]
pub struct StoreError(pub String);
