//! What is known of a stream: who came, how, and what its filters have left for each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::abi::Status;

/// Most entries, and most bytes, of filter state that the filters of a stream may keep.
const MAX_STATE_ENTRIES: usize = 1024;
const MAX_STATE_BYTES: usize = 1024 * 1024;

/// What the embedder knows of a stream, shared by all filters that it passes.
#[derive(Debug)]
pub struct StreamInfo {
    /// Client address; `source.address` shows it as `ip:port`.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    pub protocol: &'static str,
    /// Number of the client's connection.
    pub connection_id: u64,
    /// The TLS session, if there is one.
    pub tls: Option<TlsInfo>,
    /// When the request arrived, in nanoseconds since the Unix epoch.
    pub start_time: u64,
    /// Name of the route, if it has one.
    pub route_name: String,
    /// The route's `filter_metadata`: an object by namespace.
    pub route_metadata: serde_json::Map<String, Json>,
    shared: Mutex<Shared>,
}

/// What is known of a TLS session. Empty strings stand for what is not there.
#[derive(Debug, Clone, Default)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The server name the client asked for.
    pub requested_server_name: String,
    /// The client's certificate, if it presented one that was accepted.
    pub peer: Option<PeerCertificate>,
}

/// A client certificate.
#[derive(Debug, Clone, Default)]
pub struct PeerCertificate {
    /// The subject in RFC 2253 form.
    pub subject: String,
    /// First DNS name of the subject alternative names.
    pub dns_san: String,
    /// First URI of the subject alternative names.
    pub uri_san: String,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub sha256_digest: String,
}

/// What becomes known, or is set by filters, while the stream lasts.
#[derive(Debug, Default)]
struct Shared {
    filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    filter_state_bytes: usize,
    progress: Progress,
}

/// How far a stream has come.
#[derive(Debug, Default, Clone)]
pub(super) struct Progress {
    pub(super) response_code: Option<u16>,
    pub(super) response_code_details: Option<String>,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    /// Set at the end of the stream, in nanoseconds.
    pub(super) duration: Option<u64>,
}

impl StreamInfo {
    /// A plain HTTP/1.1 stream from `source` to `destination` that arrived at `start_time`, in
    /// nanoseconds since the Unix epoch. The public fields take the rest.
    pub fn new(source: SocketAddr, destination: SocketAddr, start_time: u64) -> Self {
        Self {
            source,
            destination,
            protocol: "HTTP/1.1",
            connection_id: 1,
            tls: None,
            start_time,
            route_name: String::new(),
            route_metadata: serde_json::Map::new(),
            shared: Mutex::default(),
        }
    }

    /// The value that a filter has stored under `path` with `proxy_set_property`.
    pub fn filter_state(&self, path: &str) -> Option<Vec<u8>> {
        self.filter_state_of(path.as_bytes())
    }

    /// The same for a path of any bytes.
    pub(super) fn filter_state_of(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.shared().filter_state.get(path).cloned()
    }

    /// Why the response was what it was, as Envoy's access log names it.
    pub fn response_code_details(&self) -> Option<String> {
        self.shared().progress.response_code_details.clone()
    }

    pub(super) fn set_filter_state(&self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let mut shared = self.shared();
        let before = shared.filter_state.get(path).map(|old| path.len().saturating_add(old.len()));
        let bytes = shared
            .filter_state_bytes
            .saturating_sub(before.unwrap_or_default())
            .saturating_add(path.len())
            .saturating_add(value.len());
        if bytes > MAX_STATE_BYTES
            || (before.is_none() && shared.filter_state.len() >= MAX_STATE_ENTRIES)
        {
            return Err(Status::InternalFailure);
        }
        shared.filter_state.insert(path.to_vec(), value.to_vec());
        shared.filter_state_bytes = bytes;
        Ok(())
    }

    pub(super) fn progress(&self) -> Progress {
        self.shared().progress.clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.shared().progress);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_state_is_bounded() {
        let address = "192.0.2.1:443".parse().unwrap();
        let info = StreamInfo::new(address, address, 1_000);
        info.set_filter_state(b"verdict", b"yes").unwrap();
        assert_eq!(info.filter_state("verdict").unwrap(), b"yes");
        let large = vec![0; MAX_STATE_BYTES];
        assert_eq!(info.set_filter_state(b"large", &large), Err(Status::InternalFailure));
    }
}
