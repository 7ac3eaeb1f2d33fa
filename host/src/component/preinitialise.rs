//! Pre-initialisation: what a component makes ready once is part of the `.wasm` from then on.
//!
//! Every request has an instance of its own, so what an instance does first, each request pays for: for a function with
//! a model that is most of its time. A component can instead be run once when it is built, and the memory that it has
//! then be written into it. Its name for that is [`INTERFACE`].

use std::path::Path;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::FunctionConfig;
use super::load::{self, LoadError};
use super::state::{Shared, State};

/// The interface that a component exports which has something to prepare, with the one function [`FUNCTION`].
pub const INTERFACE: &str = "portcullis:function/prepare@0.1.0";
/// Takes nothing and gives nothing back.
const FUNCTION: &str = "prepare";

/// Why a component could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PreinitialiseError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it exports no {INTERFACE} with a function {FUNCTION}: func()")]
    NothingToPrepare,
    #[error("preparing failed: {0}")]
    Failed(String),
}

/// Runs the component's own preparation and returns the component as it is afterwards.
///
/// It runs as any function does here, without files, sockets and environment, and without variables: what it learned
/// from them now it would believe for ever.
///
/// # Errors
///
/// The file is no component that this host can run, has nothing to prepare, or fails at it.
pub async fn preinitialise(
    path: impl AsRef<Path>,
    config: &FunctionConfig,
) -> Result<Vec<u8>, PreinitialiseError> {
    let path = path.as_ref();
    let engine = load::engine(&config.cache)?;
    let original = load::read(path)?;
    let failed = |error: wasmtime::Error| PreinitialiseError::Failed(format!("{error:#}"));

    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(&original).map_err(failed)?;
    let component = Component::from_binary(&engine, &instrumented).map_err(failed)?;
    let linker = load::linker(&engine)?;

    let shared = Shared {
        variables: Arc::default(),
        allowed: Arc::new([]),
        config: FunctionConfig { log: config.log.clone(), ..FunctionConfig::default() },
    };
    let mut store = Store::new(&engine, State::new(&shared));
    store.limiter(|state| &mut state.allocations);
    // Whoever builds it may interrupt it; nobody else is waiting.
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = linker.instantiate_async(&mut store, &component).await.map_err(failed)?;
    let mut running = Running { store: &mut store, instance };
    running.prepare().await?;
    wizer.snapshot_component(&context, &mut running).await.map_err(failed)
}

struct Running<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl Running<'_> {
    async fn prepare(&mut self) -> Result<(), PreinitialiseError> {
        let missing = || PreinitialiseError::NothingToPrepare;
        let (_, interface) =
            self.instance.get_export(&mut *self.store, None, INTERFACE).ok_or_else(missing)?;
        let (_, function) = self
            .instance
            .get_export(&mut *self.store, Some(&interface), FUNCTION)
            .ok_or_else(missing)?;
        let function = self
            .instance
            .get_typed_func::<(), ()>(&mut *self.store, function)
            .map_err(|_| missing())?;
        let done = function.call_async(&mut *self.store, ()).await;
        done.map_err(|error| PreinitialiseError::Failed(format!("{error:#}")))
    }

    /// Calls what the instrumentation has added. That it is there and of this type is the instrumentation's own promise,
    /// on which [`ComponentInstanceState`] leaves no way to report a breach.
    async fn read<R: Lift + 'static>(&mut self, interface: &str, function: &str) -> R {
        let (_, interface) = self
            .instance
            .get_export(&mut *self.store, None, interface)
            .expect("the instrumented component exports what it was given");
        let (_, function) = self
            .instance
            .get_export(&mut *self.store, Some(&interface), function)
            .expect("the instrumented component exports what it was given");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut *self.store, function)
            .expect("accessors have the types that their names say");
        let (value,) = function
            .call_async(&mut *self.store, ())
            .await
            .expect("an accessor only reads a global or a memory");
        value
    }
}

impl ComponentInstanceState for Running<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.read(instance, func).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let value: f32 = self.read(instance, func).await;
        value.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let value: f64 = self.read(instance, func).await;
        value.to_bits()
    }
}
