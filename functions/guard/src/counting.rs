//! Between what the policy asks of limits, and what the stores understand.

use portcullis_policy::{LimitAnswer, LimitCount, LimitSettlement, LimitTake, Unavailable};

use crate::store::{Bucket, Count, Key, LimitStore, Penalty, Settlement, StoreError, Take, Taken};

/// One request's dealings with a store.
pub(crate) struct Counter<'a, S> {
    store: &'a S,
    /// What was taken, by the number of the take.
    taken: Vec<Option<Taken>>,
}

impl<'a, S: LimitStore> Counter<'a, S> {
    pub(crate) fn new(store: &'a S) -> Self {
        Self { store, taken: Vec::new() }
    }

    /// Takes from all of these, or from none. The error is one for the policy; the operator has been told.
    pub(crate) async fn take(
        &mut self,
        takes: &[LimitTake],
    ) -> Result<Vec<LimitAnswer>, Unavailable> {
        let asked: Vec<Take> = takes.iter().map(take).collect();
        let answers = match self.store.take(&asked).await {
            Ok(answers) => answers,
            Err(error) => {
                report(&error);
                // They have numbers all the same.
                self.taken.extend(takes.iter().map(|_| None));
                return Err(Unavailable);
            }
        };
        let said = answers.into_iter().map(|answer| {
            self.taken.push(answer.taken);
            LimitAnswer {
                is_admitted: answer.is_admitted,
                remaining: answer.remaining,
                wait: answer.wait,
            }
        });
        Ok(said.collect())
    }

    /// What comes after. Where the store does not answer, it stays as it is: what was taken is taken.
    pub(crate) async fn settle(&mut self, settlements: Vec<LimitSettlement>) {
        let known = settlements.into_iter().filter_map(|settlement| self.settlement(settlement));
        let known: Vec<Settlement> = known.collect();
        if known.is_empty() {
            return;
        }
        if let Err(error) = self.store.settle(&known).await {
            report(&error);
        }
    }

    /// None for what the store has not taken.
    fn settlement(&self, settlement: LimitSettlement) -> Option<Settlement> {
        let taken = |number: usize| self.taken.get(number).cloned().flatten();
        Some(match settlement {
            LimitSettlement::GiveBack(number, units) => Settlement::GiveBack(taken(number)?, units),
            LimitSettlement::Charge(number, units, as_now) => {
                Settlement::Charge(taken(number)?.counted_as(count(as_now)), units)
            }
            LimitSettlement::Release(number) => Settlement::Release(taken(number)?),
            LimitSettlement::Strike(source) => {
                let Count::Penalty(penalty) = count(source.count) else { return None };
                Settlement::Strike(key(&source), penalty)
            }
        })
    }
}

fn report(error: &StoreError) {
    portcullis_function::log!("guard: limits: {error}");
}

fn take(take: &LimitTake) -> Take {
    Take {
        key: key(take),
        count: count(take.count),
        units: take.units,
        is_enforced: take.is_enforced,
    }
}

fn key(take: &LimitTake) -> Key {
    match take.count {
        LimitCount::Penalty { .. } => Key::of_source(take.digest),
        // A name may be a limit of another kind on another route, whose entries say something else.
        LimitCount::Bucket { .. } => key_of("bucket", take),
        LimitCount::Quota { .. } => key_of("quota", take),
        LimitCount::Concurrency { .. } => key_of("places", take),
    }
}

fn key_of(kind: &str, take: &LimitTake) -> Key {
    Key::new(&format!("{kind}.{}", take.limit), take.digest, take.is_proved)
}

fn count(count: LimitCount) -> Count {
    match count {
        LimitCount::Bucket { interval, capacity, longest } => {
            Count::Bucket(Bucket::of_shape(interval, capacity, longest))
        }
        LimitCount::Quota { amount, ends } => Count::Quota { amount, ends },
        LimitCount::Concurrency { most, span_seconds } => Count::Concurrency { most, span_seconds },
        LimitCount::Penalty {
            strikes,
            per_seconds,
            first_seconds,
            max_seconds,
            forgive_after_seconds,
        } => Count::Penalty(Penalty {
            strikes,
            per_seconds,
            first_seconds,
            max_seconds,
            forgive_after_seconds,
        }),
    }
}
