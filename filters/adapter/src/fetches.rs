//! What the policy wants fetched, as call-outs of the proxy.

use std::collections::HashMap;

use portcullis_policy::{Answer, Fetch, Outcome, Policy};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel};

use crate::environment::HostEnvironment;
use crate::root::write_log;
use crate::service_calls::{AnswerSize, ServiceCalls};

/// The call-outs that are under way.
#[derive(Default)]
pub(crate) struct Fetches {
    under_way: HashMap<u32, Fetch>,
    service: ServiceCalls,
}

impl Fetches {
    /// Carries out what is due. Answers whether requests that wait may go on.
    pub(crate) fn see_to(
        &mut self,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        let upkeep = policy.upkeep(environment);
        for warning in &upkeep.warnings {
            write_log(LogLevel::Warn, filter, warning);
        }
        let mut is_news = upkeep.is_news;
        for fetch in upkeep.fetches {
            is_news |= !self.send(fetch, policy, filter, environment);
        }
        for call in upkeep.calls {
            is_news |= self.service.send(call, policy, filter, environment);
        }
        is_news
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.service.is_empty()
    }

    /// The answer to a call-out. Answers whether requests that wait may go on.
    pub(crate) fn answered(
        &mut self,
        call: u32,
        size: AnswerSize,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        if self.service.is_waiting_for(call) {
            return self.service.answered(call, size, policy, filter, environment);
        }
        let Some(fetch) = self.under_way.remove(&call) else { return false };
        let status = size.status();
        // A byte more than there may be, so that what is too long is not taken for what it begins with.
        let size = size.body.min(fetch.max_bytes.saturating_add(1));
        let body = match size {
            0 => Some(Vec::new()),
            _ => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten(),
        };
        // An answer that was too large for the proxy, or broke off, comes without a status.
        let answer = status.zip(body.as_deref()).map(|(status, body)| Answer { status, body });
        let outcome = policy.fetched(&fetch, answer, environment);
        self.follow(outcome, policy, filter, environment)
    }

    fn follow(
        &mut self,
        outcome: Outcome,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        for warning in &outcome.warnings {
            write_log(LogLevel::Warn, filter, warning);
        }
        match outcome.next {
            Some(next) => !self.send(next, policy, filter, environment),
            None => true,
        }
    }

    /// Whether the request is on its way.
    fn send(
        &mut self,
        fetch: Fetch,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        let headers = vec![
            (":method", "GET"),
            (":scheme", fetch.scheme),
            (":authority", fetch.authority.as_str()),
            (":path", fetch.path.as_str()),
            ("accept", "application/json, application/jwk-set+json"),
            ("user-agent", concat!("portcullis/", env!("CARGO_PKG_VERSION"))),
        ];
        match hostcalls::dispatch_http_call(&fetch.cluster, headers, None, vec![], fetch.timeout) {
            Ok(call) => {
                self.under_way.insert(call, fetch);
                true
            }
            Err(status) => {
                let reason = format!(
                    "the proxy has no cluster {} or does not call it: {status:?}",
                    fetch.cluster
                );
                write_log(LogLevel::Error, filter, &reason);
                let outcome = policy.fetched(&fetch, None, environment);
                for warning in &outcome.warnings {
                    write_log(LogLevel::Warn, filter, warning);
                }
                false
            }
        }
    }
}
