//! The component's side towards Spin.

use std::sync::OnceLock;

use portcullis_function::{Gatekeeper, spin};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

use crate::predict::Decimals;
use crate::service::{BODY_LIMIT, Service, Settings};

/// Name of the Spin variable with the key of the gate's assertions (base64url, 32 bytes or more).
const KEY_VARIABLE: &str = "assertion_key";
/// Name of the Spin variable that says how many decimals of a probability callers get. It may be left out.
const DECIMALS_VARIABLE: &str = "probability_decimals";

/// Made before any instance lives, see [`crate::prepare`]. Nothing of a request is kept in it.
pub(crate) static SERVICE: OnceLock<Service> = OnceLock::new();

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let settings = Settings { gatekeeper: gatekeeper().await, decimals: decimals().await };
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
    spin::response(SERVICE.get_or_init(Service::new).answer(&request, &settings))
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

async fn decimals() -> Option<Decimals> {
    let Ok(value) = spin_sdk::variables::get(DECIMALS_VARIABLE).await else {
        return Some(Decimals::DEFAULT);
    };
    let decimals = Decimals::parse(&value);
    if decimals.is_none() {
        eprintln!("scam-detector: Spin variable {DECIMALS_VARIABLE}: expected 0 to 6, found {value:?}");
    }
    decimals
}
