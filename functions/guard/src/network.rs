//! The function behind, over HTTP.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use portcullis_function::spin::{self, SendError};
use portcullis_function::{Body, Limit};
use spin_sdk::http::{FullBody, HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::message::{Answer, Outgoing, Upstream, UpstreamError};

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
        let has_begun = Cell::new(false);
        let read = async |response: Response| {
            has_begun.set(response.status().is_success());
            read(response).await
        };
        let answer = spin::exchange(request, self.timeout, read).await;
        let has_begun = has_begun.get();
        match answer {
            Ok(answer) => answer.ok_or(UpstreamError::Unfit { has_begun }),
            Err(SendError::Timeout) => Err(UpstreamError::Timeout { has_begun }),
            Err(SendError::Unreachable(reason)) => Err(UpstreamError::Unreachable(reason)),
        }
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
        Ok(http)
    }
}

/// What the answer is, if it is not too long.
async fn read(response: Response) -> Option<Answer> {
    let (parts, body) = response.into_parts();
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let fields = fields.collect();
    let Body::Whole(body) = spin::read(body, ANSWER_LIMIT).await else { return None };
    Some(Answer { status: parts.status.as_u16(), fields, body: body.to_vec() })
}
