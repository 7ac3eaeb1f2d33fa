//! What clients and operators are told of limits.

use super::limit::{Count, Limit, Meter};
use super::{Decision, NANOSECONDS, seconds_up};
use crate::document::Period;
use crate::environment::Timestamp;
use crate::problem::{Reason, Refusal, Stage};
use crate::trace::Trace;

/// How much is left, for the RateLimit fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) limit: usize,
    pub(super) decision: Decision,
    pub(super) cost: u64,
}

/// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3): all limits.
pub(super) fn policy<'a>(
    limits: impl Iterator<Item = (&'a Limit, &'a Meter)>,
    now: Option<Timestamp>,
) -> String {
    let items = limits.map(|(limit, meter)| {
        let mut item = format!("\"{}\";q={}", limit.name(), meter.quota);
        let window = match (&meter.count, meter.window) {
            (_, Some(seconds)) => Some(u64::from(seconds)),
            (Count::Quota(_, calendar), None) => {
                let span = now.and_then(|now| calendar.at(now));
                span.map(|span| seconds_up(span.end.since(span.start)))
            }
            _ => None,
        };
        if let Some(seconds) = window {
            item.push_str(&format!(";w={seconds}"));
        }
        let unit = match meter.count {
            Count::Concurrency(_) => Some("concurrent-requests"),
            _ => limit.cost.unit(),
        };
        if let Some(unit) = unit {
            item.push_str(&format!(";qu=\"{unit}\""));
        }
        item
    });
    items.collect::<Vec<_>>().join(", ")
}

/// `RateLimit` (§4): one of them.
pub(super) fn state(limit: &Limit, standing: &Standing) -> String {
    let Decision { remaining, wait, .. } = standing.decision;
    let name = limit.name();
    match wait.map(seconds_up) {
        Some(reset) => format!("\"{name}\";r={remaining};t={reset}"),
        None => format!("\"{name}\";r={remaining}"),
    }
}

/// The refusal of a request that one limit has too little for.
pub(super) fn refusal(limits: &[Limit], plan: Option<&str>, standing: &Standing) -> Refusal {
    let Some(limit) = limits.get(standing.limit) else { return unavailable() };
    let meter = limit.meter(plan);
    let reason = match meter.count {
        Count::Bucket(_) => Reason::RateExceeded,
        Count::Quota(..) => Reason::QuotaExceeded,
        Count::Concurrency(_) => Reason::ConcurrencyExceeded,
    };
    let seconds = standing.decision.wait.map(|wait| seconds_up(wait).max(1));
    let detail = match (seconds, &meter.count) {
        (Some(_), Count::Concurrency(_)) => {
            "Wait until some of your requests have been answered.".to_owned()
        }
        (Some(seconds), _) => format!("Wait {seconds} seconds, or send fewer requests."),
        (None, _) => format!(
            "Send a smaller request: it takes {} {}, which is more than is ever available.",
            standing.cost,
            limit.cost.unit_in_words()
        ),
    };
    let refusal = Refusal::new(reason, detail).finding(limit.name(), describe(limit, meter));
    match seconds {
        Some(seconds) => refusal.header("retry-after", seconds.to_string()),
        None => refusal,
    }
}

/// The refusal of a request that is over a limit for so many seconds, whoever counts it.
pub(super) fn over(limit: &Limit, plan: Option<&str>, seconds: u64, now: Timestamp) -> Refusal {
    let wait = Some(seconds.saturating_mul(NANOSECONDS));
    let decision = Decision { admitted: false, remaining: 0, wait };
    let standing = Standing { limit: 0, decision, cost: 1 };
    let policies = [(limit, limit.meter(plan))].into_iter();
    refusal(std::slice::from_ref(limit), plan, &standing)
        .header("ratelimit-policy", policy(policies, Some(now)))
        .header("ratelimit", state(limit, &standing))
}

pub(super) fn unavailable() -> Refusal {
    Refusal::new(Reason::LimitsUnavailable, "Try again in a moment.").header("retry-after", "1")
}

/// A limit in words.
fn describe(limit: &Limit, meter: &Meter) -> String {
    let quota = meter.quota;
    let unit = limit.cost.unit_in_words();
    match &meter.count {
        Count::Bucket(_) => {
            format!("{quota} {unit} in {} seconds", meter.window.unwrap_or_default())
        }
        Count::Quota(_, calendar) => {
            let period = match calendar.period() {
                Period::Day => "day",
                Period::Month => "month",
            };
            format!("{quota} {unit} in a {period}")
        }
        Count::Concurrency(_) => format!("{quota} requests at a time"),
    }
}

/// Writes down what a limit has said.
pub(super) fn note(
    index: usize,
    (limit, meter): (&Limit, &Meter),
    cost: u64,
    is_enforced: bool,
    decision: Option<Decision>,
    trace: &mut Trace,
) {
    let key = limit.key.describe();
    let rule = format!("`{}`, {} for each {key}", limit.name(), describe(limit, meter));
    let field = format!("limits[{index}]");
    let what = match cost {
        1 => String::new(),
        cost => format!(", of which {cost} are taken"),
    };
    match decision {
        Some(decision) if decision.admitted => {
            let found = format!("{rule}: {} left{what}", decision.remaining);
            trace.passed(Stage::Limits, field, found);
        }
        _ if !is_enforced => {
            let found = format!("{rule}: would have refused, and is not enforced");
            trace.passed(Stage::Limits, field, found);
        }
        Some(decision) => {
            let change = match decision.wait {
                Some(wait) => {
                    format!("wait {} seconds, or raise the limit", seconds_up(wait).max(1))
                }
                None => format!("raise the limit: the request takes {cost}"),
            };
            let left = match decision.remaining {
                0 => "none left".to_owned(),
                remaining => format!("{remaining} left, and {cost} needed"),
            };
            trace.failed(field, format!("{rule}: {left}"), change);
        }
        None => trace.failed(field, format!("{rule}: the store does not answer"), "try again"),
    }
}
