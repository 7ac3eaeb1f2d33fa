//! The limits stage: how often a caller may, how much, and how many at once.
//!
//! Token buckets, kept as virtual schedules (GCRA, ITU-T I.371), quotas by the calendar, and bounds on what is under way. What is
//! counted of all keys lives in a fixed number of shared slots ([`table`]), so that nobody can make it grow, and is
//! changed by compare-and-swap, so that workers together admit what the limit says and no more. A worker that is asked for one key
//! again and again takes several tokens at a time ([`lease`]). [`admission`] is what one request has taken, and [`settling`] what comes of it. Where many machines share a
//! store, whoever drives the exchange counts in it ([`elsewhere`]).

mod admission;
mod bucket;
mod calendar;
mod concurrency;
mod cost;
mod elsewhere;
mod fields;
mod fingerprint;
mod lease;
mod limit;
mod limiter;
mod penalty;
mod pointer;
mod quota;
mod service;
mod settling;
mod table;
mod usage;

use std::net::IpAddr;

use crate::Principal;
use crate::access::Header;
use crate::environment::Timestamp;
use crate::identity::Claims;

pub(crate) use admission::Admission;
pub use elsewhere::{LimitAnswer, LimitCount, LimitSettlement, LimitTake};
pub(crate) use limit::Limit;
pub(crate) use limiter::Limiter;
pub(crate) use service::{Patience, RateLimitService};
pub use service::{ServiceAnswer, ServiceCall, ServiceOutcome};
pub(crate) use settling::Ending;

use fingerprint::Fingerprint;

/// The longest time in which a bucket may fill, in seconds: a day.
const MAXIMUM_SECONDS: u32 = 86_400;

/// In a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// Of whom a request is, as far as limits can go by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) principal: &'a Principal,
    /// The claims of the token, where there is one.
    pub(crate) claims: Option<&'a Claims>,
    /// Known where a limit [goes by](Limit::goes_by_address) it.
    pub(crate) source: Option<IpAddr>,
    pub(crate) headers: &'a [Header<'a>],
    /// The route's name.
    pub(crate) route: &'a str,
}

/// What a count says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    admitted: bool,
    /// What is left, in the unit of the cost.
    remaining: u64,
    /// Nanoseconds until there is more: for what was asked where that is not admitted, else for one; none where there will never be
    /// enough.
    wait: Option<u64>,
}

/// Nanoseconds as a whole number of seconds, rounded up: who waits that long is not too early.
fn seconds_up(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(NANOSECONDS)
}

impl Timestamp {
    fn plus(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

#[cfg(test)]
mod tests;
