//! Bodies of requests on their way in. Each is there whole before its request gets a turn: a client that takes its time with
//! its body holds up nobody who does not.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wasmtime_wasi_http::WasiBody;

use super::function::HandleError;
use super::limits::Limits;

/// The room for them.
#[derive(Clone)]
pub(super) struct Uploads {
    places: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

impl Uploads {
    pub(super) fn new(limits: &Limits) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { places: semaphore(limits.uploads), memory: semaphore(limits.upload_memory) }
    }

    /// Takes a body to its end.
    pub(super) async fn take<B>(&self, body: B, limits: &Limits) -> Result<WasiBody, HandleError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        if body.is_end_stream() {
            return Ok(Upload::default().into_body());
        }
        let place = timeout(limits.queue_timeout, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(HandleError::Overloaded);
        };
        let upload = timeout(limits.upload_timeout, self.read(body, limits)).await;
        Ok(upload.unwrap_or(Err(HandleError::BodyTimeout))?.into_body())
    }

    async fn read<B>(&self, body: B, limits: &Limits) -> Result<Upload, HandleError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let mut body = pin!(body);
        let mut upload = Upload::default();
        loop {
            let part = timeout(limits.upload_idle, body.frame()).await;
            let Some(frame) = part.map_err(|_| HandleError::BodyTimeout)? else {
                return Ok(upload);
            };
            let frame = frame.map_err(|error| HandleError::BodyFailed(error.to_string()))?;
            match frame.into_data() {
                Ok(data) => {
                    let length = upload.data.len().saturating_add(data.len());
                    if length as u64 > limits.request_body {
                        return Err(HandleError::RequestTooLarge(limits.request_body));
                    }
                    upload.hold(self.room(data.len())?);
                    upload.data.extend_from_slice(&data);
                }
                Err(frame) => upload.trailers = frame.into_trailers().ok(),
            }
        }
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, HandleError> {
        let bytes = u32::try_from(bytes).map_err(|_| HandleError::Overloaded)?;
        self.memory.clone().try_acquire_many_owned(bytes).map_err(|_| HandleError::Overloaded)
    }
}

#[derive(Default)]
struct Upload {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    memory: Option<OwnedSemaphorePermit>,
}

impl Upload {
    fn hold(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.memory {
            Some(memory) => memory.merge(more),
            None => self.memory = Some(more),
        }
    }

    /// The body as the function gets it. Its memory is counted until the function has done with it.
    fn into_body(self) -> WasiBody {
        let Self { data, trailers, memory } = self;
        let body = Full::new(Bytes::from(data)).map_frame(move |frame| {
            let _held = &memory;
            frame
        });
        match trailers {
            None => body.map_err(|never| match never {}).boxed_unsync(),
            Some(trailers) => body
                .with_trailers(async { Some(Ok(trailers)) })
                .map_err(|never| match never {})
                .boxed_unsync(),
        }
    }
}
