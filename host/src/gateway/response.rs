//! The response's way back: from the upstream through the filters to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::access_log::Record;
use super::head;
use super::problem::Problem;
use super::server::{BodyError, ResponseBody};
use crate::proxy_wasm::{Event, Exchange, Host};

/// A response of at most this many bytes, if its length is known, goes to the client whole.
const WHOLE: u64 = 64 << 10;
/// The most of a body that the filters are shown at once: a filter may hold it back, and has room for so much at least.
const PART: usize = 64 << 10;
/// How long the parts of a body may be apart.
const IDLE: Duration = Duration::from_secs(60);

/// An exchange whose request has been dealt with.
pub(super) struct Return {
    pub(super) exchange: Exchange,
    pub(super) host: Arc<Host>,
    pub(super) record: Record,
    /// HEAD: the length of a body that is not there is not to be corrected.
    pub(super) is_head: bool,
}

impl Return {
    /// Answers with what the filters, or the host, have said in the upstream's place.
    pub(super) async fn local(mut self) -> Response<ResponseBody> {
        while !self.exchange.is_response_forwarded() && !self.exchange.is_reset() {
            self.moved().await;
        }
        self.record.entry.details = self.exchange.info().response_code_details();
        let events = self.exchange.take_downstream();
        self.whole(events)
    }

    /// Answers with a problem of the host's own. It goes through the filters as any response.
    pub(super) async fn problem(mut self, problem: Problem) -> Response<ResponseBody> {
        self.record.entry.details = Some(problem.reason().to_owned());
        self.upstream(problem.response()).await
    }

    /// Takes the upstream's response through the filters.
    pub(super) async fn upstream(
        mut self,
        response: Response<ResponseBody>,
    ) -> Response<ResponseBody> {
        let (parts, mut body) = response.into_parts();
        let is_whole = body.size_hint().upper().is_some_and(|length| length <= WHOLE);
        let ends = body.is_end_stream();
        self.exchange.respond(Event::Headers(head::response_fields(&parts), ends));

        // Until it is known with which head to begin; the filters may want the body first.
        let mut ready = self.exchange.take_downstream();
        let mut source = (!ends).then_some(&mut body);
        while !self.is_over() && (is_whole || ready.is_empty()) {
            match &mut source {
                Some(body) => {
                    let part = tokio::time::timeout(IDLE, body.frame()).await;
                    if !self.feed(part) {
                        source = None;
                    }
                }
                None => self.moved().await,
            }
            ready.extend(self.exchange.take_downstream());
        }
        let over = self.is_over();
        if over || ready.is_empty() {
            return self.whole(ready);
        }
        self.stream(ready, body)
    }

    fn is_over(&self) -> bool {
        self.exchange.is_response_forwarded() || self.exchange.is_reset()
    }

    /// Gives the filters the next part; false once there is none.
    fn feed(
        &mut self,
        part: Result<Option<Result<Frame<Bytes>, BodyError>>, tokio::time::error::Elapsed>,
    ) -> bool {
        match part {
            Ok(Some(Ok(frame))) => {
                match frame.into_data() {
                    Ok(data) => {
                        for part in data.chunks(PART) {
                            self.exchange.respond(Event::Data(part.to_vec(), false));
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.exchange.respond(Event::Trailers(head::fields(&trailers)));
                        }
                        return false;
                    }
                }
                true
            }
            Ok(None) => {
                self.exchange.respond(Event::Data(Vec::new(), true));
                false
            }
            // Broken off or stuck: 504 if nothing has gone out yet, else cut off.
            Ok(Some(Err(_))) | Err(_) => {
                self.exchange.time_out();
                false
            }
        }
    }

    async fn moved(&mut self) {
        let moved = tokio::time::timeout(IDLE, self.exchange.moved()).await;
        if moved.is_err() || !self.exchange.may_move() && !self.is_over() {
            self.exchange.time_out();
        }
    }

    /// A response all of whose parts are there.
    fn whole(mut self, events: Vec<Event>) -> Response<ResponseBody> {
        let mut fields = None;
        let mut body = Vec::new();
        let mut trailers = None;
        for event in events {
            match event {
                Event::Headers(headers, _) => fields = Some(headers),
                Event::Data(data, _) => body.extend(data),
                Event::Trailers(fields) => trailers = Some(fields),
            }
        }
        let Some(head) = fields.filter(|_| !self.exchange.is_reset()) else {
            return self.failed("stream_reset");
        };
        let Ok((status, mut headers)) = head::client_response(&head) else {
            return self.failed("invalid_response");
        };
        // Exact, whatever the upstream or a filter has left there (RFC 9110 section 8.6: none with
        // 1xx and 204, and with HEAD and 304 that of a response that is not sent).
        let has_body = !self.is_head && status != 204 && status != 304;
        if has_body {
            headers.insert(CONTENT_LENGTH, body.len().into());
        } else {
            body.clear();
        }
        let trailers = trailers.and_then(|fields| head::header_map(&fields).ok());
        self.record.entry.status = status.as_u16();
        self.record.entry.bytes_sent = body.len() as u64;
        self.record.entry.complete = true;
        self.finish();

        let body = http_body_util::Full::new(Bytes::from(body));
        let body = match trailers.filter(|_| has_body) {
            None => body.map_err(|never| match never {}).boxed_unsync(),
            Some(trailers) => {
                headers.remove(CONTENT_LENGTH);
                body.with_trailers(async { Some(Ok(trailers)) })
                    .map_err(|never| match never {})
                    .boxed_unsync()
            }
        };
        respond(status, headers, body)
    }

    /// There is nothing that could be sent: the host's own answer, past the filters.
    fn failed(mut self, details: &str) -> Response<ResponseBody> {
        self.record.entry.details = Some(details.to_owned());
        self.record.entry.status = Problem::GateUnavailable.status().as_u16();
        self.finish();
        Problem::GateUnavailable.response()
    }

    /// A response that begins before its end has come.
    fn stream(mut self, mut ready: Vec<Event>, body: ResponseBody) -> Response<ResponseBody> {
        let rest = ready.split_off(1);
        let head = match ready.pop() {
            Some(Event::Headers(fields, _)) => head::client_response(&fields),
            _ => return self.failed("invalid_response"),
        };
        let Ok((status, mut headers)) = head else {
            return self.failed("invalid_response");
        };
        // The filters may change the body yet.
        headers.remove(CONTENT_LENGTH);
        self.record.entry.status = status.as_u16();
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(self.pump(rest, body, sender));
        respond(status, headers, Streamed(receiver).boxed_unsync())
    }

    /// Moves a body through the filters until its end, or until the client has gone.
    async fn pump(mut self, rest: Vec<Event>, mut body: ResponseBody, client: Client) {
        let mut ready = rest;
        let mut has_more = true;
        loop {
            for event in ready {
                if self.deliver(event, &client).await.is_err() {
                    return;
                }
            }
            if self.exchange.is_reset() {
                self.record.entry.details = self.exchange.info().response_code_details();
                let broken = Err(BodyError::from("the response was cut off"));
                // The client may have gone meanwhile.
                let _ = client.send(broken).await;
                return;
            }
            if self.exchange.is_response_forwarded() {
                self.record.entry.complete = true;
                self.finish();
                return;
            }
            if has_more {
                let part = tokio::select! {
                    part = tokio::time::timeout(IDLE, body.frame()) => part,
                    () = client.closed() => return,
                };
                has_more = self.feed(part);
            } else {
                self.moved().await;
            }
            ready = self.exchange.take_downstream();
        }
    }

    async fn deliver(
        &mut self,
        event: Event,
        client: &Client,
    ) -> Result<(), mpsc::error::SendError<Part>> {
        let frame = match event {
            Event::Headers(..) => return Ok(()),
            Event::Data(data, _) if data.is_empty() => return Ok(()),
            Event::Data(data, _) => {
                self.record.entry.bytes_sent += data.len() as u64;
                Frame::data(data.into())
            }
            Event::Trailers(fields) => match head::header_map(&fields) {
                Ok(trailers) => Frame::trailers(trailers),
                Err(_) => return Ok(()),
            },
        };
        client.send(Ok(frame)).await
    }

    fn finish(&mut self) {
        self.exchange.finish(self.host.clock().now_nanoseconds());
    }
}

fn respond(
    status: http::StatusCode,
    headers: HeaderMap,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

type Part = Result<Frame<Bytes>, BodyError>;
type Client = mpsc::Sender<Part>;

/// A body whose parts come from another task.
struct Streamed(mpsc::Receiver<Part>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        self.get_mut().0.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
