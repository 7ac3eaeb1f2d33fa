//! What goes over the wire: the messages of `envoy.service.ratelimit.v3` in a gRPC frame.

use std::time::Duration;

use prost::Message;

/// `:path` of the call.
pub(super) const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// The longest answer that is read, in bytes. One with a status for one descriptor has below a hundred, beside header fields
/// that a service may add for clients.
pub(super) const MAXIMUM_ANSWER_BYTES: usize = 16 * 1024;

/// A frame's head: whether it is compressed, and its length.
const FRAME_HEAD_BYTES: usize = 5;

/// What a service says of so many hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// Whether they were within the limit, and are counted.
    pub(super) within: bool,
    /// How many are left, where it tells.
    pub(super) remaining: Option<u32>,
    /// When counting begins anew, where it tells.
    pub(super) reset: Option<Duration>,
}

/// The call about one key of one limit, in its frame.
pub(super) fn request(domain: &str, limit: &str, key: &str, hits: u32) -> Vec<u8> {
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    let descriptor = Descriptor { entries: vec![entry("limit", limit), entry("key", key)] };
    let request =
        Request { domain: domain.to_owned(), descriptors: vec![descriptor], hits_addend: hits };
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(message.len().saturating_add(FRAME_HEAD_BYTES));
    frame.push(0);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

/// Reads an answer: one frame, and nothing behind it.
pub(super) fn read(frame: &[u8]) -> Result<Said, &'static str> {
    if frame.len() > MAXIMUM_ANSWER_BYTES {
        return Err("expected a shorter answer");
    }
    let (head, message) =
        frame.split_first_chunk::<FRAME_HEAD_BYTES>().ok_or("expected a gRPC message")?;
    let [compressed, length @ ..] = head;
    if *compressed != 0 {
        return Err("expected a message that is not compressed");
    }
    if u32::try_from(message.len()) != Ok(u32::from_be_bytes(*length)) {
        return Err("expected one whole gRPC message");
    }
    let response = Response::decode(message).map_err(|_| "expected a RateLimitResponse")?;
    let within = match response.overall_code {
        CODE_OK => true,
        CODE_OVER_LIMIT => false,
        _ => return Err("expected OK or OVER_LIMIT as overall_code"),
    };
    // The one descriptor's, or none: services need not say more than the overall code.
    let status = response.statuses.into_iter().next();
    let Some(status) = status else { return Ok(Said { within, remaining: None, reset: None }) };
    // Without a limit and a reset, 0 stands for «not told».
    let tells = status.current_limit.is_some() || status.duration_until_reset.is_some();
    Ok(Said {
        within,
        remaining: tells.then_some(status.limit_remaining),
        reset: status.duration_until_reset.and_then(|reset| reset.read()),
    })
}

const CODE_OK: i32 = 1;
const CODE_OVER_LIMIT: i32 = 2;

/// envoy/service/ratelimit/v3/rls.proto, `RateLimitRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
    #[prost(uint32, tag = "3")]
    hits_addend: u32,
}

/// envoy/extensions/common/ratelimit/v3/ratelimit.proto, `RateLimitDescriptor`.
#[derive(Clone, PartialEq, prost::Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// rls.proto, `RateLimitResponse`. What is not here is passed over: header fields and bodies of a service's are not for our clients.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(int32, tag = "1")]
    overall_code: i32,
    #[prost(message, repeated, tag = "2")]
    statuses: Vec<DescriptorStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DescriptorStatus {
    #[prost(message, optional, tag = "2")]
    current_limit: Option<CurrentLimit>,
    #[prost(uint32, tag = "3")]
    limit_remaining: u32,
    #[prost(message, optional, tag = "4")]
    duration_until_reset: Option<ProtoDuration>,
}

/// That it is there tells that the service knows a limit; what it is, this gate's document says.
#[derive(Clone, PartialEq, prost::Message)]
struct CurrentLimit {}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanoseconds: i32,
}

impl ProtoDuration {
    /// None where it is negative or malformed.
    fn read(&self) -> Option<Duration> {
        let nanoseconds = u32::try_from(self.nanoseconds).ok()?;
        let seconds = u64::try_from(self.seconds).ok()?;
        (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::limits::service) fn answer(said: Said) -> Vec<u8> {
        let status = DescriptorStatus {
            current_limit: Some(CurrentLimit {}),
            limit_remaining: said.remaining.unwrap_or(0),
            duration_until_reset: said.reset.map(|reset| ProtoDuration {
                seconds: reset.as_secs() as i64,
                nanoseconds: reset.subsec_nanos() as i32,
            }),
        };
        let overall_code = if said.within { CODE_OK } else { CODE_OVER_LIMIT };
        framed(&Response { overall_code, statuses: vec![status] }.encode_to_vec())
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        frame
    }

    #[test]
    fn the_request_is_the_message_of_the_public_proto() {
        // Written by hand after rls.proto: domain 1, descriptors 2 { entries 1 { key 1, value 2 } }, hits_addend 3.
        let expected = b"\x0a\x01d\x12\x17\x0a\x0a\x0a\x05limit\x12\x01l\x0a\x09\x0a\x03key\x12\x02kk\x18\xac\x02";
        assert_eq!(request("d", "l", "kk", 300), framed(expected));
    }

    #[test]
    fn an_answer_is_read_whole_or_not() {
        let said =
            Said { within: true, remaining: Some(7), reset: Some(Duration::from_millis(1500)) };
        let frame = answer(said);
        assert_eq!(read(&frame), Ok(said));
        for end in 0..frame.len() {
            assert!(read(&frame[..end]).is_err(), "cut at {end}");
        }
        let behind = [frame.as_slice(), &[0]].concat();
        assert!(read(&behind).is_err());
        let two = [frame.as_slice(), &frame].concat();
        assert!(read(&two).is_err());
        let mut compressed = frame.clone();
        compressed[0] = 1;
        assert!(read(&compressed).is_err());
        assert!(read(&vec![0; MAXIMUM_ANSWER_BYTES + 1]).is_err());
    }

    #[test]
    fn what_is_not_said_is_not_taken_for_yes() {
        // An empty message has the code UNKNOWN.
        assert!(read(&framed(b"")).is_err());
        assert!(read(&framed(b"\x08\x03")).is_err());
        assert_eq!(
            read(&framed(b"\x08\x01")),
            Ok(Said { within: true, remaining: None, reset: None })
        );
        assert_eq!(
            read(&framed(b"\x08\x02")),
            Ok(Said { within: false, remaining: None, reset: None })
        );
    }

    #[test]
    fn a_reset_in_the_past_or_malformed_is_none() {
        for (seconds, nanoseconds) in [(-1, 0), (0, -1), (1, 1_000_000_000), (i64::MIN, i32::MIN)] {
            assert_eq!(ProtoDuration { seconds, nanoseconds }.read(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&framed(&bytes));
        }
    }
}
