//! Documents over HTTP, and what is known of them in Spin's key-value store.

use std::time::Duration;

use bytes::Bytes;
use portcullis_function::spin::{self, SendError};
use portcullis_function::{Body, Limit};
use portcullis_policy::Fetch;
use spin_sdk::http::{FullBody, HeaderValue, Request, Uri};
use spin_sdk::key_value::{Error, Store};
use spin_sdk::time::sleep;

use crate::remotes::{Archive, ArchiveError, Fetched};

/// How long an instance waits before it looks what another one has fetched.
const PAUSE: Duration = Duration::from_millis(100);

/// The store `default`, and hosts that the manifest allows.
pub(crate) struct SpinArchive;

impl Archive for SpinArchive {
    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let store = Store::open_default().await.map_err(failed)?;
        store.get(key).await.map_err(failed)
    }

    async fn keep(&self, key: &str, value: &[u8]) -> Result<(), ArchiveError> {
        let store = Store::open_default().await.map_err(failed)?;
        store.set(key, value).await.map_err(failed)
    }

    async fn fetch(&self, fetch: &Fetch, timeout: Duration) -> Option<Fetched> {
        let Fetch { scheme, authority, path, max_bytes, .. } = fetch;
        let uri = format!("{scheme}://{authority}{path}");
        let mut request = Request::new(FullBody::new(Bytes::new()));
        *request.uri_mut() = Uri::try_from(&uri).ok()?;
        let accepted = HeaderValue::from_static("application/json, application/jwk-set+json");
        request.headers_mut().insert("accept", accepted);
        let limit = Limit { bytes: *max_bytes, detail: "" };
        let fetched = spin::exchange(request, timeout, async |response| {
            let (parts, body) = response.into_parts();
            let Body::Whole(body) = spin::read(body, limit).await else { return None };
            Some(Fetched { status: parts.status.as_u16(), body: body.to_vec() })
        });
        fetched.await.unwrap_or_else(|error| {
            let reason = match error {
                SendError::Timeout => "not in time".to_owned(),
                SendError::Unreachable(reason) => reason,
            };
            portcullis_function::log!("guard: {uri}: {reason}");
            None
        })
    }

    async fn pause(&self) {
        sleep(PAUSE).await;
    }
}

fn failed(error: Error) -> ArchiveError {
    ArchiveError(error.to_string())
}
