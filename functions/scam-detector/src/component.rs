//! The component's side towards Spin.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use portcullis_function::keys::DefaultStore;
use portcullis_function::{Gatekeeper, spin, tenants};
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;
use spin_sdk::variables;
use zeroize::Zeroizing;

use crate::accounts::Accounts;
use crate::predict::Decimals;
use crate::service::{BODY_LIMIT, Service, Settings};

/// Name of the Spin variable with the key of the gate's assertions (base64url, 32 bytes or more).
const KEY_VARIABLE: &str = "assertion_key";
/// Name of the Spin variable that says how many decimals of a probability callers get. It may be left out.
const DECIMALS_VARIABLE: &str = "probability_decimals";
/// Name of the Spin variable without which no accounts are kept.
const TENANT_KEY_VARIABLE: &str = "tenant_key";

/// Made before any instance lives, see [`crate::prepare`]. Nothing of a request is kept in it.
pub(crate) static SERVICE: OnceLock<Service> = OnceLock::new();

#[http_service]
async fn answer(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let settings = settings().await;
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
    let service = SERVICE.get_or_init(Service::new);
    spin::response(service.answer(&request, &settings, &DefaultStore).await)
}

/// What the operator has settled. What is unfit is told once for each request, and fails those that need it.
async fn settings() -> Settings {
    let gatekeeper = variable(KEY_VARIABLE).await.ok().flatten().and_then(|key| {
        Gatekeeper::new(key.to_string())
            .inspect_err(|error| {
                portcullis_function::log!("scam-detector: Spin variable {KEY_VARIABLE}: {error}");
            })
            .ok()
    });
    let decimals = match variable(DECIMALS_VARIABLE).await {
        Err(Unreadable) => None,
        Ok(None) => Some(Decimals::DEFAULT),
        Ok(Some(value)) => {
            let decimals = Decimals::parse(&value);
            if decimals.is_none() {
                portcullis_function::log!(
                    "scam-detector: Spin variable {DECIMALS_VARIABLE}: expected 0 to 6"
                );
            }
            decimals
        }
    };
    Settings { gatekeeper, decimals, accounts: accounts().await }
}

async fn accounts() -> Accounts {
    let mut values: BTreeMap<&'static str, Zeroizing<String>> = BTreeMap::new();
    for name in tenants::Settings::VARIABLES {
        match variable(name).await {
            Ok(Some(value)) => drop(values.insert(name, value)),
            Ok(None) => {}
            // Nobody is served on the guess that it is not set.
            Err(Unreadable) => return Accounts::Unfit,
        }
    }
    if !values.contains_key(TENANT_KEY_VARIABLE) {
        return Accounts::Off;
    }
    match tenants::Settings::read(|name| values.remove(name)) {
        Ok(settings) => Accounts::On(Box::new(settings)),
        Err(error) => {
            portcullis_function::log!("scam-detector: {error}");
            Accounts::Unfit
        }
    }
}

/// A variable cannot be had; the operator has been told.
struct Unreadable;

/// A variable's value; `None` where it is not set, or empty.
async fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
    match variables::get(name).await {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(Zeroizing::new(value))),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => {
            portcullis_function::log!("scam-detector: Spin variable {name}: {error}");
            Err(Unreadable)
        }
    }
}
