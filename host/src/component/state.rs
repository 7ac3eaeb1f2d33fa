//! What the store of one instance holds.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::FunctionConfig;
use super::key_value::KeyValueStore;
use super::limits::Allocations;
use super::outbound::{Outbound, OutboundHost};
use super::output::Output;
use super::spin::{redis, sqlite};
use super::sqlite::SqliteDatabases;
use super::variables::Variables;

/// How many WASI resources (streams, fields, bodies …) one instance may hold.
const MAX_RESOURCES: usize = 10_000;

pub(super) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    pub(super) table: ResourceTable,
    pub(super) allocations: Allocations,
    pub(super) variables: Arc<Variables>,
    pub(super) key_value: KeyValueStore,
    pub(super) open_stores: usize,
    pub(super) databases: SqliteDatabases,
    /// How many connections more may be opened.
    pub(super) sqlite_connections: Arc<Semaphore>,
    pub(super) redis_connections: Arc<Semaphore>,
}

/// What all instances of a function share.
pub(super) struct Shared {
    pub(super) variables: Arc<Variables>,
    pub(super) allowed: Arc<[OutboundHost]>,
    pub(super) config: FunctionConfig,
}

impl State {
    /// The state of a fresh instance: no files, no sockets, no environment, no arguments.
    pub(super) fn new(shared: &Shared) -> Self {
        let output = Output::new(shared.config.log.clone());
        let wasi = WasiCtx::builder()
            .stdout(output.clone())
            .stderr(output)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            wasi,
            http: WasiHttpCtx::new(),
            outbound: Outbound { allowed: shared.allowed.clone() },
            table,
            allocations: Allocations::new(&shared.config.limits),
            variables: shared.variables.clone(),
            key_value: shared.config.key_value.clone(),
            open_stores: 0,
            databases: shared.config.databases.clone(),
            sqlite_connections: Arc::new(Semaphore::new(sqlite::MAX_CONNECTIONS)),
            redis_connections: Arc::new(Semaphore::new(redis::MAX_CONNECTIONS)),
        }
    }

    pub(super) fn allowed_hosts(&self) -> Arc<[OutboundHost]> {
        self.outbound.allowed.clone()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}
