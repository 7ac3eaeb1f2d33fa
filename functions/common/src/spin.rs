//! The side towards Spin.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, HeaderValue, Request, Response, StatusCode, send};
use spin_sdk::time::sleep;
use spin_sdk::variables;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;
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

/// Spin variables that may not be set, as they are now.
#[derive(Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

impl Variables {
    /// Reads one more. `None` where it cannot be read; the operator has been told, by a component of this name.
    pub async fn load(&mut self, component: &str, name: &str) -> Option<()> {
        match variables::get(name).await {
            Ok(value) => {
                self.0.insert(name.to_owned(), Zeroizing::new(value));
            }
            Err(variables::Error::Undefined(_)) => {}
            Err(error) => {
                crate::log!("{component}: Spin variable {name}: {error}");
                return None;
            }
        }
        Some(())
    }

    /// What one is, if it is set.
    pub fn get(&self, name: &str) -> Option<Zeroizing<String>> {
        self.0.get(name).cloned()
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why nothing came back.
pub enum SendError {
    /// Not in time.
    Timeout,
    /// For this reason.
    Unreachable(String),
}

/// Sends `request` to a host that the manifest allows, and has `read` read the answer: all of it within `timeout`.
pub async fn exchange<T>(
    mut request: Request<FullBody<Bytes>>,
    timeout: Duration,
    read: impl AsyncFnOnce(Response) -> T,
) -> Result<T, SendError> {
    let options = RequestOptions::new();
    // A host that knows no such limit has limits of its own.
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds(CONNECT_TIMEOUT));
    let _ = options.set_first_byte_timeout(nanoseconds(timeout));
    let _ = options.set_between_bytes_timeout(nanoseconds(timeout));
    request.extensions_mut().insert(RequestOptionsExtension(options));
    let work = async { Ok(read(send(request).await.map_err(failed)?).await) };
    within(timeout, work).await.unwrap_or(Err(SendError::Timeout))
}

fn failed(error: ErrorCode) -> SendError {
    match error {
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout => SendError::Timeout,
        other => SendError::Unreachable(other.to_string()),
    }
}

/// What `work` comes to, unless it takes longer than `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut limit) = (pin!(work), pin!(sleep(limit)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}
