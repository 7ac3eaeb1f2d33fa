//! The calls about keys: which to make, for how many hits, and what their answers say.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::lease::{self, Lease};
use super::{DEFAULT_MEMORY, MAXIMUM_CALLS, MAXIMUM_MEMORY};
use super::{
    Key, RateLimitService, ServiceAnswer, ServiceCall, ServiceOutcome, Want, nanoseconds, wire,
};
use crate::Environment;
use crate::environment::Timestamp;

/// For how long of what is used up is asked for at once.
pub(super) const AHEAD: Duration = Duration::from_millis(250);

/// The shortest time between two answers that a key is over its limit.
const MINIMUM_MEMORY: Duration = Duration::from_millis(50);

/// A use that is longer ago says nothing of how fast hits are used.
const RECENT: Duration = Duration::from_secs(5);

impl RateLimitService {
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
}

/// What becomes of a want.
enum Ask {
    Call(ServiceCall),
    /// Somebody asks already, or too many calls are under way.
    Later,
    /// There is nothing to ask, or nobody to.
    Known,
}

/// Whether the window that the service spoke of last goes on.
fn is_current(lease: &Lease, now: Timestamp) -> bool {
    lease.granted_at <= now && lease.ends_at > now
}

/// How many hits to ask for ahead of need. Those who have waited use theirs at once, so that the pace since a grant looks too
/// fast at its begin; and the pace before it is not that of now.
pub(super) fn ahead(lease: &Lease, now: Timestamp) -> u32 {
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
