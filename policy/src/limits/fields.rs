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

/// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3): all limits. Every response has it, so it is put together
/// without the machinery of `format!`.
pub(super) fn policy<'a>(
    limits: impl Iterator<Item = (&'a Limit, &'a Meter)>,
    now: Option<Timestamp>,
) -> String {
    let mut text = String::with_capacity(USUAL_LENGTH);
    for (limit, meter) in limits {
        if !text.is_empty() {
            text.push_str(", ");
        }
        push_name(&mut text, limit);
        push_parameter(&mut text, ";q=", meter.quota);
        let window = match (&meter.count, meter.window) {
            (_, Some(seconds)) => Some(u64::from(seconds)),
            (Count::Quota(_, calendar), None) => {
                let span = now.and_then(|now| calendar.at(now));
                span.map(|span| seconds_up(span.end.since(span.start)))
            }
            _ => None,
        };
        if let Some(seconds) = window {
            push_parameter(&mut text, ";w=", seconds);
        }
        let unit = match meter.count {
            Count::Concurrency(_) => Some("concurrent-requests"),
            _ => limit.cost.unit(),
        };
        if let Some(unit) = unit {
            text.push_str(";qu=\"");
            text.push_str(unit);
            text.push('"');
        }
    }
    text
}

/// `RateLimit` (§4): one of them.
pub(super) fn state(limit: &Limit, standing: &Standing) -> String {
    let Decision { remaining, wait, .. } = standing.decision;
    let mut text = String::with_capacity(USUAL_LENGTH);
    push_name(&mut text, limit);
    push_parameter(&mut text, ";r=", remaining);
    if let Some(reset) = wait.map(seconds_up) {
        push_parameter(&mut text, ";t=", reset);
    }
    text
}

/// How long a field is, mostly: room for one limit.
const USUAL_LENGTH: usize = 64;

/// A limit's name has nothing in it that would have to be escaped.
fn push_name(text: &mut String, limit: &Limit) {
    text.push('"');
    text.push_str(limit.name());
    text.push('"');
}

fn push_parameter(text: &mut String, name: &str, value: u64) {
    text.push_str(name);
    let mut digits = [0; 20];
    let (mut rest, mut begin) = (value, digits.len());
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (rest % 10) as u8;
        (rest, begin) = (rest / 10, begin.saturating_sub(1));
        if rest == 0 {
            break;
        }
    }
    let digits = digits.get(begin..).and_then(|digits| std::str::from_utf8(digits).ok());
    text.push_str(digits.unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 99, 100, 12_345_678_901_234_567, u64::MAX - 1, u64::MAX] {
            let mut text = String::new();
            push_parameter(&mut text, ";q=", number);
            assert_eq!(text, format!(";q={number}"));
        }
    }
}
