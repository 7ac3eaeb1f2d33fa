//! Where limits are counted that many machines share.
//!
//! A request takes from all its limits at once, or from none of them: [`LimitStore::take`] is one round trip, and one transaction of
//! the store. What comes after it, if anything does, is another one: [`LimitStore::settle`]. The counts are those of the policy's own
//! limits, and a test has both decide the same requests.

mod count;
mod fallback;
mod judge;
mod key;
mod redis;
mod sqlite;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use count::{Bucket, Count, Penalty};
pub(crate) use fallback::Fallback;
pub(crate) use key::Key;
pub(crate) use redis::{RedisConnection, RedisFailure, RedisStore};
pub(crate) use sqlite::{SqliteConnection, SqliteFailure, SqliteStore, SqliteValue};

/// Counts for many.
pub(crate) trait LimitStore {
    /// Takes from all of these, or from none where one that is enforced has too little. One answer for each, in order: where
    /// something is refused, what the others would have said. No key may be in the list twice.
    async fn take(&self, takes: &[Take]) -> Result<Vec<Answer>, StoreError>;

    /// What a request has to come to after it was answered, or not let through after all.
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError>;
}

/// What is asked of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Take {
    pub(crate) key: Key,
    pub(crate) count: Count,
    /// 1, or what the request costs; of no meaning for places and for the penalty box.
    pub(crate) units: u64,
    /// Whether it refuses. If not, it takes where there is enough, and says so where there is not.
    pub(crate) is_enforced: bool,
}

/// What one limit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) is_admitted: bool,
    /// What is left, in the unit of the cost.
    pub(crate) remaining: u64,
    /// Nanoseconds until there is more: for what was asked where that is not admitted, else for one; none where there will never be
    /// enough.
    pub(crate) wait: Option<u64>,
    /// What was taken, where it was.
    pub(crate) taken: Option<Taken>,
}

/// What was taken from one limit, to be given back, charged or released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The key that was counted by: its own, or one that it shares.
    place: String,
    count: Count,
    units: u64,
    /// The end of a quota's period, or the span of time in which a place was taken.
    ticket: u64,
    /// Whether the store that stands in has counted it.
    is_fallback: bool,
}

impl Taken {
    /// The same, with the count as it is now: a charge counts in the period in which it comes.
    pub(crate) fn counted_as(self, count: Count) -> Self {
        Self { count, ..self }
    }
}

/// What comes after a take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// So much of it was not used.
    GiveBack(Taken, u64),
    /// So much more was used.
    Charge(Taken, u64),
    /// The request has ended.
    Release(Taken),
    /// A request of this source was refused.
    Strike(Key, Penalty),
}

/// Why nothing was counted. Whoever asked fails closed, or asks another store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// It cannot be reached, or has refused.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// It says something else than what it was asked.
    #[error("the store's answer is not one: {0}")]
    Unreadable(&'static str),
    /// The store's clock and this machine's are more than a day or month apart.
    #[error("the store's clock is in none of the periods that this machine's is near to")]
    Clock,
    /// More than a request can ask for, or the same key twice.
    #[error("a request asks for {0}")]
    Asked(&'static str),
}

/// The most that one request can ask for.
const MAXIMUM_TAKES: usize = 64;

/// The most that is counted to. No limit is as large, and a number up to here is exact in Lua and far from too large for SQLite.
const MOST: u64 = 1 << 53;

impl Take {
    /// Refuses lists of which the stores would make something else than what is said.
    fn check(takes: &[Self]) -> Result<(), StoreError> {
        if takes.len() > MAXIMUM_TAKES {
            return Err(StoreError::Asked("too many limits"));
        }
        let mut rest = takes;
        while let [first, tail @ ..] = rest {
            if tail.iter().any(|other| other.key.own() == first.key.own()) {
                return Err(StoreError::Asked("one key twice"));
            }
            rest = tail;
        }
        Ok(())
    }

    /// What the store says of it: whether it is admitted, what remains, nanoseconds to wait, the ticket, and whether it counted with
    /// others.
    fn answer(
        &self,
        (admitted, remaining, wait): (i64, i64, Option<i64>),
        ticket: i64,
        is_shared: bool,
        all_hold: bool,
    ) -> Answer {
        let is_admitted = admitted == 1;
        let counts = !matches!(self.count, Count::Penalty(_));
        let taken = (is_admitted && all_hold && counts).then(|| Taken {
            place: self.key.place(is_shared).unwrap_or_default().to_owned(),
            count: self.count,
            units: self.units,
            ticket: u64::try_from(ticket).unwrap_or(0),
            is_fallback: false,
        });
        Answer {
            is_admitted,
            remaining: u64::try_from(remaining).unwrap_or(0),
            wait: wait.and_then(|wait| u64::try_from(wait).ok()),
            taken,
        }
    }
}

/// Whether a request takes what it asks for, by what each of its limits says.
fn all_hold<'a>(judged: impl IntoIterator<Item = (&'a Take, i64)>) -> bool {
    judged.into_iter().all(|(take, admitted)| admitted == 1 || !take.is_enforced)
}

impl Settlement {
    /// The operation, the key, what is counted, the units and the ticket.
    fn parts(&self) -> (&'static str, &str, Count, u64, u64) {
        match self {
            Self::GiveBack(taken, units) => {
                let units = (*units).min(taken.units);
                ("give_back", &taken.place, taken.count, units, taken.ticket)
            }
            Self::Charge(taken, units) => {
                ("charge", &taken.place, taken.count, *units, taken.ticket)
            }
            Self::Release(taken) => ("release", &taken.place, taken.count, 1, taken.ticket),
            Self::Strike(key, penalty) => ("strike", key.own(), Count::Penalty(*penalty), 1, 0),
        }
    }

    /// How many keys there may be for a new one to have room. What was taken had it.
    fn room(&self, keys: u64) -> u64 {
        match self {
            Self::Strike(key, _) => key.room(keys),
            Self::GiveBack(..) | Self::Charge(..) | Self::Release(_) => keys,
        }
    }

    /// Whether it means something for what is counted: a place is released and nothing else is, and only units are given back.
    fn is_sound(&self) -> bool {
        match self {
            Self::GiveBack(Taken { count, .. }, _) | Self::Charge(Taken { count, .. }, _) => {
                matches!(count, Count::Bucket(_) | Count::Quota { .. })
            }
            Self::Release(taken) => matches!(taken.count, Count::Concurrency { .. }),
            Self::Strike(..) => true,
        }
    }
}
