//! From a file to a component that can be instantiated.

use std::path::{Path, PathBuf};

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};
use wasmtime_wasi_http::handler::ProxyPre;

use super::spin;
use super::state::State;
use crate::compile_cache::CompileCache;

/// The largest component that is read, in bytes.
const MAX_COMPONENT: u64 = 256 << 20;

/// Why a function could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: larger than {} MiB", path.display(), MAX_COMPONENT >> 20)]
    TooLarge { path: PathBuf },
    #[error(
        "{}: expected a WebAssembly component, found {found}{}",
        path.display(),
        if *found == "a core module" {
            " (build it for wasm32-wasip2, or turn it into a component first)"
        } else {
            ""
        }
    )]
    NotAComponent { path: PathBuf, found: &'static str },
    #[error("{}: not a valid component: {reason}", path.display())]
    Invalid { path: PathBuf, reason: String },
    #[error(
        "{}: imports {import:?}, which this host does not offer (it offers WASI 0.2 and 0.3, \
         spin:variables, spin:key-value, their fermyon:spin@2.0.0 forms, spin:redis and spin:sqlite)",
        path.display()
    )]
    UnknownImport { path: PathBuf, import: String },
    #[error(
        "{}: exports neither wasi:http/handler@0.3.0 nor wasi:http/incoming-handler@0.2: not an \
         HTTP function",
        path.display()
    )]
    NoHandler { path: PathBuf },
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
}

/// An engine for functions.
pub(super) fn engine(cache: &CompileCache) -> Result<Engine, LoadError> {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config.cache(cache.open());
    Engine::new(&config).map_err(|error| LoadError::Engine(format!("{error:#}")))
}

/// Reads, compiles (or takes from the cache) and links a component.
pub(super) fn component(engine: &Engine, path: &Path) -> Result<ProxyPre<State>, LoadError> {
    let bytes = read(path)?;
    let invalid = |error: wasmtime::Error| LoadError::Invalid {
        path: path.to_owned(),
        reason: format!("{error:#}"),
    };
    let component = Component::from_binary(engine, &bytes).map_err(invalid)?;

    let linker = linker(engine)?;
    let pre = match linker.instantiate_pre(&component) {
        Ok(pre) => pre,
        Err(error) => {
            let import = unknown_import(engine, &component);
            return Err(import.map_or_else(
                || invalid(error),
                |import| LoadError::UnknownImport { path: path.to_owned(), import },
            ));
        }
    };
    if let Ok(service) = wasmtime_wasi_http::p3::bindings::ServicePre::new(pre.clone()) {
        return Ok(ProxyPre::P3(service));
    }
    if let Ok(proxy) = wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre) {
        return Ok(ProxyPre::P2(proxy));
    }
    Err(LoadError::NoHandler { path: path.to_owned() })
}

/// All that this host offers to components.
pub(super) fn linker(engine: &Engine) -> Result<Linker<State>, LoadError> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_wasi::p3::add_to_linker(&mut linker))
        .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
        .and_then(|()| wasmtime_wasi_http::p3::add_to_linker(&mut linker))
        .and_then(|()| spin::add_to_linker(&mut linker))
        .map_err(|error| LoadError::Engine(format!("{error:#}")))?;
    Ok(linker)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    use std::io::Read as _;

    let read_error = |error| LoadError::Read { path: path.to_owned(), error };
    let file = std::fs::File::open(path).map_err(read_error)?;
    let mut bytes = Vec::new();
    file.take(MAX_COMPONENT + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > MAX_COMPONENT {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    // The fifth to eighth bytes tell a component (layer 1) from a core module (layer 0).
    let found = match bytes.get(..8) {
        Some([b'\0', b'a', b's', b'm', _, _, 1, 0]) => return Ok(bytes),
        Some([b'\0', b'a', b's', b'm', 1, 0, 0, 0]) => "a core module",
        _ => "something that is not WebAssembly",
    };
    Err(LoadError::NotAComponent { path: path.to_owned(), found })
}

/// The first import that the host has nothing for.
fn unknown_import(engine: &Engine, component: &Component) -> Option<String> {
    const OFFERED: [&str; 7] = [
        "wasi:",
        "spin:variables/variables@3.",
        "spin:key-value/key-value@3.",
        "spin:redis/redis@3.",
        "spin:sqlite/sqlite@3.",
        "fermyon:spin/variables@2.",
        "fermyon:spin/key-value@2.",
    ];
    let component_type = component.component_type();
    let mut imports = component_type.imports(engine).map(|(name, _)| name.to_owned());
    imports.find(|name| !OFFERED.iter().any(|offered| name.starts_with(offered)))
}
