//! Limits that many gates share: a rate limit service counts (`envoy.service.ratelimit.v3`), and this gate uses hits
//! that it has been granted in batches.
//!
//! A request that finds a granted hit passes at once. What is used up fast is asked for ahead of need, as much as a quarter of a
//! second takes; what is used slowly is asked for one by one, so that little is left unused where it is not needed. The protocol
//! has no way to return hits that every service knows, so what is granted ends with the window it was counted in. One worker
//! at a time asks about a key. That a key is over its limit is remembered until the window ends: a flood is not
//! a flood of calls.

mod calls;
mod fingerprint;
mod health;
mod lease;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Caller, Limit, fields, seconds_up};
use crate::Environment;
use crate::document::{Endpoint, OnFailure, RateLimitServiceSection};
use crate::environment::Timestamp;
use crate::policy::CompileError;
use crate::problem::Stage;
use crate::stages::Interruption;

use calls::ahead;
pub(crate) use fingerprint::SharedFingerprint;
use health::SharedHealth;
use lease::{Lease, NoRoom};

/// How long what is granted lasts, and how long a key is over its limit, where the service does not tell.
const DEFAULT_MEMORY: Duration = Duration::from_secs(1);

/// The longest time for which anything is remembered. A limit by the day is asked about again after it.
const MAXIMUM_MEMORY: Duration = Duration::from_secs(3600);

/// The most calls of one worker under way at a time.
const MAXIMUM_CALLS: usize = 16;

/// The most keys about which one worker is to ask. Whoever makes up keys fills this; those whose keys have hits granted do not
/// notice.
const MAXIMUM_WANTS: usize = 1024;

/// A call to make for the policy: gRPC, so an HTTP/2 request with method POST and `te: trailers`. Send it to the cluster, and tell
/// the policy the answer, or that there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// The proxy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: &'static str,
    /// `:scheme`.
    pub scheme: &'static str,
    /// The message in its frame.
    pub body: Vec<u8>,
    /// How long the answer may take.
    pub timeout: Duration,
    /// The longest body that is read, in bytes.
    pub max_bytes: usize,
    key: Key,
    hits: u32,
    sent_at: Timestamp,
}

/// An answer to a [`ServiceCall`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceAnswer<'a> {
    /// `:status`.
    pub status: u16,
    /// `grpc-status`, from the trailers or, where there are none, from the header section.
    pub grpc_status: Option<u32>,
    /// The body.
    pub body: &'a [u8],
}

/// What came of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceOutcome {
    /// The next call to make for the same key.
    pub next: Option<ServiceCall>,
    /// What the operator should know.
    pub warning: Option<String>,
}

/// What a service counts by: a limit, and who has a counter of their own under it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    // First, so that keys that differ are told apart by it.
    fingerprint: SharedFingerprint,
    limit: String,
}

/// A rate limit service, compiled.
#[derive(Debug)]
pub(crate) struct RateLimitService {
    cluster: String,
    endpoint: Endpoint,
    domain: String,
    timeout: Duration,
    on_failure: OnFailure,
    batch: u32,
    health: SharedHealth,
    errands: Mutex<Errands>,
}

/// What this worker is to ask.
#[derive(Debug, Default)]
struct Errands {
    wants: VecDeque<Want>,
    under_way: usize,
}

#[derive(Debug)]
struct Want {
    key: Key,
    /// How many requests wait for it; 0 where it is ahead of need.
    waiting: u32,
}

/// When a request came, and whether there is room for it to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) since: Timestamp,
    pub(crate) may_wait: bool,
}

/// What the service's hits say to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Granted,
    /// Until then.
    Over(Timestamp),
    Wait,
    /// The service does not answer, or not in time.
    Away,
}

impl RateLimitService {
    pub(crate) fn compile(section: &RateLimitServiceSection) -> Result<Self, CompileError> {
        let error = |name: &str, message: &str| {
            CompileError::new(format!("rate_limit_service.{name}"), message)
        };
        let endpoint = section.endpoint().map_err(|expected| error("uri", expected))?;
        let is_domain_byte = |byte: u8| byte.is_ascii_graphic();
        if !(1..=128).contains(&section.domain.len()) || !section.domain.bytes().all(is_domain_byte)
        {
            return Err(error("domain", "expected 1 to 128 visible ASCII characters"));
        }
        if !(10..=5000).contains(&section.timeout_milliseconds) {
            return Err(error("timeout_milliseconds", "expected 10 to 5000"));
        }
        if !(1..=10_000).contains(&section.batch) {
            return Err(error("batch", "expected 1 to 10000"));
        }
        Ok(Self {
            cluster: section.cluster_name(),
            endpoint,
            domain: section.domain.clone(),
            timeout: Duration::from_millis(u64::from(section.timeout_milliseconds)),
            on_failure: section.on_failure,
            batch: section.batch,
            health: SharedHealth::new(&section.cluster_name()),
            errands: Mutex::default(),
        })
    }

    /// Takes a hit of each limit that is shared, or of none. Answers what gives them back.
    pub(crate) fn take(
        &self,
        limits: &[Limit],
        caller: &Caller<'_>,
        patience: Patience,
        environment: &mut dyn Environment,
    ) -> Result<Granted, Interruption> {
        let shared = limits.iter().enumerate();
        let shared = shared.filter(|(_, limit)| limit.is_shared() && limit.is_enforced(caller));
        let keyed = shared.map(|(index, limit)| (index, limit, limit.shared_fingerprint(caller)));
        self.take_each(keyed, caller.principal.plan.as_deref(), patience, environment)
    }

    fn take_each<'a>(
        &self,
        limits: impl Iterator<Item = (usize, &'a Limit, SharedFingerprint)>,
        plan: Option<&str>,
        patience: Patience,
        environment: &mut dyn Environment,
    ) -> Result<Granted, Interruption> {
        let mut taken = Granted::default();
        for (index, limit, fingerprint) in limits {
            let key = Key { limit: limit.name().to_owned(), fingerprint };
            let now = environment.now();
            let verdict = self.verdict(key, patience, now, environment);
            let field = format!("limits[{index}].shared");
            let refused: Interruption = match (verdict, self.on_failure) {
                (Verdict::Granted, _) => {
                    taken.fingerprints.push(fingerprint);
                    let found = format!("`{}`: granted by the rate limit service", limit.name());
                    environment.note(|trace| trace.passed(Stage::Limits, field, found));
                    continue;
                }
                (Verdict::Away, OnFailure::Local) => {
                    let found = "the rate limit service does not answer: this gate counts alone";
                    environment.note(|trace| trace.passed(Stage::Limits, field, found));
                    continue;
                }
                (Verdict::Wait, _) => Interruption::Wait,
                (Verdict::Over(until), _) => {
                    let seconds = seconds_up(until.since(now)).max(1);
                    let change = format!("wait {seconds} seconds, or raise the service's limit");
                    let found = format!("`{}`: over the shared limit", limit.name());
                    environment.note(|trace| trace.failed(field, found, change));
                    fields::over(limit, plan, seconds, now).into()
                }
                (Verdict::Away, OnFailure::Refuse) => {
                    let found = "the rate limit service does not answer";
                    let change = "see to the service, or set rate_limit_service.on_failure: local";
                    environment.note(|trace| trace.failed(field, found, change));
                    fields::unavailable().into()
                }
            };
            taken.give_back(environment);
            return Err(refused);
        }
        Ok(taken)
    }

    fn verdict(
        &self,
        key: Key,
        patience: Patience,
        now: Timestamp,
        environment: &mut dyn Environment,
    ) -> Verdict {
        // What is over is only read: a flood does not fight for its slot.
        let Ok(seen) = lease::look(environment, key.fingerprint) else { return Verdict::Away };
        if seen.usable(now) > 0 {
            let mut granted = false;
            let left = lease::update(environment, key.fingerprint, now, |lease| {
                granted = lease.usable(now) > 0;
                granted.then(|| Lease { hits: lease.hits.saturating_sub(1), ..lease })
            });
            if let (true, Ok(left)) = (granted, left) {
                let is_low = left.hits <= left.base / 2;
                let is_fast = ahead(&left, now) > 0;
                if is_low && is_fast && !left.is_over(now) && !left.is_asking(now) {
                    self.want(key, 0);
                }
                return Verdict::Granted;
            }
        }
        if seen.is_over(now) {
            return Verdict::Over(seen.over_until);
        }
        let waited = now.since(patience.since) > nanoseconds(self.longest_wait());
        if !patience.may_wait || waited || !self.health.look(environment).may_ask(now) {
            return Verdict::Away;
        }
        if self.want(key, 1) { Verdict::Wait } else { Verdict::Away }
    }

    /// Three calls: one that is under way for others, one that is refused, and the one that follows.
    fn longest_wait(&self) -> Duration {
        self.timeout.saturating_mul(3)
    }

    /// Whether there is room.
    fn want(&self, key: Key, waiting: u32) -> bool {
        let wants = &mut self.errands().wants;
        if let Some(known) = wants.iter_mut().find(|want| want.key == key) {
            known.waiting = known.waiting.saturating_add(waiting);
            return true;
        }
        let has_room = wants.len() < MAXIMUM_WANTS;
        if has_room {
            wants.push_back(Want { key, waiting });
        }
        has_room
    }

    /// Whether [`Self::upkeep`] has something to do now.
    pub(crate) fn has_errands(&self) -> bool {
        !self.errands().wants.is_empty()
    }

    fn errands(&self) -> MutexGuard<'_, Errands> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hits that a request has taken of what was granted.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    fingerprints: Vec<SharedFingerprint>,
}

impl Granted {
    /// Gives them back to this gate. Where that fails they stay used, which admits nobody.
    pub(crate) fn give_back(self, environment: &mut dyn Environment) {
        let now = environment.now();
        for fingerprint in self.fingerprints {
            let _: Result<Lease, NoRoom> = lease::update(environment, fingerprint, now, |lease| {
                let is_current = lease.granted_at <= now && lease.ends_at > now;
                let hits = lease.hits.saturating_add(1).min(lease.base);
                is_current.then_some(Lease { hits, ..lease })
            });
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
