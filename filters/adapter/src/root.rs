//! The filter as it is configured, once for each VM.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::{Policy, Secrets};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};
use zeroize::Zeroizing;

use crate::Filter;
use crate::environment::HostEnvironment;
use crate::fetches::Fetches;
use crate::service_calls::AnswerSize;
use crate::stream::Stream;
use crate::waiting::{HURRIED, WaitingRoom};

/// Names a request header that holds the time, in nanoseconds since the epoch, in place of the clock.
/// `portcullis replay` sets it to try recorded requests at their time; it must be set nowhere else.
const REPLAY_CLOCK_HEADER: &str = "PORTCULLIS_REPLAY_CLOCK_HEADER";

/// The largest configuration that is read, in bytes.
const MAXIMUM_CONFIGURATION_BYTES: usize = 4 * 1024 * 1024;

/// How often what is fetched is seen to while nobody waits for it.
const CALM: Duration = Duration::from_secs(1);

pub(crate) struct Root {
    context_id: u32,
    filter: Filter,
    policy: Option<Arc<Policy>>,
    replay_clock_header: Option<String>,
    fetches: Fetches,
    waiting: Rc<WaitingRoom>,
    /// How many ticks have gone by without anybody who waits having tried again.
    quiet_ticks: u32,
}

impl Root {
    pub(crate) fn new(context_id: u32, filter: Filter) -> Self {
        Self {
            context_id,
            filter,
            policy: None,
            replay_clock_header: None,
            fetches: Fetches::default(),
            waiting: Rc::default(),
            quiet_ticks: 0,
        }
    }

    /// Has the requests that wait try again, if there is news for them or a second has gone by.
    fn call_waiting(&mut self, is_news: bool) {
        const QUIET_TICKS: u32 = 100;
        self.quiet_ticks = self.quiet_ticks.saturating_add(1);
        if is_news || self.quiet_ticks >= QUIET_TICKS {
            self.quiet_ticks = 0;
            self.waiting.call(self.context_id);
        }
        let has_errands = self.policy.as_ref().is_some_and(|policy| policy.has_errands());
        let is_calm = self.waiting.is_empty() && self.fetches.is_empty() && !has_errands;
        self.waiting.set_pace(if is_calm { CALM } else { HURRIED });
    }

    fn configure(&mut self) -> Result<(), String> {
        let bytes =
            hostcalls::get_buffer(BufferType::PluginConfiguration, 0, MAXIMUM_CONFIGURATION_BYTES);
        let bytes = bytes.ok().flatten().unwrap_or_default();
        if bytes.is_empty() {
            return Err(
                "expected a policy document in JSON as configuration, found none".to_owned()
            );
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            "expected a policy document in JSON as configuration (a StringValue, not a Struct), found \
             bytes that are not UTF-8"
                .to_owned()
        })?;
        let policy = Policy::from_json("configuration", text, &VmEnvironment, self.filter.stages);
        self.policy = Some(Arc::new(policy.map_err(|error| error.to_string())?));
        self.replay_clock_header = std::env::var(REPLAY_CLOCK_HEADER).ok();
        if self.replay_clock_header.is_some() {
            let warning = "replay: the time is taken from requests, which is for trying recorded requests only";
            write_log(LogLevel::Warn, self.filter.name, warning);
        }
        Ok(())
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body: usize, trailers: usize) {
        let Some(policy) = self.policy.clone() else { return };
        let mut environment = HostEnvironment::new(None);
        let name = self.filter.name;
        let size = AnswerSize { headers, body, trailers };
        let is_news = self.fetches.answered(call, size, &policy, name, &mut environment);
        self.call_waiting(is_news);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match self.configure() {
            Ok(()) => {
                // Not from here: a configuration is tried on a VM that never serves, too.
                if self.policy.as_ref().is_some_and(|policy| policy.needs_upkeep()) {
                    self.waiting.set_pace(HURRIED);
                }
                true
            }
            Err(reason) => {
                write_log(LogLevel::Critical, self.filter.name, &reason);
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(policy) = self.policy.clone() else { return };
        let mut environment = HostEnvironment::new(None);
        let is_news = self.fetches.see_to(&policy, self.filter.name, &mut environment);
        self.call_waiting(is_news);
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let environment = HostEnvironment::new(self.replay_clock_header.clone());
        let waiting = Rc::clone(&self.waiting);
        let stream =
            Stream::new(context_id, self.filter, self.policy.clone(), environment, waiting);
        Some(Box::new(stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

pub(crate) fn write_log(level: LogLevel, filter: &str, message: &str) {
    // There is nobody to tell that telling failed.
    let _ = hostcalls::log(level, &format!("{filter}: {message}"));
}

/// Secrets from the VM's environment variables (`vm_config.environment_variables`).
struct VmEnvironment;

impl Secrets for VmEnvironment {
    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        std::env::var(name).ok().map(Zeroizing::new)
    }
}
