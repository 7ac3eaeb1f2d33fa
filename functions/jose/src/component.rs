//! The component's side towards Spin.

use portcullis_function::jwe::BODY_LIMIT;
use portcullis_function::keys::DefaultStore;
use portcullis_function::spin::{self, Variables};
use spin_sdk::http::{HeaderValue, IntoResponse, Request};
use spin_sdk::http_service;

use crate::network::Network;
use crate::screens::{Screens, secret_names, variable_of};
use crate::service::Service;
use crate::settings::{self, INPUT_POLICY, Settings};
use crate::upstream::{Answered, SIGNALS_FIELD};

thread_local! {
    /// All that is kept from one request to the next, where an instance answers several: nothing of any request.
    static SCREENS: Screens = Screens::default();
}

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = spin::read(body, BODY_LIMIT).await;
    let settings = settings().await;

    let mut headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // Hosts tell it in the one place or the other.
    if let (Some(authority), None) = (parts.uri.authority(), parts.headers.get("host")) {
        headers.push(("host", authority.as_str().as_bytes()));
    }
    let request = portcullis_function::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &headers,
        body,
        now: spin::now(),
    };
    let service = Service { settings: settings.as_ref(), store: &DefaultStore, upstream: &Network };
    let Answered { reply, signals } = service.answer(&request).await;
    let mut response = spin::response(reply);
    if let Some(Ok(signals)) = signals.map(HeaderValue::try_from) {
        response.headers_mut().append(SIGNALS_FIELD, signals);
    }
    response
}

/// The settings, or `None` where one is unfit: then nothing is decrypted.
async fn settings() -> Option<Settings> {
    let mut values = Variables::default();
    for name in settings::variables() {
        values.load("jose", name).await?;
    }
    let secrets = values.get(INPUT_POLICY).map(|document| secret_names(&document));
    for secret in secrets.unwrap_or_default() {
        values.load("jose", &variable_of(&secret)).await?;
    }
    SCREENS.with(|screens| {
        Settings::read(|name| values.get(name), screens)
            .inspect_err(|error| portcullis_function::log!("jose: {error}"))
            .ok()
    })
}
