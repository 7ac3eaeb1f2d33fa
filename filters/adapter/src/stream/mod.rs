//! One request on its way through the proxy.

mod response;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_policy::{
    Exchange, GrpcStatus, Header, HeaderEdit, Policy, Principal, Reply, RequestHead, Stage, Step,
};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, GrpcStatusCode, LogLevel, MapType};

use crate::Filter;
use crate::environment::HostEnvironment;
use crate::header_map::HeaderMap;
use crate::root::write_log;
use crate::waiting::{HURRIED, WaitingRoom};

/// Where a filter leaves the principal for those after it: filter state, which clients cannot reach.
const PRINCIPAL_PROPERTY: &str = "portcullis_principal";

/// The stream as the proxy calls it.
pub(crate) struct Stream {
    state: Rc<RefCell<StreamState>>,
    waiting: Rc<WaitingRoom>,
}

/// The stream as it goes on: on an event of its own, or when what it has waited for is there.
pub(crate) struct StreamState {
    context_id: u32,
    filter: Filter,
    policy: Option<Arc<Policy>>,
    environment: HostEnvironment,
    exchange: Option<Exchange>,
    phase: Phase,
    /// Whether the header section was all of the request.
    ends_with_head: bool,
    /// Whether all of the body has come.
    body_is_whole: bool,
    /// Whether the proxy keeps a buffer for the response, which is empty between its parts.
    holds_response: bool,
    /// What goes out with the next part of the response.
    delayed: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing decided yet, or everything let through.
    Open,
    /// The header section is held back until something has been fetched.
    Waiting,
    /// The header section is held back until the body has come.
    AwaitingBody,
    /// A response of ours is on its way; whatever else comes is not looked at.
    Answered,
}

impl Stream {
    pub(crate) fn new(
        context_id: u32,
        filter: Filter,
        policy: Option<Arc<Policy>>,
        environment: HostEnvironment,
        waiting: Rc<WaitingRoom>,
    ) -> Self {
        let state = StreamState {
            context_id,
            filter,
            policy,
            environment,
            exchange: None,
            phase: Phase::Open,
            ends_with_head: false,
            body_is_whole: false,
            holds_response: false,
            delayed: Vec::new(),
        };
        Self { state: Rc::new(RefCell::new(state)), waiting }
    }
}

impl StreamState {
    fn begin(&mut self, headers: &[Header<'_>], end_of_stream: bool) -> Action {
        use portcullis_policy::Environment as _;

        // Without a policy nothing is decided, and what is not decided is refused.
        let Some(policy) = self.policy.clone() else { return self.fail("no policy") };
        self.ends_with_head = end_of_stream;
        self.environment.set_clock(headers);
        let mut exchange = policy.begin(self.environment.now());
        // All filters of a chain have the same document.
        if !self.filter.stages.contains(Stage::Identity)
            && policy.names_callers()
            && let Some(principal) = inherited_principal()
        {
            exchange.assume_principal(principal);
        }
        self.exchange = Some(exchange);
        self.judge_head(headers)
    }

    fn judge_head(&mut self, headers: &[Header<'_>]) -> Action {
        let Some(exchange) = &mut self.exchange else { return self.fail("no exchange") };
        let head = RequestHead { headers, has_body: !self.ends_with_head };
        let step = exchange.request_head(&head, &mut self.environment);
        if matches!(step, Step::Continue(_) | Step::NeedBody)
            && self.filter.stages.contains(Stage::Identity)
            && !self.filter.stages.contains(Stage::Limits)
        {
            let field = exchange.principal_field().as_bytes();
            let _ = hostcalls::set_property(vec![PRINCIPAL_PROPERTY], Some(field));
        }
        self.follow(step)
    }

    /// The whole body is in the proxy's buffer.
    fn judge_body(&mut self) -> Action {
        let Some(exchange) = &mut self.exchange else { return self.fail("no exchange") };
        let limit = exchange.max_body_bytes();
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, limit.saturating_add(1));
        let Ok(body) = body else { return self.fail("the body cannot be read") };
        let body = body.unwrap_or_default();
        let step = match body.len() > limit {
            true => exchange.body_too_large(),
            false => exchange.request_body(&body, &mut self.environment),
        };
        self.follow(step)
    }

    fn follow(&mut self, step: Step) -> Action {
        match step {
            Step::Continue(edits) => self.go_on(&edits),
            Step::Rewrite(edits, body) => {
                // From the beginning to whatever the end is.
                let set = hostcalls::set_buffer(BufferType::HttpRequestBody, 0, usize::MAX, &body);
                match set {
                    Ok(()) => self.go_on(&edits),
                    // What should be out of it would reach the upstream.
                    Err(_) => self.fail("the body cannot be changed"),
                }
            }
            Step::Wait => {
                self.phase = Phase::Waiting;
                Action::Pause
            }
            Step::NeedBody if self.body_is_whole => self.judge_body(),
            Step::NeedBody => {
                self.phase = Phase::AwaitingBody;
                Action::Pause
            }
            Step::Respond(reply) => self.respond(&reply),
        }
    }

    fn go_on(&mut self, edits: &[HeaderEdit]) -> Action {
        match apply(MapType::HttpRequestHeaders, edits) {
            Ok(()) => {
                self.phase = Phase::Open;
                Action::Continue
            }
            // A header that should be gone would reach the upstream.
            Err(()) => self.fail("a header field cannot be changed"),
        }
    }

    /// There is no room to wait: decides now.
    fn decide_without_waiting(&mut self, headers: &[Header<'_>]) -> Action {
        if let Some(exchange) = &mut self.exchange {
            exchange.cannot_wait();
        }
        self.judge_head(headers)
    }

    /// What was used up is asked for before anybody waits for it.
    fn hurry(&self, waiting: &WaitingRoom) {
        if self.policy.as_ref().is_some_and(|policy| policy.has_errands()) {
            waiting.set_pace(HURRIED);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    pub(crate) fn context_id(&self) -> u32 {
        self.context_id
    }

    /// What it has waited for may be there. To be called while the proxy takes what is done for this stream's.
    pub(crate) fn try_again(&mut self) {
        let map = HeaderMap::read(MapType::HttpRequestHeaders);
        let action = match map.as_ref().and_then(HeaderMap::fields) {
            Some(headers) => {
                self.environment.set_clock(&headers);
                self.judge_head(&headers)
            }
            None => self.fail("the header section cannot be read"),
        };
        if action == Action::Continue {
            let _ = hostcalls::resume_http_request();
        }
    }

    fn respond(&mut self, reply: &Reply) -> Action {
        self.phase = Phase::Answered;
        let fields = reply.headers.iter();
        // If it cannot be sent, the request stays paused: nothing gets through.
        let _ = match (reply.grpc_status, std::str::from_utf8(&reply.body)) {
            (Some(status), Ok(message)) => {
                let headers = fields.map(|(name, value)| (*name, value.as_bytes())).collect();
                hostcalls::send_grpc_response(grpc_code(status), Some(message), headers)
            }
            _ => {
                let headers = fields.map(|(name, value)| (*name, value.as_str())).collect();
                hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body))
            }
        };
        Action::Pause
    }

    /// Something that should not be: logged, and refused.
    fn fail(&mut self, what: &str) -> Action {
        write_log(LogLevel::Error, self.filter.name, what);
        let body = br#"{"type":"about:blank","title":"Service Unavailable","status":503}"#;
        self.respond(&Reply {
            status: 503,
            grpc_status: None,
            headers: vec![("content-type", portcullis_policy::PROBLEM_MEDIA_TYPE.to_owned())],
            body: body.to_vec(),
        })
    }

    fn on_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.body_is_whole = end_of_stream;
        let limit = self.exchange.as_ref().map_or(0, Exchange::max_body_bytes);
        match self.phase {
            Phase::Open => Action::Continue,
            Phase::Answered => Action::Pause,
            // The size is that of everything buffered so far: no need to wait for more.
            Phase::AwaitingBody if end_of_stream || size > limit => self.judge_body(),
            Phase::Waiting if size > limit => match &mut self.exchange {
                Some(exchange) => {
                    let step = exchange.body_too_large();
                    self.follow(step)
                }
                None => self.fail("no exchange"),
            },
            Phase::AwaitingBody | Phase::Waiting => Action::Pause,
        }
    }

    fn on_trailers(&mut self) -> Action {
        if self.phase == Phase::Answered {
            return Action::Pause;
        }
        if let Some(exchange) = &mut self.exchange {
            let map = HeaderMap::read(MapType::HttpRequestTrailers);
            let Some(trailers) = map.as_ref().and_then(HeaderMap::fields) else {
                return self.fail("the trailers cannot be read");
            };
            let edits = exchange.request_trailers(&trailers);
            if apply(MapType::HttpRequestTrailers, &edits).is_err() {
                return self.fail("a trailer field cannot be changed");
            }
        }
        // With trailers the body never says that it has ended.
        self.body_is_whole = true;
        match self.phase {
            Phase::AwaitingBody => self.judge_body(),
            Phase::Waiting => Action::Pause,
            Phase::Open | Phase::Answered => Action::Continue,
        }
    }

    fn on_log(&mut self) {
        // Whatever it waited for, nobody waits for it.
        self.phase = Phase::Answered;
        if let Some(exchange) = &mut self.exchange
            && let Some(record) = exchange.finish(&mut self.environment)
        {
            let _ = hostcalls::log(LogLevel::Info, &record);
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let mut state = self.state.borrow_mut();
        let map = HeaderMap::read(MapType::HttpRequestHeaders);
        let Some(headers) = map.as_ref().and_then(HeaderMap::fields) else {
            return state.fail("the header section cannot be read");
        };
        let action = state.begin(&headers, end_of_stream);
        if state.is_waiting() && !self.waiting.admit(&self.state) {
            return state.decide_without_waiting(&headers);
        }
        state.hurry(&self.waiting);
        action
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.state.borrow_mut().on_body(size, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.state.borrow_mut().on_trailers()
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.state.borrow_mut().on_response_headers();
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.state.borrow_mut().on_response_body(size, end_of_stream)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.state.borrow_mut().on_response_trailers()
    }

    fn on_log(&mut self) {
        self.state.borrow_mut().on_log();
    }
}

fn grpc_code(status: GrpcStatus) -> GrpcStatusCode {
    match status {
        GrpcStatus::InvalidArgument => GrpcStatusCode::InvalidArgument,
        GrpcStatus::PermissionDenied => GrpcStatusCode::PermissionDenied,
        GrpcStatus::ResourceExhausted => GrpcStatusCode::ResourceExhausted,
        GrpcStatus::Unimplemented => GrpcStatusCode::Unimplemented,
        GrpcStatus::Unavailable => GrpcStatusCode::Unavailable,
        GrpcStatus::Unauthenticated => GrpcStatusCode::Unauthenticated,
    }
}

fn apply(map: MapType, edits: &[HeaderEdit]) -> Result<(), ()> {
    for edit in edits {
        let done = match edit {
            HeaderEdit::Remove(name) => hostcalls::remove_map_value(map, name),
            HeaderEdit::Set(name, value) => hostcalls::set_map_value(map, name, Some(value)),
        };
        done.map_err(|_| ())?;
    }
    Ok(())
}

fn inherited_principal() -> Option<Principal> {
    let bytes = hostcalls::get_property(vec![PRINCIPAL_PROPERTY]).ok().flatten()?;
    Principal::from_field(std::str::from_utf8(&bytes).ok()?)
}
