//! The component's side towards Spin.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, IntoResponse, Request, Response, StatusCode};
use spin_sdk::http_service;

use crate::caller::Gatekeeper;
use crate::service::{self, BODY_LIMIT, Body, Incoming, Reply};

/// Name of the Spin variable with the key of the gate's assertions (base64url, 32 bytes or more).
const KEY_VARIABLE: &str = "assertion_key";

/// Loaded once in an instance's life. Nothing of a request is kept in it.
static SERVICE: OnceLock<service::Service> = OnceLock::new();

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let gatekeeper = gatekeeper().await;
    let body = read(body).await;

    let headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &headers,
        body,
        now: now(),
    };
    let service = SERVICE.get_or_init(service::Service::new);
    response(service.answer(&incoming, gatekeeper.as_ref()))
}

/// The verifier of assertions, or `None` where its key is missing or unfit: then nobody is let in.
async fn gatekeeper() -> Option<Gatekeeper> {
    let key = match spin_sdk::variables::get(KEY_VARIABLE).await {
        Ok(key) => key,
        Err(error) => {
            eprintln!("scam-detector: Spin variable {KEY_VARIABLE}: {error}");
            return None;
        }
    };
    match Gatekeeper::new(key) {
        Ok(gatekeeper) => Some(gatekeeper),
        Err(error) => {
            eprintln!("scam-detector: Spin variable {KEY_VARIABLE}: {error}");
            None
        }
    }
}

/// Reads a body up to [`BODY_LIMIT`] and not a chunk further.
async fn read(body: impl IncomingBodyExt + http_body_util::BodyExt<Data = Bytes>) -> Body {
    let mut body = std::pin::pin!(body);
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Broken };
        let Ok(data) = frame.into_data() else { continue };
        if content.len().saturating_add(data.len()) > BODY_LIMIT {
            return Body::TooLarge;
        }
        content.extend_from_slice(&data);
    }
    Body::Whole(content)
}

/// Seconds since 1970. A clock before that reads as 0, at which no assertion is valid.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn response(reply: Reply) -> Response<FullBody<Bytes>> {
    let mut response = Response::new(FullBody::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, spin_sdk::http::HeaderValue::from_static(value));
    }
    response
}
