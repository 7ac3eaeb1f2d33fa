//! The function behind this one, over HTTP.

use bytes::Bytes;
use portcullis_function::spin::{self, SendError};
use spin_sdk::http::{FullBody, HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::upstream::{ANSWER_LIMIT, Incoming, Outgoing, Upstream, UpstreamError};

/// The hosts that the manifest allows.
pub(crate) struct Network;

impl Upstream for Network {
    async fn send(&self, request: Outgoing) -> Result<Incoming, UpstreamError> {
        let timeout = request.timeout;
        let request = outgoing(request)?;
        spin::exchange(request, timeout, read).await.map_err(|error| match error {
            SendError::Timeout => UpstreamError::Timeout,
            SendError::Unreachable(reason) => UpstreamError::Unreachable(reason),
        })
    }
}

async fn read(response: Response) -> Incoming {
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Incoming {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body: spin::read(body, ANSWER_LIMIT).await,
    }
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
    Ok(http)
}
