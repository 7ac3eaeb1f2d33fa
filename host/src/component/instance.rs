//! The life of one instance: made for a request, gone with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::output::LogSink;
use super::state::{Shared, State};

/// Makes instances.
pub(super) struct Instances {
    pub(super) engine: Engine,
    pub(super) pre: ProxyPre<State>,
    pub(super) shared: Arc<Shared>,
}

impl HandlerState for Instances {
    type StoreData = State;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, Worker>> {
        let limits = &self.shared.config.limits;
        let mut store = Store::new(&self.engine, State::new(&self.shared));
        store.limiter(|state| &mut state.allocations);
        // A guest that computes yields at every tick, so that timeouts and the other requests of
        // this thread get their turn.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);

        let instantiated =
            tokio::time::timeout(limits.request_timeout, self.pre.instantiate_async(&mut store));
        let proxy = instantiated
            .await
            .map_err(|_| wasmtime::format_err!("the component's start takes too long"))??;

        let request = Arc::new(Mutex::new(None));
        let longest = limits.request_timeout.saturating_add(limits.body_timeout);
        Ok(Instance {
            store,
            proxy,
            view: http_view,
            expiration: Expiration {
                deadline: Box::pin(tokio::time::sleep(longest)),
                request: request.clone(),
                keeps_accounts: self.shared.config.keeps_accounts(),
            },
            state: Worker { request, log: self.shared.config.log.clone() },
        })
    }
}

fn http_view(state: &mut State) -> WasiHttpCtxView<'_> {
    state.http()
}

/// What a request brings to its instance.
pub(super) struct Ticket {
    /// Held as long as the instance lives, since its memory is taken as long.
    pub(super) _permit: OwnedSemaphorePermit,
    /// Closed when nobody waits for the response any more.
    pub(super) interest: oneshot::Receiver<Verdict>,
    /// Told why the instance failed; gone once there is a response.
    pub(super) failure: oneshot::Sender<String>,
}

/// What becomes of an instance.
pub(super) enum Verdict {
    /// The response was taken whole; the instance may finish its own work.
    Finished,
    /// It has taken too long, or answered too much: it ends.
    Stopped,
}

/// What a request holds while its response is wanted. Dropped, it ends the instance, unless that keeps accounts.
pub(super) struct Interest(Option<oneshot::Sender<Verdict>>);

impl Interest {
    pub(super) fn new() -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    /// The response was taken whole.
    pub(super) fn finish(&mut self) {
        self.tell(Verdict::Finished);
    }

    /// The instance ends.
    pub(super) fn stop(&mut self) {
        self.tell(Verdict::Stopped);
    }

    fn tell(&mut self, verdict: Verdict) {
        if let Some(sender) = self.0.take() {
            // The instance may be gone already.
            let _ = sender.send(verdict);
        }
    }
}

type Slot = Arc<Mutex<Option<Ticket>>>;

/// The instance as its handler sees it: one request, then never another, so that nothing of one
/// client can reach the next.
pub(super) struct Worker {
    request: Slot,
    log: LogSink,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = Ticket;

    fn should_accept_request(&self, _concurrent: usize, total: usize) -> ShouldAccept {
        if total == 0 { ShouldAccept::Yes } else { ShouldAccept::Never }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, State>,
        ticket: Ticket,
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
        // The caller keeps time, since this future is not polled while the guest computes.
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<State>, result: wasmtime::Result<()>) {
        drop(store);
        let ticket = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(mut ticket), Err(error)) = (ticket, result) else {
            return;
        };
        let reason = summary(&error);
        let abandoned = matches!(
            ticket.interest.try_recv(),
            Err(oneshot::error::TryRecvError::Closed) | Ok(Verdict::Stopped)
        );
        if let Err(reason) = ticket.failure.send(reason)
            && !abandoned
        {
            (self.log)(&format!("the function failed after it had answered: {reason}"));
        }
    }
}

/// The innermost reason, without the backtrace.
pub(super) fn summary(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

/// When an instance ends although its guest would go on.
pub(super) struct Expiration {
    deadline: Pin<Box<Sleep>>,
    request: Slot,
    /// Whether it may go on when its client has gone. A component cannot be told of that, and one that counts in a database what is
    /// under way would never settle it.
    keeps_accounts: bool,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _status: WorkerStatus,
        _start: Instant,
    ) -> Poll<()> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let keeps_accounts = self.keeps_accounts;
        let mut slot = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ticket) = slot.as_mut() else {
            return Poll::Pending;
        };
        if ticket.interest.is_terminated() {
            return Poll::Pending;
        }
        match Pin::new(&mut ticket.interest).poll(cx) {
            Poll::Ready(Ok(Verdict::Finished)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) if keeps_accounts => Poll::Pending,
            Poll::Ready(Ok(Verdict::Stopped) | Err(_)) => Poll::Ready(()),
        }
    }
}

/// Advances the engine's epoch as long as the engine lives: guests that compute notice it.
pub(super) fn keep_ticking(engine: &Engine) -> std::io::Result<()> {
    const TICK: Duration = Duration::from_millis(5);
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
