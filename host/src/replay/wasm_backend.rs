//! The gate filter on the proxy-wasm host of this process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Backend, BackendError, Request, Verdict};
use crate::proxy_wasm::{
    Clock as _, FilterChain, Host, ManualClock, Message, Module, Plugin, PluginConfig,
    RequestOutcome, StartError, StreamInfo, block_on,
};

/// Asks a filter, on one VM.
pub struct WasmBackend {
    chain: FilterChain,
    clock: Arc<ManualClock>,
}

impl WasmBackend {
    /// Starts the filter.
    ///
    /// # Errors
    ///
    /// It does not take its configuration.
    pub fn start(module: &Module, config: PluginConfig) -> Result<Self, StartError> {
        let clock = Arc::new(ManualClock::new(crate::native::clock().0));
        let host = Arc::new(Host::default().with_clock(clock.clone()));
        let plugin = Plugin::start(&host, module, config)?;
        Ok(Self { chain: FilterChain::new(vec![plugin]), clock })
    }
}

impl Backend for WasmBackend {
    fn decide(&mut self, request: &Request) -> Result<Verdict, BackendError> {
        super::without_certificate(request)?;
        self.clock.set(request.time.0);
        let source = SocketAddr::new(request.source, 40_000);
        let destination = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 443);
        let info = StreamInfo::new(source, destination, request.time.0);
        let mut exchange = self.chain.begin(info);
        let message = Message::new(request.header_map(), request.body.clone());
        let outcome = block_on(exchange.request(message));
        exchange.finish(self.clock.now_nanoseconds());
        match outcome {
            RequestOutcome::Forward(_) => Ok(Verdict::allow()),
            RequestOutcome::Reply(response) => {
                let status = response.status().unwrap_or(500);
                let verdict = Verdict::from_problem(&response.body_bytes());
                Ok(verdict.unwrap_or_else(|| Verdict::refused_by_proxy(status)))
            }
            RequestOutcome::Reset => Err(BackendError("the filter failed".to_owned())),
        }
    }
}
