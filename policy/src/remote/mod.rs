//! Documents that are fetched by HTTP and kept fresh: key sets, API keys, deny lists.
//!
//! The policy itself asks nobody. It says what is to be fetched now ([`Fetch`]), is told the answer, and keeps what holds.
//! Workers share what they know through the store, so that one of them asks for all: who takes the lease
//! asks, and the others read what came of it. What is known stays good while it is asked for again
//! (stale-while-refresh), for as long as the document says, and not a second longer.

mod shared;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Environment;
use crate::document::{Endpoint, Remote};
use crate::environment::Timestamp;
use crate::policy::CompileError;

use shared::{Schedule, Shared};

/// The shortest time between two fetches of one document that requests can set off, such as by naming a key that is not in
/// the set. Whoever makes up keys sets off one fetch in this time, for all workers together.
const COOL_DOWN: Duration = Duration::from_secs(2);

/// The longest time for which a request waits for a document.
const MAXIMUM_WAIT: Duration = Duration::from_secs(15);

/// A request to make for the policy. Send it to the cluster with method GET and without a body, and tell the policy the answer, or
/// that there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The proxy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// `:scheme`.
    pub scheme: &'static str,
    /// How long the answer may take.
    pub timeout: Duration,
    /// The longest body that is read, in bytes.
    pub max_bytes: usize,
    /// Which document this is for, in the order of [`crate::Policy::upkeep`].
    pub(crate) document: usize,
    begun: Timestamp,
    step: Step,
}

impl Fetch {
    pub(crate) fn for_document(self, document: usize) -> Self {
        Self { document, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The metadata that says where the document is.
    Metadata,
    /// The document itself.
    Document,
}

/// An answer to a [`Fetch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code (RFC 9110 §15).
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// What came of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The next request to make for the same document.
    pub next: Option<Fetch>,
    /// What the operator should know: what was wrong with the answer, or what was left out of it.
    pub warnings: Vec<String>,
}

/// How a document is read. The texts say what was left out.
pub(crate) type Parse<T> = Box<dyn Fn(&[u8]) -> Result<(T, Vec<String>), String> + Send + Sync>;

/// How the metadata that leads to a document is read: answers where it is.
pub(crate) type Locate = Box<dyn Fn(&[u8]) -> Result<Endpoint, String> + Send + Sync>;

/// A document that is fetched, as far as it is known.
pub(crate) struct RemoteDocument<T> {
    /// What it is, for the operator.
    name: String,
    remote: Remote,
    endpoint: Endpoint,
    /// Where the document is not at `remote` itself: how to find it, and the cluster that leads there.
    metadata: Option<(Locate, String)>,
    max_bytes: usize,
    parse: Parse<T>,
    shared: Shared,
    known: Mutex<Known<T>>,
}

/// What this worker knows.
struct Known<T> {
    schedule: Schedule,
    value: Option<Arc<T>>,
    /// Whether a request needs it sooner than the schedule has it.
    demanded: bool,
}

/// Whether a request that misses something can hope for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hope {
    /// It is worth waiting for the next answer.
    Wait,
    /// The document was asked for since, or will not be in time.
    None,
}

/// What all documents have in common, whatever is in them.
pub(crate) trait Refreshed: Debug + Send + Sync {
    /// Takes over what another worker has fetched. Answers whether something has been fetched, or has failed to be, since this
    /// was called last; and what could not be read.
    fn learn(&self, environment: &mut dyn Environment) -> (bool, Vec<String>);

    /// The request to make now, if one is due and no other worker makes it.
    fn due(&self, environment: &mut dyn Environment) -> Option<Fetch>;

    /// The answer to a request, or that there was none.
    fn answered(
        &self,
        fetch: &Fetch,
        answer: Option<Answer<'_>>,
        environment: &mut dyn Environment,
    ) -> Outcome;
}

impl<T> RemoteDocument<T> {
    /// `name` says what it is, for the operator. `max_bytes` bounds what is read.
    pub(crate) fn compile(
        name: String,
        remote: &Remote,
        max_bytes: usize,
        parse: Parse<T>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| CompileError::new(format!("{field}.{name}"), message);
        let endpoint = remote.endpoint().map_err(|expected| error("uri", expected))?;
        if !(5..=86_400).contains(&remote.refresh_seconds) {
            return Err(error("refresh_seconds", "expected 5 to 86400"));
        }
        if !(1..=60).contains(&remote.timeout_seconds) {
            return Err(error("timeout_seconds", "expected 1 to 60"));
        }
        if !(remote.refresh_seconds..=604_800).contains(&remote.max_stale_seconds) {
            let message = "expected at most 604800, and not less than refresh_seconds";
            return Err(error("max_stale_seconds", message));
        }
        let shared = Shared::new(&name, &remote.uri);
        let known = Known { schedule: Schedule::default(), value: None, demanded: false };
        Ok(Self {
            name,
            remote: remote.clone(),
            endpoint,
            metadata: None,
            max_bytes,
            parse,
            shared,
            known: Mutex::new(known),
        })
    }

    /// The document is not at the URI itself: what is there is metadata, which `locate` reads, and `cluster` leads on.
    pub(crate) fn through_metadata(mut self, locate: Locate, cluster: String) -> Self {
        self.metadata = Some((locate, cluster));
        self
    }

    /// What is known and holds now, with the number that changes when it does.
    pub(crate) fn current(&self, now: Timestamp) -> Option<(Arc<T>, u64)> {
        let known = self.lock();
        let holds = known.schedule.holds(now, self.max_stale());
        let value = known.value.as_ref().filter(|_| holds)?;
        Some((Arc::clone(value), known.schedule.generation))
    }

    /// What was known last, also where it does not hold any more: for what it forbids, not for what it allows.
    pub(crate) fn last_known(&self) -> Option<Arc<T>> {
        self.lock().value.as_ref().map(Arc::clone)
    }

    /// A request misses something since `since`: asks for the document sooner, within bounds, and says whether there is hope.
    pub(crate) fn demand(&self, since: Timestamp, now: Timestamp) -> Hope {
        let mut known = self.lock();
        // What was asked for after the request came cannot have been changed before it.
        if known.value.is_some() && known.schedule.asked_at >= since {
            return Hope::None;
        }
        if now.since(since) >= nanoseconds(self.longest_wait()) {
            return Hope::None;
        }
        known.demanded = true;
        Hope::Wait
    }

    fn longest_wait(&self) -> Duration {
        (self.timeout() * 2 + COOL_DOWN + Duration::from_secs(1)).min(MAXIMUM_WAIT)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.remote.timeout_seconds))
    }

    fn max_stale(&self) -> Duration {
        Duration::from_secs(u64::from(self.remote.max_stale_seconds))
    }

    fn refresh(&self) -> Duration {
        Duration::from_secs(u64::from(self.remote.refresh_seconds))
    }

    fn lock(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, endpoint: &Endpoint, cluster: String, step: Step, begun: Timestamp) -> Fetch {
        Fetch {
            cluster,
            authority: endpoint.authority(),
            path: endpoint.path_and_query.clone(),
            scheme: if endpoint.tls { "https" } else { "http" },
            timeout: self.timeout(),
            max_bytes: match step {
                Step::Metadata => MAXIMUM_METADATA_BYTES,
                Step::Document => self.max_bytes,
            },
            document: 0,
            begun,
            step,
        }
    }

    /// Reads an answer as far as the next step or the document.
    fn read(&self, fetch: &Fetch, answer: Option<Answer<'_>>) -> Result<Read<T>, String> {
        let Answer { status, body } = answer.ok_or("no answer")?;
        if status != 200 {
            return Err(format!("expected status 200, found {status}"));
        }
        if body.len() > fetch.max_bytes {
            return Err(format!("expected at most {} bytes", fetch.max_bytes));
        }
        match (fetch.step, &self.metadata) {
            (Step::Metadata, Some((locate, cluster))) => {
                let endpoint = locate(body)?;
                Ok(Read::Next(self.fetch(&endpoint, cluster.clone(), Step::Document, fetch.begun)))
            }
            _ => (self.parse)(body).map(|(value, left_out)| Read::Document(value, left_out)),
        }
    }
}

enum Read<T> {
    Next(Fetch),
    Document(T, Vec<String>),
}

/// The longest metadata that is read, in bytes.
const MAXIMUM_METADATA_BYTES: usize = 64 * 1024;

impl<T: Send + Sync> Refreshed for RemoteDocument<T> {
    fn learn(&self, environment: &mut dyn Environment) -> (bool, Vec<String>) {
        let mut known = self.lock();
        let Some((schedule, _)) = self.shared.load(environment) else { return (false, Vec::new()) };
        let is_news = schedule.attempts != known.schedule.attempts;
        let mut warnings = Vec::new();
        if schedule.generation != known.schedule.generation {
            // Where the body is not there yet or not of this schedule, the next call finds it.
            let Some(body) = self.shared.body(environment, &schedule) else {
                return (false, warnings);
            };
            match (self.parse)(&body) {
                Ok((value, _)) => known.value = Some(Arc::new(value)),
                Err(reason) => {
                    warnings.push(format!(
                        "{}: what another worker fetched is not usable: {}",
                        self.name,
                        plain(&reason)
                    ));
                    return (is_news, warnings);
                }
            }
        }
        known.schedule = schedule;
        (is_news, warnings)
    }

    fn due(&self, environment: &mut dyn Environment) -> Option<Fetch> {
        let now = environment.now();
        let mut known = self.lock();
        if !known.schedule.is_due(now, known.demanded, COOL_DOWN, self.refresh()) {
            return None;
        }
        let steps = if self.metadata.is_some() { 2 } else { 1 };
        let lease = self.timeout() * steps + Duration::from_secs(2);
        let demanded = known.demanded;
        let taken = self.shared.take_lease(environment, |schedule| {
            schedule
                .is_due(now, demanded, COOL_DOWN, self.refresh())
                .then(|| schedule.leased(now.after(lease)))
        });
        let schedule = taken?;
        known.demanded = false;
        // Its value stays the one that is known, until `learn` has read the other.
        known.schedule.leased_until = schedule.leased_until;
        let step = if self.metadata.is_some() { Step::Metadata } else { Step::Document };
        Some(self.fetch(&self.endpoint, self.remote.cluster_name(), step, now))
    }

    fn answered(
        &self,
        fetch: &Fetch,
        answer: Option<Answer<'_>>,
        environment: &mut dyn Environment,
    ) -> Outcome {
        let now = environment.now();
        let jitter = shared::jitter(environment);
        let (value, mut warnings) = match self.read(fetch, answer) {
            Ok(Read::Next(next)) => {
                return Outcome { next: Some(next), warnings: Vec::new() };
            }
            Ok(Read::Document(value, warnings)) => (Some(value), warnings),
            Err(reason) => (None, vec![reason]),
        };
        let body = answer.map(|answer| answer.body).filter(|_| value.is_some());
        let stored =
            self.shared.store(environment, body, |schedule, is_new| match value.is_some() {
                true => schedule.succeeded(fetch.begun, now, self.refresh(), jitter, is_new),
                false => schedule.failed(now, self.refresh(), jitter),
            });
        let mut known = self.lock();
        match stored {
            Some(schedule) => {
                if let Some(value) = value
                    && schedule.generation != known.schedule.generation
                {
                    known.value = Some(Arc::new(value));
                }
                // Where somebody else's body is newer, `learn` reads it.
                if known.value.is_some() || schedule.generation == known.schedule.generation {
                    known.schedule = schedule;
                }
            }
            None => warnings.push("it could not be stored for the other workers".to_owned()),
        }
        let warnings = warnings
            .into_iter()
            .map(|reason| format!("{} from {}: {}", self.name, self.remote.uri, plain(&reason)));
        Outcome { next: None, warnings: warnings.collect() }
    }
}

impl<T> Debug for RemoteDocument<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteDocument({} from {})", self.name, self.remote.uri)
    }
}

/// A reason as it may stand in a log, which has the records of requests as well: names in what was fetched may be part of it, and
/// whoever serves it must not write lines of their own there.
fn plain(reason: &str) -> String {
    let shown = reason.chars().take(MAXIMUM_REASON_CHARS);
    shown.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The longest reason that is told, in characters.
const MAXIMUM_REASON_CHARS: usize = 500;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
