//! Answers every request with an empty 200. What a function costs is measured against this.
#![cfg(target_family = "wasm")]

use spin_sdk::http::{IntoResponse, Request, StatusCode};
use spin_sdk::http_service;

#[http_service]
async fn answer(_request: Request) -> impl IntoResponse {
    StatusCode::OK
}
