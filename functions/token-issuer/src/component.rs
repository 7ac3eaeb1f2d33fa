//! The component's side towards Spin.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, IntoResponse, Request, Response, StatusCode};
use spin_sdk::http_service;
use spin_sdk::{key_value, variables};
use zeroize::Zeroizing;

use crate::keyring::{Store, StoreError};
use crate::service::{BODY_LIMIT, Body, Incoming, Reply, Service};
use crate::settings::{Settings, VARIABLES};

/// Nothing is kept from one request to the next: variables and keys may change at any time, and reading them is
/// nothing beside the check of a secret.
#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let settings = settings().await;

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
    let service = Service { settings: settings.as_ref(), store: &DefaultStore };
    response(service.answer(&incoming).await)
}

/// The settings, or `None` where one is missing or unfit: then nobody gets a token.
async fn settings() -> Option<Settings> {
    let mut values: BTreeMap<&'static str, Zeroizing<String>> = BTreeMap::new();
    for name in VARIABLES {
        match variables::get(name).await {
            Ok(value) => {
                values.insert(name, Zeroizing::new(value));
            }
            Err(variables::Error::Undefined(_)) => {}
            Err(error) => {
                eprintln!("token-issuer: Spin variable {name}: {error}");
                return None;
            }
        }
    }
    Settings::read(|name| values.remove(name))
        .inspect_err(|error| eprintln!("token-issuer: {error}"))
        .ok()
}

/// Spin's key-value store `default`.
struct DefaultStore;

impl DefaultStore {
    async fn open() -> Result<key_value::Store, StoreError> {
        key_value::Store::open_default().await.map_err(failed)
    }
}

impl Store for DefaultStore {
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        Self::open().await?.get_keys().await.collect().await.map_err(failed)
    }

    async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Self::open().await?.get(name).await.map_err(failed)
    }

    async fn set(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        Self::open().await?.set(name, value).await.map_err(failed)
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        Self::open().await?.delete(name).await.map_err(failed)
    }
}

fn failed(error: key_value::Error) -> StoreError {
    StoreError(error.to_string())
}

/// Reads a body up to [`BODY_LIMIT`] and not a chunk further.
async fn read(body: impl IncomingBodyExt + http_body_util::BodyExt<Data = Bytes>) -> Body {
    let mut body = std::pin::pin!(body);
    // It may hold a secret, of which growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(BODY_LIMIT));
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
