//! What the host keeps for one VM: the data that host calls work on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use wasmtime::{Memory, StoreLimits, TypedFunc};

use super::abi::{BufferKind, Direction, MapKind, Status};
use super::call_out::{CallOut, CallResponse};
use super::headers::HeaderMap;
use super::host::Host;
use super::local_reply::LocalReply;
use super::log::{LogLevel, LogRecord};
use super::metrics::MetricIds;
use super::plugin::{Inner as Plugin, PluginConfig};
use super::properties::Lookup;
use super::stream_info::StreamInfo;

/// The id of a VM's one root context.
pub(super) const ROOT: u32 = 1;
/// How many of the last log lines are kept to explain a failed start.
const RECENT_LINES: usize = 20;
/// Most call-outs of one VM under way.
const MAX_CALLS: usize = 1024;
/// Largest body that a filter may make by its changes, in bytes.
const MAX_BODY: usize = 256 * 1024 * 1024;
/// Largest header map that a filter may make by its changes, in bytes.
const MAX_MAP: usize = 4 * 1024 * 1024;

/// Data of a wasmtime store.
pub(super) struct State {
    pub(super) host: Arc<Host>,
    pub(super) config: Arc<PluginConfig>,
    pub(super) plugin: Weak<Plugin>,
    pub(super) limits: StoreLimits,
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    pub(super) streams: HashMap<u32, StreamState>,
    /// The context being called, and the one that the guest has put in its place.
    pub(super) current: u32,
    pub(super) effective: Option<u32>,
    /// Whether the guest may read the plugin's configuration: only while it is being configured.
    pub(super) configuring: bool,
    pub(super) metrics: MetricIds,
    /// Set by the guest; none means no ticks.
    pub(super) tick_period: Option<Duration>,
    pub(super) call_response: Option<CallResponse>,
    pub(super) status: (u32, String),
    pub(super) pending_calls: HashSet<u32>,
    next_call: u32,
    /// What is to be done once the guest has returned and the VM is free.
    pub(super) outgoing_calls: Vec<(u32, CallOut)>,
    pub(super) queue_events: Vec<(Weak<Plugin>, u32)>,
    pub(super) recent_lines: VecDeque<LogRecord>,
}

impl State {
    pub(super) fn new(
        host: Arc<Host>,
        config: Arc<PluginConfig>,
        plugin: Weak<Plugin>,
        limits: StoreLimits,
    ) -> Self {
        Self {
            host,
            config,
            plugin,
            limits,
            memory: None,
            allocate: None,
            streams: HashMap::new(),
            current: ROOT,
            effective: None,
            configuring: false,
            metrics: MetricIds::default(),
            tick_period: None,
            call_response: None,
            status: (0, String::new()),
            pending_calls: HashSet::new(),
            next_call: 1,
            outgoing_calls: Vec::new(),
            queue_events: Vec::new(),
            recent_lines: VecDeque::new(),
        }
    }

    pub(super) fn log(&mut self, level: LogLevel, message: &[u8]) {
        let record = LogRecord::new(level, &self.config.name, message);
        self.host.log.log(&record);
        if self.recent_lines.len() == RECENT_LINES {
            self.recent_lines.pop_front();
        }
        self.recent_lines.push_back(record);
    }

    /// The stream that host calls are about; none in the root context.
    pub(super) fn stream(&self) -> Option<&StreamState> {
        self.streams.get(&self.effective.unwrap_or(self.current))
    }

    pub(super) fn stream_mut(&mut self) -> Option<&mut StreamState> {
        self.streams.get_mut(&self.effective.unwrap_or(self.current))
    }

    /// The map that the guest may read at this moment.
    pub(super) fn map(&self, kind: MapKind) -> Option<&HeaderMap> {
        match kind {
            MapKind::CallResponseHeaders => self.call_response.as_ref().map(|r| &r.headers),
            MapKind::CallResponseTrailers => self.call_response.as_ref().map(|r| &r.trailers),
            MapKind::GrpcInitialMetadata | MapKind::GrpcTrailingMetadata => None,
            kind => self.stream()?.map(kind),
        }
    }

    /// The map that the guest may change at this moment.
    pub(super) fn map_mut(&mut self, kind: MapKind) -> Result<&mut HeaderMap, Status> {
        self.stream_mut().and_then(|stream| stream.map_mut(kind)).ok_or(Status::BadArgument)
    }

    /// The map that the guest may add `bytes` to at this moment.
    pub(super) fn map_to_grow(
        &mut self,
        kind: MapKind,
        bytes: usize,
    ) -> Result<&mut HeaderMap, Status> {
        let map = self.map_mut(kind)?;
        if map.byte_size().saturating_add(bytes) > MAX_MAP {
            return Err(Status::InternalFailure);
        }
        Ok(map)
    }

    /// The bytes that the guest may read at this moment.
    pub(super) fn buffer(&self, kind: BufferKind) -> Option<&[u8]> {
        match kind {
            BufferKind::VmConfiguration => Some(&self.config.vm_configuration),
            BufferKind::PluginConfiguration => {
                self.configuring.then_some(self.config.configuration.as_slice())
            }
            BufferKind::CallResponseBody => self.call_response.as_ref().map(|r| r.body.as_slice()),
            BufferKind::RequestBody => {
                Some(self.stream().map_or(&[], |stream| stream.request.body()))
            }
            BufferKind::ResponseBody => {
                Some(self.stream().map_or(&[], |stream| stream.response.body()))
            }
            BufferKind::Absent => Some(&[]),
        }
    }

    pub(super) fn property(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let stream = self.stream();
        let lookup = Lookup {
            info: stream.map(|stream| stream.info.as_ref()),
            request_headers: stream.and_then(|stream| stream.map(MapKind::RequestHeaders)),
            response_headers: stream.and_then(|stream| stream.map(MapKind::ResponseHeaders)),
            response_trailers: stream.and_then(|stream| stream.map(MapKind::ResponseTrailers)),
            plugin_name: &self.config.name,
            plugin_root_id: &self.config.root_id,
            plugin_vm_id: &self.config.vm_id,
        };
        lookup.property(path)
    }

    /// Notes a call-out, to be sent when the guest has returned, and gives it a number.
    pub(super) fn call_out(&mut self, call: CallOut) -> Result<u32, Status> {
        let complete = [":method", ":path", ":authority"]
            .iter()
            .all(|name| call.headers.first(name).is_some());
        if !complete || !self.host.call_outs.has_cluster(&call.cluster) {
            return Err(Status::BadArgument);
        }
        if self.pending_calls.len() >= MAX_CALLS {
            return Err(Status::InternalFailure);
        }
        let token = self.next_call;
        self.next_call = self.next_call.checked_add(1).unwrap_or(1);
        if !self.pending_calls.insert(token) {
            return Err(Status::InternalFailure);
        }
        self.outgoing_calls.push((token, call));
        Ok(token)
    }
}

/// What the host keeps for one stream in one VM.
pub(super) struct StreamState {
    pub(super) info: Arc<StreamInfo>,
    pub(super) request: Side,
    pub(super) response: Side,
    /// In `on_log` the maps of the stream can be read, but not changed.
    pub(super) logging: bool,
    /// A reply that the filter has sent and the stream has not yet taken.
    pub(super) reply: Option<LocalReply>,
    /// Whether the filter has sent a reply: the first one counts.
    pub(super) replied: bool,
    /// The filter wants the stream cut off.
    pub(super) reset: bool,
    /// Whether the stream has been told that the filter failed.
    pub(super) failed: bool,
    /// Wakes whoever waits for the filter to go on.
    pub(super) wake: Arc<Notify>,
}

/// One direction of a stream.
#[derive(Default)]
pub(super) struct Side {
    /// The last headers and trailers that came by; kept for the log when they have gone on.
    pub(super) headers: Option<HeaderMap>,
    pub(super) headers_open: bool,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) trailers_open: bool,
    /// The data being shown to the filter, when it is not appended to `buffer`.
    pub(super) chunk: Option<Vec<u8>>,
    /// What is held back.
    pub(super) buffer: Option<Vec<u8>>,
    /// Whether new data is appended to `buffer` and the whole of it shown to the filter.
    pub(super) buffering: bool,
    pub(super) end_of_stream: bool,
    /// The filter has called for the stream to go on.
    pub(super) resume: bool,
    pub(super) iteration: Iteration,
    pub(super) headers_continued: bool,
    /// Whether all of the message has come.
    pub(super) complete: bool,
}

/// Whether a direction of a stream goes on behind the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Iteration {
    #[default]
    Continue,
    /// Nothing goes on, but the filter is shown what comes.
    StopSingle,
    /// Nothing goes on and the filter is shown nothing more.
    StopAll,
}

impl StreamState {
    pub(super) fn new(info: Arc<StreamInfo>, wake: Arc<Notify>) -> Self {
        Self {
            info,
            request: Side::default(),
            response: Side::default(),
            logging: false,
            reply: None,
            replied: false,
            reset: false,
            failed: false,
            wake,
        }
    }

    pub(super) fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    fn map(&self, kind: MapKind) -> Option<&HeaderMap> {
        let (side, headers) = match kind {
            MapKind::RequestHeaders => (&self.request, true),
            MapKind::RequestTrailers => (&self.request, false),
            MapKind::ResponseHeaders => (&self.response, true),
            MapKind::ResponseTrailers => (&self.response, false),
            _ => return None,
        };
        if headers {
            side.headers.as_ref().filter(|_| side.headers_open || self.logging)
        } else if self.logging && kind == MapKind::RequestTrailers {
            None
        } else {
            side.trailers.as_ref().filter(|_| side.trailers_open || self.logging)
        }
    }

    fn map_mut(&mut self, kind: MapKind) -> Option<&mut HeaderMap> {
        if self.logging {
            return None;
        }
        let (side, headers) = match kind {
            MapKind::RequestHeaders => (&mut self.request, true),
            MapKind::RequestTrailers => (&mut self.request, false),
            MapKind::ResponseHeaders => (&mut self.response, true),
            MapKind::ResponseTrailers => (&mut self.response, false),
            _ => return None,
        };
        if headers {
            return side.headers.as_mut().filter(|_| side.headers_open);
        }
        // With the last of the body in its hands a filter may add trailers.
        if side.trailers.is_none() && side.end_of_stream && side.shows_body() {
            side.trailers = Some(HeaderMap::new());
            side.trailers_open = true;
        }
        side.trailers.as_mut().filter(|_| side.trailers_open)
    }
}

impl Side {
    /// The part of the body that the filter sees at this moment; nothing, if it sees none.
    pub(super) fn body(&self) -> &[u8] {
        let body = if self.buffering { &self.buffer } else { &self.chunk };
        body.as_deref().unwrap_or_default()
    }

    /// Changes the part of the body that the filter sees: prepends (`start` and `length` 0),
    /// replaces all of it, or appends (`start` behind its end); nothing else can be done.
    pub(super) fn change_body(
        &mut self,
        start: usize,
        length: usize,
        data: &[u8],
    ) -> Result<(), Status> {
        let body = if self.buffering { &mut self.buffer } else { &mut self.chunk };
        let Some(body) = body else { return Err(Status::BadArgument) };
        if body.len().saturating_add(data.len()) > MAX_BODY {
            return Err(Status::BadArgument);
        }
        if start == 0 && length == 0 {
            body.splice(0..0, data.iter().copied());
        } else if start == 0 && length >= body.len() {
            data.clone_into(body);
        } else if start > 0 && start >= body.len() {
            body.extend_from_slice(data);
        } else {
            return Err(Status::BadArgument);
        }
        Ok(())
    }

    fn shows_body(&self) -> bool {
        if self.buffering { self.buffer.is_some() } else { self.chunk.is_some() }
    }
}
