//! Chains of filters, and several of them for several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::engine::Module;
use super::exchange::Exchange;
use super::host::Host;
use super::plugin::{Plugin, PluginConfig, StartError};
use super::stream_info::StreamInfo;

/// Filters in order, each on a VM of its own. Cheap to clone; the clones share the VMs.
#[derive(Clone)]
pub struct FilterChain(Arc<[Plugin]>);

impl FilterChain {
    /// A chain of running filters, in the order in which requests pass them. Nobody serves their
    /// timers: call [`tick`](Plugin::tick), or use a [`FilterPool`].
    pub fn new(plugins: Vec<Plugin>) -> Self {
        Self(plugins.into())
    }

    /// Begins a stream.
    pub fn begin(&self, info: StreamInfo) -> Exchange {
        Exchange::new(&self.0, info)
    }

    /// The filters in order.
    pub fn plugins(&self) -> &[Plugin] {
        &self.0
    }
}

/// The same filters several times over, as an Envoy with so many workers has them, with a thread
/// that serves their timers.
pub struct FilterPool {
    chains: Vec<FilterChain>,
    next: AtomicUsize,
}

impl FilterPool {
    /// Starts `workers` chains (at least one) of these filters.
    ///
    /// # Errors
    ///
    /// [`StartError`] of the first filter that does not start; nothing runs then.
    pub fn start(
        host: &Arc<Host>,
        filters: &[(Module, PluginConfig)],
        workers: usize,
    ) -> Result<Arc<Self>, StartError> {
        let mut chains = Vec::new();
        for _ in 0..workers.max(1) {
            let plugins = filters
                .iter()
                .map(|(module, config)| Plugin::start(host, module, config.clone()))
                .collect::<Result<_, _>>()?;
            chains.push(FilterChain::new(plugins));
        }
        let pool = Arc::new(Self { chains, next: AtomicUsize::new(0) });
        let (weak, host) = (Arc::downgrade(&pool), Arc::clone(host));
        let ticker = std::thread::Builder::new().name("wasm-timers".into());
        let spawned = ticker.spawn(move || {
            loop {
                let seen = host.timers.changes();
                let Some(pool) = weak.upgrade() else { return };
                let due = pool.tick();
                drop(pool);
                host.timers.wait(seen, due);
            }
        });
        spawned.map_err(|error| StartError {
            plugin: filters.first().map(|(_, config)| config.name.clone()).unwrap_or_default(),
            stage: "starting the thread for its timers",
            reason: error.to_string(),
            lines: Vec::new(),
        })?;
        Ok(pool)
    }

    /// Begins a stream, on the chains in turn.
    pub fn begin(&self, info: StreamInfo) -> Exchange {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        match self.chains.get(turn % self.chains.len().max(1)) {
            Some(chain) => chain.begin(info),
            // There is at least one; an empty chain would let everything pass.
            None => unreachable!("a pool has at least one chain"),
        }
    }

    /// The chains, one for each worker.
    pub fn chains(&self) -> &[FilterChain] {
        &self.chains
    }

    /// Runs the timers that are due; returns when to look again.
    fn tick(&self) -> Instant {
        let mut next = Instant::now() + Duration::from_secs(1);
        for plugin in self.chains.iter().flat_map(FilterChain::plugins) {
            match plugin.tick_due() {
                Some(due) if due <= Instant::now() => plugin.tick(),
                _ => {}
            }
            if let Some(due) = plugin.tick_due() {
                next = next.min(due);
            }
        }
        next
    }
}

/// Runs a future of this module to its end on the present thread, for callers without a runtime.
/// Whatever it waits for must come from other threads.
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Wake, Waker};

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
