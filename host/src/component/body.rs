//! Bodies on their way out of a function, counted.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use wasmtime_wasi_http::WasiBody;

use super::instance::Interest;

/// The body of a function's response. Dropping it before its end stops the function.
pub struct FunctionBody {
    body: WasiBody,
    left: u64,
    deadline: Pin<Box<Sleep>>,
    interest: Interest,
}

impl FunctionBody {
    pub(super) fn new(
        body: WasiBody,
        limit: u64,
        timeout: std::time::Duration,
        mut interest: Interest,
    ) -> Self {
        if body.is_end_stream() {
            interest.finish();
        }
        Self { body, left: limit, deadline: Box::pin(tokio::time::sleep(timeout)), interest }
    }
}

/// Why a response's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the function's response is larger than allowed")]
    TooLarge,
    #[error("the function took too long to finish its response")]
    Timeout,
    #[error("the function's response broke off: {0}")]
    Failed(String),
}

impl Body for FunctionBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Pending => {
                ready!(this.deadline.as_mut().poll(cx));
                this.interest.stop();
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            }
            Poll::Ready(None) => {
                this.interest.finish();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => {
                return Poll::Ready(Some(Err(BodyError::Failed(error.to_string()))));
            }
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = this.left.checked_sub(length) else {
            this.interest.stop();
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        this.left = left;
        if this.body.is_end_stream() {
            this.interest.finish();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
