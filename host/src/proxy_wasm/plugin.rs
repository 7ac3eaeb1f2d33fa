//! A configured filter: one VM, and what is done when it fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::call_out::{CallResponse, Completion};
use super::engine::Module;
use super::errand::{self, Errand};
use super::host::Host;
use super::log::{LogLevel, LogRecord};
use super::state::StreamState;
use super::stream_info::StreamInfo;
use super::vm::{Refusal, Vm};

/// What happens to streams when the filter has trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// Every stream is answered 503, until the process starts anew.
    #[default]
    FailClosed,
    /// Streams pass without the filter.
    FailOpen,
    /// As closed, but the next stream starts a new VM, at most once in
    /// [`PluginConfig::reload_interval`].
    FailReload,
}

/// Bounds on what one VM may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most memory, in bytes.
    pub memory: usize,
    /// Longest time that a callback of a stream may take; the guest is trapped then.
    pub callback: Duration,
    /// Longest time for the start, the configuration, and callbacks of the root context.
    pub start: Duration,
}

impl Default for Limits {
    /// 1 GiB as in Envoy, 2 s and 10 s.
    fn default() -> Self {
        Self {
            memory: 1024 * 1024 * 1024,
            callback: Duration::from_secs(2),
            start: Duration::from_secs(10),
        }
    }
}

/// How a filter is set up.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// The filter's name, in logs and as the property `plugin_name`.
    pub name: String,
    /// Which root context of the module to use.
    pub root_id: String,
    /// Filters with equal VM ids share data; an empty one is an id like any other.
    pub vm_id: String,
    /// What the VM reads at its start.
    pub vm_configuration: Vec<u8>,
    /// What the filter reads when it is configured.
    pub configuration: Vec<u8>,
    /// The environment of the VM: the place for secrets.
    pub environment: BTreeMap<String, String>,
    pub failure_policy: FailurePolicy,
    /// Shortest time between two starts with [`FailurePolicy::FailReload`].
    pub reload_interval: Duration,
    /// Whether a filter that pauses in the headers callback is shown the body all the same.
    /// Envoy's default is false: everything stops.
    pub allow_on_headers_stop_iteration: bool,
    /// Most bytes of a body that are held back, before the host answers 413 (or 500 for a
    /// response). Envoy's `per_connection_buffer_limit_bytes`.
    pub buffer_limit: usize,
    pub limits: Limits,
}

impl PluginConfig {
    /// A filter called `name`, with this configuration and the defaults of a hardened Envoy:
    /// fail closed and reload, a buffer limit of 1 MiB, stopping at the headers alone allowed.
    pub fn new(name: impl Into<String>, configuration: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            root_id: String::new(),
            vm_id: String::new(),
            vm_configuration: Vec::new(),
            configuration: configuration.into(),
            environment: BTreeMap::new(),
            failure_policy: FailurePolicy::FailReload,
            reload_interval: Duration::from_secs(1),
            allow_on_headers_stop_iteration: true,
            buffer_limit: 1024 * 1024,
            limits: Limits::default(),
        }
    }
}

/// A filter that did not start.
#[derive(Debug)]
pub struct StartError {
    /// Name of the filter.
    pub plugin: String,
    /// What it was doing.
    pub stage: &'static str,
    /// What went wrong as the host sees it.
    pub reason: String,
    /// The filter's own last log lines, which as a rule name the cause.
    pub lines: Vec<LogRecord>,
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filter {} failed while {}: {}", self.plugin, self.stage, self.reason)?;
        let grave = |record: &&LogRecord| record.level >= LogLevel::Warn;
        let any_grave = self.lines.iter().any(|record| grave(&record));
        for record in self.lines.iter().filter(|record| !any_grave || grave(record)) {
            write!(f, "\n  {}: {}", record.level.name(), record.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// A running filter on one VM. A VM does one thing at a time; for several threads, start one for
/// each, as Envoy does. Cheap to clone; the clones are the same VM.
#[derive(Clone)]
pub struct Plugin(pub(super) Arc<Inner>);

impl Plugin {
    /// Starts a VM and configures the filter.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the filter refuses to start or its configuration, or traps.
    pub fn start(
        host: &Arc<Host>,
        module: &Module,
        config: PluginConfig,
    ) -> Result<Self, StartError> {
        let inner = Arc::new(Inner {
            host: Arc::clone(host),
            module: module.clone(),
            config: Arc::new(config),
            slot: Mutex::new(Slot {
                vm: None,
                generation: 0,
                loaded: Instant::now(),
                orphans: HashMap::new(),
            }),
            started: Instant::now(),
            next_tick: AtomicU64::new(NEVER),
        });
        inner.load(&mut inner.lock()).map_err(|refusal| StartError {
            plugin: inner.config.name.clone(),
            stage: refusal.stage,
            reason: refusal.reason,
            lines: refusal.lines,
        })?;
        inner.after(None);
        Ok(Self(inner))
    }

    /// The filter's name.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// Whether the VM has trapped and has not been started anew.
    pub fn is_failed(&self) -> bool {
        self.0.lock().vm.is_none()
    }

    /// Runs the filter's timer once, whether it is due or not; nothing if it has set none.
    pub fn tick(&self) {
        let period = self.0.with_vm(|vm| {
            let period = vm.state().tick_period?;
            vm.tick();
            Some(vm.state().tick_period.unwrap_or(period))
        });
        self.0.schedule_tick(period.flatten());
    }

    /// When the timer is due; none if there is none.
    pub(super) fn tick_due(&self) -> Option<Instant> {
        match self.0.next_tick.load(Ordering::SeqCst) {
            NEVER => None,
            nanoseconds => self.0.started.checked_add(Duration::from_nanos(nanoseconds)),
        }
    }
}

const NEVER: u64 = u64::MAX;

pub(super) struct Inner {
    pub(super) host: Arc<Host>,
    pub(super) config: Arc<PluginConfig>,
    module: Module,
    slot: Mutex<Slot>,
    started: Instant,
    /// Nanoseconds from `started`.
    next_tick: AtomicU64,
}

struct Slot {
    vm: Option<Vm>,
    /// Counts the VMs, so that a stream of a VM that is gone does not meet another one's contexts.
    generation: u64,
    loaded: Instant,
    /// What was known of the streams of VMs that are gone.
    orphans: HashMap<(u64, u32), StreamState>,
}

/// A stream in a VM, by the VM's generation and the context's id.
pub(super) type StreamId = (u64, u32);

/// A stream's state, with the VM it lives in or, after a trap, without.
pub(super) enum Access<'a> {
    Live(&'a mut Vm),
    Orphan(&'a mut StreamState),
}

impl Inner {
    /// Begins a stream; none if there is no VM to begin it in.
    pub(super) fn begin(
        self: &Arc<Self>,
        info: &Arc<StreamInfo>,
        wake: &Arc<Notify>,
    ) -> Option<StreamId> {
        let mut slot = self.lock();
        if slot.vm.is_none()
            && self.config.failure_policy == FailurePolicy::FailReload
            && slot.loaded.elapsed() >= self.config.reload_interval
            && let Err(refusal) = self.load(&mut slot)
        {
            let message = format!("reload failed while {}: {}", refusal.stage, refusal.reason);
            let record = LogRecord::new(LogLevel::Critical, &self.config.name, message.as_bytes());
            self.host.log.log(&record);
        }
        let generation = slot.generation;
        let context = slot.vm.as_mut()?.create_stream(Arc::clone(info), Arc::clone(wake));
        self.after(Some(slot));
        Some((generation, context))
    }

    /// Works on a stream; none if it is not known (any more).
    pub(super) fn with_stream<R>(
        self: &Arc<Self>,
        id: StreamId,
        work: impl FnOnce(Access<'_>) -> R,
    ) -> Option<R> {
        let mut slot = self.lock();
        if slot.generation == id.0
            && let Some(vm) = &mut slot.vm
        {
            if !vm.state().streams.contains_key(&id.1) {
                return None;
            }
            let result = work(Access::Live(vm));
            self.after(Some(slot));
            return Some(result);
        }
        slot.orphans.get_mut(&id).map(|stream| work(Access::Orphan(stream)))
    }

    /// Ends a stream.
    pub(super) fn finish(self: &Arc<Self>, id: StreamId) {
        let mut slot = self.lock();
        if slot.generation == id.0
            && let Some(vm) = &mut slot.vm
        {
            vm.finish_stream(id.1);
        }
        slot.orphans.remove(&id);
        self.after(Some(slot));
        // If the VM failed at this very stream it left an orphan.
        self.lock().orphans.remove(&id);
    }

    /// Works on the VM, if there is one.
    pub(super) fn with_vm<R>(self: &Arc<Self>, work: impl FnOnce(&mut Vm) -> R) -> Option<R> {
        let mut slot = self.lock();
        let result = slot.vm.as_mut().map(work);
        self.after(Some(slot));
        result
    }

    /// Hands the answer to a call-out to the VM that made it, if it is still there.
    pub(super) fn call_response(
        self: &Arc<Self>,
        generation: u64,
        token: u32,
        response: CallResponse,
    ) {
        let mut slot = self.lock();
        if slot.generation == generation
            && let Some(vm) = &mut slot.vm
        {
            vm.call_response(token, response);
        }
        self.after(Some(slot));
    }

    /// Whether something may yet move a paused stream: an answer that is due, or a timer.
    pub(super) fn has_work_outstanding(&self) -> bool {
        let mut slot = self.lock();
        let Some(vm) = &mut slot.vm else { return false };
        let state = vm.state();
        !state.pending_calls.is_empty() || state.tick_period.is_some()
    }

    /// Sets when the timer is due next.
    pub(super) fn schedule_tick(&self, period: Option<Duration>) {
        let due = period.map_or(NEVER, |period| {
            let due = self.started.elapsed().saturating_add(period).as_nanos();
            u64::try_from(due).unwrap_or(NEVER - 1)
        });
        self.next_tick.store(due, Ordering::SeqCst);
        self.host.timers.notify();
    }

    fn load(self: &Arc<Self>, slot: &mut Slot) -> Result<(), Refusal> {
        slot.loaded = Instant::now();
        slot.generation = slot.generation.wrapping_add(1);
        slot.vm = None;
        slot.vm = Some(Vm::start(&self.host, &self.module, &self.config, Arc::downgrade(self))?);
        Ok(())
    }

    /// Does, with the VM free again, what the guest has asked for: sends call-outs, tells the
    /// listeners of queues. Lets go of a VM that has failed.
    fn after(self: &Arc<Self>, slot: Option<MutexGuard<'_, Slot>>) {
        let mut slot = slot.unwrap_or_else(|| self.lock());
        let generation = slot.generation;
        let Some(vm) = &mut slot.vm else { return };
        let state = vm.state();
        let calls = std::mem::take(&mut state.outgoing_calls);
        let events = std::mem::take(&mut state.queue_events);
        if vm.failed() {
            let streams = std::mem::take(&mut vm.state().streams);
            for (context, stream) in streams {
                stream.wake.notify_one();
                slot.orphans.insert((generation, context), stream);
            }
            slot.vm = None;
            self.next_tick.store(NEVER, Ordering::SeqCst);
        }
        drop(slot);
        if !calls.is_empty() || !events.is_empty() {
            let calls = calls.into_iter().map(|(token, call)| {
                Errand::Call(Completion::new(Arc::downgrade(self), generation, token), call)
            });
            let events = events.into_iter().map(|(listener, token)| Errand::Queue(listener, token));
            errand::run(&self.host, calls.chain(events));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
