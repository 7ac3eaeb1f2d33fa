//! One instance of a filter's module, and the calls into it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use wasmtime::{Instance, Store, StoreLimitsBuilder, TypedFunc, WasmParams, WasmResults};

use super::abi::Direction;
use super::call_out::CallResponse;
use super::engine::{EPOCH, Module};
use super::host::Host;
use super::log::{LogLevel, LogRecord};
use super::plugin::{Inner as Plugin, PluginConfig};
use super::state::{ROOT, State, StreamState};
use super::stream_info::StreamInfo;

/// A running instance. After a trap it is [failed](Self::failed) and nothing calls into it again.
pub(super) struct Vm {
    store: Store<State>,
    exports: Exports,
    failed: bool,
    next_context: u32,
}

/// The guest has trapped.
#[derive(Debug)]
pub(super) struct Trapped;

/// Why a VM did not come up, and what the filter logged on the way.
pub(super) struct Refusal {
    pub(super) stage: &'static str,
    pub(super) reason: String,
    pub(super) lines: Vec<LogRecord>,
}

/// A function that the module may export.
type Export<P, R> = Option<TypedFunc<P, R>>;

#[derive(Default)]
struct Exports {
    context_create: Export<(u32, u32), ()>,
    vm_start: Export<(u32, u32), u32>,
    configure: Export<(u32, u32), u32>,
    tick: Export<u32, ()>,
    request_headers: Export<(u32, u32, u32), u32>,
    request_body: Export<(u32, u32, u32), u32>,
    request_trailers: Export<(u32, u32), u32>,
    response_headers: Export<(u32, u32, u32), u32>,
    response_body: Export<(u32, u32, u32), u32>,
    response_trailers: Export<(u32, u32), u32>,
    call_response: Export<(u32, u32, u32, u32, u32), ()>,
    queue_ready: Export<(u32, u32), ()>,
    done: Export<u32, u32>,
    log: Export<u32, ()>,
    delete: Export<u32, ()>,
}

impl Vm {
    /// Instantiates the module and takes it through its start: `_initialize`, the root context,
    /// `on_vm_start`, `on_configure`.
    pub(super) fn start(
        host: &Arc<Host>,
        module: &Module,
        config: &Arc<PluginConfig>,
        plugin: Weak<Plugin>,
    ) -> Result<Self, Refusal> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(config.limits.memory)
            .memories(1)
            .instances(1)
            .tables(16)
            .table_elements(1_000_000)
            .build();
        let state = State::new(Arc::clone(host), Arc::clone(config), plugin, limits);
        let mut store = Store::new(&module.engine, state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_trap();
        let mut vm = Self {
            store,
            exports: Exports::default(),
            failed: false,
            // The first number behind the root's.
            next_context: ROOT + 1,
        };
        match vm.initialise(module) {
            Ok(()) => Ok(vm),
            Err((stage, reason)) => Err(Refusal {
                stage,
                reason,
                lines: vm.store.data_mut().recent_lines.drain(..).collect(),
            }),
        }
    }

    /// Whether the guest has trapped.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// Creates the context of a new stream; none after a trap.
    pub(super) fn create_stream(&mut self, info: Arc<StreamInfo>, wake: Arc<Notify>) -> u32 {
        let mut context = self.next_context;
        while context <= ROOT || self.store.data().streams.contains_key(&context) {
            context = context.wrapping_add(1);
        }
        self.next_context = context.wrapping_add(1);
        self.store.data_mut().streams.insert(context, StreamState::new(info, wake));
        // The context stays, so that a stream of a failed VM is told of the failure.
        let _ =
            self.enter("proxy_on_context_create", context, |e| &e.context_create, (context, ROOT));
        context
    }

    /// Shows the filter headers, and returns what it answers: see the ABI's `action`.
    pub(super) fn headers(
        &mut self,
        direction: Direction,
        context: u32,
        count: usize,
        end: bool,
    ) -> Result<u32, Trapped> {
        let arguments = (context, u32::try_from(count).unwrap_or(u32::MAX), end.into());
        self.guarded(match direction {
            Direction::Request => {
                ("proxy_on_request_headers", context, |e| &e.request_headers, arguments)
            }
            Direction::Response => {
                ("proxy_on_response_headers", context, |e| &e.response_headers, arguments)
            }
        })
    }

    /// Shows the filter `size` bytes of body.
    pub(super) fn body(
        &mut self,
        direction: Direction,
        context: u32,
        size: usize,
        end: bool,
    ) -> Result<u32, Trapped> {
        let arguments = (context, u32::try_from(size).unwrap_or(u32::MAX), end.into());
        self.guarded(match direction {
            Direction::Request => {
                ("proxy_on_request_body", context, |e| &e.request_body, arguments)
            }
            Direction::Response => {
                ("proxy_on_response_body", context, |e| &e.response_body, arguments)
            }
        })
    }

    /// Shows the filter trailers.
    pub(super) fn trailers(
        &mut self,
        direction: Direction,
        context: u32,
        count: usize,
    ) -> Result<u32, Trapped> {
        let arguments = (context, u32::try_from(count).unwrap_or(u32::MAX));
        match direction {
            Direction::Request => {
                self.enter("proxy_on_request_trailers", context, |e| &e.request_trailers, arguments)
            }
            Direction::Response => self.enter(
                "proxy_on_response_trailers",
                context,
                |e| &e.response_trailers,
                arguments,
            ),
        }
        .map(Option::unwrap_or_default)
    }

    /// Ends a stream: `on_done`, `on_log`, `on_delete`; and forgets it.
    pub(super) fn finish_stream(&mut self, context: u32) {
        // A trap on the way makes the rest do nothing.
        let _ = self.enter("proxy_on_done", context, |e| &e.done, context);
        if let Some(stream) = self.store.data_mut().streams.get_mut(&context) {
            stream.logging = true;
        }
        let _ = self.enter("proxy_on_log", context, |e| &e.log, context);
        let _ = self.enter("proxy_on_delete", context, |e| &e.delete, context);
        self.store.data_mut().streams.remove(&context);
    }

    /// Ticks.
    pub(super) fn tick(&mut self) {
        let _ = self.enter("proxy_on_tick", ROOT, |e| &e.tick, ROOT);
    }

    /// Tells the filter that something arrived in a queue.
    pub(super) fn queue_ready(&mut self, token: u32) {
        let _ = self.enter("proxy_on_queue_ready", ROOT, |e| &e.queue_ready, (ROOT, token));
    }

    /// Hands the filter the answer to a call-out, if it waits for it.
    pub(super) fn call_response(&mut self, token: u32, response: CallResponse) {
        if !self.store.data_mut().pending_calls.remove(&token) {
            return;
        }
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let arguments = (
            ROOT,
            token,
            count(response.headers.len()),
            count(response.body.len()),
            count(response.trailers.len()),
        );
        let failed = response.headers.is_empty();
        let state = self.store.data_mut();
        if failed {
            state.status = (11, "reset".to_owned());
        } else {
            state.call_response = Some(response);
        }
        let _ = self.enter("proxy_on_http_call_response", ROOT, |e| &e.call_response, arguments);
        let state = self.store.data_mut();
        state.call_response = None;
        state.status.1.clear();
    }

    fn initialise(&mut self, module: &Module) -> Result<(), (&'static str, String)> {
        self.deadline(self.store.data().config.limits.start);
        let instance = module
            .instance
            .instantiate(&mut self.store)
            .map_err(|error| ("instantiating the module", format!("{error:#}")))?;
        let memory = instance.get_memory(&mut self.store, "memory");
        self.store.data_mut().memory = memory;
        self.look_up(&instance)
            .map_err(|error| ("looking at its exports", format!("{error:#}")))?;
        self.run_initialisers(&instance)
            .map_err(|error| ("initialising the module", format!("{error:#}")))?;
        let trapped = |_| "it trapped".to_owned();
        let vm_size = u32::try_from(self.store.data().config.vm_configuration.len());
        let size = u32::try_from(self.store.data().config.configuration.len());
        let (Ok(vm_size), Ok(size)) = (vm_size, size) else {
            return Err(("reading the configuration", "it is larger than 4 GiB".to_owned()));
        };
        self.enter("proxy_on_context_create", ROOT, |e| &e.context_create, (ROOT, 0))
            .map_err(|error| ("creating the root context", trapped(error)))?;
        let stage = "starting the VM (proxy_on_vm_start)";
        match self.enter("proxy_on_vm_start", ROOT, |e| &e.vm_start, (ROOT, vm_size)) {
            Ok(Some(0)) => return Err((stage, "the filter refused to start".to_owned())),
            Ok(_) => {}
            Err(error) => return Err((stage, trapped(error))),
        }
        let stage = "reading its configuration (proxy_on_configure)";
        self.store.data_mut().configuring = true;
        let configured = self.enter("proxy_on_configure", ROOT, |e| &e.configure, (ROOT, size));
        self.store.data_mut().configuring = false;
        match configured {
            Ok(Some(0)) => Err((stage, "the filter refused its configuration".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err((stage, trapped(error))),
        }
    }

    fn look_up(&mut self, instance: &Instance) -> wasmtime::Result<()> {
        let store = &mut self.store;
        let allocate = match export(store, instance, "malloc")? {
            Some(malloc) => Some(malloc),
            None => export(store, instance, "proxy_on_memory_allocate")?,
        };
        store.data_mut().allocate = allocate;
        self.exports = Exports {
            context_create: export(store, instance, "proxy_on_context_create")?,
            vm_start: export(store, instance, "proxy_on_vm_start")?,
            configure: export(store, instance, "proxy_on_configure")?,
            tick: export(store, instance, "proxy_on_tick")?,
            request_headers: export(store, instance, "proxy_on_request_headers")?,
            request_body: export(store, instance, "proxy_on_request_body")?,
            request_trailers: export(store, instance, "proxy_on_request_trailers")?,
            response_headers: export(store, instance, "proxy_on_response_headers")?,
            response_body: export(store, instance, "proxy_on_response_body")?,
            response_trailers: export(store, instance, "proxy_on_response_trailers")?,
            call_response: export(store, instance, "proxy_on_http_call_response")?,
            queue_ready: export(store, instance, "proxy_on_queue_ready")?,
            done: export(store, instance, "proxy_on_done")?,
            log: export(store, instance, "proxy_on_log")?,
            delete: export(store, instance, "proxy_on_delete")?,
        };
        Ok(())
    }

    /// What a module's language wants called before anything else.
    fn run_initialisers(&mut self, instance: &Instance) -> wasmtime::Result<()> {
        let store = &mut self.store;
        let Some(initialise) = export::<(), ()>(store, instance, "_initialize")? else {
            return match export::<(), ()>(store, instance, "_start")? {
                Some(start) => start.call(store, ()),
                None => Ok(()),
            };
        };
        initialise.call(&mut *store, ())?;
        if let Some(main) = export::<(u32, u32), u32>(store, instance, "main")? {
            main.call(store, (0, 0))?;
        } else if let Some(main) = export::<(), u32>(store, instance, "__main_void")? {
            main.call(store, ())?;
        }
        Ok(())
    }

    fn guarded(&mut self, call: GuardedCall) -> Result<u32, Trapped> {
        let (name, context, function, arguments) = call;
        // A callback that the module does not export lets everything by.
        self.enter(name, context, function, arguments).map(Option::unwrap_or_default)
    }

    /// Calls an export in a context; none if the module does not have it.
    fn enter<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        context: u32,
        function: impl FnOnce(&Exports) -> &Export<P, R>,
        arguments: P,
    ) -> Result<Option<R>, Trapped> {
        if self.failed {
            return Err(Trapped);
        }
        let Some(function) = function(&self.exports).clone() else { return Ok(None) };
        let state = self.store.data_mut();
        state.current = context;
        state.effective = None;
        let limits = &state.config.limits;
        let time =
            if state.configuring || context == ROOT { limits.start } else { limits.callback };
        self.deadline(time);
        let result = function.call(&mut self.store, arguments);
        let state = self.store.data_mut();
        state.current = ROOT;
        state.effective = None;
        match result {
            Ok(answer) => {
                self.wake_changed_streams();
                Ok(Some(answer))
            }
            Err(error) => {
                self.failed = true;
                let message = format!("{name} failed: {error:#}");
                self.store.data_mut().log(LogLevel::Critical, message.as_bytes());
                Err(Trapped)
            }
        }
    }

    fn deadline(&mut self, time: Duration) {
        let ticks = time.as_nanos().div_ceil(EPOCH.as_nanos());
        // One more, as the present tick has already begun.
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1);
        self.store.set_epoch_deadline(ticks.min(u64::MAX / 2));
    }

    /// A filter can move any of its streams from any callback; whoever waits for one has to know.
    fn wake_changed_streams(&mut self) {
        for stream in self.store.data().streams.values() {
            let moved = stream.request.resume || stream.response.resume;
            if moved || stream.reply.is_some() || stream.reset {
                stream.wake.notify_one();
            }
        }
    }
}

type GuardedCall =
    (&'static str, u32, fn(&Exports) -> &Export<(u32, u32, u32), u32>, (u32, u32, u32));

/// A function that a module exports; none if it does not.
///
/// # Errors
///
/// If the export has another type than the ABI gives it.
fn export<P: WasmParams, R: WasmResults>(
    store: &mut Store<State>,
    instance: &Instance,
    name: &str,
) -> wasmtime::Result<Export<P, R>> {
    let Some(function) = instance.get_func(&mut *store, name) else { return Ok(None) };
    function.typed(&*store).map(Some).map_err(|error| error.context(format!("export {name}")))
}
