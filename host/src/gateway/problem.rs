//! What the host itself answers when there is no response to pass on: problem documents
//! (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use super::server::ResponseBody;

/// A problem that the host, rather than a filter or the function, reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The request is not one that HTTP allows.
    BadRequest,
    /// More header fields than allowed, or larger ones.
    HeadersTooLarge,
    /// A larger body than allowed.
    TooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The filters cannot decide, so nothing gets through.
    GateUnavailable,
    /// The function or the upstream gave no response.
    UpstreamUnavailable,
    /// The function or the upstream gave no response in time.
    UpstreamTimeout,
    /// Too much is going on already.
    Overloaded,
}

impl Problem {
    /// The reason, as in the problem's type `urn:portcullis:problem:<reason>`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::HeadersTooLarge => "headers-too-large",
            Self::TooLarge => "body-too-large",
            Self::RequestTimeout => "request-timeout",
            Self::GateUnavailable => "gate-unavailable",
            Self::UpstreamUnavailable => "upstream-unavailable",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::Overloaded => "overloaded",
        }
    }

    /// The response's status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::GateUnavailable | Self::UpstreamUnavailable | Self::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is not valid HTTP.",
            Self::HeadersTooLarge => "The request's header section is too large.",
            Self::TooLarge => "The request's body is too large.",
            Self::RequestTimeout => "The request's body did not arrive in time.",
            Self::GateUnavailable => "The request cannot be checked at the moment.",
            Self::UpstreamUnavailable => "The service is not available at the moment.",
            Self::UpstreamTimeout => "The service did not answer in time.",
            Self::Overloaded => "The service has too much to do at the moment.",
        }
    }

    /// The document itself.
    #[must_use]
    pub fn document(self) -> Bytes {
        let document = serde_json::json!({
            "type": format!("urn:portcullis:problem:{}", self.reason()),
            "title": self.title(),
            "status": self.status().as_u16(),
        });
        document.to_string().into()
    }

    /// The whole response.
    #[must_use]
    pub fn response(self) -> Response<ResponseBody> {
        let document = self.document();
        let body = Full::new(document).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
