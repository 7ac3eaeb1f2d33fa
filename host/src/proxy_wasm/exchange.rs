//! A request and its response on their way through a chain of filters.

use std::sync::Arc;

use tokio::sync::Notify;

use super::abi::Direction;
use super::filter_stream::{FilterStream, Output};
use super::headers::HeaderMap;
use super::local_reply::LocalReply;
use super::message::{Event, Message, RequestOutcome, ResponseOutcome};
use super::plugin::Plugin;
use super::stream_info::StreamInfo;

/// One request and its response on their way through filters, as Envoy takes them: parts go in at
/// one end, what the filters let by is taken out at the other. Ends the filters' contexts when it
/// is dropped.
///
/// The filters run on the caller's thread, within the call that brings a part.
pub struct Exchange {
    filters: Vec<FilterStream>,
    info: Arc<StreamInfo>,
    wake: Arc<Notify>,
    upstream: Vec<Event>,
    downstream: Vec<Event>,
    /// Of the request headers, what a reply depends on.
    reply_basis: HeaderMap,
    request_complete: bool,
    request_forwarded: bool,
    request_aborted: bool,
    response_started: bool,
    response_sent: bool,
    response_forwarded: bool,
    response_aborted: bool,
    answered: bool,
    reset: bool,
    finished: bool,
}

impl Exchange {
    pub(super) fn new(plugins: &[Plugin], info: StreamInfo) -> Self {
        Self {
            filters: plugins.iter().cloned().map(FilterStream::Waiting).collect(),
            info: Arc::new(info),
            wake: Arc::default(),
            upstream: Vec::new(),
            downstream: Vec::new(),
            reply_basis: HeaderMap::new(),
            request_complete: false,
            request_forwarded: false,
            request_aborted: false,
            response_started: false,
            response_sent: false,
            response_forwarded: false,
            response_aborted: false,
            answered: false,
            reset: false,
            finished: false,
        }
    }

    /// What is known of the stream, with the filter state and the details of the response.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Takes a whole request through the filters, waiting for those that pause. A stream that
    /// nothing can move any more is answered 504, as Envoy's idle timeout does in time.
    pub async fn request(&mut self, request: Message) -> RequestOutcome {
        for event in request.into_events() {
            while self.request_pressure() && !self.answered && !self.reset {
                self.moved_or_timed_out().await;
            }
            self.send(event);
        }
        loop {
            if self.reset {
                return RequestOutcome::Reset;
            }
            if self.answered {
                if self.response_forwarded {
                    let events = self.take_downstream();
                    return RequestOutcome::Reply(Message::from_events(events));
                }
            } else if self.request_forwarded {
                return RequestOutcome::Forward(Message::from_events(self.take_upstream()));
            }
            self.moved_or_timed_out().await;
        }
    }

    /// Takes a whole response through the filters, as [`request`](Self::request) does a request.
    pub async fn response(&mut self, response: Message) -> ResponseOutcome {
        for event in response.into_events() {
            while self.response_pressure() && !self.response_aborted && !self.reset {
                self.moved_or_timed_out().await;
            }
            self.respond(event);
        }
        loop {
            if self.reset {
                return ResponseOutcome::Reset(Message::from_events(self.take_downstream()));
            }
            if self.response_forwarded {
                return ResponseOutcome::Send(Message::from_events(self.take_downstream()));
            }
            self.moved_or_timed_out().await;
        }
    }

    /// Brings a part of the request. After an answer or a reset it is ignored.
    pub fn send(&mut self, event: Event) {
        if self.request_aborted || self.reset || self.finished {
            return;
        }
        match &event {
            Event::Headers(headers, end) => {
                self.request_complete = *end;
                for name in [":method", "content-type"] {
                    if let Some(value) = headers.first(name) {
                        self.reply_basis.replace(name, value);
                    }
                }
            }
            Event::Data(data, end) => {
                self.request_complete |= *end;
                let size = data.len() as u64;
                self.info.update(|p| p.bytes_received = p.bytes_received.saturating_add(size));
            }
            Event::Trailers(_) => self.request_complete = true,
        }
        self.pass(Direction::Request, 0, event);
    }

    /// Brings a part of the upstream's response. After another answer or a reset it is ignored.
    pub fn respond(&mut self, event: Event) {
        if self.answered || self.response_aborted || self.reset || self.finished {
            return;
        }
        self.response_started = true;
        self.pass(Direction::Response, 0, event);
    }

    /// What has come out towards the upstream since the last call.
    pub fn take_upstream(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.upstream)
    }

    /// What has come out towards the client since the last call.
    pub fn take_downstream(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.downstream)
    }

    /// Whether a filter, or the host, has answered in the upstream's place: the request goes no
    /// further and what the upstream may say is not wanted.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether the stream is to be cut off.
    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// Whether all of the request has come out towards the upstream.
    pub fn is_request_forwarded(&self) -> bool {
        self.request_forwarded
    }

    /// Whether all of the response has come out towards the client.
    pub fn is_response_forwarded(&self) -> bool {
        self.response_forwarded
    }

    /// Whether filters hold back so much of the request that no more should be sent for now.
    pub fn request_pressure(&self) -> bool {
        self.filters.iter().any(|filter| filter.pressure(Direction::Request).1)
    }

    /// Whether filters hold back so much of the response that no more should be sent for now.
    pub fn response_pressure(&self) -> bool {
        self.filters.iter().any(|filter| filter.pressure(Direction::Response).1)
    }

    /// Waits until a filter has moved the stream from elsewhere (the answer to a call-out, a
    /// timer), and moves it. Cancelling it loses nothing.
    pub async fn moved(&mut self) {
        let wake = Arc::clone(&self.wake);
        wake.notified().await;
        self.resume();
    }

    /// Whether a call-out or a timer may yet move the stream.
    pub fn may_move(&self) -> bool {
        self.filters.iter().any(FilterStream::has_work_outstanding)
    }

    /// Gives up on a stream that does not move: 408 if the request has not come whole, else 504;
    /// a reset if the response is already on its way.
    pub fn time_out(&mut self) {
        let status = if self.request_complete { 504 } else { 408 };
        self.local_reply(LocalReply::by_host(status, "stream timeout", "stream_idle_timeout"));
        // A response that is stuck in the filters does not get out that way either.
        if self.answered && !self.response_sent {
            self.answer_directly(LocalReply::by_host(504, "stream timeout", "stream_idle_timeout"));
        }
    }

    /// Ends the stream: the filters log it and forget it. Dropping the exchange does the same.
    pub fn finish(&mut self, now_nanoseconds: u64) {
        if !self.finished {
            let start = self.info.start_time;
            self.info.update(|p| p.duration = Some(now_nanoseconds.saturating_sub(start)));
        }
        self.end();
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        for filter in &mut self.filters {
            filter.finish();
        }
    }

    /// Moves what filters have called for to go on.
    fn resume(&mut self) {
        for position in 0..self.filters.len() {
            for direction in [Direction::Request, Direction::Response] {
                if let Some(filter) = self.filter(direction, position) {
                    let output = filter.resume(direction);
                    self.absorb(direction, position, output);
                }
            }
        }
    }

    /// Moves the request on its way: at once if a filter has called for it, else [when](Self::moved) one does;
    /// [gives up](Self::time_out) where nothing can move it any more.
    pub async fn request_moved(&mut self) {
        let could_move = self.look();
        if !self.is_request_decided() {
            self.wait_or_give_up(could_move).await;
        }
    }

    /// Whether the request has gone through the filters, or goes no further.
    pub fn is_request_decided(&self) -> bool {
        self.answered || self.reset || self.request_forwarded
    }

    async fn moved_or_timed_out(&mut self) {
        let could_move = self.look();
        if self.reset || self.request_forwarded && !self.response_started {
            return;
        }
        if self.response_forwarded || (!self.is_held() && !self.answered) {
            return;
        }
        self.wait_or_give_up(could_move).await;
    }

    /// Moves what filters have called for to go on. Tells whether more could come from elsewhere, asked before: what
    /// has come by then is moved here, and what comes later leaves a wake-up.
    fn look(&mut self) -> bool {
        let could_move = self.may_move();
        self.resume();
        could_move
    }

    async fn wait_or_give_up(&mut self, could_move: bool) {
        if could_move || self.may_move() {
            self.moved().await;
        } else {
            self.time_out();
        }
    }

    fn is_held(&self) -> bool {
        self.filters.iter().any(|filter| {
            filter.pressure(Direction::Request).0 || filter.pressure(Direction::Response).0
        })
    }

    /// Takes a part through the filter at `position` on its way, and on.
    fn pass(&mut self, direction: Direction, position: usize, event: Event) {
        let (info, wake) = (Arc::clone(&self.info), Arc::clone(&self.wake));
        match self.filter(direction, position) {
            Some(filter) => {
                let output = filter.take(direction, event, &info, &wake);
                self.absorb(direction, position, output);
            }
            None if direction == Direction::Request => {
                self.request_forwarded |= event.ends();
                self.upstream.push(event);
            }
            None => self.send_downstream(event),
        }
    }

    fn absorb(&mut self, direction: Direction, position: usize, output: Output) {
        if output.reset {
            self.reset = true;
            return;
        }
        if let Some(reply) = output.reply {
            self.local_reply(reply);
            return;
        }
        for event in output.events {
            let aborted = match direction {
                Direction::Request => self.request_aborted,
                Direction::Response => self.response_aborted,
            };
            if aborted || self.reset {
                return;
            }
            self.pass(direction, position.saturating_add(1), event);
        }
    }

    /// The filter at `position` on the way: the last one comes first for responses.
    fn filter(&mut self, direction: Direction, position: usize) -> Option<&mut FilterStream> {
        match direction {
            Direction::Request => self.filters.get_mut(position),
            Direction::Response => {
                let index = self.filters.len().checked_sub(position)?.checked_sub(1)?;
                self.filters.get_mut(index)
            }
        }
    }

    fn send_downstream(&mut self, event: Event) {
        self.response_forwarded |= event.ends();
        match &event {
            Event::Headers(headers, _) => {
                self.response_sent = true;
                let status =
                    headers.first(":status").and_then(|value| std::str::from_utf8(value).ok());
                let code = status.and_then(|status| status.parse().ok());
                self.info.update(|p| p.response_code = code);
            }
            Event::Data(data, _) => {
                let size = data.len() as u64;
                self.info.update(|p| p.bytes_sent = p.bytes_sent.saturating_add(size));
            }
            Event::Trailers(_) => {}
        }
        self.downstream.push(event);
    }

    /// Answers in the upstream's place: through the response filters if no response has begun,
    /// past them if one is in them, and not at all if it has left them.
    fn local_reply(&mut self, reply: LocalReply) {
        if self.reset || self.finished {
            return;
        }
        self.request_aborted = true;
        self.upstream.clear();
        let details = reply.details.clone();
        self.info.update(|p| p.response_code_details = Some(details));
        if self.response_sent {
            self.reset = true;
        } else if self.response_started {
            self.answer_directly(reply);
        } else {
            self.response_started = true;
            self.answered = true;
            let (headers, body) = reply.into_response(Some(&self.reply_basis));
            let end = body.is_empty();
            self.pass(Direction::Response, 0, Event::Headers(headers, end));
            if !end && !self.response_aborted && !self.reset {
                self.pass(Direction::Response, 0, Event::Data(body, true));
            }
        }
    }

    fn answer_directly(&mut self, reply: LocalReply) {
        self.answered = true;
        self.response_aborted = true;
        let (headers, body) = reply.into_response(Some(&self.reply_basis));
        let end = body.is_empty();
        self.send_downstream(Event::Headers(headers, end));
        if !end {
            self.send_downstream(Event::Data(body, true));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end();
    }
}
