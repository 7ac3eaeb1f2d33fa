//! What comes of what one request has taken: how it ended, and what its response says of it.

use super::Limiter;
use super::admission::{Admission, Share};
use super::limit::Limit;
use super::limiter::Taken;
use super::pointer::Found;
use super::usage::Usage;
use crate::access::{Header, single};
use crate::environment::Environment;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The upstream never saw it.
    Refused,
    /// The upstream saw it, whatever became of the response.
    Forwarded,
}

impl Admission {
    /// A response of this status went to the client.
    pub(crate) fn strike(
        &mut self,
        limiter: &Limiter,
        status: u16,
        environment: &mut dyn Environment,
    ) {
        if let (Some(penalty), Some(elsewhere)) = (&limiter.penalty, &mut self.elsewhere) {
            elsewhere.strike(penalty, status);
        } else if let (Some(penalty), Some(source)) = (&limiter.penalty, self.source) {
            limiter.strike(penalty, source, status, environment);
        }
    }

    /// Whether a response says what the request has taken.
    pub(crate) fn wants_usage(&self, limits: &[Limit]) -> bool {
        self.assumed_cost.is_none()
            && self.taken.iter().any(|share| {
                limits.get(share.limit).is_some_and(|limit| limit.cost.response_value().is_some())
            })
    }

    /// The header section of the upstream's response, to HEAD or to another method.
    pub(crate) fn response_head(
        &mut self,
        limits: &[Limit],
        headers: &[Header<'_>],
        is_head: bool,
    ) {
        let status = single(headers, ":status").unwrap_or_default();
        self.is_successful = Some(status.starts_with(b"2"));
        self.is_without_body = is_head || matches!(status, b"204" | b"304");
        if !self.wants_usage(limits) {
            return;
        }
        self.usages = self
            .taken
            .iter()
            .filter_map(|share| {
                let (pointer, _) = limits.get(share.limit)?.cost.response_value()?;
                Some((share.limit, Usage::of(headers, pointer)))
            })
            .collect();
    }

    /// Whether the response's body is to be shown.
    pub(crate) fn wants_response_body(&self) -> bool {
        self.usages.iter().any(|(_, usage)| usage.is_readable())
    }

    /// A further part of the response's body.
    pub(crate) fn response_body(&mut self, part: &[u8]) {
        self.usages.iter_mut().for_each(|(_, usage)| usage.read(part));
    }

    /// A part of it could not be shown: what it says is not known.
    pub(crate) fn response_body_unseen(&mut self) {
        self.usages.clear();
    }

    /// The request has ended: places are free again, and what was reserved is settled.
    pub(crate) fn end(
        &mut self,
        limiter: &Limiter,
        limits: &[Limit],
        ending: Ending,
        environment: &mut dyn Environment,
    ) {
        // As in every filter that sees to no limits, and where requests have been counted and nothing else.
        let is_settled = |share: &Share| {
            let is_place =
                matches!(share.taken, Taken::Slot(..) | Taken::Elsewhere { is_place: true, .. });
            let cost = limits.get(share.limit).map(|limit| &limit.cost);
            !is_place && cost.is_none_or(|cost| cost.response_value().is_none())
        };
        if self.taken.iter().all(is_settled) {
            return self.taken.clear();
        }
        let Some(now) = Limiter::now(environment) else { return };
        for share in std::mem::take(&mut self.taken) {
            let Some(limit) = limits.get(share.limit) else { continue };
            let meter = limit.meter(self.plan.as_deref());
            match share.taken {
                Taken::Slot(..) => limiter.give_back(meter, share.taken, 1, now, environment),
                Taken::Elsewhere { is_place: true, .. } => self.give_back_elsewhere(share, 1),
                _ => {}
            }
            let Some((_, cap)) = limit.cost.response_value() else { continue };
            let used = match ending {
                Ending::Refused => 0,
                Ending::Forwarded => self.used(share, cap),
            };
            match (share.cost.checked_sub(used), self.keys.get(share.limit)) {
                (Some(0), _) => {}
                (Some(left), _) => {
                    limiter.give_back(meter, share.taken, left, now, environment);
                    self.give_back_elsewhere(share, left);
                }
                (None, Some((key, _))) => {
                    let (key, owed) = (*key, used.saturating_sub(share.cost));
                    match share.taken {
                        Taken::Elsewhere { .. } => self.charge_elsewhere(share, meter, owed, now),
                        _ => Limiter::charge(meter, key, owed, now, environment),
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// What a request has taken, by its response.
    fn used(&mut self, share: Share, cap: u64) -> u64 {
        if self.assumed_cost.is_some() {
            return share.cost;
        }
        if self.has_broken_off {
            return cap;
        }
        let usage = self.usages.iter_mut().find(|(limit, _)| *limit == share.limit);
        let found = usage.map_or(Found::Nothing, |(_, usage)| usage.end());
        match (found, self.is_successful) {
            (Found::Number(used), _) => used.min(cap),
            // What failed, or has no body (RFC 9110 §6.4.1), says nothing of what it took: the estimate stands.
            (_, Some(false)) => share.cost,
            (Found::Nothing, _) if self.is_without_body => share.cost,
            // Else who goes away before the end would have it for less.
            (Found::Nothing | Found::Unusable, _) => cap,
        }
    }
}
