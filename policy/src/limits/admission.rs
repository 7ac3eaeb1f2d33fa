//! What one request has taken from the limits of its route.

use std::net::IpAddr;

use super::elsewhere::{Elsewhere, Refused};
use super::fields::Standing;
use super::limit::{Limit, Meter};
use super::limiter::{Keyed, Limiter, Taken};
use super::service::Granted;
use super::table::Place;
use super::usage::Usage;
use super::{Caller, Decision, fields};
use crate::Principal;
use crate::access::Header;
use crate::environment::{Environment, Timestamp};
use crate::exchange::HeaderEdit;
use crate::problem::{Reason, Refusal};
use crate::stages::Interruption;

/// One request's dealings with the limits.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Where refusals of the client's source are counted, if they are.
    pub(super) source: Option<Place>,
    pub(super) plan: Option<String>,
    /// In the order of the limits.
    pub(super) keys: Vec<(Keyed, bool)>,
    pub(super) taken: Vec<Share>,
    standing: Option<Standing>,
    shadowed: Vec<String>,
    pub(super) usages: Vec<(usize, Usage)>,
    pub(super) is_successful: Option<bool>,
    pub(super) is_without_body: bool,
    /// Whether a response that had begun well broke off, and another one was answered.
    pub(super) has_broken_off: bool,
    /// What was taken of what a rate limit service has granted.
    pub(crate) granted: Option<Granted>,
    /// Where limits are counted elsewhere: what is dealt with there.
    pub(super) elsewhere: Option<Box<Elsewhere>>,
    /// What a request takes where that is not 1: for simulations, which have no bodies.
    pub(crate) assumed_cost: Option<u64>,
}

/// What was taken from one limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) limit: usize,
    pub(super) taken: Taken,
    pub(super) cost: u64,
}

/// What comes at which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
}

impl Admission {
    /// Whether a source may come at all. Before anything else is known of it.
    pub(crate) fn at_the_door(
        &mut self,
        limiter: &Limiter,
        source: Option<IpAddr>,
        headers: &[Header<'_>],
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        let Some(penalty) = &limiter.penalty else { return Ok(()) };
        // A request that has waited comes a second time.
        self.shadowed.clear();
        let principal = &Principal::anonymous();
        let caller = Caller { principal, claims: None, source, headers, route: "" };
        let shut_for = match &mut self.elsewhere {
            Some(elsewhere) => elsewhere.shut_for(penalty, &caller)?,
            None => {
                self.source = limiter.source(penalty, &caller, environment);
                self.source.and_then(|source| limiter.shut_for(penalty, source, environment))
            }
        };
        let Some(seconds) = shut_for else { return Ok(()) };
        if !penalty.enforced {
            self.shadowed.push("penalty".to_owned());
            return Ok(());
        }
        environment.note(|trace| {
            let found = format!(
                "shut out for {seconds} more seconds: too many requests of this source were refused"
            );
            trace.failed("penalty", found, "wait, or exempt its network");
        });
        let detail = format!("Wait {seconds} seconds. Too many of your requests were refused.");
        let refusal = Refusal::new(Reason::ShutOut, detail);
        Err(refusal.header("retry-after", seconds.to_string()).into())
    }

    /// Takes what can be taken without the body. With one to come, [`Self::body`] is to be called if [`Self::needs_body`] says so.
    pub(crate) fn head(
        &mut self,
        limiter: &Limiter,
        limits: &[Limit],
        caller: &Caller<'_>,
        has_body: bool,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        if limits.is_empty() {
            return Ok(());
        }
        let seed = match &mut self.elsewhere {
            Some(elsewhere) => {
                elsewhere.set_keys(limits, caller);
                Some(elsewhere.seed())
            }
            None => limiter.seed(environment),
        };
        let Some(seed) = seed else {
            let is_enforced = limits.iter().any(|limit| limit.is_enforced(caller));
            return if is_enforced { Err(fields::unavailable().into()) } else { Ok(()) };
        };
        self.plan.clone_from(&caller.principal.plan);
        self.keys = limits
            .iter()
            .map(|limit| (limiter.key(limit, &seed, caller), limit.is_enforced(caller)))
            .collect();
        // Without a body to come, everything is taken now.
        self.taken.reserve_exact(limits.len());
        self.take(limiter, limits, Phase::Head, has_body, &[], environment)
    }

    /// The same, once it is known what was said elsewhere.
    pub(crate) fn head_answered(
        &mut self,
        limiter: &Limiter,
        limits: &[Limit],
        has_body: bool,
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        self.take(limiter, limits, Phase::Head, has_body, &[], environment)
    }

    /// Whether what a request takes is known only with its body.
    pub(crate) fn needs_body(&self, limits: &[Limit]) -> bool {
        self.assumed_cost.is_none() && limits.iter().any(|limit| limit.cost.needs_body())
    }

    /// Takes what can be taken only now.
    pub(crate) fn body(
        &mut self,
        limiter: &Limiter,
        limits: &[Limit],
        body: &[u8],
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        self.take(limiter, limits, Phase::Body, true, body, environment)
    }

    /// Takes from each limit of a phase, or from none where one of them has too little.
    fn take(
        &mut self,
        limiter: &Limiter,
        limits: &[Limit],
        phase: Phase,
        has_body: bool,
        body: &[u8],
        environment: &mut dyn Environment,
    ) -> Result<(), Interruption> {
        let waits = has_body && self.assumed_cost.is_none();
        let phase_of = |limit: &Limit| match waits && limit.cost.needs_body() {
            true => Phase::Body,
            false => Phase::Head,
        };
        if self.elsewhere.is_some() {
            let due = limits.iter().enumerate().filter(|(_, limit)| phase_of(limit) == phase);
            let due: Vec<_> = due.map(|(index, limit)| (index, self.cost(limit, body))).collect();
            return match self.take_elsewhere(limits, &due, environment) {
                Ok(()) => Ok(()),
                Err(Refused::Waits(interruption)) => Err(interruption),
                Err(Refused::By(refusal)) => {
                    self.undo(limiter, limits, environment);
                    Err(refusal.into())
                }
            };
        }
        let now = Limiter::now(environment);
        for (index, limit) in limits.iter().enumerate() {
            let Some((key, is_enforced)) =
                self.keys.get(index).copied().filter(|_| phase_of(limit) == phase)
            else {
                continue;
            };
            let meter = limit.meter(self.plan.as_deref());
            let cost = self.cost(limit, body);
            let settles = limit.cost.response_value().is_some();
            let said =
                now.and_then(|now| limiter.take(meter, key, cost, settles, now, environment));
            let heeded = self.heed(limits, (index, cost, is_enforced), said, now, environment);
            if let Err(refusal) = heeded {
                self.undo(limiter, limits, environment);
                return Err(refusal.into());
            }
        }
        Ok(())
    }

    /// Keeps what a limit has said of so much, and refuses where it does. None where it has not answered.
    pub(super) fn heed(
        &mut self,
        limits: &[Limit],
        (index, cost, is_enforced): (usize, u64, bool),
        said: Option<(Decision, Option<Taken>)>,
        now: Option<Timestamp>,
        environment: &mut dyn Environment,
    ) -> Result<(), Refusal> {
        let Some(limit) = limits.get(index) else { return Ok(()) };
        let meter = limit.meter(self.plan.as_deref());
        environment.note(|trace| {
            let decision = said.map(|(decision, _)| decision);
            fields::note(index, (limit, meter), cost, is_enforced, decision, trace);
        });
        match said {
            Some((decision, Some(taken))) => {
                self.taken.push(Share { limit: index, taken, cost });
                if is_enforced {
                    self.stand(index, decision, cost);
                }
                Ok(())
            }
            _ if !is_enforced => {
                self.shadowed.push(limit.name.clone());
                Ok(())
            }
            Some((decision, _)) => {
                let standing = Standing { limit: index, decision, cost };
                Err(self.refusal(limits, standing, now))
            }
            None => Err(fields::unavailable()),
        }
    }

    fn cost(&self, limit: &Limit, body: &[u8]) -> u64 {
        match (self.assumed_cost, limit.cost.cap()) {
            (Some(assumed), cap) if cap != Some(1) => assumed.clamp(1, cap.unwrap_or(u64::MAX)),
            _ => limit.cost.before(body),
        }
    }

    /// Keeps the tightest: the one that would refuse first if more requests like this one came.
    fn stand(&mut self, limit: usize, decision: Decision, cost: u64) {
        let further = |standing: &Standing| {
            standing.decision.remaining.checked_div(standing.cost).unwrap_or(0)
        };
        let fresh = Standing { limit, decision, cost };
        if self.standing.as_ref().is_none_or(|known| further(&fresh) < further(known)) {
            self.standing = Some(fresh);
        }
    }

    fn refusal(&self, limits: &[Limit], standing: Standing, now: Option<Timestamp>) -> Refusal {
        let refusal = fields::refusal(limits, self.plan.as_deref(), &standing);
        let edits = self.fields_of(limits, Some(standing), now).into_iter().flatten();
        edits.fold(refusal, |refusal, (name, value)| refusal.header(name, value))
    }

    fn undo(&mut self, limiter: &Limiter, limits: &[Limit], environment: &mut dyn Environment) {
        let Some(now) = Limiter::now(environment) else { return };
        for share in std::mem::take(&mut self.taken) {
            let Share { limit, taken, cost } = share;
            if let Some(meter) = self.meter(limits, limit) {
                limiter.give_back(meter, taken, cost, now, environment);
            }
            self.give_back_elsewhere(share, cost);
        }
    }

    fn meter<'a>(&self, limits: &'a [Limit], limit: usize) -> Option<&'a Meter> {
        limits.get(limit).map(|limit| limit.meter(self.plan.as_deref()))
    }

    /// The limits that are not enforced and would have refused.
    pub(crate) fn shadowed(&self) -> &[String] {
        &self.shadowed
    }

    /// Adds the RateLimit fields of a response to a request that was let through.
    pub(crate) fn fields(&self, limits: &[Limit], now: Timestamp, edits: &mut Vec<HeaderEdit>) {
        let Some(fields) = self.fields_of(limits, self.standing, Some(now)) else { return };
        edits.reserve_exact(fields.len());
        edits.extend(fields.map(|(name, value)| HeaderEdit::Set(name.to_owned(), value)));
    }

    fn fields_of(
        &self,
        limits: &[Limit],
        standing: Option<Standing>,
        now: Option<Timestamp>,
    ) -> Option<[(&'static str, String); 2]> {
        let standing = standing?;
        let state = fields::state(limits.get(standing.limit)?, &standing);
        let enforced = limits.iter().zip(&self.keys).filter(|(_, (_, is_enforced))| *is_enforced);
        let enforced = enforced.map(|(limit, _)| (limit, limit.meter(self.plan.as_deref())));
        Some([("ratelimit-policy", fields::policy(enforced, now)), ("ratelimit", state)])
    }

    /// What is asked of the upstream: where its response says what the request has taken, it must not be compressed.
    pub(crate) fn edits(&self, limits: &[Limit]) -> Option<HeaderEdit> {
        let is_read = limits.iter().any(|limit| limit.cost.response_value().is_some());
        is_read.then(|| HeaderEdit::Set("accept-encoding".to_owned(), "identity".to_owned()))
    }
}
