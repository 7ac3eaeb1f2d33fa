//! HTTP call-outs: requests that a filter makes while it works.

use std::sync::Weak;
use std::time::Duration;

use super::headers::HeaderMap;
use super::plugin::Inner as Plugin;

/// A request that a filter makes to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOut {
    /// Name of the cluster, one that [`CallOuts::has_cluster`] knows.
    pub cluster: String,
    /// With `:method`, `:path` and `:authority`.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// How long the filter will wait; for ever, if none.
    pub timeout: Option<Duration>,
}

/// The answer to a call-out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallResponse {
    /// With `:status`. None at all tells the filter that the call failed.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// Carries out the call-outs of filters; the embedder implements it.
pub trait CallOuts: Send + Sync {
    /// Whether there is a cluster of this name. A call to another one is refused at once.
    fn has_cluster(&self, name: &str) -> bool;

    /// Starts a call. It must not wait for the answer, must end the call after its
    /// [`timeout`](CallOut::timeout) at the latest, must bound the size of the answer, and finishes
    /// `completion` on any thread.
    fn send(&self, call: CallOut, completion: Completion);
}

/// No clusters at all: every call-out is refused.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoCallOuts;

impl CallOuts for NoCallOuts {
    fn has_cluster(&self, _: &str) -> bool {
        false
    }

    fn send(&self, _: CallOut, _: Completion) {}
}

/// Where the answer to one call-out goes. Dropped without an answer, it tells the filter that the
/// call failed.
pub struct Completion {
    plugin: Weak<Plugin>,
    generation: u64,
    token: u32,
    finished: bool,
}

impl Completion {
    pub(super) fn new(plugin: Weak<Plugin>, generation: u64, token: u32) -> Self {
        Self { plugin, generation, token, finished: false }
    }

    /// Hands the filter the answer, on this thread. Does nothing if the filter's VM is gone.
    pub fn finish(mut self, response: CallResponse) {
        self.complete(response);
    }

    /// Tells the filter that no answer came in time: a 504 as Envoy makes it.
    pub fn timed_out(self) {
        self.finish(local("504", "upstream request timeout"));
    }

    /// Tells the filter that no connection could be made: a 503 as Envoy makes it.
    pub fn unreachable(self) {
        self.reset("503", "remote connection failure");
    }

    /// Tells the filter that the connection was closed before an answer began: a 503 as Envoy makes it.
    pub fn closed(self) {
        self.reset("503", "connection termination");
    }

    /// Tells the filter that what came back is not HTTP: a 502 as Envoy makes it.
    pub fn malformed(self) {
        self.reset("502", "protocol error");
    }

    /// Tells the filter that the cluster has as many calls under way as it may have: a 503 as Envoy's circuit
    /// breaker makes it.
    pub fn overloaded(self) {
        self.reset("503", "overflow");
    }

    /// Tells the filter that the call failed otherwise (an answer too large, a connection reset):
    /// no headers, no body.
    pub fn failed(self) {
        self.finish(CallResponse::default());
    }

    fn reset(self, status: &str, reason: &str) {
        let before = "upstream connect error or disconnect/reset before headers. reset reason: ";
        self.finish(local(status, &format!("{before}{reason}")));
    }

    /// Lets go of the call without telling the filter.
    pub(super) fn abandon(mut self) {
        self.finished = true;
    }

    fn complete(&mut self, response: CallResponse) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Some(plugin) = self.plugin.upgrade() {
            plugin.call_response(self.generation, self.token, response);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.complete(CallResponse::default());
    }
}

fn local(status: &str, body: &str) -> CallResponse {
    let length = body.len().to_string();
    CallResponse {
        headers: [(":status", status), ("content-length", &length), ("content-type", "text/plain")]
            .into_iter()
            .collect(),
        body: body.as_bytes().to_vec(),
        trailers: HeaderMap::new(),
    }
}
