//! What the policy wants asked of a rate limit service, as call-outs of the proxy.
//!
//! gRPC over the proxy's HTTP call-outs (an HTTP/2 request with a length-prefixed message, and the status in the trailers): the same
//! in every host that has them, with one callback for everything that is called.

use std::collections::HashMap;

use portcullis_policy::{Policy, ServiceAnswer, ServiceCall};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};

use crate::environment::HostEnvironment;
use crate::root::write_log;

/// The calls that are under way.
#[derive(Default)]
pub(crate) struct ServiceCalls {
    under_way: HashMap<u32, ServiceCall>,
    /// What was last told of the service: once until it changes, since one that is down is asked again and again.
    trouble: Option<String>,
}

impl ServiceCalls {
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(crate) fn is_waiting_for(&self, call: u32) -> bool {
        self.under_way.contains_key(&call)
    }

    /// Makes a call. Answers whether requests that wait may go on, since there will be no answer.
    pub(crate) fn send(
        &mut self,
        call: ServiceCall,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        let headers = vec![
            (":method", "POST"),
            (":scheme", call.scheme),
            (":authority", call.authority.as_str()),
            (":path", call.path),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", concat!("portcullis/", env!("CARGO_PKG_VERSION"))),
        ];
        let body = Some(call.body.as_slice());
        match hostcalls::dispatch_http_call(&call.cluster, headers, body, vec![], call.timeout) {
            Ok(number) => {
                self.under_way.insert(number, call);
                false
            }
            Err(status) => {
                let cluster = &call.cluster;
                let reason =
                    format!("the proxy has no cluster {cluster} or does not call it: {status:?}");
                self.tell(Some(reason), filter);
                policy.service_answered(&call, None, environment);
                true
            }
        }
    }

    /// The answer to a call. Answers whether requests that wait may go on.
    pub(crate) fn answered(
        &mut self,
        number: u32,
        size: AnswerSize,
        policy: &Policy,
        filter: &str,
        environment: &mut HostEnvironment,
    ) -> bool {
        let Some(call) = self.under_way.remove(&number) else { return false };
        // A byte more than there may be, so that what is too long is not taken for what it begins with.
        let body_size = size.body.min(call.max_bytes.saturating_add(1));
        let body = match body_size {
            0 => Some(Vec::new()),
            _ => {
                hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size).ok().flatten()
            }
        };
        // An answer that was too large for the proxy, or broke off, comes without a status.
        let answer = size.status().zip(body.as_deref()).map(|(status, body)| ServiceAnswer {
            status,
            grpc_status: size.grpc_status(),
            body,
        });
        let outcome = policy.service_answered(&call, answer, environment);
        self.tell(outcome.warning, filter);
        match outcome.next {
            Some(next) => self.send(next, policy, filter, environment),
            None => true,
        }
    }

    fn tell(&mut self, trouble: Option<String>, filter: &str) {
        if trouble != self.trouble {
            match &trouble {
                Some(trouble) => write_log(LogLevel::Warn, filter, trouble),
                None => write_log(LogLevel::Warn, filter, "the rate limit service answers again"),
            }
            self.trouble = trouble;
        }
    }
}

const GRPC_STATUS: &str = "grpc-status";

/// How much there is of an answer. What is not there must not be asked for: Envoy says that the argument is bad, and the SDK panics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerSize {
    pub(crate) headers: usize,
    pub(crate) body: usize,
    pub(crate) trailers: usize,
}

impl AnswerSize {
    /// `:status`.
    pub(crate) fn status(self) -> Option<u16> {
        number_in(self.header_map(), ":status").and_then(|status| u16::try_from(status).ok())
    }

    /// From the trailers; a call that failed may be answered with a header section alone.
    fn grpc_status(self) -> Option<u32> {
        let trailers = (self.trailers > 0).then_some(MapType::HttpCallResponseTrailers);
        number_in(trailers, GRPC_STATUS).or_else(|| number_in(self.header_map(), GRPC_STATUS))
    }

    fn header_map(self) -> Option<MapType> {
        (self.headers > 0).then_some(MapType::HttpCallResponseHeaders)
    }
}

fn number_in(map: Option<MapType>, name: &str) -> Option<u32> {
    let value = hostcalls::get_map_value_bytes(map?, name).ok().flatten()?;
    std::str::from_utf8(&value).ok()?.parse().ok()
}
