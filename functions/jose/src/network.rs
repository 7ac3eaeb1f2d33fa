//! The function behind this one, over HTTP.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use portcullis_function::spin;
use spin_sdk::http::{FullBody, HeaderName, HeaderValue, Method, Request, Uri, send};
use spin_sdk::time::sleep;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;

use crate::upstream::{ANSWER_LIMIT, Incoming, Outgoing, Upstream, UpstreamError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The hosts that the manifest allows.
pub(crate) struct Network;

impl Upstream for Network {
    async fn send(&self, request: Outgoing) -> Result<Incoming, UpstreamError> {
        let timeout = request.timeout;
        let request = outgoing(request)?;
        within(timeout, exchange(request)).await.unwrap_or(Err(UpstreamError::Timeout))
    }
}

async fn exchange(request: Request<FullBody<Bytes>>) -> Result<Incoming, UpstreamError> {
    let response = send(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Incoming {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: spin::read(body, ANSWER_LIMIT).await,
    })
}

fn outgoing(mut request: Outgoing) -> Result<Request<FullBody<Bytes>>, UpstreamError> {
    fn invalid(error: impl std::fmt::Display) -> UpstreamError {
        UpstreamError::Unreachable(format!("the request cannot be written: {error}"))
    }
    let body = Bytes::from(std::mem::take(&mut *request.body));
    let mut http = Request::new(FullBody::new(body));
    *http.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(invalid)?;
    *http.uri_mut() = Uri::try_from(request.uri).map_err(invalid)?;
    for (name, value) in request.headers {
        let value = HeaderValue::try_from(value).map_err(invalid)?;
        http.headers_mut().append(HeaderName::from_static(name), value);
    }
    let options = RequestOptions::new();
    // A host that knows no such limit has limits of its own.
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let _ = options.set_connect_timeout(nanoseconds(CONNECT_TIMEOUT));
    let _ = options.set_first_byte_timeout(nanoseconds(request.timeout));
    let _ = options.set_between_bytes_timeout(nanoseconds(request.timeout));
    http.extensions_mut().insert(RequestOptionsExtension(options));
    Ok(http)
}

fn failed(error: ErrorCode) -> UpstreamError {
    match error {
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout => UpstreamError::Timeout,
        other => UpstreamError::Unreachable(other.to_string()),
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
