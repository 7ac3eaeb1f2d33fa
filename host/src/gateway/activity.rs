//! What goes on on a connection, so that one on which nothing does can be ended.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::Instant;

use super::server::{BodyError, ResponseBody};

/// The requests that are running on a connection. What is no request, such as an HTTP/2 PING, is no activity.
pub(super) struct Activity {
    begun: Instant,
    requests: Mutex<Requests>,
}

struct Requests {
    running: usize,
    last_ended: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let begun = Instant::now();
        let requests = Mutex::new(Requests { running: 0, last_ended: begun });
        Arc::new(Self { begun, requests })
    }

    /// A request is running until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.change(|requests| requests.running = requests.running.saturating_add(1));
        Running(self.clone())
    }

    /// Ready once no request has been running for as long as `idle`, or the connection is as old as `age`.
    pub(super) async fn over(&self, idle: Duration, age: Duration) {
        loop {
            let now = Instant::now();
            // One that ends from now on does so in time for the next look.
            let since = self.change(|requests| match requests.running {
                0 => requests.last_ended,
                _ => now,
            });
            let end = (since + idle).min(self.begun + age);
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Requests) -> T) -> T {
        change(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that is running.
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(|requests| {
            requests.running = requests.running.saturating_sub(1);
            requests.last_ended = Instant::now();
        });
    }
}

/// A response's body, whose request runs until it has been taken.
pub(super) struct Tracked {
    body: ResponseBody,
    _running: Running,
    window: Option<Arc<Window>>,
}

impl Tracked {
    /// To be called where the request is answered, so that it finds its stream.
    pub(super) fn new(body: ResponseBody, running: Running) -> Self {
        let window = WINDOW.try_with(Arc::clone).ok();
        let tracked = Self { body, _running: running, window };
        tracked.awaits_room(true);
        tracked
    }

    fn awaits_room(&self, awaits: bool) {
        if let Some(window) = &self.window {
            window.set(awaits.then(Instant::now));
        }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        // hyper asks for a part once it has room for it, so that from here on it is the response that is waited for.
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        this.awaits_room(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

tokio::task_local! {
    /// That of the HTTP/2 stream that this task serves.
    static WINDOW: Arc<Window>;
}

/// Since when a stream's response waits for the client to take more of it.
#[derive(Default)]
struct Window(Mutex<Option<Instant>>);

impl Window {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    async fn stuck(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = since.unwrap_or(now) + patience;
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// Runs the streams of an HTTP/2 connection. One whose client gives it no room is reset.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let (window, patience) = (Arc::<Window>::default(), self.patience);
        tokio::spawn(WINDOW.scope(window.clone(), async move {
            tokio::select! {
                _ = stream => {}
                () = window.stuck(patience) => {}
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(100);
    const AGE: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn a_connection_is_over_when_nothing_runs_or_when_it_is_old() {
        let begun = Instant::now();
        let activity = Activity::new();
        let first = activity.begin();
        let second = activity.begin();
        drop(first);
        assert!(tokio::time::timeout(2 * IDLE, activity.over(IDLE, AGE)).await.is_err());
        drop(second);
        let ended = Instant::now();
        activity.over(IDLE, AGE).await;
        assert!(ended.elapsed() >= IDLE && begun.elapsed() < AGE);

        let _running = activity.begin();
        activity.over(IDLE, AGE).await;
        assert!(begun.elapsed() >= AGE);
    }
}
