//! Limits that many gates share: a rate limit service counts (`envoy.service.ratelimit.v3`), and this gate uses hits
//! that it has been granted in batches.
//!
//! A request that finds a granted hit passes at once. What is used up fast is asked for ahead of need, as much as a quarter of a
//! second takes; what is used slowly is asked for one by one, so that little is left unused where it is not needed. The protocol
//! has no way to return hits that every service knows, so what is granted ends with the window it was counted in. One worker
//! at a time asks about a key. That a key is over its limit is remembered until the window ends: a flood is not
//! a flood of calls.

mod health;
mod lease;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::table::Fingerprint;
use super::{Limit, seconds_up};
use crate::document::{Endpoint, OnFailure, RateLimitServiceSection};
use crate::environment::Timestamp;
use crate::policy::CompileError;
use crate::problem::{Reason, Refusal, Stage};
use crate::stages::Interruption;
use crate::{Environment, Principal};

use health::SharedHealth;
use lease::{Lease, NoRoom};

/// For how long of what is used up is asked for at once.
const AHEAD: Duration = Duration::from_millis(250);

/// How long what is granted lasts, and how long a key is over its limit, where the service does not tell.
const DEFAULT_MEMORY: Duration = Duration::from_secs(1);

/// The longest time for which anything is remembered. A limit by the day is asked about again after it.
const MAXIMUM_MEMORY: Duration = Duration::from_secs(3600);

/// The shortest time between two answers that a key is over its limit.
const MINIMUM_MEMORY: Duration = Duration::from_millis(50);

/// A use that is longer ago says nothing of how fast hits are used.
const RECENT: Duration = Duration::from_secs(5);

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
    fingerprint: Fingerprint,
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
        principal: &Principal,
        source: Option<IpAddr>,
        patience: Patience,
        environment: &mut dyn Environment,
    ) -> Result<Taken, Interruption> {
        let shared = limits.iter().enumerate().filter(|(_, limit)| limit.is_shared());
        let keyed =
            shared.map(|(index, limit)| (index, limit, limit.fingerprint(principal, source)));
        self.take_each(keyed, patience, environment)
    }

    fn take_each<'a>(
        &self,
        limits: impl Iterator<Item = (usize, &'a Limit, Fingerprint)>,
        patience: Patience,
        environment: &mut dyn Environment,
    ) -> Result<Taken, Interruption> {
        let mut taken = Taken::default();
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
                    over(limit, seconds).into()
                }
                (Verdict::Away, OnFailure::Refuse) => {
                    let found = "the rate limit service does not answer";
                    let change = "see to the service, or set rate_limit_service.on_failure: local";
                    environment.note(|trace| trace.failed(field, found, change));
                    super::unavailable().into()
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

    /// The calls to make now, and whether requests that wait may go on.
    pub(crate) fn upkeep(&self, environment: &mut dyn Environment) -> (Vec<ServiceCall>, bool) {
        let now = environment.now();
        let wants = std::mem::take(&mut self.errands().wants);
        let (mut calls, mut is_news, mut kept) = (Vec::new(), false, VecDeque::new());
        for want in wants {
            match self.ask(&want, now, environment) {
                Ask::Call(call) => {
                    let mut errands = self.errands();
                    errands.under_way = errands.under_way.saturating_add(1);
                    calls.push(call);
                }
                Ask::Later if want.waiting > 0 => kept.push_back(want),
                Ask::Later => {}
                Ask::Known => is_news |= want.waiting > 0,
            }
        }
        self.errands().wants.append(&mut kept);
        (calls, is_news)
    }

    fn ask(&self, want: &Want, now: Timestamp, environment: &mut dyn Environment) -> Ask {
        let Ok(seen) = lease::look(environment, want.key.fingerprint) else { return Ask::Known };
        let is_enough = match want.waiting {
            0 => seen.usable(now) > seen.base / 2,
            _ => seen.usable(now) > 0,
        };
        if is_enough || seen.is_over(now) {
            return Ask::Known;
        }
        if seen.is_asking(now) || self.errands().under_way >= MAXIMUM_CALLS {
            return Ask::Later;
        }
        // The key first: who has claimed the trial of a service that has failed must then make it.
        if !self.health.look(environment).may_ask(now) {
            return Ask::Known;
        }
        let until = now.after(self.timeout.saturating_mul(2).saturating_add(DEFAULT_MEMORY));
        let mut claimed = false;
        let lease = lease::update(environment, want.key.fingerprint, now, |lease| {
            claimed = !lease.is_asking(now);
            claimed.then_some(Lease { asking_until: until, ..lease })
        });
        let Ok(lease) = lease else { return Ask::Known };
        if !claimed {
            return Ask::Later;
        }
        if !self.health.claim(environment, now) {
            self.release(&want.key, now, environment);
            return Ask::Known;
        }
        Ask::Call(self.call(want.key.clone(), self.size(want, &lease, now), now))
    }

    /// How many hits to ask for: what waits, or what is used in [`AHEAD`]; at most twice what the last grant was, so that one burst
    /// is not taken for a habit; and no more than a quarter of what is left, so that at the end of a window no gate holds what
    /// another one needs.
    fn size(&self, want: &Want, lease: &Lease, now: Timestamp) -> u32 {
        let used = if want.waiting > 0 { pace(lease, now) } else { ahead(lease, now) };
        let needed = want.waiting.max(used.min(lease.base.saturating_mul(2))).max(1);
        let left = if is_current(lease, now) { lease.remaining } else { u32::MAX };
        needed.min(self.batch).min((left / 4).max(1))
    }

    fn call(&self, key: Key, hits: u32, now: Timestamp) -> ServiceCall {
        let name = URL_SAFE_NO_PAD.encode(key.fingerprint.as_bytes());
        ServiceCall {
            cluster: self.cluster.clone(),
            authority: self.endpoint.authority(),
            path: wire::PATH,
            scheme: if self.endpoint.tls { "https" } else { "http" },
            body: wire::request(&self.domain, &key.limit, &name, hits),
            timeout: self.timeout,
            max_bytes: wire::MAXIMUM_ANSWER_BYTES,
            key,
            hits,
            sent_at: now,
        }
    }

    /// The answer to a call, or that there was none.
    pub(crate) fn answered(
        &self,
        call: &ServiceCall,
        answer: Option<ServiceAnswer<'_>>,
        environment: &mut dyn Environment,
    ) -> ServiceOutcome {
        let now = environment.now();
        let said = match read(answer) {
            Ok(said) => said,
            Err(reason) => {
                self.end_call();
                self.health.failed(environment, now);
                self.release(&call.key, now, environment);
                let warning =
                    format!("the rate limit service at {}: {reason}", self.endpoint.authority());
                return ServiceOutcome { next: None, warning: Some(warning) };
            }
        };
        self.health.answered(environment);
        let remaining = said.remaining.unwrap_or(u32::MAX);
        // From when it was asked: what is granted ends no later than its window.
        let memory = said.reset.unwrap_or(DEFAULT_MEMORY).clamp(MINIMUM_MEMORY, MAXIMUM_MEMORY);
        let until = call.sent_at.after(memory);
        if !said.within && call.hits > 1 {
            let _ = lease::update(environment, call.key.fingerprint, now, |lease| {
                Some(Lease { remaining, ..lease })
            });
            let hits = if remaining < call.hits { remaining.max(1) } else { 1 };
            let next = self.call(call.key.clone(), hits, now);
            return ServiceOutcome { next: Some(next), warning: None };
        }
        self.end_call();
        let done = lease::update(environment, call.key.fingerprint, now, |lease| {
            let lease = Lease { asking_until: Timestamp(0), remaining, ..lease };
            Some(match said.within {
                true => granted(lease, call.hits, until, now),
                false => Lease { over_until: until.max(now.after(MINIMUM_MEMORY)), ..lease },
            })
        });
        let warning = done.is_err().then(|| "no room for what the service said".to_owned());
        ServiceOutcome { next: None, warning }
    }

    fn end_call(&self) {
        let errands = &mut self.errands();
        errands.under_way = errands.under_way.saturating_sub(1);
    }

    /// Lets others ask about a key.
    fn release(&self, key: &Key, now: Timestamp, environment: &mut dyn Environment) {
        // Where it fails, they may once the time for an answer is over.
        let _ = lease::update(environment, key.fingerprint, now, |lease| {
            Some(Lease { asking_until: Timestamp(0), ..lease })
        });
    }

    fn errands(&self) -> MutexGuard<'_, Errands> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a want.
enum Ask {
    Call(ServiceCall),
    /// Somebody asks already, or too many calls are under way.
    Later,
    /// There is nothing to ask, or nobody to.
    Known,
}

/// The hits that a request has taken of what was granted.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    fingerprints: Vec<Fingerprint>,
}

impl Taken {
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

/// Whether the window that the service spoke of last goes on.
fn is_current(lease: &Lease, now: Timestamp) -> bool {
    lease.granted_at <= now && lease.ends_at > now
}

/// How many hits to ask for ahead of need. Those who have waited use theirs at once, so that the pace since a grant looks too
/// fast at its begin; and the pace before it is not that of now.
fn ahead(lease: &Lease, now: Timestamp) -> u32 {
    pace(lease, now).min(lease.pace)
}

/// How many hits are used in [`AHEAD`], as they were since the last grant.
fn pace(lease: &Lease, now: Timestamp) -> u32 {
    let elapsed = now.since(lease.granted_at);
    if elapsed > nanoseconds(RECENT) {
        return 0;
    }
    let used = u64::from(lease.base.saturating_sub(lease.hits));
    let hits = used.saturating_mul(nanoseconds(AHEAD)).checked_div(elapsed.max(1_000_000));
    u32::try_from(hits.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// With so many hits more, until then.
fn granted(lease: Lease, hits: u32, until: Timestamp, now: Timestamp) -> Lease {
    // What is left of an earlier grant ends with its own window, and what ends first counts for both: nothing is carried into a
    // window that it was not counted in.
    let left = lease.usable(now);
    let ends_at = if left > 0 { lease.ends_at.min(until) } else { until };
    let hits = left.saturating_add(hits);
    let pace = pace(&lease, now);
    Lease { hits, base: hits, pace, granted_at: now, ends_at, over_until: Timestamp(0), ..lease }
}

fn read(answer: Option<ServiceAnswer<'_>>) -> Result<wire::Said, String> {
    let answer = answer.ok_or("no answer")?;
    if answer.status != 200 {
        return Err(format!("expected status 200, found {}", answer.status));
    }
    match answer.grpc_status {
        Some(0) => wire::read(answer.body).map_err(str::to_owned),
        Some(status) => Err(format!("expected grpc-status 0, found {status}")),
        None => Err("expected a grpc-status, found none".to_owned()),
    }
}

fn over(limit: &Limit, seconds: u64) -> Refusal {
    let Limit { name, requests, per_seconds, .. } = limit;
    let detail = format!("Wait {seconds} seconds, or send fewer requests.");
    Refusal::new(Reason::RateExceeded, detail)
        .finding(name, format!("{requests} requests in {per_seconds} seconds"))
        .header("retry-after", seconds.to_string())
        .header("ratelimit-policy", format!("\"{name}\";q={requests};w={per_seconds}"))
        .header("ratelimit", format!("\"{name}\";r=0;t={seconds}"))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
