//! What all limits of a policy share: the table, and what this worker knows of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bucket::Bucket;
use super::calendar::Span;
use super::concurrency::Ticket;
use super::fingerprint::{Fingerprint, Kind, Seed};
use super::lease::{Answer, Lease, Leases, Owner};
use super::limit::{Count, Limit, Meter};
use super::penalty::Penalty;
use super::quota::Quota;
use super::table::{Place, Table};
use super::{Caller, Decision, NANOSECONDS};
use crate::document::{LimitsTable, PenaltySection};
use crate::environment::{Environment, Timestamp};
use crate::policy::CompileError;
use crate::spread::SpreadMap;

/// The limits of a policy, as one worker has them.
#[derive(Debug)]
pub(crate) struct Limiter {
    table: Table,
    pub(super) penalty: Option<Penalty>,
    worker: Mutex<Worker>,
}

/// What one worker knows.
#[derive(Debug, Default)]
struct Worker {
    seed: Option<Seed>,
    leases: Leases,
    /// The sources that were not shut out when they were looked up, and until when that is believed.
    at_large: SpreadMap<Fingerprint, Timestamp>,
}

/// Where the machine's secret is.
const SEED_KEY: &str = "portcullis/limits/seed";

/// How long a source that was not shut out is believed not to be, in nanoseconds.
const BELIEVED: u64 = NANOSECONDS;

/// The most sources of which that is remembered.
const MAXIMUM_AT_LARGE: usize = 4096;

/// A key as it is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyed {
    fingerprint: Fingerprint,
    overflow: Fingerprint,
    place: Place,
}

/// What a request has taken, to be undone or settled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    /// From this worker's lease.
    Leased(Fingerprint, u64),
    Tokens(Place, u64),
    /// From a quota, in the period that ends then.
    Quota(Place, u64, Timestamp),
    Slot(Place, Ticket),
    /// In a store that is not this one; the number of the take.
    Elsewhere {
        number: usize,
        is_place: bool,
    },
}

impl Limiter {
    /// Whether refusals are counted.
    pub(crate) fn has_penalty(&self) -> bool {
        self.penalty.is_some()
    }

    pub(crate) fn compile(
        table: LimitsTable,
        penalty: Option<&PenaltySection>,
    ) -> Result<Self, CompileError> {
        if !(1024..=16_777_216).contains(&table.keys) {
            return Err(CompileError::new("limits_table.keys", "expected 1024 to 16777216"));
        }
        Ok(Self {
            table: Table::new(table.keys),
            penalty: penalty.map(Penalty::compile).transpose()?,
            worker: Mutex::default(),
        })
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, where there is one that can be counted by: a clock that cannot be read is at the end of all.
    pub(super) fn now(environment: &mut dyn Environment) -> Option<Timestamp> {
        let now = environment.now();
        (now.0 < u64::MAX / 2).then_some(now)
    }

    /// The secret of this machine: of whoever asked first.
    pub(super) fn seed(&self, environment: &mut dyn Environment) -> Option<Seed> {
        if let Some(seed) = self.worker().seed {
            return Some(seed);
        }
        let seed = environment.machine_secret(SEED_KEY)?;
        self.worker().seed = Some(seed);
        Some(seed)
    }

    pub(super) fn key(&self, limit: &Limit, seed: &Seed, caller: &Caller<'_>) -> Keyed {
        let (fingerprint, region) = limit.fingerprint(seed, caller);
        let place = self.table.place(fingerprint, region);
        Keyed { fingerprint, overflow: limit.overflow(), place }
    }

    /// Takes `cost` from a key. None where the store does not answer.
    pub(super) fn take(
        &self,
        meter: &Meter,
        key: Keyed,
        cost: u64,
        settles: bool,
        now: Timestamp,
        environment: &mut dyn Environment,
    ) -> Option<(Decision, Option<Taken>)> {
        match &meter.count {
            Count::Concurrency(concurrency) => {
                let ((decision, ticket), place) =
                    Table::change(key.place, key.overflow, now, environment, |state, _| {
                        let (decision, ticket, is_changed) = concurrency.take(state, now);
                        ((decision, ticket), is_changed)
                    })?;
                Some((decision, decision.admitted.then_some(Taken::Slot(place, ticket))))
            }
            Count::Bucket(bucket) => {
                let owner = Owner::Bucket(*bucket);
                // What is settled afterwards is settled with the bucket itself.
                self.take_units(owner, key, cost, !settles, now, environment, |state, wanted| {
                    bucket.take(state, cost, wanted, now)
                })
            }
            Count::Quota(quota, calendar) => {
                let span: Span = calendar.at(now)?;
                let owner = Owner::Quota(span.end);
                self.take_units(owner, key, cost, !settles, now, environment, |state, wanted| {
                    quota.take(state, cost, wanted, now, span)
                })
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a take is")]
    fn take_units(
        &self,
        owner: Owner,
        key: Keyed,
        cost: u64,
        may_lease: bool,
        now: Timestamp,
        environment: &mut dyn Environment,
        mut take: impl FnMut(&mut super::table::State, u64) -> (Decision, u64, bool),
    ) -> Option<(Decision, Option<Taken>)> {
        let (last, wanted) = match may_lease {
            true => match self.worker().leases.take(key.fingerprint, cost, now) {
                Answer::Known(decision) => {
                    let taken = Taken::Leased(key.fingerprint, cost);
                    return Some((decision, decision.admitted.then_some(taken)));
                }
                Answer::Ask(last, wanted) => (last, wanted),
            },
            false => (None, 0),
        };
        let ((decision, leased), place) =
            Table::change(key.place, key.overflow, now, environment, |state, is_own| {
                if let Some(last) = last.filter(|_| is_own) {
                    end_lease(last, state, now);
                }
                // Keys that find no room lease nothing: what they count by is not theirs.
                let (decision, leased, is_changed) = take(state, if is_own { wanted } else { 0 });
                ((decision, leased), is_changed)
            })?;
        if may_lease {
            let said = (decision, leased, cost);
            self.worker().leases.asked(key.fingerprint, (owner, place), said, now);
        }
        let taken = decision.admitted.then_some(match owner {
            Owner::Bucket(_) => Taken::Tokens(place, cost),
            Owner::Quota(end) => Taken::Quota(place, cost, end),
        });
        Some((decision, taken))
    }

    /// Undoes a take, or gives `cost` of it back. If the store does not answer, it stays taken.
    pub(super) fn give_back(
        &self,
        meter: &Meter,
        taken: Taken,
        cost: u64,
        now: Timestamp,
        environment: &mut dyn Environment,
    ) {
        match (taken, &meter.count) {
            (Taken::Leased(key, taken), _) => {
                self.worker().leases.give_back(key, cost.min(taken));
            }
            (Taken::Tokens(place, taken), Count::Bucket(bucket)) => {
                Table::change_existing(place, now, environment, |state| {
                    bucket.give_back(state, cost.min(taken));
                    true
                });
            }
            (Taken::Quota(place, taken, end), Count::Quota(..)) => {
                Table::change_existing(place, now, environment, |state| {
                    Quota::give_back(state, cost.min(taken), end)
                });
            }
            (Taken::Slot(place, ticket), Count::Concurrency(concurrency)) => {
                Table::change_existing(place, now, environment, |state| {
                    concurrency.release(state, ticket, now)
                });
            }
            _ => {}
        }
    }

    /// Charges what a request has used beyond what it had taken.
    pub(super) fn charge(
        meter: &Meter,
        key: Keyed,
        cost: u64,
        now: Timestamp,
        environment: &mut dyn Environment,
    ) {
        // If the store does not answer nothing is left to do: the request has been answered.
        let _ = Table::change(key.place, key.overflow, now, environment, |state, _| {
            match &meter.count {
                Count::Bucket(bucket) => bucket.charge(state, cost, now),
                Count::Quota(_, calendar) => {
                    if let Some(span) = calendar.at(now) {
                        Quota::charge(state, cost, now, span);
                    }
                }
                Count::Concurrency(_) => {}
            }
            ((), true)
        });
    }

    /// Gives back the leases that lie idle.
    pub(crate) fn upkeep(&self, environment: &mut dyn Environment) {
        let Some(now) = Self::now(environment) else { return };
        let idle = self.worker().leases.idle(now);
        for lease in idle {
            Table::change_existing(lease.place, now, environment, |state| {
                end_lease(lease, state, now)
            });
        }
    }

    /// Where a source is counted, if it can be shut out.
    pub(super) fn source(
        &self,
        penalty: &Penalty,
        caller: &Caller<'_>,
        environment: &mut dyn Environment,
    ) -> Option<Place> {
        if !penalty.is_for(caller) {
            return None;
        }
        let seed = self.seed(environment)?;
        let (digest, region) = penalty.key.digest(&seed, &["penalty"], caller);
        Some(self.table.place(Fingerprint::new(Kind::Penalty, digest), region))
    }

    /// For how many seconds a source is shut out, if it is.
    pub(super) fn shut_for(
        &self,
        penalty: &Penalty,
        source: Place,
        environment: &mut dyn Environment,
    ) -> Option<u64> {
        let now = Self::now(environment)?;
        let key = source.fingerprint();
        let believed = self.worker().at_large.get(&key).copied();
        if believed.is_some_and(|until| now < until && until <= now.plus(BELIEVED)) {
            return None;
        }
        let left = penalty.shut_for(&Table::peek(source, environment)?, now);
        if left.is_none() {
            let mut worker = self.worker();
            if worker.at_large.len() >= MAXIMUM_AT_LARGE {
                worker.at_large.clear();
            }
            worker.at_large.insert(key, now.plus(BELIEVED));
        }
        left
    }

    /// A response of this status went to a source.
    pub(super) fn strike(
        &self,
        penalty: &Penalty,
        source: Place,
        status: u16,
        environment: &mut dyn Environment,
    ) {
        let now = Self::now(environment).filter(|_| penalty.counts(status));
        let Some(now) = now else { return };
        // A source that finds no room is not shut out with others: it would not be for what it did itself.
        let shut_for = source.change_own(now, environment, |state| penalty.strike(state, now));
        if shut_for.flatten().is_some() {
            self.worker().at_large.remove(&source.fingerprint());
        }
    }
}

/// Answers whether the state has changed.
fn end_lease(lease: Lease, state: &mut super::table::State, now: Timestamp) -> bool {
    let Lease { owner, size, unused, .. } = lease;
    match owner {
        Owner::Bucket(bucket) => Bucket::end_lease(bucket, state, size, unused, now),
        Owner::Quota(end) => Quota::give_back(state, unused, end),
    }
}
