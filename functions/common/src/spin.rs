//! The side towards Spin.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, HeaderValue, Response, StatusCode};
use zeroize::Zeroizing;

use crate::{Body, Limit, Reply};

/// Reads a body up to `limit` and not a chunk further.
pub async fn read(body: impl IncomingBodyExt + BodyExt<Data = Bytes>, limit: Limit) -> Body {
    let mut body = std::pin::pin!(body);
    // It may hold a secret, of which growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(limit.bytes));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Broken };
        let Ok(data) = frame.into_data() else { continue };
        if content.len().saturating_add(data.len()) > limit.bytes {
            return Body::TooLarge(limit.detail);
        }
        content.extend_from_slice(&data);
    }
    Body::Whole(content)
}

/// Seconds since 1970. A clock before that reads as 0, at which no assertion is valid.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// The reply as Spin sends it.
pub fn response(reply: Reply) -> Response<FullBody<Bytes>> {
    let mut response = Response::new(FullBody::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // A list may have a line for each member (RFC 9110 §5.3).
        response.headers_mut().append(name, HeaderValue::from_static(value));
    }
    response
}
