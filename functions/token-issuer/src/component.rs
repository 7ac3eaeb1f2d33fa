//! The component's side towards Spin.

use portcullis_function::keys::DefaultStore;
use portcullis_function::spin::{self, Variables};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

use crate::service::{BODY_LIMIT, Service};
use crate::settings::{Settings, VARIABLES};

/// Nothing is kept from one request to the next: variables and keys may change at any time, and reading them is
/// nothing beside the check of a secret.
#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = spin::read(body, BODY_LIMIT).await;
    let settings = settings().await;

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
    let service = Service { settings: settings.as_ref(), store: &DefaultStore };
    spin::response(service.answer(&request).await)
}

/// The settings, or `None` where one is missing or unfit: then nobody gets a token.
async fn settings() -> Option<Settings> {
    let mut values = Variables::default();
    for name in VARIABLES {
        values.load("token-issuer", name).await?;
    }
    Settings::read(|name| values.get(name))
        .inspect_err(|error| portcullis_function::log!("token-issuer: {error}"))
        .ok()
}
