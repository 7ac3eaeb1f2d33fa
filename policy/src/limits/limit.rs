//! One limit, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use siphasher::sip128::SipHasher24;

use super::bucket::Bucket;
use super::calendar::Calendar;
use super::concurrency::Concurrency;
use super::cost::CostRule;
use super::fingerprint::{Fingerprint, Key, Kind, Seed};
use super::quota::Quota;
use super::service::SharedFingerprint;
use super::table::Region;
use super::{Caller, MAXIMUM_SECONDS};
use crate::Principal;
use crate::access::Header;
use crate::document::{Allowance, Cost, LimitRule, Period};
use crate::policy::CompileError;

/// A compiled limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(super) name: String,
    pub(super) key: Key,
    pub(super) cost: CostRule,
    overflow: Fingerprint,
    enforced: bool,
    percent: u8,
    is_shared: bool,
    base: Meter,
    plans: BTreeMap<String, Meter>,
}

/// How something is counted, and how it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) count: Count,
    /// How many requests, or units of the cost.
    pub(super) quota: u64,
    /// In how many seconds; none where the calendar says so, or time does not matter.
    pub(super) window: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Count {
    Bucket(Bucket),
    Quota(Quota, Arc<Calendar>),
    Concurrency(Concurrency),
}

/// The most requests that a limit can be about.
const MAXIMUM_REQUESTS: u64 = 1 << 52;

/// The most plans of one limit.
const MAXIMUM_PLANS: usize = 100;

impl Limit {
    /// Whether it has to be known where a caller's requests come from.
    pub(crate) fn goes_by_address(&self, principal: &Principal, headers: &[Header<'_>]) -> bool {
        self.key.goes_by_address(principal, headers)
    }

    /// Compiles a list.
    pub(crate) fn compile_all(rules: &[LimitRule], field: &str) -> Result<Vec<Self>, CompileError> {
        let mut limits: Vec<Self> = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let limit = Self::compile(rule, &field)?;
            if limits.iter().any(|other| other.name() == limit.name()) {
                let message = "expected a name that is not in this list before";
                return Err(CompileError::new(format!("{field}.name"), message));
            }
            limits.push(limit);
        }
        Ok(limits)
    }

    pub(crate) fn compile(rule: &LimitRule, field: &str) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| CompileError::new(format!("{field}.{name}"), message);
        let is_name_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if rule.name.is_empty() || rule.name.len() > 64 || !rule.name.bytes().all(is_name_byte) {
            return Err(error("name", "expected up to 64 lower-case letters, digits and hyphens"));
        }
        if rule.percent > 100 {
            return Err(error("percent", "expected 0 to 100"));
        }
        if rule.plans.len() > MAXIMUM_PLANS {
            return Err(error("plans", &format!("expected at most {MAXIMUM_PLANS}")));
        }
        if rule.shared && (rule.cost != Cost::Request || rule.concurrent.is_some()) {
            let message = "expected a limit of requests: the service counts those, and neither bytes, tokens nor what is under way";
            return Err(error("shared", message));
        }
        let cost = CostRule::compile(&rule.cost, &format!("{field}.cost"))?;
        let calendar = rule.per.map(|per| Calendar::compile(per, rule.time_zone.as_deref(), field));
        let calendar = calendar.transpose()?.map(Arc::new);
        let base = Meter::compile(rule, &cost, calendar.as_ref(), field)?;
        let plans = rule.plans.iter().map(|(plan, allowance)| {
            let field = format!("{field}.plans.{plan}");
            let meter =
                Meter::compile(&overridden(rule, allowance), &cost, calendar.as_ref(), &field)?;
            Ok((plan.clone(), meter))
        });
        Ok(Self {
            overflow: Fingerprint::new(base.kind(), name_digest(&rule.name)),
            name: rule.name.clone(),
            key: Key::compile(rule.key.parts(), &format!("{field}.key"))?,
            enforced: rule.enforced,
            percent: rule.percent,
            is_shared: rule.shared,
            plans: plans.collect::<Result<_, _>>()?,
            base,
            cost,
        })
    }

    /// Whether a rate limit service counts it, too.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// What stands for a caller wherever the limit is counted.
    pub(super) fn shared_fingerprint(&self, caller: &Caller<'_>) -> SharedFingerprint {
        SharedFingerprint::of(&self.key.shared_digest(&self.of(caller), caller))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What holds for callers on a plan.
    pub(super) fn meter(&self, plan: Option<&str>) -> &Meter {
        plan.and_then(|plan| self.plans.get(plan)).unwrap_or(&self.base)
    }

    /// What stands for a caller, and in which part of the table it counts. A plan that has an allowance of its own counts for itself.
    pub(super) fn fingerprint(&self, seed: &Seed, caller: &Caller<'_>) -> (Fingerprint, Region) {
        let (digest, region) = self.key.digest(seed, &self.of(caller), caller);
        (Fingerprint::new(self.base.kind(), digest), region)
    }

    fn of<'a>(&'a self, caller: &Caller<'a>) -> [&'a str; 2] {
        let plan = caller.principal.plan.as_deref().filter(|plan| self.plans.contains_key(*plan));
        [&self.name, plan.unwrap_or_default()]
    }

    /// What stands for all callers that find no room in the table. Callers have none of these slots: it need not be secret.
    pub(super) fn overflow(&self) -> Fingerprint {
        self.overflow
    }

    /// Whether it refuses this caller at all. Which callers are within a percentage is the same on every machine and for ever.
    pub(super) fn is_enforced(&self, caller: &Caller<'_>) -> bool {
        const EVERYWHERE: Seed = [0; 16];
        let is_within = || {
            let (digest, _) = self.key.digest(&EVERYWHERE, &["percent", &self.name], caller);
            digest % 100 < u128::from(self.percent)
        };
        self.enforced && (self.percent == 100 || is_within())
    }
}

fn name_digest(name: &str) -> u128 {
    SipHasher24::new().hash(name.as_bytes()).as_u128()
}

/// A rule as a plan has it.
fn overridden(rule: &LimitRule, allowance: &Allowance) -> LimitRule {
    let burst = allowance.burst.or(allowance.requests).or(rule.burst);
    LimitRule {
        requests: allowance.requests.or(rule.requests),
        per_seconds: allowance.per_seconds.or(rule.per_seconds),
        burst: if rule.per.is_some() { allowance.burst.or(rule.burst) } else { burst },
        concurrent: allowance.concurrent.or(rule.concurrent),
        ..rule.clone()
    }
}

impl Meter {
    fn kind(&self) -> Kind {
        match self.count {
            Count::Bucket(_) => Kind::Bucket,
            Count::Quota(..) => Kind::Quota,
            Count::Concurrency(_) => Kind::Concurrency,
        }
    }

    fn compile(
        rule: &LimitRule,
        cost: &CostRule,
        calendar: Option<&Arc<Calendar>>,
        field: &str,
    ) -> Result<Self, CompileError> {
        let error =
            |name: &str, message: &str| CompileError::new(format!("{field}.{name}"), message);
        let only = |is_there: bool, name: &str, whose: &str| match is_there {
            true => Err(error(name, &format!("expected it only with {whose}"))),
            false => Ok(()),
        };
        let is_bucket = rule.per_seconds.is_some();
        only(rule.burst.is_some() && !is_bucket, "burst", "per_seconds")?;
        only(rule.time_zone.is_some() && calendar.is_none(), "time_zone", "per")?;
        only(
            rule.lost_after_seconds.is_some() && rule.concurrent.is_none(),
            "lost_after_seconds",
            "concurrent",
        )?;
        let kinds = [is_bucket, calendar.is_some(), rule.concurrent.is_some()];
        if kinds.iter().filter(|is_one| **is_one).count() != 1 {
            let message =
                "expected one of per_seconds (a token bucket), per (a quota) and concurrent";
            return Err(CompileError::new(field, message));
        }
        if let Some(most) = rule.concurrent {
            only(rule.requests.is_some(), "requests", "per_seconds or per")?;
            only(*cost != CostRule::Request, "cost", "per_seconds or per")?;
            return Self::concurrency(rule, most, &error);
        }
        let requests = rule.requests.unwrap_or_default();
        if !(1..=MAXIMUM_REQUESTS).contains(&requests) {
            let message =
                format!("expected 1 to {MAXIMUM_REQUESTS}: remove the route to refuse everything");
            return Err(error("requests", &message));
        }
        let (count, window, most) = match (rule.per_seconds, calendar) {
            (Some(per_seconds), _) => {
                let burst = rule.burst.unwrap_or(requests);
                let bucket = Self::bucket(requests, per_seconds, burst, &error)?;
                let owes = cost.response_value().is_some();
                let bucket = if owes { bucket.with_debt() } else { bucket };
                (Count::Bucket(bucket), Some(per_seconds), burst)
            }
            (None, calendar) => {
                let calendar = calendar.ok_or_else(|| error("per", "expected day or month"))?;
                let window = (rule.per == Some(Period::Day)).then_some(86_400);
                (Count::Quota(Quota { amount: requests }, Arc::clone(calendar)), window, requests)
            }
        };
        if cost.cap().is_some_and(|cap| cap > most) {
            let message =
                format!("expected a cap of at most {most}: what costs more could never come");
            return Err(error("cost", &message));
        }
        Ok(Self { count, quota: requests, window })
    }

    fn bucket(
        requests: u64,
        per_seconds: u32,
        burst: u64,
        error: &dyn Fn(&str, &str) -> CompileError,
    ) -> Result<Bucket, CompileError> {
        if !(1..=MAXIMUM_SECONDS).contains(&per_seconds) {
            return Err(error("per_seconds", &format!("expected 1 to {MAXIMUM_SECONDS}")));
        }
        if requests > u64::from(per_seconds).saturating_mul(10_000_000) {
            return Err(error("requests", "expected at most 10000000 a second"));
        }
        Bucket::new(requests, per_seconds, burst).ok_or_else(|| {
            let message = format!(
                "expected 1 to {}, and a bucket that fills in {MAXIMUM_SECONDS} seconds",
                u32::MAX
            );
            error("burst", &message)
        })
    }

    fn concurrency(
        rule: &LimitRule,
        most: u16,
        error: &dyn Fn(&str, &str) -> CompileError,
    ) -> Result<Self, CompileError> {
        const DEFAULT: u32 = 300;
        let seconds = rule.lost_after_seconds.unwrap_or(DEFAULT);
        if most == 0 {
            return Err(error(
                "concurrent",
                "expected at least 1: remove the route to refuse everything",
            ));
        }
        if !(1..=MAXIMUM_SECONDS).contains(&seconds) {
            return Err(error("lost_after_seconds", &format!("expected 1 to {MAXIMUM_SECONDS}")));
        }
        let count = Count::Concurrency(Concurrency::new(most, seconds));
        Ok(Self { count, quota: most.into(), window: None })
    }
}
