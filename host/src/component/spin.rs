//! The interfaces of Spin, as host functions.

pub(super) mod redis;
pub(super) mod sqlite;

use wasmtime::component::{Accessor, FutureReader, HasSelf, Linker, Resource, StreamReader};

use super::key_value::{DEFAULT_STORE, KeyValueStore};
use super::state::State;
use super::variables::LookupError;
use bindings::fermyon::spin as spin2;
use bindings::spin as spin3;

mod bindings {
    #![allow(unreachable_pub, missing_docs, reason = "generated code")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "portcullis:host/spin",
        imports: {
            "fermyon:spin/key-value@2.0.0": trappable,
            "spin:key-value/key-value@3.0.0.[method]store.get-keys": async | store | trappable,
            "spin:key-value/key-value@3.0.0": trappable,
            "spin:redis/redis@3.0.0": trappable,
            // Not `async` in the interface, and yet they wait for a disk.
            "spin:sqlite/sqlite@3.1.0.[static]connection.open": async | trappable,
            "spin:sqlite/sqlite@3.1.0.[method]connection.execute": async | trappable,
            "spin:sqlite/sqlite@3.1.0.[method]connection.last-insert-rowid": async | trappable,
            "spin:sqlite/sqlite@3.1.0.[method]connection.changes": async | trappable,
            "spin:sqlite/sqlite@3.1.0": trappable,
        },
        with: {
            "fermyon:spin/key-value@2.0.0.store": super::OpenStore,
            "spin:key-value/key-value@3.0.0.store": super::OpenStore,
            "spin:redis/redis@3.0.0.connection": super::redis::OpenRedis,
            "spin:sqlite/sqlite@3.1.0.connection": super::sqlite::OpenDatabase,
        },
    });
}

/// How many stores one instance may hold open at a time, as in Spin.
const MAX_OPEN_STORES: usize = 256;

/// An open key-value store, as a function holds it.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct OpenStore(KeyValueStore);

/// Defines Spin's interfaces in the linker.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    spin2::variables::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    spin2::key_value::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    spin3::variables::variables::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    spin3::key_value::key_value::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    spin3::redis::redis::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    spin3::sqlite::sqlite::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    Ok(())
}

fn undefined(name: &str) -> String {
    format!("no variable {name:?} is defined")
}

impl<T> spin3::variables::variables::HostWithStore<T> for HasSelf<State> {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Result<String, spin3::variables::variables::Error> {
        use spin3::variables::variables::Error;

        let variables = accessor.with(|mut access| access.get().variables.clone());
        variables.lookup(&name).map_err(|error| match error {
            LookupError::InvalidName => Error::InvalidName(name),
            LookupError::Undefined => Error::Undefined(undefined(&name)),
        })
    }
}

impl spin3::variables::variables::Host for State {}

impl spin2::variables::Host for State {
    fn get(&mut self, name: String) -> Result<String, spin2::variables::Error> {
        use spin2::variables::Error;

        self.variables.lookup(&name).map_err(|error| match error {
            LookupError::InvalidName => Error::InvalidName(name),
            LookupError::Undefined => Error::Undefined(undefined(&name)),
        })
    }
}

impl State {
    fn open_store(&mut self, label: &str) -> wasmtime::Result<Result<Resource<OpenStore>, Denied>> {
        if label != DEFAULT_STORE {
            return Ok(Err(Denied::NoSuchStore));
        }
        if self.open_stores >= MAX_OPEN_STORES {
            return Ok(Err(Denied::TableFull));
        }
        self.open_stores += 1;
        Ok(Ok(self.table.push(OpenStore(self.key_value.clone()))?))
    }

    fn store(&self, store: &Resource<OpenStore>) -> wasmtime::Result<KeyValueStore> {
        Ok(self.table.get(store)?.0.clone())
    }

    fn close_store(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        self.open_stores = self.open_stores.saturating_sub(1);
        Ok(())
    }
}

enum Denied {
    NoSuchStore,
    TableFull,
}

/// The two versions of the interface differ in whether functions are `async` in WIT and in how
/// keys are listed.
mod version2 {
    use super::*;
    use spin2::key_value::{Error, Host, HostStore};

    impl From<Denied> for Error {
        fn from(denied: Denied) -> Self {
            match denied {
                Denied::NoSuchStore => Self::NoSuchStore,
                Denied::TableFull => Self::StoreTableFull,
            }
        }
    }

    impl Host for State {}

    impl HostStore for State {
        fn open(&mut self, label: String) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
            Ok(self.open_store(&label)?.map_err(Error::from))
        }

        fn get(
            &mut self,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
            Ok(Ok(self.store(&store)?.value(&key)))
        }

        fn set(
            &mut self,
            store: Resource<OpenStore>,
            key: String,
            value: Vec<u8>,
        ) -> wasmtime::Result<Result<(), Error>> {
            let written = self.store(&store)?.set(key, value);
            Ok(written.map_err(|full| Error::Other(full.to_string())))
        }

        fn delete(
            &mut self,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<(), Error>> {
            self.store(&store)?.delete(&key);
            Ok(Ok(()))
        }

        fn exists(
            &mut self,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<bool, Error>> {
            Ok(Ok(self.store(&store)?.contains(&key)))
        }

        fn get_keys(
            &mut self,
            store: Resource<OpenStore>,
        ) -> wasmtime::Result<Result<Vec<String>, Error>> {
            Ok(Ok(self.store(&store)?.keys()))
        }

        fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
            self.close_store(store)
        }
    }
}

mod version3 {
    use super::*;
    use spin3::key_value::key_value::{Error, Host, HostStore, HostStoreWithStore};

    impl From<Denied> for Error {
        fn from(denied: Denied) -> Self {
            match denied {
                Denied::NoSuchStore => Self::NoSuchStore,
                Denied::TableFull => Self::StoreTableFull,
            }
        }
    }

    impl Host for State {}

    impl HostStore for State {
        fn drop(&mut self, store: Resource<OpenStore>) -> wasmtime::Result<()> {
            self.close_store(store)
        }
    }

    impl<T: Send> HostStoreWithStore<T> for HasSelf<State> {
        async fn open(
            accessor: &Accessor<T, Self>,
            label: String,
        ) -> wasmtime::Result<Result<Resource<OpenStore>, Error>> {
            let opened = accessor.with(|mut access| access.get().open_store(&label))?;
            Ok(opened.map_err(Error::from))
        }

        async fn get(
            accessor: &Accessor<T, Self>,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
            Ok(Ok(opened(accessor, &store)?.value(&key)))
        }

        async fn set(
            accessor: &Accessor<T, Self>,
            store: Resource<OpenStore>,
            key: String,
            value: Vec<u8>,
        ) -> wasmtime::Result<Result<(), Error>> {
            let written = opened(accessor, &store)?.set(key, value);
            Ok(written.map_err(|full| Error::Other(full.to_string())))
        }

        async fn delete(
            accessor: &Accessor<T, Self>,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<(), Error>> {
            opened(accessor, &store)?.delete(&key);
            Ok(Ok(()))
        }

        async fn exists(
            accessor: &Accessor<T, Self>,
            store: Resource<OpenStore>,
            key: String,
        ) -> wasmtime::Result<Result<bool, Error>> {
            Ok(Ok(opened(accessor, &store)?.contains(&key)))
        }

        async fn get_keys(
            accessor: &Accessor<T, Self>,
            store: Resource<OpenStore>,
        ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
            let keys = opened(accessor, &store)?.keys();
            accessor.with(|mut access| {
                let keys = StreamReader::new(&mut access, keys)?;
                let end = FutureReader::new(&mut access, async { wasmtime::error::Ok(Ok(())) })?;
                Ok((keys, end))
            })
        }
    }

    fn opened<T: Send>(
        accessor: &Accessor<T, HasSelf<State>>,
        store: &Resource<OpenStore>,
    ) -> wasmtime::Result<KeyValueStore> {
        accessor.with(|mut access| access.get().store(store))
    }
}
