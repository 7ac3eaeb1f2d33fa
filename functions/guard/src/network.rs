//! The function behind, over HTTP.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use portcullis_function::{Body, Limit, spin};
use spin_sdk::http::{FullBody, HeaderName, HeaderValue, Method, Request, Uri, send};
use spin_sdk::time::sleep;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use spin_sdk::wasip3::http_compat::RequestOptionsExtension;

use crate::message::{Answer, Outgoing, Upstream, UpstreamError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer is read.
const ANSWER_LIMIT: Limit = Limit { bytes: 4 << 20, detail: "" };

/// The function at an origin that the manifest allows.
pub(crate) struct Network<'a> {
    pub(crate) origin: &'a str,
    /// From the first byte sent to the last one read.
    pub(crate) timeout: Duration,
}

impl Upstream for Network<'_> {
    async fn send(&self, request: Outgoing) -> Result<Answer, UpstreamError> {
        let request = self.outgoing(request)?;
        within(self.timeout, exchange(request)).await.unwrap_or(Err(UpstreamError::Timeout))
    }
}

impl Network<'_> {
    fn outgoing(&self, request: Outgoing) -> Result<Request<FullBody<Bytes>>, UpstreamError> {
        fn invalid(error: impl std::fmt::Display) -> UpstreamError {
            UpstreamError::Unreachable(format!("the request cannot be written: {error}"))
        }
        let mut http = Request::new(FullBody::new(Bytes::from(request.body)));
        *http.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(invalid)?;
        let uri = format!("{}{}", self.origin, request.path);
        *http.uri_mut() = Uri::try_from(uri).map_err(invalid)?;
        for (name, value) in request.fields {
            let name = HeaderName::try_from(name).map_err(invalid)?;
            let value = HeaderValue::try_from(value).map_err(invalid)?;
            http.headers_mut().append(name, value);
        }
        let options = RequestOptions::new();
        // A host that knows no such limit has limits of its own.
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).ok();
        let _ = options.set_connect_timeout(nanoseconds(CONNECT_TIMEOUT));
        let _ = options.set_first_byte_timeout(nanoseconds(self.timeout));
        let _ = options.set_between_bytes_timeout(nanoseconds(self.timeout));
        http.extensions_mut().insert(RequestOptionsExtension(options));
        Ok(http)
    }
}

async fn exchange(request: Request<FullBody<Bytes>>) -> Result<Answer, UpstreamError> {
    let response = send(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let fields = fields.collect();
    let Body::Whole(body) = spin::read(body, ANSWER_LIMIT).await else {
        return Err(UpstreamError::Unfit);
    };
    Ok(Answer { status: parts.status.as_u16(), fields, body: body.to_vec() })
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
