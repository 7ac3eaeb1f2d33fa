//! Compiling modules.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Config;

use super::imports;
use super::state::State;
use crate::compile_cache::CompileCache;

/// How often the engine's clock ticks; deadlines of callbacks are counted in these.
pub(super) const EPOCH: Duration = Duration::from_millis(10);

/// Compiles and runs modules. Cheap to clone.
#[derive(Clone)]
pub struct Engine(wasmtime::Engine);

/// A module that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read { path: String, source: std::io::Error },
    /// The bytes are no valid WebAssembly module.
    #[error("{name}: not a valid WebAssembly module: {reason}")]
    Invalid { name: String, reason: String },
    /// The module is no proxy-wasm filter of ABI 0.2.x.
    #[error("{name}: expected a proxy-wasm filter of ABI 0.2.0 or 0.2.1: {reason}")]
    Abi { name: String, reason: String },
}

/// The engine cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine does not start: {0}")]
pub struct EngineError(String);

impl Engine {
    /// An engine that keeps compiled modules in `cache`, so that a second start is quick.
    ///
    /// # Errors
    ///
    /// If wasmtime does not support this machine.
    pub fn new(cache: &CompileCache) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.cache(cache.open());
        let engine =
            wasmtime::Engine::new(&config).map_err(|error| EngineError(format!("{error:#}")))?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name("wasm-epoch".into())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(EPOCH);
                }
            })
            .map_err(|error| EngineError(format!("no thread for its clock: {error}")))?;
        Ok(Self(engine))
    }
}

/// A compiled filter, ready to be started any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(super) engine: wasmtime::Engine,
    pub(super) instance: wasmtime::InstancePre<State>,
    name: Arc<str>,
}

impl Module {
    /// Loads a filter from a `.wasm` file.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(engine: &Engine, path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::from_bytes(engine, &name, &bytes),
            Err(source) => Err(LoadError::Read { path: name, source }),
        }
    }

    /// Compiles a filter from the bytes of a `.wasm`; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn from_bytes(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        let module = wasmtime::Module::from_binary(&engine.0, bytes).map_err(|error| {
            LoadError::Invalid { name: name.to_owned(), reason: format!("{error:#}") }
        })?;
        let abi = |reason: String| LoadError::Abi { name: name.to_owned(), reason };
        let exports = |export: &str| module.get_export(export).is_some();
        if !exports("proxy_abi_version_0_2_0") && !exports("proxy_abi_version_0_2_1") {
            let reason = match module.exports().find(|e| e.name().starts_with("proxy_abi_version"))
            {
                Some(export) => format!("it exports {}", export.name()),
                None => "it exports no proxy_abi_version_…".to_owned(),
            };
            return Err(abi(reason));
        }
        if !exports("malloc") && !exports("proxy_on_memory_allocate") {
            return Err(abi("it exports neither malloc nor proxy_on_memory_allocate".to_owned()));
        }
        let instance = imports::linker(&engine.0)
            .and_then(|linker| linker.instantiate_pre(&module))
            .map_err(|error| abi(format!("{error:#}")))?;
        Ok(Self { engine: engine.0.clone(), instance, name: name.into() })
    }

    /// The name given when it was loaded.
    pub fn name(&self) -> &str {
        &self.name
    }
}
