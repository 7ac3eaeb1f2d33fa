//! Keys in Spin's key-value store.

use spin_sdk::key_value;

use super::{Store, StoreError};

/// Spin's key-value store `default`.
pub struct DefaultStore;

impl DefaultStore {
    async fn open() -> Result<key_value::Store, StoreError> {
        key_value::Store::open_default().await.map_err(failed)
    }
}

impl Store for DefaultStore {
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        Self::open().await?.get_keys().await.collect().await.map_err(failed)
    }

    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Self::open().await?.get(name).await.map_err(failed)
    }

    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        Self::open().await?.set(name, value).await.map_err(failed)
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        Self::open().await?.delete(name).await.map_err(failed)
    }
}

fn failed(error: key_value::Error) -> StoreError {
    StoreError(error.to_string())
}
