//! What is counted of a key, as the policy's limits have it.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// A token bucket (GCRA).
    Bucket(Bucket),
    /// So many in a day or month.
    Quota {
        amount: u64,
        /// The ends of the last period, of this one and of the next, in seconds since 1970: the store's clock decides which it is.
        ends: [u64; 3],
    },
    /// So many under way. Time is cut into spans, and a place counts in the one in which it was taken and in the next.
    Concurrency { most: u16, span_seconds: u32 },
    /// Whether a source is shut out. Nothing is taken.
    Penalty(Penalty),
}

/// A token bucket's shape, in nanoseconds: a token flows back every `interval`, and all are back after `capacity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(super) interval: u64,
    pub(super) capacity: u64,
    /// The capacity, and what it may owe for what was taken before it was known how much it would be.
    pub(super) longest: u64,
}

/// When a source is shut out, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Penalty {
    pub(crate) strikes: u16,
    pub(crate) per_seconds: u32,
    pub(crate) first_seconds: u32,
    pub(crate) max_seconds: u32,
    pub(crate) forgive_after_seconds: u32,
}

#[cfg(test)]
const NANOSECONDS: u64 = 1_000_000_000;

/// The longest time in which a bucket may fill, or owe, in nanoseconds: a day.
#[cfg(test)]
const LONGEST: u64 = 86_400 * NANOSECONDS;

/// How many debts a bucket bears, in its capacities.
#[cfg(test)]
const DEBTS: u64 = 8;

impl Bucket {
    /// As the policy has it: `None` where a number is zero, the bucket would take more than a day to fill, or tokens flow faster than
    /// ten million a second.
    #[cfg(test)]
    pub(crate) fn new(requests: u64, per_seconds: u32, burst: u64, owes: bool) -> Option<Self> {
        const FASTEST: u64 = 100;
        if requests == 0 {
            return None;
        }
        let interval = u64::from(per_seconds).checked_mul(NANOSECONDS)?.div_ceil(requests);
        let capacity = interval.checked_mul(burst)?;
        if interval < FASTEST || capacity == 0 || capacity > LONGEST {
            return None;
        }
        let debt = if owes { capacity.saturating_mul(DEBTS).min(LONGEST) } else { 0 };
        Some(Self { interval, capacity, longest: capacity.saturating_add(debt) })
    }

    /// As the policy has compiled it.
    pub(crate) fn of_shape(interval: u64, capacity: u64, longest: u64) -> Self {
        Self { interval: interval.max(1), capacity, longest }
    }
}

impl Count {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bucket(_) => "bucket",
            Self::Quota { .. } => "quota",
            Self::Concurrency { .. } => "concurrency",
            Self::Penalty(_) => "penalty",
        }
    }

    /// The parameters of a take and of what comes after it.
    pub(super) fn parameters(self) -> [u64; 5] {
        match self {
            Self::Bucket(Bucket { interval, capacity, longest }) => {
                [interval, capacity, longest, 0, 0]
            }
            Self::Quota { amount, ends: [last, this, next] } => {
                [amount.min(super::MOST), last, this, next, 0]
            }
            Self::Concurrency { most, span_seconds } => {
                [most.into(), u64::from(span_seconds.max(1)), 0, 0, 0]
            }
            Self::Penalty(penalty) => [
                penalty.strikes.into(),
                penalty.per_seconds.into(),
                penalty.first_seconds.into(),
                penalty.max_seconds.into(),
                penalty.forgive_after_seconds.into(),
            ],
        }
    }
}
