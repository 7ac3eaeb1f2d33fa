//! The filter as it is configured, once for each VM.

use std::sync::Arc;

use portcullis_policy::{Policy, Secrets};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};
use zeroize::Zeroizing;

use crate::Filter;
use crate::environment::HostEnvironment;
use crate::stream::Stream;

/// Names a request header that holds the time, in nanoseconds since the epoch, in place of the clock.
/// `portcullis replay` sets it to try recorded requests at their time; it must be set nowhere else.
const REPLAY_CLOCK_HEADER: &str = "PORTCULLIS_REPLAY_CLOCK_HEADER";

/// The largest configuration that is read, in bytes.
const MAXIMUM_CONFIGURATION_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Root {
    filter: Filter,
    policy: Option<Arc<Policy>>,
    replay_clock_header: Option<String>,
}

impl Root {
    pub(crate) fn new(filter: Filter) -> Self {
        Self { filter, policy: None, replay_clock_header: None }
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

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match self.configure() {
            Ok(()) => true,
            Err(reason) => {
                write_log(LogLevel::Critical, self.filter.name, &reason);
                false
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let environment = HostEnvironment::new(self.replay_clock_header.clone());
        Some(Box::new(Stream::new(self.filter, self.policy.clone(), environment)))
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
