//! The response on its way back.

use portcullis_policy::ResponseInterest;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

use super::{StreamState, apply};
use crate::header_map::HeaderMap;
use crate::root::write_log;

/// The pseudo-header field of a response (RFC 9113 §8.3.2).
const STATUS: &str = ":status";

const RESPONSE_BODY: BufferType = BufferType::HttpResponseBody;

impl StreamState {
    pub(super) fn on_response_headers(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        let edits = match exchange.response_interest() {
            ResponseInterest::None => exchange.response_head(&[]),
            ResponseInterest::Status => {
                let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, STATUS);
                let status = status.ok().flatten().unwrap_or_default();
                exchange.response_head(&[(STATUS, &status)])
            }
            ResponseInterest::Head => {
                let map = HeaderMap::read(MapType::HttpResponseHeaders);
                let Some(headers) = map.as_ref().and_then(HeaderMap::fields) else { return };
                exchange.response_head(&headers)
            }
        };
        if apply(MapType::HttpResponseHeaders, &edits).is_err() {
            let what = "a response header field cannot be changed";
            write_log(LogLevel::Error, self.filter.name, what);
        }
    }

    /// A part of the response, which is shown to who wants to see it.
    ///
    /// When trailers come the body is over, and a filter can write into it only what goes into a buffer that the proxy holds back. So
    /// once something waits, the answer is always to hold back what is there, and what may go on is let go from within: from then on
    /// the buffer is there and empty. The one delay is that of the first such part, which goes out with the next one.
    pub(super) fn on_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let Some(exchange) = &mut self.exchange else { return Action::Continue };
        if !exchange.wants_response_body() {
            return Action::Continue;
        }
        let replacement = match hostcalls::get_buffer(RESPONSE_BODY, 0, size) {
            Ok(part) => exchange.response_body(&part.unwrap_or_default(), end_of_stream),
            Err(_) => exchange.response_body_unseen().then(Vec::new),
        };
        let Some(replacement) = replacement else { return Action::Continue };
        let holds = !end_of_stream && (self.holds_response || exchange.response_body_waits());
        let is_first = holds && !std::mem::replace(&mut self.holds_response, holds);
        let replacement = match is_first {
            true => {
                self.delayed = replacement;
                Vec::new()
            }
            false => with_delayed(&mut self.delayed, replacement),
        };
        // Where it fails the SDK panics, and the proxy ends the response.
        let _ = hostcalls::set_buffer(RESPONSE_BODY, 0, usize::MAX, &replacement);
        if !holds {
            return Action::Continue;
        }
        if !is_first {
            let _ = hostcalls::resume_http_response();
        }
        Action::Pause
    }

    /// The response's body has ended without saying so.
    pub(super) fn on_response_trailers(&mut self) -> Action {
        let Some(exchange) = &mut self.exchange else { return Action::Continue };
        let Some(rest) = exchange.response_body(&[], true) else { return Action::Continue };
        let rest = with_delayed(&mut self.delayed, rest);
        if rest.is_empty() {
            return Action::Continue;
        }
        if self.holds_response {
            let _ = hostcalls::set_buffer(RESPONSE_BODY, 0, usize::MAX, &rest);
            return Action::Continue;
        }
        // None were announced. What is missing from a response must not be missed.
        let what = "the end of a response cannot be written before its trailers: it is cut off";
        write_log(LogLevel::Error, self.filter.name, what);
        let _ = hostcalls::reset_http_response();
        Action::Pause
    }
}

fn with_delayed(delayed: &mut Vec<u8>, rest: Vec<u8>) -> Vec<u8> {
    if delayed.is_empty() {
        return rest;
    }
    let mut all = std::mem::take(delayed);
    all.extend(rest);
    all
}
