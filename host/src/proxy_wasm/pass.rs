//! One step of a stream through a filter: the filter is asked, and what it answers is done as Envoy does it.

use super::abi::Direction;
use super::filter_stream::{Output, failure};
use super::headers::HeaderMap;
use super::local_reply::LocalReply;
use super::message::Event;
use super::plugin::{Access, FailurePolicy, Plugin};
use super::state::{Iteration, Side, StreamState};
use super::vm::Trapped;

impl Access<'_> {
    pub(super) fn stream(&mut self, context: u32) -> Option<&mut StreamState> {
        match self {
            Self::Live(vm) => vm.state().streams.get_mut(&context),
            Self::Orphan(stream) => Some(stream),
        }
    }
}

/// What the filter wants done with a part of a message.
#[derive(PartialEq, Eq)]
enum Verdict {
    Continue,
    Buffer,
    BufferWatermark,
    NoBuffer,
    /// The filter has failed and the stream with it.
    Failed,
}

/// One step of a stream through a filter.
pub(super) struct Pass<'a> {
    access: Access<'a>,
    plugin: &'a Plugin,
    context: u32,
    direction: Direction,
    output: Output,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        access: Access<'a>,
        plugin: &'a Plugin,
        context: u32,
        direction: Direction,
    ) -> Self {
        Self { access, plugin, context, direction, output: Output::default() }
    }

    /// What came of it, with what the filter has sent in its stead.
    pub(super) fn finish(mut self) -> Output {
        if let Some(stream) = self.access.stream(self.context) {
            if let Some(reply) = stream.reply.take() {
                self.output.reply.get_or_insert(reply);
            }
            self.output.reset |= std::mem::take(&mut stream.reset);
        }
        if self.output.reply.is_some() || self.output.reset {
            self.output.events.clear();
        }
        self.output
    }

    pub(super) fn event(&mut self, event: Event) {
        // What the filter has called for from elsewhere, from the answer to a call-out or a timer, came first.
        if self.access.stream(self.context).is_some_and(|s| s.reply.is_some() || s.reset) {
            return;
        }
        self.resume_if_called();
        match event {
            Event::Headers(headers, end) => self.headers(headers, end),
            Event::Data(data, end) => {
                if end {
                    self.with_side(|side| side.complete = true);
                }
                self.data(data, end);
            }
            Event::Trailers(trailers) => {
                self.with_side(|side| side.complete = true);
                self.trailers(trailers);
            }
        }
    }

    fn headers(&mut self, headers: HeaderMap, end: bool) {
        let count = headers.len();
        self.with_side(|side| {
            side.headers = Some(headers);
            side.headers_open = true;
            side.end_of_stream = end;
            side.complete = end;
            side.resume = false;
        });
        let verdict = self.ask(|access, direction, context| match access {
            Access::Live(vm) => vm.headers(direction, context, count, end),
            Access::Orphan(_) => Err(Trapped),
        });
        let stop_single = self.plugin.0.config.allow_on_headers_stop_iteration;
        let iteration = match verdict {
            Ok(0) => {
                self.forward_headers(end);
                Iteration::Continue
            }
            Ok(1) if stop_single => Iteration::StopSingle,
            Ok(_) => Iteration::StopAll,
            Err(Verdict::Failed) => return,
            Err(_) => {
                self.forward_headers(end);
                Iteration::Continue
            }
        };
        self.with_side(|side| side.iteration = iteration);
        self.resume_if_called();
    }

    fn data(&mut self, data: Vec<u8>, end: bool) {
        let limit = self.plugin.0.config.buffer_limit;
        let Some((iteration, buffering)) =
            self.with_side(|side| (side.iteration, side.buffering && side.buffer.is_some()))
        else {
            return;
        };
        if iteration == Iteration::StopAll {
            // Shown to the filter when the stream goes on.
            self.with_side(|side| side.buffer.get_or_insert_default().extend(data));
            return;
        }
        let size = self.with_side(|side| {
            side.end_of_stream = end;
            side.resume = false;
            side.buffering = buffering;
            if buffering {
                side.buffer.get_or_insert_default().extend(data);
            } else {
                side.chunk = Some(data);
            }
            side.body().len()
        });
        let size = size.unwrap_or_default();
        if buffering && size > limit {
            // The filter is not asked about what is over the limit.
            self.too_large();
            return;
        }
        let verdict = match self.ask(|access, direction, context| match access {
            Access::Live(vm) => vm.body(direction, context, size, end),
            Access::Orphan(_) => Err(Trapped),
        }) {
            Ok(0) => Verdict::Continue,
            Ok(1) => Verdict::Buffer,
            Ok(2) => Verdict::BufferWatermark,
            Ok(_) => Verdict::NoBuffer,
            Err(verdict) => verdict,
        };
        // Like in Envoy, where the filter calls for what is held back to go on while it looks at the data, that is done before its
        // verdict on the data, which then begins a new buffer.
        let has_gone_on = iteration == Iteration::StopSingle && self.resume_if_called();
        let chunk = self.with_side(|side| {
            side.buffering = verdict == Verdict::Buffer;
            side.chunk.take()
        });
        let chunk = chunk.flatten();
        match verdict {
            Verdict::Failed => return,
            Verdict::Continue if has_gone_on && chunk.is_none() => return,
            Verdict::Continue => {
                if iteration == Iteration::StopSingle && !has_gone_on {
                    self.hold(chunk);
                    self.go_on();
                } else {
                    self.forward_data(chunk.unwrap_or_default(), end);
                }
                return;
            }
            Verdict::Buffer | Verdict::BufferWatermark => {
                let held = self.hold(chunk);
                if verdict == Verdict::Buffer && held > limit {
                    self.with_side(|side| side.iteration = Iteration::StopSingle);
                    self.too_large();
                    return;
                }
            }
            Verdict::NoBuffer => {
                // What is not to be held is dropped. The end of the stream is kept.
                self.with_side(|side| {
                    if side.complete && side.trailers.is_none() {
                        side.buffer.get_or_insert_default();
                    }
                });
            }
        }
        self.with_side(|side| side.iteration = Iteration::StopSingle);
        self.resume_if_called();
    }

    fn trailers(&mut self, trailers: HeaderMap) {
        let count = trailers.len();
        let iteration = self.with_side(|side| {
            side.trailers = Some(trailers);
            if side.iteration != Iteration::StopAll {
                side.trailers_open = true;
                side.resume = false;
            }
            side.iteration
        });
        let Some(iteration) = iteration else { return };
        if iteration == Iteration::StopAll {
            return;
        }
        let verdict = self.ask(|access, direction, context| match access {
            Access::Live(vm) => vm.trailers(direction, context, count),
            Access::Orphan(_) => Err(Trapped),
        });
        match verdict {
            Err(Verdict::Failed) => return,
            Ok(0) | Err(_) => {
                if iteration == Iteration::StopSingle {
                    self.go_on();
                } else {
                    self.forward_trailers();
                }
                return;
            }
            Ok(_) => {}
        }
        self.with_side(|side| side.iteration = Iteration::StopSingle);
        self.resume_if_called();
    }

    /// Lets what is held back go on, if the filter has called for it.
    pub(super) fn resume(&mut self) {
        // A failed filter never will.
        if matches!(self.access, Access::Orphan(_)) {
            let stopped = self.with_side(|side| side.iteration != Iteration::Continue);
            if stopped == Some(true) {
                match self.failed() {
                    Verdict::Failed => {}
                    _ => self.go_on(),
                }
            }
            return;
        }
        self.resume_if_called();
    }

    /// Whether it has gone on.
    fn resume_if_called(&mut self) -> bool {
        let called = self.with_side(|side| {
            std::mem::take(&mut side.resume) && side.iteration != Iteration::Continue
        });
        if called == Some(true) {
            self.go_on();
        }
        called == Some(true)
    }

    /// What Envoy calls to continue: headers, then what is held of the body, then trailers.
    fn go_on(&mut self) {
        let Some((stopped_all, headers_continued)) = self.with_side(|side| {
            let stopped_all = side.iteration == Iteration::StopAll;
            side.iteration = Iteration::Continue;
            side.buffering = false;
            (stopped_all, side.headers_continued)
        }) else {
            return;
        };
        if !headers_continued {
            let end = self.with_side(|side| {
                side.complete && side.buffer.is_none() && side.trailers.is_none()
            });
            self.forward_headers(end == Some(true));
        }
        let held = self.with_side(|side| {
            let end = side.complete && side.trailers.is_none();
            side.buffer.take().map(|buffer| (buffer, end))
        });
        if stopped_all {
            // The filter has not seen any of it.
            if let Some((buffer, end)) = held.flatten() {
                self.data(buffer, end);
            }
            if let Some(trailers) = self.with_side(|side| side.trailers.take()).flatten() {
                self.trailers(trailers);
            }
            return;
        }
        if let Some((buffer, end)) = held.flatten() {
            self.output.events.push(Event::Data(buffer, end));
        }
        self.forward_trailers();
    }

    fn forward_headers(&mut self, end: bool) {
        let headers = self.with_side(|side| {
            side.headers_open = false;
            side.headers_continued = true;
            side.headers.clone().unwrap_or_default()
        });
        self.output.events.push(Event::Headers(headers.unwrap_or_default(), end));
    }

    fn forward_data(&mut self, data: Vec<u8>, end: bool) {
        let added_trailers = self.with_side(|side| side.trailers.is_some()) == Some(true);
        self.output.events.push(Event::Data(data, end && !added_trailers));
        if end {
            self.forward_trailers();
        }
    }

    fn forward_trailers(&mut self) {
        let trailers = self.with_side(|side| {
            side.trailers_open = false;
            side.trailers.clone()
        });
        if let Some(trailers) = trailers.flatten() {
            self.output.events.push(Event::Trailers(trailers));
        }
    }

    /// Appends to what is held back; returns how much that is now.
    fn hold(&mut self, chunk: Option<Vec<u8>>) -> usize {
        let held = self.with_side(|side| {
            let buffer = side.buffer.get_or_insert_default();
            buffer.extend(chunk.unwrap_or_default());
            buffer.len()
        });
        held.unwrap_or_default()
    }

    fn too_large(&mut self) {
        self.output.reply = Some(match self.direction {
            Direction::Request => {
                LocalReply::by_host(413, "Payload Too Large", "request_payload_too_large")
            }
            Direction::Response => {
                LocalReply::by_host(500, "Internal Server Error", "response_payload_too_large")
            }
        });
    }

    /// Asks the filter. After a failure the policy answers in its place: with
    /// [`Verdict::Continue`] or [`Verdict::Failed`].
    fn ask(
        &mut self,
        question: impl FnOnce(&mut Access<'_>, Direction, u32) -> Result<u32, Trapped>,
    ) -> Result<u32, Verdict> {
        let told = self.access.stream(self.context).is_some_and(|stream| stream.failed);
        if told && self.direction == Direction::Response {
            // The answer to the failure itself.
            return Err(Verdict::Continue);
        }
        match question(&mut self.access, self.direction, self.context) {
            Ok(answer) => {
                // With a reply of its own the filter has done with this direction.
                let replied = self.access.stream(self.context).is_some_and(|s| s.reply.is_some());
                if replied { Err(Verdict::Failed) } else { Ok(answer) }
            }
            Err(Trapped) => Err(self.failed()),
        }
    }

    fn failed(&mut self) -> Verdict {
        if self.plugin.0.config.failure_policy == FailurePolicy::FailOpen {
            return Verdict::Continue;
        }
        if let Some(stream) = self.access.stream(self.context)
            && !std::mem::replace(&mut stream.failed, true)
        {
            // The failure outweighs what the filter may have sent before it.
            stream.reply = None;
            self.output.reply = Some(failure());
        }
        Verdict::Failed
    }

    fn with_side<R>(&mut self, work: impl FnOnce(&mut Side) -> R) -> Option<R> {
        let direction = self.direction;
        self.access.stream(self.context).map(|stream| work(stream.side(direction)))
    }
}
