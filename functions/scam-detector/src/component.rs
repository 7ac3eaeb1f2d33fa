//! The component's side towards Spin.

use std::sync::OnceLock;

use portcullis_function::{Gatekeeper, spin};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

use crate::service::{self, BODY_LIMIT};

/// Name of the Spin variable with the key of the gate's assertions (base64url, 32 bytes or more).
const KEY_VARIABLE: &str = "assertion_key";

/// Loaded once in an instance's life. Nothing of a request is kept in it.
static SERVICE: OnceLock<service::Service> = OnceLock::new();

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let gatekeeper = gatekeeper().await;
    let body = spin::read(body, BODY_LIMIT).await;

    let headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = portcullis_function::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &headers,
        body,
        now: spin::now(),
    };
    let service = SERVICE.get_or_init(service::Service::new);
    spin::response(service.answer(&request, gatekeeper.as_ref()))
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
