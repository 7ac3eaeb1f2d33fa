//! Limits that whoever drives an exchange counts elsewhere: in a store that many machines share and that has to be waited for.
//!
//! The policy says what is to be taken, is told what the store has said, and decides and tells clients the same as with its own
//! table. What comes after, units to give back or to charge, places to free, strikes, is handed out when the exchange is over.

use super::admission::{Admission, Share};
use super::calendar::{Calendar, Span};
use super::fingerprint::{Fingerprint, Seed};
use super::limit::{Count, Limit, Meter};
use super::limiter::{Limiter, Taken};
use super::penalty::Penalty;
use super::table::Region;
use super::{Caller, Decision, fields, seconds_up};
use crate::environment::{Environment, Timestamp, Unavailable};
use crate::problem::Refusal;
use crate::stages::Interruption;

/// What is asked of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitTake {
    /// The limit's name, or `penalty`. Limits of one name on several routes count together.
    pub limit: String,
    /// Who is counted, and how: a digest under the secret that was given to [`count_elsewhere`](crate::Exchange::count_elsewhere).
    pub digest: [u8; 16],
    /// Whether callers cannot make it up, so that a flood cannot be of such keys.
    pub is_proved: bool,
    /// What is counted.
    pub count: LimitCount,
    /// How much the request takes; of no meaning for the penalty box.
    pub units: u64,
    /// Whether it refuses. If not, it takes where there is enough.
    pub is_enforced: bool,
}

/// What is counted of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitCount {
    /// A token bucket, in nanoseconds: a token flows back every `interval`, all are back after `capacity`, and it may owe up to
    /// `longest` less that.
    Bucket {
        /// Until a token is back.
        interval: u64,
        /// Until all are.
        capacity: u64,
        /// With what it may owe.
        longest: u64,
    },
    /// So many in a day or month.
    Quota {
        /// How many.
        amount: u64,
        /// The ends of the last period, of this one and of the next, in seconds since 1970, by this machine's clock.
        ends: [u64; 3],
    },
    /// So many under way.
    Concurrency {
        /// How many.
        most: u16,
        /// The length of the spans that time is cut into: a place counts in its own and in the next.
        span_seconds: u32,
    },
    /// Whether a source is shut out. Nothing is taken.
    Penalty {
        /// After so many refusals,
        strikes: u16,
        /// in so many seconds,
        per_seconds: u32,
        /// for so long the first time, and twice as long each time,
        first_seconds: u32,
        /// but not for longer.
        max_seconds: u32,
        /// When all is forgotten.
        forgive_after_seconds: u32,
    },
}

/// What one limit has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitAnswer {
    /// Whether there was enough.
    pub is_admitted: bool,
    /// What is left.
    pub remaining: u64,
    /// Nanoseconds until there is more: for what was asked where that was not admitted, else for one; none where there will never be
    /// enough.
    pub wait: Option<u64>,
}

/// What comes after a take. Takes are numbered in the order in which they were handed out, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitSettlement {
    /// So much of it was not used.
    GiveBack(usize, u64),
    /// So much more was used, as it is counted now.
    Charge(usize, u64, LimitCount),
    /// The request has ended.
    Release(usize),
    /// A request of this source was refused.
    Strike(LimitTake),
}

/// One request's dealings with a store.
#[derive(Debug)]
pub(super) struct Elsewhere {
    seed: Seed,
    /// In the order of the limits.
    keys: Vec<(Fingerprint, Region)>,
    source: Option<LimitTake>,
    /// What is asked now.
    asked: Vec<LimitTake>,
    /// How many takes have been answered before.
    answered: usize,
    answers: Option<Result<Vec<LimitAnswer>, Unavailable>>,
    settlements: Vec<LimitSettlement>,
}

impl Elsewhere {
    fn new(seed: Seed) -> Self {
        Self {
            seed,
            keys: Vec::new(),
            source: None,
            asked: Vec::new(),
            answered: 0,
            answers: None,
            settlements: Vec::new(),
        }
    }

    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    pub(super) fn set_keys(&mut self, limits: &[Limit], caller: &Caller<'_>) {
        self.keys = limits.iter().map(|limit| limit.fingerprint(&self.seed, caller)).collect();
    }

    pub(super) fn settle(&mut self, settlement: LimitSettlement) {
        self.settlements.push(settlement);
    }

    /// For how many seconds more a source is shut out.
    pub(super) fn shut_for(
        &mut self,
        penalty: &Penalty,
        caller: &Caller<'_>,
    ) -> Result<Option<u64>, Interruption> {
        self.source = penalty.is_for(caller).then(|| {
            let (digest, _) = penalty.key.digest(&self.seed, &["penalty"], caller);
            LimitTake {
                limit: "penalty".to_owned(),
                digest: digest.to_be_bytes(),
                is_proved: false,
                count: penalty.count(),
                units: 0,
                is_enforced: penalty.enforced,
            }
        });
        let Some(source) = &self.source else { return Ok(None) };
        let asked = [source.clone()];
        let (_, answers) = self.ask(asked.into())?;
        match answers.as_deref() {
            Ok([LimitAnswer { is_admitted: true, .. }]) => Ok(None),
            Ok([LimitAnswer { wait, .. }]) => Ok(Some(seconds_up(wait.unwrap_or(0)).max(1))),
            _ if penalty.enforced => Err(fields::unavailable().into()),
            _ => Ok(None),
        }
    }

    /// A response of this status went to the source.
    pub(super) fn strike(&mut self, penalty: &Penalty, status: u16) {
        if let Some(source) = self.source.clone().filter(|_| penalty.counts(status)) {
            self.settle(LimitSettlement::Strike(source));
        }
    }

    /// The number of the first of these takes and what was said to them; an interruption where nobody has been asked yet.
    fn ask(
        &mut self,
        takes: Vec<LimitTake>,
    ) -> Result<(usize, Result<Vec<LimitAnswer>, Unavailable>), Interruption> {
        let Some(answers) = self.answers.take() else {
            self.asked = takes;
            return Err(Interruption::Wait);
        };
        let first = self.answered;
        self.answered = first.saturating_add(takes.len());
        // What answers something else than what was asked has counted nobody knows what.
        Ok((
            first,
            answers.and_then(|said| match said.len() == takes.len() {
                true => Ok(said),
                false => Err(Unavailable),
            }),
        ))
    }
}

impl Admission {
    /// Has all limits of this request counted by whoever drives the exchange, with digests under this secret.
    pub(crate) fn count_elsewhere(&mut self, seed: Seed) {
        self.elsewhere = Some(Box::new(Elsewhere::new(seed)));
    }

    pub(crate) fn is_counted_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// What is to be taken now; nothing where nobody is waited for.
    pub(crate) fn asked(&self) -> &[LimitTake] {
        self.elsewhere.as_ref().map_or(&[], |elsewhere| &elsewhere.asked)
    }

    /// What was said to it.
    pub(crate) fn answer(&mut self, answers: Result<Vec<LimitAnswer>, Unavailable>) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.asked.clear();
            elsewhere.answers = Some(answers);
        }
    }

    /// What is to be settled, once.
    pub(crate) fn settlements(&mut self) -> Vec<LimitSettlement> {
        let elsewhere = self.elsewhere.as_mut();
        elsewhere.map(|elsewhere| std::mem::take(&mut elsewhere.settlements)).unwrap_or_default()
    }

    /// Nothing is taken after all: nor of what a rate limit service has granted.
    pub(crate) fn give_back_granted(&mut self, environment: &mut dyn Environment) {
        if let Some(granted) = self.granted.take() {
            granted.give_back(environment);
        }
    }

    /// A response that had begun well was not passed on. What it cost counts as that of one that broke off on its way to the client.
    pub(crate) fn break_off(&mut self) {
        self.has_broken_off = true;
    }

    /// Takes from each of these limits what it costs, or from none.
    pub(super) fn take_elsewhere(
        &mut self,
        limits: &[Limit],
        due: &[(usize, u64)],
        environment: &mut dyn Environment,
    ) -> Result<(), Refused> {
        let now = Limiter::now(environment);
        let takes = due.iter().filter_map(|(index, cost)| {
            let now = now?;
            let (limit, (_, is_enforced)) = (limits.get(*index)?, self.keys.get(*index)?);
            let (fingerprint, region) = self.elsewhere.as_ref()?.keys.get(*index)?;
            Some(LimitTake {
                limit: limit.name().to_owned(),
                // The kind comes last: stores spread keys by what comes first.
                digest: u128::from_le_bytes(fingerprint.bytes()).to_be_bytes(),
                is_proved: *region == Region::Proved,
                count: limit.meter(self.plan.as_deref()).elsewhere(now)?,
                units: *cost,
                is_enforced: *is_enforced,
            })
        });
        let takes: Vec<LimitTake> = takes.collect();
        let Some(elsewhere) = self.elsewhere.as_mut().filter(|_| !due.is_empty()) else {
            return Ok(());
        };
        let (first, answers) = if takes.len() == due.len() {
            elsewhere.ask(takes).map_err(Refused::Waits)?
        } else {
            // A time that is in no calendar.
            (0, Err(Unavailable))
        };
        let before = self.taken.len();
        for (place, (index, cost)) in due.iter().enumerate() {
            let (Some(limit), Some((_, is_enforced))) =
                (limits.get(*index), self.keys.get(*index).copied())
            else {
                continue;
            };
            let answer = answers.as_ref().ok().and_then(|said| said.get(place)).copied();
            let is_place = matches!(limit.meter(self.plan.as_deref()).count, Count::Concurrency(_));
            let number = first.saturating_add(place);
            let said = answer.map(|LimitAnswer { is_admitted, remaining, wait }| {
                let decision = Decision { admitted: is_admitted, remaining, wait };
                (decision, is_admitted.then_some(Taken::Elsewhere { number, is_place }))
            });
            let heeded = self.heed(limits, (*index, *cost, is_enforced), said, now, environment);
            if let Err(refusal) = heeded {
                // Of these the store has taken none.
                self.taken.truncate(before);
                return Err(Refused::By(refusal));
            }
        }
        Ok(())
    }

    /// What was taken elsewhere and is not used after all.
    pub(super) fn give_back_elsewhere(&mut self, share: Share, units: u64) {
        let Taken::Elsewhere { number, is_place } = share.taken else { return };
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.settle(match is_place {
                true => LimitSettlement::Release(number),
                false => LimitSettlement::GiveBack(number, units),
            });
        }
    }

    /// What was used beyond what was taken elsewhere.
    pub(super) fn charge_elsewhere(
        &mut self,
        share: Share,
        meter: &Meter,
        units: u64,
        now: Timestamp,
    ) {
        let Taken::Elsewhere { number, .. } = share.taken else { return };
        if let (Some(elsewhere), Some(count)) = (&mut self.elsewhere, meter.elsewhere(now)) {
            elsewhere.settle(LimitSettlement::Charge(number, units, count));
        }
    }
}

/// Why nothing was taken.
pub(super) enum Refused {
    By(Refusal),
    /// The store has to be asked first.
    Waits(Interruption),
}

impl Meter {
    /// None for times that no calendar has.
    fn elsewhere(&self, now: Timestamp) -> Option<LimitCount> {
        Some(match &self.count {
            Count::Bucket(bucket) => {
                let (interval, capacity, longest) = bucket.shape();
                LimitCount::Bucket { interval, capacity, longest }
            }
            Count::Quota(quota, calendar) => {
                LimitCount::Quota { amount: quota.amount, ends: ends(calendar, now)? }
            }
            Count::Concurrency(concurrency) => LimitCount::Concurrency {
                most: concurrency.most,
                span_seconds: concurrency.span_seconds(),
            },
        })
    }
}

/// The store's clock decides which of them it is: it may be a little before this one or after it.
fn ends(calendar: &Calendar, now: Timestamp) -> Option<[u64; 3]> {
    let Span { start, end } = calendar.at(now)?;
    let next = calendar.at(end)?.end;
    // This one is asked for again sooner than the next.
    calendar.at(now)?;
    Some([start, end, next].map(Timestamp::seconds))
}
